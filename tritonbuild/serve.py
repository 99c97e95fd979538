"""Starts what a target can run, in the foreground."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace

from tritonbuild.action import Output, Source, ToolCall, encode
from tritonbuild.errors import Problem, UsageError, did_you_mean
from tritonbuild.executors import Work
from tritonbuild.label import Label
from tritonbuild.merkle import Entry
from tritonbuild.rule import RunInfo
from tritonbuild.scheduler import DONE, find_output
from tritonbuild.session import Session, jobs_of


def serve(
    session: Session, label: Label, settings: Mapping[str, str], *, locked: bool = False
) -> int:
    """Builds what a target needs and runs its tool until the build is cancelled; the tool's exit
    code. `settings` replace parameters of the tool by name."""
    plan = session.plan([label], locked=locked, to_run=label)
    target = plan.targets[label]
    info = target.get(RunInfo)
    assert info is not None, "analysed to run"
    call = info.action.step
    assert isinstance(call, ToolCall), "rules declare it with Context.interactive"
    action = replace(info.action, step=replace(call, parameters=_set(call, settings)))
    jobs = jobs_of(plan)
    with session.cache.in_use():
        session.scheduler(jobs).run(action.dependencies, lambda job: None)
        errors = [job.error for job in jobs.values() if job.error is not None]
        if errors:
            raise errors[0]
        entries: dict[str, Entry] = {}
        for path, artifact in action.inputs.items():
            match artifact:
                case Output(id, output):
                    assert jobs[id].state in DONE
                    entries[path] = find_output(jobs[id], output)
                case Source(source):
                    entries[path] = session.sources.entry(source)
        work = Work(action, encode(action, entries), target.tools[action.id])
        with session.cancellation.shield():
            return session.tools.run(work, sys.stderr).exit_code


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
