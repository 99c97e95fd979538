"""What images and the places that hold them raise, as the errors of verbs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tritonbuild.errors import ActionError, EnvironmentFailure
from tritonbuild.oci.errors import OciError, Passing, Unreachable

_NAME = re.compile(r"(:[\w.-]+)?(@sha256:\w+)?$")
"""Of an image in a repository, behind the repository's."""


@contextmanager
def told(label: str = "", place: str = "") -> Iterator[None]:
    """Raises ActionError with the place that it happened at, or EnvironmentFailure where nobody
    answers, which says itself where."""
    try:
        yield
    except Unreachable as error:
        raise EnvironmentFailure(error.problem, label=label) from None
    except OciError as error:
        problem = error.problem
        if place and _NAME.sub("", place) not in problem.found:
            problem = replace(problem, found=f"{place}: {problem.found}")
        if isinstance(error, Passing) and not problem.remedy:
            problem = replace(problem, remedy="see that it can be reached, and try again")
        raise ActionError(problem, label=label) from None
