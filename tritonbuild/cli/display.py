"""What people and programs see of a build: plain lines, a progress display, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from tritonbuild.errors import ExitCode
from tritonbuild.events import (
    ActionEnded,
    ActionStarted,
    Event,
    Finished,
    Listener,
    Note,
    Started,
    Status,
    TargetEnded,
    to_json,
)

COLOURS = {
    Status.BUILT: "green",
    Status.PASSED: "green",
    Status.CACHED: "cyan",
    Status.FAILED: "red",
    Status.SKIPPED: "yellow",
    Status.UNAVAILABLE: "yellow",
}
WIDTH = max(map(len, Status))


class JsonLines:
    """`--json`: one object a line on standard output."""

    def __call__(self, event: Event) -> None:
        content = to_json(event)
        if content is not None:
            sys.stdout.write(json.dumps(content, separators=(",", ":")) + "\n")
            sys.stdout.flush()


class Lines:
    """Text for people, on standard error."""

    def __init__(self, *, explain: bool = False, echo: Callable[[str], Any] | None = None):
        self._explain = explain
        self._echo = echo or (lambda text: click.echo(text, err=True))

    def __call__(self, event: Event) -> None:
        match event:
            case TargetEnded(label, _, status, outputs):
                word = click.style(f"{status:<{WIDTH}}", fg=COLOURS[status])
                places = sorted({output.path for output in outputs})
                more = f" and {len(places) - 1} more" if len(places) > 1 else ""
                self._echo(f"{word} {label}" + (f"  {places[0]}{more}" if places else ""))
            case ActionStarted(action) if not self._explain:
                self._started(action)
            case ActionEnded(action, status, reasons) if self._explain and reasons:
                self._echo(f"{status} {action} because")
                for reason in reasons:
                    self._echo(f"    {reason}")
            case Note(text):
                self._echo(f"note: {text}")
            case Finished():
                self._finished(event)

    def _started(self, action: str) -> None:
        """Lines stay few: only what ends is told."""

    def _finished(self, event: Finished) -> None:
        for problem in event.errors:
            self._echo(click.style("error: ", fg="red", bold=True) + str(problem))
        metrics = event.metrics
        if metrics.actions:
            self._echo(
                f"{metrics.actions} actions: {metrics.executed} executed, {metrics.cached} cached; "
                f"{metrics.wall_s:.2f} s"
            )
        if event.exit_code is ExitCode.NO_TESTS:
            self._echo("no verification ran")


class Terminal(Lines):
    """Lines above a bar of what is done, what runs and what is not known yet."""

    def __init__(self, *, explain: bool = False):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        console = Console(stderr=True, highlight=False)
        super().__init__(explain=explain, echo=lambda text: self._above(text))
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("planning", total=None, running="")
        self._running: list[str] = []
        self._progress.start()

    def __call__(self, event: Event) -> None:
        match event:
            case Started(_, actions):
                self._progress.update(self._task, description="building", total=actions)
            case ActionStarted(action):
                self._running.append(action)
            case ActionEnded(action):
                if action in self._running:
                    self._running.remove(action)
                self._progress.advance(self._task)
            case Finished():
                self._progress.stop()
        super().__call__(event)
        running = f"{len(self._running)} running" + (
            f": {self._running[0]}" if self._running else ""
        )
        self._progress.update(self._task, running=running)

    def _above(self, text: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text.from_ansi(text))


def display(*, as_json: bool, explain: bool) -> Listener:
    """The listener that fits: lines for people always go to standard error."""
    people: Listener = Lines(explain=explain)
    if sys.stderr.isatty():
        people = Terminal(explain=explain)
    if not as_json:
        return people
    programs = JsonLines()

    def both(event: Event) -> None:
        programs(event)
        people(event)

    return both
