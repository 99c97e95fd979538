"""Whether a program finds its shared libraries, asked of the dynamic loader itself."""

from __future__ import annotations

import re
from pathlib import Path

from tritonbuild.rule import EnvironmentFailure, Problem, ToolContext

from .diagnose import ServerError
from .layout import Layout

_MISSING = re.compile(r"^\s*(?P<library>\S+) => not found", re.MULTILINE)
_TOO_OLD = re.compile(r"(?P<library>\S+): version [`'](?P<version>\S+)' not found")
_LOADER_FAILED = re.compile(r"error while loading shared libraries: (?P<why>.*)")
DEADLINE = 20.0
"""Seconds that the loader may take."""


def check(ctx: ToolContext, layout: Layout) -> None:
    """Raises ServerError with every library that the server or the python backend's stub lacks,
    EnvironmentFailure when this machine's are too old for them.

    A stub that cannot be linked would never start, and the server would wait for it without an
    end and without a port.
    """
    programs = [(layout.server, layout.variables)]
    for environment in layout.environments if layout.stub.exists() else ():
        path = f"{environment / 'lib'}:{layout.variables['LD_LIBRARY_PATH']}"
        programs.append((layout.stub, {**layout.variables, "LD_LIBRARY_PATH": path}))
    told: dict[Path, str] = {}
    for program, variables in programs:
        log = layout.root / "linkage.log"
        log.unlink(missing_ok=True)
        process = ctx.start(
            [str(program)],
            env={**variables, "LD_TRACE_LOADED_OBJECTS": "1"},
            cwd=layout.root,
            log=log,
        )
        try:
            process.wait(DEADLINE)
        finally:
            process.stop(grace=0)
        told[program] = told.get(program, "") + log.read_text(errors="replace")
    if old := [problem for program, text in told.items() for problem in _old(program, text)]:
        raise EnvironmentFailure(*old)
    if lacks := [problem for program, text in told.items() for problem in _missing(program, text)]:
        raise ServerError(*lacks)


def _missing(program: Path, told: str) -> list[Problem]:
    problems = [
        Problem(
            f"{program.name} needs {library}, which is not there",
            "it in the distribution's lib folder, in its Python or on this machine",
            _remedy(library),
        )
        for library in dict.fromkeys(_MISSING.findall(told))
    ]
    if not problems and (why := _LOADER_FAILED.search(told)):
        problems.append(Problem(f"{program.name} cannot be started: {why['why']}"))
    return problems


def _old(program: Path, told: str) -> list[Problem]:
    return [
        Problem(
            f"{program.name} needs {version}, which this machine's {Path(library).name} lacks",
            "newer system libraries",
            "use a newer operating system, or an older release of Triton",
        )
        for library, version in dict.fromkeys(_TOO_OLD.findall(told))
    ]


def _remedy(library: str) -> str:
    if found := re.match(r"libpython(\d+\.\d+)", library):
        return (
            f"the stub was built for Python {found[1]}: give the distribution that Python, or a "
            "stub for the one that it has"
        )
    return "install the package that has it, or put the file into the distribution's lib folder"
