"""How an answer differs from what a golden case expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .tensors import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOATS = ("FP16", "FP32", "FP64", "BF16")


@dataclass(frozen=True)
class Mismatch:
    """The values at one index, and how many others are wrong."""

    output: str
    index: tuple[int, ...]
    """Of the first value that differs."""
    expected: str
    got: str
    tolerance: str
    """Empty where values must be equal."""
    differing: int
    total: int
    worst: str
    """Where the distance is largest, and both values; empty where it is the first, or there is no
    distance."""

    def __str__(self) -> str:
        tolerance = f" ({self.tolerance})" if self.tolerance else ""
        worst = f"; the worst at {self.worst}" if self.worst else ""
        return (
            f"output {self.output!r} at {list(self.index)}: expected {self.expected}, "
            f"got {self.got}{tolerance}; {self.differing} of {self.total} values differ{worst}"
        )


def difference(
    expected: Tensor, got: Tensor | None, rtol: float, atol: float
) -> Mismatch | str | None:
    """None if they agree: same datatype and shape; floats within `atol + rtol × |expected|`, as
    `numpy.isclose` has it, not-a-number equal to itself; everything else equal. Text where there
    are no values to compare.
    """
    import numpy as np

    if got is None:
        return f"output {expected.name!r} did not come back"
    if got.datatype != expected.datatype:
        return f"output {expected.name!r}: expected {expected.datatype}, got {got.datatype}"
    if got.values.shape != expected.values.shape:
        return (
            f"output {expected.name!r}: expected shape {list(expected.values.shape)}, "
            f"got {list(got.values.shape)}"
        )
    floats = expected.datatype in FLOATS
    if floats:
        want, have = expected.values.astype(float), got.values.astype(float)
        wrong = ~np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True)
    else:
        wrong = np.asarray(got.values != expected.values)
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    first = _index(wrong, int(np.argmax(wrong)))
    worst = first
    if floats:
        with np.errstate(invalid="ignore"):
            excess = np.abs(have - want) - (atol + rtol * np.abs(want))
        worst = _index(
            wrong, int(np.argmax(np.where(wrong, np.nan_to_num(excess, nan=np.inf), -1)))
        )
    at = [_text(tensor.values[worst]) for tensor in (expected, got)]
    return Mismatch(
        output=expected.name,
        index=first,
        expected=_text(expected.values[first]),
        got=_text(got.values[first]),
        tolerance=f"rtol {rtol:g}, atol {atol:g}" if floats else "",
        differing=count,
        total=wrong.size,
        worst="" if worst == first else f"{list(worst)}: expected {at[0]}, got {at[1]}",
    )


def _index(array: NDArray[Any], position: int) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(place) for place in np.unravel_index(position, array.shape))


def _text(value: Any) -> str:
    """As short as tells it from its neighbours in its own precision."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        text = repr(value.decode())
    except UnicodeDecodeError:
        text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
