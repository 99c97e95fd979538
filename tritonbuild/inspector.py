"""Inspectors: what a rule author's kind of image says of itself, for `info` and `diff`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tritonbuild.oci.view import View


@dataclass(frozen=True, order=True)
class Fact:
    section: str
    """Such as `models`."""
    name: str
    value: str


@dataclass(frozen=True)
class Inspector:
    """Looks at an image, whoever made it."""

    kind: str
    function: Callable[[View], Iterable[Fact]] = field(compare=False)


def inspector(kind: str) -> Callable[[Callable[[View], Iterable[Fact]]], Inspector]:
    """Makes an inspector of a function. It raises nothing for what it does not know."""
    return lambda function: Inspector(kind, function)
