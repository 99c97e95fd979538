"""A model on its way from what was written to what is served."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tritonbuild.rule import ActionError, Entry, Folder, Problem, ToolContext, dotted

from . import message as model_config
from .blame import Blame
from .completion import Full
from .ensemble import derive
from .lint import Finding, Member
from .md5 import entries as md5_entries
from .offline import Surroundings, completed, findings
from .places import CHECKSUM, CONFIG, MODEL, RELEASE
from .releases import release_in
from .signatures import Signatures, is_fixed, served_versions, signatures
from .sources import after, all_from, leaves
from .tree import tree
from .warmup import SAMPLES, lay_out_warmup, samples_of
from .written import Written, lay_out_labels, parsed, written


def make(ctx: ToolContext) -> None:
    """Of the tool `model`. Raises ActionError."""
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


class _Model:
    def __init__(self, ctx: ToolContext, said: Written, entries: dict[str, Entry]):
        self._ctx = ctx
        self._said = said
        self._entries = entries
        self._release = ctx.parameters.get("release", "")
        if ctx.inputs.get(RELEASE) is not None:
            self._release = release_in(ctx.read(RELEASE))
        self._own_warmup = len(said.config.model_warmup)
        self._members = {
            name: _member(Full.from_json(ctx.read(f"members/{name}")), numbers)
            for name, numbers in ctx.parameters.get("members", {}).items()
        }

    def complete(self, said: Written, files: Signatures) -> Full:
        """Raises ActionError."""
        before, config = dict(leaves(said.config)), said.config
        if self._members:
            _refuse(list(derive(config, self._members)))
            # The core derives none of it, so it has to stand in config.pbtxt.
            said.sources = after(before, said.sources, config, "completed")
        full, problems = completed(config, said.sources, self._surroundings(said, files))
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
        for finding in findings(full.config, said.config, self._surroundings(said, files)):
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

    def _surroundings(self, said: Written, files: Signatures) -> Surroundings:
        parameters = self._ctx.parameters
        return Surroundings(
            parameters["name"],
            self._release,
            Folder(self._entries),
            files,
            self._members,
            parameters.get("python_based", False),
            parameters.get("own_backend", False),
            is_fixed(self._ctx, said.config, self._entries),
        )

    def _blame(self, full: Full, said: Written) -> Blame:
        parameters = self._ctx.parameters if said is self._said else {}
        return Blame(
            parameters, full.sources, said.file, said.content, full.config, self._own_warmup
        )


def _member(full: Full, numbers: Iterable[int]) -> Member:
    folders: dict[str, Entry] = {str(number): Folder() for number in numbers}
    versions = tuple(served_versions(full.config, folders))
    return Member(full.config, versions, not full.unknown)


def _problem(finding: Finding) -> Problem:
    return Problem(finding.found, finding.expected, finding.remedy, key=dotted(finding.key))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ActionError(*problems)
