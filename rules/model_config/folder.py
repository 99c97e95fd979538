"""The step that makes a model's folder: it checks the config against the model's files, and puts
both together. No weights are read for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import ActionError, Entry, Folder, Problem, ToolContext, dotted, tool

from . import message as model_config
from .blame import Blame
from .completion import Full, complete
from .ensemble import derive
from .lint import Finding, Member, Subject, lint, wiring
from .md5 import entries as md5_entries
from .schema import newer_than
from .signatures import is_fixed, served_versions, signatures
from .sources import after, all_from, leaves
from .tree import tree
from .warmup import SAMPLES, lay_out_warmup, samples_of
from .written import CONFIG_FILE, Written, lay_out_labels, parsed, written

if TYPE_CHECKING:
    from ..formats import Signature

__all__ = ["CHECKSUM", "CONFIG", "CONFIG_FILE", "MODEL", "make_model"]

MODEL = "model"
"""Where the tool puts the folder; the model's own name could be that of an input."""
CONFIG = "config.json"
"""Where it puts the completed config, as `completion.Full` writes it."""
CHECKSUM = "checksum"
"""The agent whose parameters are written here."""


@tool("model", version=3, libraries=("protobuf", "tritonclient"))
def make_model(ctx: ToolContext) -> None:
    """Writes config.pbtxt, as minimal as people wrote it, and config.json; links the rest."""
    said = written(ctx)
    entries, problems = tree(ctx, said.config)
    files, wrong_files = signatures(ctx, said.config, entries)
    if problems or wrong_files:
        raise ActionError(*problems, *wrong_files)
    model = _Model(ctx, said, entries)
    full = model.complete(said, files)
    model.add_labels(full)
    model.add_warmup(full)
    model.add_checksums(full)
    text = ctx.write(f"{MODEL}/config.pbtxt", model_config.to_text(said.config))
    entries["config.pbtxt"] = text
    model.judge(full, said, files)
    model.judge_others()
    for name, entry in entries.items():
        ctx.link(f"{MODEL}/{name}", entry)
    ctx.write(CONFIG, full.to_json())


Signatures = Mapping[int, "Signature | None"]
"""By version."""


class _Model:
    """One model on its way from what was written to what is served."""

    def __init__(self, ctx: ToolContext, said: Written, entries: dict[str, Entry]):
        self._ctx = ctx
        self._said = said
        self._entries = entries
        self._release = ctx.parameters.get("release", "")
        self._own_warmup = len(said.config.model_warmup)
        self._members = {
            name: Full.from_json(ctx.read(f"members/{name}"))
            for name in ctx.parameters.get("members", {})
        }

    def complete(self, said: Written, files: Signatures) -> Full:
        """Raises ActionError."""
        before, config = dict(leaves(said.config)), said.config
        if self._members:
            members = {name: member.config for name, member in self._members.items()}
            _refuse(list(derive(config, members)))
            # The core derives none of it, so it has to stand in config.pbtxt.
            said.sources = after(before, said.sources, config, "completed")
        full, problems = complete(
            config,
            said.sources,
            folder=Folder(self._entries),
            signatures=files,
            release=self._release,
            python_based=self._ctx.parameters.get("python_based", False),
            fixed=is_fixed(self._ctx, config, self._entries),
            name=self._ctx.parameters["name"],
            decoupled=any(
                member.config.model_transaction_policy.decoupled
                for member in self._members.values()
            ),
        )
        _refuse(list(self._blame(full, said).place(problems)))
        return full

    def add_labels(self, full: Full) -> None:
        labels = self._ctx.parameters.get("labels", {})
        if not labels:
            return
        config, before = self._said.config, dict(leaves(full.config))
        if not config.output:
            # Backends complete all inputs and outputs or none.
            for side in ("input", "output"):
                if not getattr(config, side):
                    getattr(config, side).extend(getattr(full.config, side))
        if not config.output:
            _refuse(
                [
                    Problem(
                        "labels, but the model's outputs are only known to a running server",
                        remedy="say `config.input` and `config.output`",
                        key="labels",
                    )
                ]
            )
        _refuse(list(lay_out_labels(config, labels)))
        _refuse(list(lay_out_labels(full.config, labels)))
        full.sources = after(before, full.sources, full.config, "manifest")

    def add_warmup(self, full: Full) -> None:
        said, given = self._ctx.parameters.get("warmup"), self._ctx.inputs.get("warmup")
        if said is None:
            return
        assert isinstance(given, Folder)
        before = dict(leaves(full.config))
        samples = samples_of(self._ctx.read(f"warmup/{SAMPLES}"))
        configs = (self._said.config, full.config)
        files, problems = lay_out_warmup(configs, samples, said["count"], given)
        _refuse(problems)
        self._entries["warmup"] = Folder(files)
        full.sources = after(before, full.sources, full.config, "manifest")

    def add_checksums(self, full: Full) -> None:
        given = self._ctx.inputs.get("md5")
        if not isinstance(given, Folder):
            return
        before = dict(leaves(full.config))
        known: dict[str, str] = {}
        for name in given.entries:
            known |= json.loads(self._ctx.read(f"md5/{name}"))
        entries = dict(md5_entries(Folder(self._entries), known))
        for config in (self._said.config, full.config):
            for agent in config.model_repository_agents.agents:
                if agent.name == CHECKSUM:
                    agent.parameters.clear()
                    agent.parameters.update(entries)
        full.sources = after(before, full.sources, full.config, "manifest")

    def judge(self, full: Full, said: Written, files: Signatures) -> None:
        """Notes advice. Raises ActionError with all that the server would refuse."""
        fatal: list[Finding] = []
        for finding in self._findings(full, files):
            if finding.fatal:
                fatal.append(finding)
            else:
                full.advice.append(_problem(finding))
        _refuse(list(self._blame(full, said).place(map(_problem, fatal))))

    def judge_others(self) -> None:
        """The configs that a server may take instead. Raises ActionError."""
        problems: list[Problem] = []
        for name, place in self._others():
            config, content, wrong = parsed(self._ctx, name, place)
            problems += wrong
            if wrong:
                continue
            other = Written(config, all_from(config, "file"), place, content)
            probe = type(config)()
            probe.CopyFrom(config)
            probe.backend = config.backend or self._said.config.backend
            files, wrong = signatures(self._ctx, probe, self._entries)
            problems += wrong
            try:
                self.judge(self.complete(other, files), other, files)
            except ActionError as error:
                problems += error.problems
        _refuse(problems)

    def _others(self) -> Iterator[tuple[str, str]]:
        """Where each came in, and its name for messages."""
        for name, place in self._ctx.parameters.get("configs", {}).items():
            entry = self._ctx.inputs.get(f"configs/{name}")
            if isinstance(entry, Folder):
                for below in sorted(entry.entries):
                    yield f"configs/{name}/{below}", f"{place}/{below}"
            else:
                yield f"configs/{name}", place

    def _findings(self, full: Full, files: Signatures) -> Iterator[Finding]:
        config = full.config
        for key, release in newer_than(config, self._release):
            yield Finding(
                key,
                f"Triton {self._release} does not know it",
                f"Triton {release} or newer",
                "take it away, or choose a newer `distribution`",
            )
        known = {number: file for number, file in files.items() if file is not None}
        yield from lint(Subject(config, Folder(self._entries), self._release, known))
        if self._members:
            versions = self._ctx.parameters["members"]
            members = {
                name: Member(member.config, _served(member.config, versions[name]))
                for name, member in self._members.items()
            }
            yield from wiring(config, members)

    def _blame(self, full: Full, said: Written) -> Blame:
        parameters = self._ctx.parameters if said is self._said else {}
        return Blame(
            parameters, full.sources, said.file, said.content, full.config, self._own_warmup
        )


def _served(config: Any, numbers: Iterable[int]) -> tuple[int, ...]:
    folders: dict[str, Entry] = {str(number): Folder() for number in numbers}
    return tuple(served_versions(config, folders))


def _problem(finding: Finding) -> Problem:
    return Problem(finding.found, finding.expected, finding.remedy, key=dotted(finding.key))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ActionError(*problems)
