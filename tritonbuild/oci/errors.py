"""What can be wrong with images and the places that hold them."""

from __future__ import annotations

from collections.abc import Sequence

from tritonbuild.errors import Problem


class OciError(Exception):
    """Carries what an error for people needs."""

    def __init__(self, found: str, expected: str = "", remedy: str = ""):
        super().__init__(found)
        self.problem = Problem(found, expected, remedy)


class Absent(OciError):
    """It is not there."""


class Refused(OciError):
    """A place says no, and will again."""


class Passing(OciError):
    """It may work later."""


class Unreachable(Passing):
    """Nobody answers there: the place is not there, or this machine cannot get to it."""


class Invalid(OciError):
    """Content is not what it should be; with every fault that was found."""

    def __init__(self, *faults: str, expected: str = "", remedy: str = ""):
        super().__init__("\n".join(faults), expected, remedy)
        self.faults: Sequence[str] = faults
