"""Names that the python backend hands to a shell."""

from __future__ import annotations

import re

SHELL_WORD = re.compile(r"[A-Za-z0-9_./+=,@:%^~-]+")
"""What `bash -c` takes as one word: the python backend quotes nothing."""


def shell_word(name: str) -> str:
    """A name like that one which a shell takes as one word."""
    return re.sub(r"[^A-Za-z0-9_.+=,@:%^~-]", "_", name)
