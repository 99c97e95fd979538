"""What two configs say otherwise, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import KeyPath

from .text import lines


@dataclass(frozen=True)
class Difference:
    path: KeyPath
    theirs: str | None
    """As protobuf text; None: they do not say it."""
    ours: str | None


def differences(theirs: Any, ours: Any) -> Iterator[Difference]:
    """In the order of ours, then of what only theirs has. Inputs and outputs are compared by
    name, wherever they stand."""
    theirs = _in_order_of(theirs, ours)
    left = {line.path: line.value for line in lines(theirs) if line.path}
    right = {line.path: line.value for line in lines(ours) if line.path}
    deeper = {path[:length] for path in (*right, *left) for length in range(1, len(path))}
    for path in dict.fromkeys((*right, *left)):
        # That a message is there, and empty, says no more than what stands in it elsewhere.
        if left.get(path) != right.get(path) and path not in deeper:
            yield Difference(path, left.get(path), right.get(path))


def _in_order_of(theirs: Any, ours: Any) -> Any:
    """A copy whose inputs and outputs stand where those of the same name do in ours."""
    copy = type(theirs)()
    copy.CopyFrom(theirs)
    for side in ("input", "output"):
        order = {io.name: index for index, io in enumerate(getattr(ours, side))}
        sorted_ios = sorted(getattr(theirs, side), key=lambda io: order.get(io.name, len(order)))
        copy.ClearField(side)
        getattr(copy, side).extend(sorted_ios)
    return copy
