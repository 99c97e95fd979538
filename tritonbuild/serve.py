"""Starts what an interactive verb asks of a target, in the foreground."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tritonbuild.action import ToolCall
from tritonbuild.build import Build, Options, Report
from tritonbuild.errors import (
    ActionError,
    ExitCode,
    Interrupted,
    Problem,
    UsageError,
    did_you_mean,
)
from tritonbuild.executors import Work
from tritonbuild.label import Label
from tritonbuild.merkle import File
from tritonbuild.plan import placed
from tritonbuild.rule import Ask, RunInfo
from tritonbuild.scheduler import Job
from tritonbuild.session import Session


@dataclass
class Answer:
    report: Report
    told: Mapping[str, bytes] = field(default_factory=dict)
    """The tool's outputs; none where the build failed."""


def serve(
    session: Session,
    label: Label,
    settings: Mapping[str, str],
    *,
    locked: bool = False,
    verb: Literal["run", "config"] = "run",
) -> Report:
    """As `asked`."""
    return asked(session, label, Ask(verb, settings), locked=locked).report


def asked(session: Session, label: Label, ask: Ask, *, locked: bool = False) -> Answer:
    """Builds a target with what its tool needs, then runs the tool to its end; for `run` that is
    when it is interrupted, which is no error then. Settings replace parameters of the tool by name.
    Raises ActionError when the tool ends by itself with another exit code than 0, unless
    that is its verdict: then the report says that a verification failed."""
    begun = time.monotonic()
    label = session.graph.declaration(label).label
    with session.cache.in_use():
        with session.output_lock(wait=True):
            plan = session.plan([label], locked=locked, to_run=label, ask=ask)
            target = plan.targets[label]
            info = target.get(RunInfo)
            assert info is not None, "analysed to run"
            call = info.action.step
            assert isinstance(call, ToolCall), "rules declare it with Context.interactive"
            action = replace(info.action, step=replace(call, parameters=_set(call, ask.settings)))
            build = Build(session, plan, [label], Options(locked=locked))
            build.run()
        build.report.metrics.wall_s = round(time.monotonic() - begun, 3)
        if build.report.exit_code:
            return Answer(build.report)
        told = {}
        job = Job(action, target.tools[action.id], str(label))
        _, encoded = session.scheduler(build.jobs).encode(job)
        try:
            with session.cancellation.shield():
                work = Work(action, encoded, job.tool)
                result = session.tools.run(work, sys.stderr)
            exit_code = result.exit_code
            for path, entry in result.outputs.items():
                assert isinstance(entry, File), "what tells something is a file"
                told[path] = session.cache.read(entry.digest)
            if exit_code and action.is_test:
                build.report.exit_code = ExitCode.TEST_FAILED
            elif exit_code:
                raise ActionError(f"{call.name} ended with exit code {exit_code}")
        except Interrupted:
            if ask.verb != "run":  # which has no other end
                raise
        except ActionError as error:
            raise ActionError(*placed(error.problems, target.declaration)) from None
    return Answer(build.report, told)


def _set(call: ToolCall, settings: Mapping[str, str]) -> dict[str, object]:
    """The tool's parameters with some replaced; values are JSON where they parse as such."""
    parameters = dict(call.parameters)
    for name, text in settings.items():
        if name not in parameters:
            remedy = did_you_mean(name, parameters)
            raise UsageError(Problem(f"{call.name} has no setting {name!r}", remedy=remedy))
        try:
            parameters[name] = json.loads(text)
        except ValueError:
            parameters[name] = text
    return parameters
