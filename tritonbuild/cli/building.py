"""What `build` and `test` share: their flags, and the short way when nothing has changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tritonbuild import snapshot
from tritonbuild.cli.verb import Call, F, call, common, flag
from tritonbuild.places import cache_root, state_folder

if TYPE_CHECKING:
    from junitparser import TestSuite

    from tritonbuild.build import Options
    from tritonbuild.events import Finished


def building_flags(function: F) -> F:
    for decorate in (
        flag(
            "--jobs", "-j", type=click.IntRange(1), help="Actions at once.  [default: one a core]"
        ),
        flag("--keep-going", "-k", is_flag=True, help="Build what does not need what failed."),
        flag("--locked", is_flag=True, help="Fail when triton.lock lacks an entry."),
        flag("--dry-run", "-n", is_flag=True, help="Say what would run; pull and run nothing."),
        flag("--explain", is_flag=True, help="Say why each action ran."),
        flag("--wait/--no-wait", default=True, help="Wait for a build that holds tritonbuild-out."),
        flag("--rule", multiple=True, help="Only targets of this rule (its table's name)."),
        flag("--tag", multiple=True, help="Only targets with this tag."),
        common,
    ):
        function = decorate(function)
    return function


def run_build(verb: str, patterns: Sequence[str], flags: Mapping[str, Any]) -> NoReturn:
    """Builds or tests. A request that was answered before, with nothing changed since, is
    answered from its snapshot."""

    def body(this: Call) -> Finished:
        request = _request(verb, this.package, patterns, flags)
        folder = state_folder(cache_root(), this.root) / "snapshots"
        known = None if _looks_anew(flags) else _replay(this, folder, request)
        return known or _build(this, verb, patterns, flags, folder, request)

    call(body, as_json=flags["as_json"], explain=flags["explain"])


def _looks_anew(flags: Mapping[str, Any]) -> bool:
    """Whether the flags ask for more than an answer that may be known."""
    again = not flags.get("cached_results", True) or flags.get("runs", 1) > 1
    return again or flags["dry_run"] or bool(flags.get("junit"))


def _request(
    verb: str, package: str, patterns: Sequence[str], flags: Mapping[str, Any]
) -> list[str]:
    """What makes two calls the same question."""
    silent = ("as_json", "explain", "jobs", "wait", "keep_going")
    asked = [f"{name}={value}" for name, value in sorted(flags.items()) if name not in silent]
    return [verb, package, *patterns, *asked]


def _replay(this: Call, folder: Path, request: Sequence[str]) -> Finished | None:
    """The answer of the last build, if nothing has changed since."""
    from tritonbuild.errors import ExitCode
    from tritonbuild.events import Finished, Metrics, OutputFile, Status, TargetEnded

    begun = time.monotonic()
    known = snapshot.load(folder, request)
    if known is None:
        return None
    for target in known.targets:
        outputs = tuple(OutputFile(**output) for output in target["outputs"])
        this.listener(
            TargetEnded(target["label"], target["rule"], Status(target["status"]), outputs)
        )
    wall = round(time.monotonic() - begun, 3)
    return Finished(ExitCode.OK, (), Metrics(known.actions, cached=known.actions, wall_s=wall))


def _build(
    this: Call,
    verb: str,
    patterns: Sequence[str],
    flags: Mapping[str, Any],
    folder: Path,
    request: Sequence[str],
) -> Finished:
    from tritonbuild.build import build, remember
    from tritonbuild.events import Finished, Metrics, Note
    from tritonbuild.label import Pattern

    options = _options(verb, flags)
    if flags.get("junit"):
        from tritonbuild import junit

        junit.prepare(Path(flags["junit"]))
    chosen = [Pattern.parse(pattern, this.package) for pattern in patterns]
    runs = flags.get("runs", 1)
    metrics = Metrics()
    suites: list[TestSuite] = []
    with this.session(dry_run=options.dry_run) as session:
        for run in range(1, runs + 1):
            if runs > 1:
                this.listener(Note(f"run {run} of {runs}"))
            report = build(session, chosen, options)
            metrics = report.metrics.after(metrics)
            if flags.get("junit"):
                told = f" [run {run}]" if runs > 1 else ""
                suites += junit.suites(this.root, report.targets, report.problems, told)
            if report.exit_code:
                break
        if not _looks_anew(flags):
            remember(session, folder, request, report)
    if flags.get("junit"):
        junit.write_report(Path(flags["junit"]), suites)
    return Finished(report.exit_code, tuple(report.problems), metrics)


def _options(verb: str, flags: Mapping[str, Any]) -> Options:
    from tritonbuild.build import Options

    return Options(
        test=verb == "test",
        jobs=flags["jobs"] or 0,
        keep_going=flags["keep_going"],
        locked=flags["locked"],
        dry_run=flags["dry_run"],
        wait=flags["wait"],
        rules=tuple(flags["rule"]),
        tags=tuple(flags["tag"]),
        kinds=tuple(flags.get("kind", ())),
        filter=flags.get("filter", ""),
        reuse_tests=flags.get("cached_results", True) and flags.get("runs", 1) == 1,
    )
