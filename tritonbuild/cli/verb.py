"""What verbs share: common flags, and the way from an outcome to events and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tritonbuild.cancel import Cancellation
from tritonbuild.errors import (
    EnvironmentFailure,
    ExitCode,
    Interrupted,
    Problem,
    TritonbuildError,
    UsageError,
    of_os_error,
)
from tritonbuild.places import cache_root
from tritonbuild.workspace import find_root

if TYPE_CHECKING:
    from tritonbuild.events import Finished, Listener
    from tritonbuild.oci.documents import Platform
    from tritonbuild.session import Session

F = TypeVar("F", bound=Callable[..., Any])
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLATFORM = "Of an image; of an index without it, linux/amd64."
REPORT = "report it, with the lines above"
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the operating system says of files that may not be written or read."""


def flag(name: str, *short: str, **settings: Any) -> Callable[[F], F]:
    """An option that also reads `TRITONBUILD_…`."""
    long = name.split("/")[0].removeprefix("--")
    variable = f"TRITONBUILD_{long.upper().replace('-', '_')}"
    return click.option(name, *short, envvar=variable, show_default=True, **settings)


def common(function: F) -> F:
    """Flags of every verb that works on a workspace."""
    for decorate in (
        flag("--json", "as_json", is_flag=True, help="One JSON object a line on standard output."),
        flag(
            "--cache-dir",
            type=click.Path(file_okay=False),
            help="The shared cache.",
            expose_value=False,
            callback=_use_cache,
            is_eager=True,
        ),
    ):
        function = decorate(function)
    return function


def _use_cache(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        os.environ["TRITONBUILD_CACHE_DIR"] = os.path.abspath(value)


def platform_of(text: str) -> Platform:
    """Raises UsageError."""
    from tritonbuild.oci.documents import Platform

    try:
        return Platform.of(text)
    except ValueError as error:
        raise UsageError(Problem(str(error), "such as linux/arm64")) from None


@dataclass
class Call:
    """A verb on its way."""

    listener: Listener
    cancellation: Cancellation

    @cached_property
    def root(self) -> Path:
        """Of the workspace around the current folder; UsageError when there is none."""
        return find_root(Path.cwd())

    @property
    def package(self) -> str:
        """The package of the current folder, where relative patterns stand."""
        below = Path.cwd().resolve().relative_to(self.root).as_posix()
        return "" if below == "." else below

    @contextmanager
    def session(self, *, dry_run: bool = False) -> Iterator[Session]:
        from tritonbuild.session import Session

        with Session(self.root, self.listener, self.cancellation, dry_run=dry_run) as session:
            yield session


def call(
    body: Callable[[Call], Finished], *, as_json: bool, explain: bool = False, quiet: bool = False
) -> NoReturn:
    """Runs a verb's body, tells how it ended, and exits."""
    from tritonbuild.cli.display import display

    cancellation = Cancellation()
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: _interrupt(cancellation))
    listener = display(as_json=as_json, explain=explain, quiet=quiet)
    try:
        finished = _finished(body, Call(listener, cancellation))
        for number in SIGNALS:  # what is told now is how it ends
            signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        finished = _interrupted()
    listener(finished)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(finished.exit_code)  # without waiting for threads; what they started dies with us


def _finished(body: Callable[[Call], Finished], call: Call) -> Finished:
    """Raises KeyboardInterrupt."""
    from tritonbuild.events import Finished

    try:
        _need_a_cache()
        return body(call)
    except Exception as error:
        if call.cancellation:  # a signal reaches our children too, and what they say of it
            return _interrupted()
        told = error if isinstance(error, TritonbuildError) else None
        if isinstance(error, OSError):
            told = _of_the_machine(error)
        if told is None:  # a bug: told with all that a report needs
            traceback.print_exc()
            told = TritonbuildError(Problem(f"a bug in tritonbuild: {error!r}", remedy=REPORT))
        return Finished(told.exit_code, told.problems)


def _interrupted() -> Finished:
    from tritonbuild.events import Finished

    return Finished(ExitCode.INTERRUPTED, (Problem("interrupted"),))


def _need_a_cache() -> None:
    try:
        cache_root()
    except RuntimeError:  # pathlib's, for a user without a home folder
        found = "no folder for the cache: this user has no home folder"
        remedy = "--cache-dir or TRITONBUILD_CACHE_DIR names one"
        raise EnvironmentFailure(Problem(found, remedy=remedy)) from None


def _of_the_machine(error: OSError) -> TritonbuildError | None:
    """A full disk or a file that is not allowed; None for what we should have foreseen."""
    told = of_os_error(error)
    known = isinstance(told, EnvironmentFailure) or error.errno in REFUSED
    return EnvironmentFailure(*told.problems) if known else None


def _interrupt(cancellation: Cancellation) -> None:
    """The first signal stops the build in order, the second one at once."""
    if cancellation:
        os._exit(Interrupted.exit_code)
    cancellation.set()
    if not cancellation.shielded:
        raise KeyboardInterrupt
