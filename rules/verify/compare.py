"""How an answer differs from what a golden case expects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import KeyPath, Problem, dotted

from .tolerances import ATOL, RTOL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .tensors import Tensor

NEAR = 0.05
"""A relative error up to which a larger tolerance may be what is meant."""


@dataclass(frozen=True)
class Tolerances:
    """For floats: of all outputs, or by output."""

    rtol: float | Mapping[str, float] = RTOL
    atol: float | Mapping[str, float] = ATOL

    def of(self, output: str) -> tuple[float, float]:
        """rtol and atol."""
        pairs = ((self.rtol, RTOL), (self.atol, ATOL))
        rtol, atol = (
            said if isinstance(said, (int, float)) else said.get(output, default)
            for said, default in pairs
        )
        return rtol, atol


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
    enough: float | None = None
    """The rtol that would do, where that is a small one."""

    def problem(self, key: KeyPath) -> Problem:
        at = f" at {list(self.index)}" if self.index else ""
        worst = f"; the worst at {self.worst}" if self.worst else ""
        others = f"; {self.differing} of {self.total} values differ" if self.total > 1 else ""
        tolerance = f" ({self.tolerance})" if self.tolerance else ""
        remedy = "" if self.enough is None else f"if that is near enough: rtol = {self.enough:g}"
        return Problem(
            f"{self.got}{at}{others}{worst}", f"{self.expected}{tolerance}", remedy, key=dotted(key)
        )


@dataclass(frozen=True)
class Unlike:
    """There are no values to compare: another datatype or shape, or nothing came."""

    found: str
    expected: str

    def problem(self, key: KeyPath) -> Problem:
        return Problem(self.found, self.expected, key=dotted(key))


def difference(
    expected: Tensor, got: Tensor | None, rtol: float, atol: float
) -> Mismatch | Unlike | None:
    """None if they agree: same datatype and shape; floats within `atol + rtol × |expected|`, as
    `numpy.isclose` has it, not-a-number equal to itself; everything else equal.
    """
    import numpy as np

    from .tensors import FLOATS

    if got is None:
        shape = list(expected.values.shape)
        return Unlike("the output did not come back", f"{expected.datatype} of shape {shape}")
    if got.datatype != expected.datatype:
        return Unlike(f"datatype {got.datatype}", f"datatype {expected.datatype}")
    if got.values.shape != expected.values.shape:
        return Unlike(f"shape {list(got.values.shape)}", f"shape {list(expected.values.shape)}")
    floats = expected.datatype in FLOATS
    if floats:
        want, have = expected.values.astype(float), got.values.astype(float)
        wrong = np.asarray(~np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True))
    else:
        wrong = np.asarray(got.values != expected.values)
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    first = worst = _index(wrong, int(np.argmax(wrong)))
    enough = None
    if floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(have - want)
            excess = np.where(
                wrong, np.nan_to_num(distance - atol - rtol * np.abs(want), nan=np.inf), -1
            )
            worst = _index(wrong, int(np.argmax(excess)))
            enough = _enough(float(np.max(((distance - atol) / np.abs(want))[wrong])))
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
        enough=enough,
    )


def _enough(rtol: float) -> float | None:
    """Rounded up to one digit."""
    if not 0 < rtol <= NEAR:
        return None
    unit = 10.0 ** math.floor(math.log10(rtol))
    return float(f"{(math.floor(rtol / unit) + 1) * unit:.0e}")


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
