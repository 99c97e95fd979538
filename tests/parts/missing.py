"""A part that a test needs and this machine lacks: a failure in CI, a skip elsewhere."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str, how_to_get_it: str) -> NoReturn:
    text = f"{what}; {how_to_get_it}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
