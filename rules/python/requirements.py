"""Python packages that a manifest asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritonbuild.rule import AnalysisError, Context

EXPECTED = "a project and its versions, such as 'numpy<2' or 'scikit-learn==1.7.*'"


def checked(ctx: Context[Any], requirements: Iterable[str]) -> tuple[str, ...]:
    """The target's `requirements` as PEP 508 writes them, each in one way. Raises AnalysisError
    for what is not a requirement of an index."""
    from packaging.requirements import InvalidRequirement, Requirement

    good, errors = [], []
    for index, text in enumerate(requirements):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            found, remedy = f"{text!r} is not a requirement", ""
        else:
            if not requirement.url:
                good.append(str(requirement))
                continue
            found = f"{text!r} names a file"
            remedy = "put the wheel in an index or `find-links` folder of pip's configuration"
        key = f"requirements.{index}"
        errors.append(ctx.error(found, key=key, expected=EXPECTED, remedy=remedy))
    if errors:
        raise AnalysisError(*(problem for error in errors for problem in error.problems))
    return tuple(good)
