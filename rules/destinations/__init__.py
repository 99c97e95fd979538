"""Where models are pushed to (a module a kind of place), and in which order."""
