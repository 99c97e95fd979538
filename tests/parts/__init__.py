"""Real parts that tests start: servers and tools got from package registries."""
