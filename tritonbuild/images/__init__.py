"""What verbs do with images: push, load, pull, promote, show and compare them."""
