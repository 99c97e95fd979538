"""The command line: one verb a file, each a thin layer that wires things together."""
