"""Where the tool `model` finds what it is given, and where it puts what it makes."""

from __future__ import annotations

MODEL = "model"
"""Where the tool puts the folder; the model's own name could be that of an input."""
CONFIG = "config.json"
"""Where it puts the completed config, as `completion.Full` writes it."""
RELEASE = "release"
"""Where it finds the file that tells the release, unless the parameter of that name does."""
CONFIG_FILE = "config_file"
"""Where it finds the user's config.pbtxt."""
CHECKSUM = "checksum"
"""The agent whose parameters it writes."""
