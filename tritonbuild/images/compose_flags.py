"""What is wrong with a composition, told to whoever gave flags: the manifest that says the same is
none of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tritonbuild.build import Report
from tritonbuild.errors import Problem, TritonbuildError
from tritonbuild.images.composition import MANIFEST, Composition

_FLAGS = {
    "release": "--container-version",
    "gpu": "--enable-gpu",
    "platform": "--platform",
    "slim": "--slim",
    "component_cache": "--component-cache",
    "catalogue": "--catalogue",
    "backends": "--backend",
    "repoagents": "--repoagent",
    "caches": "--cache",
}
"""By attribute."""


@contextmanager
def as_flags(composition: Composition) -> Iterator[None]:
    """Whatever is raised names flags."""
    try:
        yield
    except TritonbuildError as error:
        error.problems = tuple(_told(problem, composition) for problem in error.problems)
        raise


def told(report: Report, composition: Composition) -> tuple[Problem, ...]:
    return tuple(_told(problem, composition) for problem in report.problems)


def _told(problem: Problem, composition: Composition) -> Problem:
    if problem.file not in ("", MANIFEST):
        return problem
    attribute = problem.key.rpartition(".")[2].partition("[")[0]
    flag = _FLAGS.get(attribute, "")
    if attribute in ("min", "full"):
        flag = f"--image {attribute}" if composition.images else _FLAGS["release"]
    found = f"{flag}: {problem.found}" if flag else problem.found
    return replace(problem, found=found, label="", file="", line=None, key="")
