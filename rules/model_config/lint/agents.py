"""Repository agents, and what the checksum agent is told to check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import File, KeyPath

from .subject import Finding, Subject


def agents(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.HasField("model_repository_agents") and not config.model_repository_agents.agents:
        # Triton looks at the last of them without asking whether there is one.
        found = "a list without agents, which ends the server"
        yield Finding(("model_repository_agents",), found, "an agent", "take it away")
    for index, agent in enumerate(config.model_repository_agents.agents):
        key: KeyPath = ("model_repository_agents", "agents", index)
        if not agent.name:
            yield Finding((*key, "name"), "an agent without a name", "such as checksum")
        elif agent.name == "checksum":
            yield from _checksums(agent, key, subject)


def _checksums(agent: Any, key: KeyPath, subject: Subject) -> Iterator[Finding]:
    for name in sorted(agent.parameters):
        where = (*key, "parameters", name)
        algorithm, colon, path = name.partition(":")
        if not colon or algorithm.lower() != "md5":
            expected = "MD5:PATH, the path of a file below the model's folder"
            yield Finding(where, f"parameter {name!r} of the checksum agent", expected)
        elif not isinstance(subject.folder.get(path), File):
            yield Finding(where, f"the model has no file {path!r}", "a file, with its path in it")
        elif not re.fullmatch(r"[0-9a-f]{32}", agent.parameters[name]):
            found = f"{agent.parameters[name]!r} is not an MD5 digest"
            yield Finding(where, found, "32 digits in lower case")
