"""What people and programs see of a build: plain lines, a progress display, or JSON lines."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from tritonbuild.errors import ExitCode
from tritonbuild.events import (
    ActionEnded,
    ActionStarted,
    Event,
    Finished,
    Listener,
    Metrics,
    Note,
    Shipped,
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
PATIENCE = 10.0
"""Seconds that an action runs before lines tell of it; told again each time it took twice that."""


def say(text: str) -> None:
    """A line on standard output. That nobody reads any more (`| head`) changes nothing else."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def size(count: int) -> str:
    """Bytes, for people."""
    from pydantic import ByteSize

    return ByteSize(count).human_readable(separator=" ")


class JsonLines:
    """`--json`: one object a line on standard output."""

    def __call__(self, event: Event) -> None:
        content = to_json(event)
        if content is not None:
            say(json.dumps(content, separators=(",", ":")))


class Lines:
    """Text for people, on standard error: what ends, and what takes long."""

    def __init__(
        self,
        *,
        explain: bool = False,
        echo: Callable[[str], Any] | None = None,
        patience: float = PATIENCE,
    ):
        self._explain = explain
        self._echo = echo or (lambda text: click.echo(text, err=True))
        self._patience = patience
        self._running: dict[str, float] = {}
        """Action → when it began, in the order of that."""
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case ActionStarted(action):
                self._running[action] = time.monotonic()
                self._started()
            case ActionEnded(action):
                self._running.pop(action, None)
            case Finished():
                self._over.set()
        match event:
            case TargetEnded(label, _, status, outputs):
                word = click.style(f"{status:<{WIDTH}}", fg=COLOURS[status])
                places = sorted({output.path for output in outputs})
                more = f" and {len(places) - 1} more" if len(places) > 1 else ""
                self._echo(f"{word} {label}" + (f"  {places[0]}{more}" if places else ""))
            case ActionEnded(action, status, reasons) if self._explain and reasons:
                self._echo(f"{status} {action} because")
                for reason in reasons:
                    self._echo(f"    {reason}")
            case Shipped(label, place, digest, artifact_type):
                what = f"{artifact_type} of {label}" if artifact_type else label
                self._echo(f"{'shipped':<{WIDTH}} {what}  {place}@{digest}" if "@" not in place
                           else f"{'shipped':<{WIDTH}} {what}  {place}")  # fmt: skip
                self._echo(f"{'':<{WIDTH}} {_told(event)}")
            case Note(text):
                self._echo(f"note: {text}")
            case Finished():
                self._finished(event)

    def _started(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._tell_of_the_slow, daemon=True)
            self._watch.start()

    def _tell_of_the_slow(self) -> None:
        due: dict[str, float] = {}
        while not self._over.wait(self._patience):
            now = time.monotonic()
            for action, begun in list(self._running.items()):
                if now - begun >= due.get(action, self._patience):
                    self._echo(f"{'running':<{WIDTH}} {action}, {now - begun:.0f} s so far")
                    due[action] = 2 * (now - begun)

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


def _told(shipped: Shipped) -> str:
    """How much was moved, and how much was not."""
    parts = {"moved": shipped.moved, "mounted": shipped.mounted, "there already": shipped.there}
    told = [f"{size(n)} {word}" for word, n in parts.items() if n or word == "moved"]
    return ", ".join(told)


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
        self._progress.start()

    def __call__(self, event: Event) -> None:
        match event:
            case Started(_, actions):
                self._progress.update(self._task, description="building", total=actions)
            case ActionEnded():
                self._progress.advance(self._task)
            case Finished():
                self._progress.stop()
        super().__call__(event)
        first = f": {next(iter(self._running))}" if self._running else ""
        running = f"{len(self._running)} running{first}"
        self._progress.update(self._task, running=running)
        if self._progress.finished and not self._running:
            self._progress.stop()  # `run` serves now, and its server has the terminal

    def _started(self) -> None:
        """The bar tells of what takes long; it comes back where something is made once more."""
        self._progress.start()

    def _above(self, text: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text.from_ansi(text), soft_wrap=True)


def _quiet(event: Event) -> None:
    if isinstance(event, Finished) and event.errors:
        Lines()(replace(event, metrics=Metrics()))


def display(*, as_json: bool, explain: bool, quiet: bool = False) -> Listener:
    """The listener that fits: lines for people always go to standard error; `quiet`: only those
    that say what is wrong."""
    people: Listener = Lines(explain=explain)
    if quiet:
        people = _quiet
    elif sys.stderr.isatty():
        people = Terminal(explain=explain)
    if not as_json:
        return people
    programs = JsonLines()

    def both(event: Event) -> None:
        programs(event)
        people(event)

    return both
