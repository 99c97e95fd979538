"""Our own verdict on models of a repository, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tritonbuild.rules.formats.python_model import completes_itself
from tritonbuild.rules.model_config import message
from tritonbuild.rules.model_config.lint import Finding, Member
from tritonbuild.rules.model_config.offline import Surroundings, completed, findings
from tritonbuild.rules.model_config.policy import loaded
from tritonbuild.rules.model_config.sources import all_from

from parts.configs import MODEL, Cases
from tritonbuild.digest import Digest
from tritonbuild.merkle import File, Folder, folder_of
from tritonbuild.rule import dotted


@dataclass
class Ours:
    """What we make of one model."""

    refused: list[str] = field(default_factory=list)
    """Why Triton would not load it."""
    advice: list[str] = field(default_factory=list)
    config: Any = None
    """Completed, as far as it could be."""

    def add(self, finding: Finding) -> None:
        text = f"{dotted(finding.key)}: {finding.found}"
        (self.refused if finding.fatal else self.advice).append(text)


@dataclass
class _Completed:
    """A model that is not judged yet."""

    written: Any
    here: Surroundings
    """But its members."""
    ours: Ours
    is_full: bool = False


class Judge:
    """Judges the models of a repository, each once."""

    def __init__(self, cases: Cases, stand_ins: tuple[str, ...], release: str):
        self._cases, self._stand_ins, self._release = cases, stand_ins, release
        self._completed: dict[str, _Completed] = {}
        self._judged: dict[str, Ours] = {}

    def verdict(self, name: str) -> Ours:
        if name not in self._judged:
            done = self._complete(name)
            self._judged[name] = judged = done.ours
            if not judged.refused:
                # All members are completed by now, those in a circle too.
                here = replace(done.here, members=self._members(done.written))
                for finding in findings(judged.config, done.written, here):
                    judged.add(finding)
            if not judged.refused:
                for step in judged.config.ensemble_scheduling.step:
                    if self.verdict(step.model_name).refused:
                        judged.refused.append(f"member {step.model_name!r} is refused")
        return self._judged[name]

    def _complete(self, name: str) -> _Completed:
        """Its config, and its members' with it, before any lint."""
        if name in self._completed:
            return self._completed[name]
        case = self._cases[name]
        written: Any
        written, problems = message.parse((case.config or "").encode(), "config.pbtxt")
        is_ensemble = written.HasField("ensemble_scheduling")
        backend = written.backend or name.partition(".")[2]
        here = Surroundings(
            name,
            self._release,
            folder(case.files),
            # What the stand-ins for backends open is no file of theirs.
            python_based=not is_ensemble and (backend in self._stand_ins or not backend),
            own_backend=not is_ensemble and backend in self._stand_ins,
            fixed=not completes_itself(MODEL),
        )
        done = self._completed[name] = _Completed(written, here, Ours())
        found = done.ours
        if not problems:
            full, problems = completed(
                written,
                all_from(written, "file"),
                replace(here, members=self._members(written)),
            )
            found.config, done.is_full = full.config, not full.unknown
            if full.config.name != name:
                found.refused.append(f"name: {full.config.name!r} in the folder {name!r}")
        found.refused += [f"{problem.key}: {problem.found}" for problem in problems]
        return done

    def _members(self, ensemble: Any) -> dict[str, Member]:
        """Those of an ensemble, and theirs, as far as they are completed."""
        members: dict[str, Member] = {}
        waiting = [ensemble]
        while waiting:
            for step in waiting.pop().ensemble_scheduling.step:
                if step.model_name in members or step.model_name not in self._cases:
                    continue
                member = self._complete(step.model_name)
                config = member.ours.config
                if config is not None:
                    versions = tuple(loaded(member.here.folder, config.version_policy))
                    members[step.model_name] = Member(config, versions, member.is_full)
                    waiting.append(config)
        return members


def folder(files: Mapping[str, bytes]) -> Folder:
    """A model's folder; names that end in / are empty ones."""
    return folder_of(
        {
            name.rstrip("/"): Folder() if name.endswith("/") else File(Digest.of_bytes(content))
            for name, content in files.items()
        }
    )
