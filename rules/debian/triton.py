"""What an image stands on that names no base."""

from __future__ import annotations

from typing import Any

from tritonbuild.rule import Context

from ..base_info import BaseInfo
from .base import debian_base

SUITE = "bookworm"
TRITON = (
    "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "libc-bin", "libpython3.11",
    "libstdc++6", "netbase", "python3", "tzdata",
)  # fmt: skip
"""Enough for the server, and for its python backend, whose stubs are started by shells."""


def triton_base(ctx: Context[Any]) -> BaseInfo:
    """Declares a base, for the platform of the target."""
    return debian_base(ctx, SUITE, TRITON, ctx.attributes.platform)
