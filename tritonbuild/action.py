"""An action as a value: one hermetic step, its inputs, its outputs and where it may run.

Its key is the digest of the Remote Execution API's Action message. The key and the explanation
of the key come from one traversal (`describe`) that drives one of several writers, so that they
can never disagree.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from tritonbuild import reapi
from tritonbuild.digest import Digest
from tritonbuild.gpus import GpuNeed
from tritonbuild.label import Label
from tritonbuild.merkle import Conflict, Entry, File, Folder, folder_of, to_message

WORK = "work"
"""Where an action's working folder lies in its input root."""
PARAMETERS = "parameters.json"
"""The file in the working folder that holds a tool's parameters."""
ISA = {"x86_64": "x86-64", "aarch64": "arm-a64"}
HOST_PLATFORM = {
    "OSFamily": platform.system().lower(),
    "ISA": ISA.get(platform.machine(), platform.machine()),
}
"""In the words of the API's platform lexicon."""


@dataclass(frozen=True, slots=True, order=True)
class ActionId:
    label: Label
    name: str
    """Unique in its target; a word for people, such as `config`."""

    def __str__(self) -> str:
        return f"{self.label} ({self.name})"


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder of the workspace."""

    path: str
    """Relative to the root."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Content that a manifest says itself."""

    content: bytes
    key: str
    """Where it says so."""


@dataclass(frozen=True, slots=True)
class Output:
    """What another action makes, or something below a folder that it makes."""

    action: ActionId
    path: str

    def __truediv__(self, below: str) -> Output:
        return Output(self.action, f"{self.path}/{below}")


Artifact = Source | Literal | Output


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A built-in step: `tritonbuild tool NAME`, with parameters in a file of its input root."""

    name: str
    version: str
    """The tool's own and those of the libraries that make its bytes."""
    parameters: Mapping[str, Any]
    """JSON; keys are manifest keys below the target, so that an explanation can name them."""
    hints: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What helps and cannot change the result, such as where a file of a known digest is to be
    had. Not in the key, and calls that differ in nothing else are equal."""

    @property
    def argv(self) -> tuple[str, ...]:
        return ("tritonbuild", "tool", self.name, f"--require={self.version}", PARAMETERS)


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the user's, run in the sandbox."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """Resources held while running. They bound what runs at once and are not in the key."""

    cpu: float = 1.0
    memory: int = 0
    """Bytes; 0: not limited."""
    gpu: GpuNeed | None = None
    """Which GPU it is given, and the driver, is in the key."""


@dataclass(frozen=True, slots=True)
class Action:
    id: ActionId
    step: ToolCall | Program
    inputs: Mapping[str, Artifact]
    """Path in the input root → what lies there. Relative to the working folder unless it starts
    with `/`, which stands for the input root itself."""
    outputs: tuple[str, ...]
    """Paths relative to the working folder; files or folders."""
    platform: Mapping[str, str] = field(default_factory=lambda: HOST_PLATFORM)
    timeout: float | None = None
    """Seconds."""
    needs: Needs = Needs()
    cacheable: bool = True
    is_test: bool = False
    """A non-zero exit is a verdict, with outputs, not a failed build."""

    @property
    def dependencies(self) -> set[ActionId]:
        return {item.action for item in self.inputs.values() if isinstance(item, Output)}

    @property
    def sources(self) -> list[str]:
        """Paths of its inputs from the workspace."""
        return [item.path for item in self.inputs.values() if isinstance(item, Source)]


class Writer(Protocol):
    """What `describe` tells of an action."""

    def argument(self, text: str) -> None: ...
    def tool(self, name: str, version: str) -> None: ...
    def parameter(self, key: str, value: Any) -> None: ...
    def environment(self, name: str, value: str) -> None: ...
    def platform(self, name: str, value: str) -> None: ...
    def input(self, path: str, artifact: Artifact, entry: Entry) -> None: ...
    def output(self, path: str) -> None: ...
    def timeout(self, seconds: float) -> None: ...
    def uncacheable(self) -> None: ...


def describe(action: Action, entries: Mapping[str, Entry], writer: Writer) -> None:
    """Tells a writer everything that the result may depend on, in a fixed order.

    `entries` holds, for each path of `action.inputs`, what was found there.
    """
    match action.step:
        case ToolCall(name, version, parameters):
            writer.tool(name, version)
            for key, value in sorted(parameters.items()):
                writer.parameter(key, value)
            environment: Mapping[str, str] = {}
        case Program(argv, environment, network):
            for argument in argv:
                writer.argument(argument)
            if network:
                writer.platform("network", "true")
    for name, value in sorted(environment.items()):
        writer.environment(name, value)
    for name, value in sorted(action.platform.items()):
        writer.platform(name, value)
    for path, artifact in sorted(action.inputs.items()):
        writer.input(path, artifact, entries[path])
    for path in sorted(action.outputs):
        writer.output(path)
    if action.timeout is not None:
        writer.timeout(action.timeout)
    if not action.cacheable:
        writer.uncacheable()


@dataclass(frozen=True, slots=True)
class Encoded:
    """An action as the Remote Execution API holds it."""

    key: Digest
    """Of the Action message."""
    action: bytes
    command: bytes
    root: Folder
    """The input root."""
    literals: tuple[bytes, ...]
    """Contents of the input root that no other action and no source file brings."""

    def messages(self) -> dict[Digest, bytes]:
        """Every blob but file contents: what a remote service needs before it can run it."""
        blobs = [self.action, self.command, *(folder.encoded for folder in self.root.folders())]
        return {Digest.of_bytes(blob): blob for blob in (*blobs, *self.literals)}


class KeyWriter:
    """Writes the messages whose digest is the action key."""

    def __init__(self) -> None:
        self._command = reapi.Command(working_directory=WORK)
        self._action = reapi.Action()
        self._parameters: dict[str, Any] | None = None
        self._platform: set[tuple[str, str]] = set()
        self._entries: dict[str, Entry] = {WORK: Folder()}
        self._literals: list[bytes] = []

    def argument(self, text: str) -> None:
        self._command.arguments.append(text)

    def tool(self, name: str, version: str) -> None:
        self._parameters = {}
        self._command.arguments.extend(ToolCall(name, version, {}).argv)

    def parameter(self, key: str, value: Any) -> None:
        assert self._parameters is not None, "only tools have parameters"
        self._parameters[key] = value

    def environment(self, name: str, value: str) -> None:
        self._command.environment_variables.add(name=name, value=value)

    def platform(self, name: str, value: str) -> None:
        self._platform.add((name, value))

    def input(self, path: str, artifact: Artifact, entry: Entry) -> None:
        self._place(path[1:] if path.startswith("/") else f"{WORK}/{path}", entry)
        if isinstance(artifact, Literal):
            self._literals.append(artifact.content)

    def output(self, path: str) -> None:
        self._command.output_paths.append(path)

    def timeout(self, seconds: float) -> None:
        self._action.timeout.FromTimedelta(timedelta(seconds=seconds))

    def uncacheable(self) -> None:
        self._action.do_not_cache = True

    def finish(self) -> Encoded:
        """Raises merkle.Conflict when two inputs want one path."""
        if self._parameters is not None:
            content = json.dumps(self._parameters, sort_keys=True, separators=(",", ":")).encode()
            self._literals.append(content)
            self._place(f"{WORK}/{PARAMETERS}", File(Digest.of_bytes(content)))
        root = folder_of(self._entries)
        for name, value in sorted(self._platform):
            self._command.platform.properties.add(name=name, value=value)
        self._action.platform.CopyFrom(self._command.platform)
        command = self._command.SerializeToString(deterministic=True)
        self._action.command_digest.CopyFrom(to_message(Digest.of_bytes(command)))
        self._action.input_root_digest.CopyFrom(to_message(root.digest))
        encoded = self._action.SerializeToString(deterministic=True)
        return Encoded(Digest.of_bytes(encoded), encoded, command, root, tuple(self._literals))

    def _place(self, path: str, entry: Entry) -> None:
        if self._entries.setdefault(path, entry) is not entry:
            raise Conflict(path)


def encode(action: Action, entries: Mapping[str, Entry]) -> Encoded:
    writer = KeyWriter()
    describe(action, entries, writer)
    return writer.finish()
