"""Who said it: what is wrong with a config, placed where people can mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tritonbuild.rule import KeyPath, Problem, dotted, key_path

from .lines import line_of
from .sources import Source

_STEP = {
    "model_name": "model",
    "model_version": "version",
    "input_map": "inputs",
    "output_map": "outputs",
}


@dataclass(frozen=True)
class Blame:
    """Knows for each place of a config who said it."""

    parameters: Mapping[str, Any]
    """The manifest's attributes, as the step that makes the model gets them."""
    sources: Mapping[KeyPath, Source]
    file: str
    """The config file's name; empty without one."""
    content: bytes
    config: Any
    own_warmup: int = 0
    """How many warm-up samples the config says itself; those after them were generated."""

    def place(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Problems whose keys are places in the config, with the manifest's key or the config
        file's line instead."""
        for problem in problems:
            key = key_path(problem.key)
            if attribute := self._attribute(key):
                yield replace(problem, key=dotted(attribute))
            elif self.file and self._source(key) == "file":
                found = f"{problem.key}: {problem.found}" if problem.key else problem.found
                line = line_of(self.content, key)
                yield replace(problem, found=found, key="", file=self.file, line=line)
            else:
                yield replace(problem, key=dotted(("config", *key)))

    def _source(self, key: KeyPath) -> Source | None:
        """Of a place, or of what is known around it."""
        for length in range(len(key), 0, -1):
            below = {s for path, s in self.sources.items() if path[:length] == key[:length]}
            if below:
                return "manifest" if "manifest" in below else "file" if "file" in below else None
        return None

    def _attribute(self, key: KeyPath) -> KeyPath | None:
        """The attribute other than `config` that says it."""
        match key:
            case ("ensemble_scheduling", "step", int() as index, *rest):
                return ("steps", index, *(_STEP.get(str(part), part) for part in rest))
            case ("ensemble_scheduling", *_) if "steps" in self.parameters:
                return ("steps",)
            case ("output", int() as index, "label_filename"):
                name = self.config.output[index].name
                return ("labels", name) if name in self.parameters.get("labels", {}) else None
            case ("model_warmup", int() as index, *_) if "warmup" in self.parameters:
                return ("warmup",) if index >= self.own_warmup else None
            case ("model_repository_agents", *_) if "repoagents" in self.parameters:
                return ("repoagents",)
            case ("response_cache", *_) if "caches" in self.parameters:
                by_itself = "response_cache" in self.parameters.get("config", {})
                return None if by_itself or self._source(key) == "file" else ("caches",)
        return None
