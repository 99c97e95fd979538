"""Images out of images: components cut out of a release's layers, what they need beside them, and
no step that a container would have to run."""
