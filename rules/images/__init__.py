"""Server images: what is in them, layer by layer."""
