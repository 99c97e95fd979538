"""The versions of a model: their numbers."""

from __future__ import annotations

import re

LARGEST = 2**63 - 1


def wrong_number(number: str) -> tuple[str, str] | None:
    """What is wrong with a version's name and the remedy; None when nothing is.

    Triton skips folders whose name begins with 0 (its code lets `0` itself pass, its
    documentation does not), and takes `1abc` for version 1.
    """
    if re.fullmatch(r"[1-9][0-9]*", number):
        if int(number) <= LARGEST:
            return None
        return f"{number!r} does not fit into 64 bits", "number the versions 1, 2, 3 …"
    digits = re.match(r"0*([1-9][0-9]*)", number)
    remedy = f"write {digits[1]}" if digits else "number the versions 1, 2, 3 …"
    return f"{number!r} is not a version number", remedy
