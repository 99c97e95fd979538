"""Python for Triton and for commands: an interpreter of our own, wheels, environments."""
