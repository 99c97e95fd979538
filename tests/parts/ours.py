"""Our own verdict on models of a repository, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.rules.model_config import message, schema
from tritonbuild.rules.model_config.completion import complete
from tritonbuild.rules.model_config.lint import Finding, Member, Subject, lint, wiring
from tritonbuild.rules.model_config.policy import loaded
from tritonbuild.rules.model_config.python_model import completes_itself
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
    folder: Folder = field(default_factory=Folder)

    def add(self, finding: Finding) -> None:
        text = f"{dotted(finding.key)}: {finding.found}"
        (self.refused if finding.fatal else self.advice).append(text)


class Judge:
    """Judges the models of a repository, each once."""

    def __init__(self, cases: Cases, stand_ins: tuple[str, ...], release: str):
        self._cases, self._stand_ins, self._release = cases, stand_ins, release
        self._completed: dict[str, Ours] = {}
        self._judged: dict[str, Ours] = {}

    def verdict(self, name: str) -> Ours:
        if name not in self._judged:
            self._judged[name] = judged = self._complete(name)
            if not judged.refused:
                subject = Subject(judged.config, judged.folder, self._release, {})
                for finding in lint(subject):
                    judged.add(finding)
                self._wire(judged)
        return self._judged[name]

    def _complete(self, name: str) -> Ours:
        """Its config, and its members' with it, before any lint."""
        if name in self._completed:
            return self._completed[name]
        case = self._cases[name]
        found = self._completed[name] = Ours(folder=folder(case.files))
        written: Any
        written, problems = message.parse((case.config or "").encode(), "config.pbtxt")
        found.refused += [
            f"{dotted(path)}: not before {brought}"
            for path, brought in schema.newer_than(written, self._release)
        ]
        if not problems and not found.refused:
            is_ensemble = written.HasField("ensemble_scheduling")
            backend = written.backend or name.partition(".")[2]
            decoupled = any(
                self._complete(step.model_name).config.model_transaction_policy.decoupled
                for step in written.ensemble_scheduling.step
                if step.model_name in self._cases and self._complete(step.model_name).config
            )
            full, problems = complete(
                written,
                all_from(written, "file"),
                folder=found.folder,
                signatures={},
                release=self._release,
                python_based=not is_ensemble and (backend in self._stand_ins or not backend),
                fixed=not completes_itself(MODEL),
                name=name,
                decoupled=decoupled,
            )
            found.config = full.config
            if full.config.name != name:
                found.refused.append(f"name: {full.config.name!r} in the folder {name!r}")
        found.refused += [f"{problem.key}: {problem.found}" for problem in problems]
        return found

    def _wire(self, ensemble: Ours) -> None:
        members: dict[str, Member] = {}
        self._gather(ensemble.config, members)
        for finding in wiring(ensemble.config, members):
            ensemble.add(finding)
        if not ensemble.refused:
            for step in ensemble.config.ensemble_scheduling.step:
                if self.verdict(step.model_name).refused:
                    ensemble.refused.append(f"member {step.model_name!r} is refused")

    def _gather(self, config: Any, members: dict[str, Member]) -> None:
        for step in config.ensemble_scheduling.step:
            if step.model_name in members or step.model_name not in self._cases:
                continue
            member = self._complete(step.model_name)
            if member.config is not None:
                versions = tuple(loaded(member.folder, member.config.version_policy))
                members[step.model_name] = Member(member.config, versions)
                self._gather(member.config, members)


def folder(files: Mapping[str, bytes]) -> Folder:
    """A model's folder; names that end in / are empty ones."""
    return folder_of(
        {
            name.rstrip("/"): Folder() if name.endswith("/") else File(Digest.of_bytes(content))
            for name, content in files.items()
        }
    )
