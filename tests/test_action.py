"""Actions as values: what their keys hold, and that what people are told is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from parts.actions import ID, Made, actions, pairs

from tritonbuild import reapi
from tritonbuild.action import (
    HOST_PLATFORM,
    PARAMETERS,
    WORK,
    Action,
    ActionId,
    Literal,
    Needs,
    Output,
    Program,
    Source,
    ToolCall,
    encode,
)
from tritonbuild.digest import EMPTY, Digest
from tritonbuild.explain import facts_of
from tritonbuild.label import Label
from tritonbuild.merkle import Conflict, Entry, File, Folder, folder_of

A, B = File(Digest.of_bytes(b"a")), File(Digest.of_bytes(b"b"))
OTHER = ActionId(Label("", "other"), "make")
ENTRIES: dict[str, Entry] = {"a.txt": A, "lib": Folder({"b": B}), "/env": Folder({"bin": A})}
TOOL = Action(
    ID,
    ToolCall("greet", "1", {"name": "you", "times": 2}),
    {"a.txt": Source("models/a.txt"), "lib": Output(OTHER, "lib"), "/env": Output(OTHER, "env")},
    ("out", "log"),
)
PROGRAM = replace(TOOL, step=Program(("sh", "-c", "true"), {"A": "1", "B": "2"}))


def key(action: Action, entries: Mapping[str, Entry] = ENTRIES) -> Digest:
    return encode(action, entries).key


def facts(action: Action, entries: Mapping[str, Entry]) -> Mapping[str, str]:
    return facts_of(action, "models.x", entries)


@pytest.mark.parametrize(
    "changed",
    [
        {"step": ToolCall("greet", "2", {"name": "you", "times": 2})},
        {"step": ToolCall("leave", "1", {"name": "you", "times": 2})},
        {"step": ToolCall("greet", "1", {"name": "me", "times": 2})},
        {"step": ToolCall("greet", "1", {"name": "you", "times": "2"})},
        {"step": ToolCall("greet", "1", {"name": "you"})},
        {"step": ToolCall("greet", "1", {"name": "you", "times": 2, "more": None})},
        {"step": Program(("sh",))},
        {"outputs": ("out",)},
        {"outputs": ("out", "log", "more")},
        {"platform": {"OSFamily": "other"}},
        {"timeout": 1.0},
        {"cacheable": False},
    ],
)
def test_each_fact_of_a_tool_call_changes_the_key(changed: dict[str, Any]) -> None:
    assert key(replace(TOOL, **changed)) != key(TOOL)


@pytest.mark.parametrize(
    "step",
    [
        Program(("sh", "-c", "false"), {"A": "1", "B": "2"}),
        Program(("sh", "-c true"), {"A": "1", "B": "2"}),
        Program(("sh", "-c", "true", ""), {"A": "1", "B": "2"}),
        Program(("sh", "-c", "true"), {"A": "1"}),
        Program(("sh", "-c", "true"), {"A": "1", "B": "3"}),
        Program(("sh", "-c", "true"), {"A": "1", "B": "2"}, network=True),
    ],
)
def test_each_fact_of_a_program_changes_the_key(step: Program) -> None:
    assert key(replace(PROGRAM, step=step)) != key(PROGRAM)


@pytest.mark.parametrize(
    "changed",
    [
        {"a.txt": B},
        {"a.txt": File(A.digest, executable=True)},
        {"a.txt": Folder()},
        {"lib": Folder({"b": A})},
        {"lib": Folder({"c": B})},
        {"/env": Folder()},
    ],
)
def test_each_input_changes_the_key(changed: dict[str, Entry]) -> None:
    assert key(TOOL, {**ENTRIES, **changed}) != key(TOOL)


def test_the_place_of_an_input_changes_the_key() -> None:
    moved = {"moved" if path == "a.txt" else path: what for path, what in TOOL.inputs.items()}
    entries = {"moved" if path == "a.txt" else path: what for path, what in ENTRIES.items()}
    assert key(replace(TOOL, inputs=moved), entries) != key(TOOL)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ActionId(Label("elsewhere", "y"), "another")},
        {"needs": Needs(cpu=8, memory=1 << 30)},
        {"is_test": True},
        {"outputs": ("log", "out")},
        {"inputs": dict(reversed([*TOOL.inputs.items()]))},
        {"inputs": {**TOOL.inputs, "a.txt": Output(OTHER, "the same bytes")}},
        {"step": ToolCall("greet", "1", {"times": 2, "name": "you"})},
    ],
)
def test_nothing_else_changes_the_key(changed: dict[str, Any]) -> None:
    assert key(replace(TOOL, **changed)) == key(TOOL)


def test_the_order_of_variables_does_not_change_the_key() -> None:
    step = Program(("sh", "-c", "true"), {"B": "2", "A": "1"})
    assert key(replace(PROGRAM, step=step)) == key(PROGRAM)


def test_a_key_is_the_same_for_ever() -> None:
    """If this fails, every cache starts from nothing: that must be wanted."""
    action = replace(PROGRAM, platform={"OSFamily": "linux"}, timeout=1.5)
    assert key(action).hash[:16] == "ce634cb7b89b3788"


def test_a_tool_call_is_a_command_line_with_its_parameters_in_a_file() -> None:
    encoded = encode(TOOL, ENTRIES)
    command = reapi.Command.FromString(encoded.command)
    assert list(command.arguments) == ["tritonbuild", "tool", "greet", "--require=1", PARAMETERS]
    assert command.working_directory == WORK
    assert list(command.output_paths) == ["log", "out"]
    file = encoded.root.get(f"{WORK}/{PARAMETERS}")
    assert isinstance(file, File)
    assert json.loads(encoded.messages()[file.digest]) == {"name": "you", "times": 2}


def test_a_program_is_a_command_line_with_its_environment() -> None:
    command = reapi.Command.FromString(encode(PROGRAM, ENTRIES).command)
    assert list(command.arguments) == ["sh", "-c", "true"]
    variables = [(each.name, each.value) for each in command.environment_variables]
    assert variables == [("A", "1"), ("B", "2")]


def test_the_network_is_a_property_of_the_platform() -> None:
    online = replace(PROGRAM, step=Program(("sh",), network=True))
    message = reapi.Action.FromString(encode(online, ENTRIES).action)
    told = {each.name: each.value for each in message.platform.properties}
    assert told == {**HOST_PLATFORM, "network": "true"}


def test_action_and_command_name_the_same_sorted_platform() -> None:
    encoded = encode(replace(TOOL, platform={"b": "2", "a": "1"}), ENTRIES)
    command = reapi.Command.FromString(encoded.command)
    action = reapi.Action.FromString(encoded.action)
    assert command.platform == action.platform
    assert [each.name for each in action.platform.properties] == ["a", "b"]


def test_timeout_and_cacheability_are_told_in_the_action() -> None:
    action = replace(TOOL, timeout=1.5, cacheable=False)
    message = reapi.Action.FromString(encode(action, ENTRIES).action)
    assert message.timeout.ToTimedelta().total_seconds() == 1.5
    assert message.do_not_cache


def test_inputs_lie_in_the_working_folder_or_beside_it() -> None:
    root = encode(TOOL, ENTRIES).root
    assert root.get(f"{WORK}/a.txt") == A
    assert root.get(f"{WORK}/lib/b") == B
    assert root.get("env/bin") == A


def test_the_working_folder_is_there_without_inputs() -> None:
    root = encode(replace(PROGRAM, inputs={}), {}).root
    assert isinstance(root.get(WORK), Folder)


def test_the_messages_hold_all_that_no_other_action_and_no_file_brings() -> None:
    action = replace(TOOL, inputs={**TOOL.inputs, "said": Literal(b"hello", "greetings.x.said")})
    encoded = encode(action, {**ENTRIES, "said": File(Digest.of_bytes(b"hello"))})
    messages = encoded.messages()
    assert messages[encoded.key] == encoded.action
    assert b"hello" in messages.values()
    assert set(encoded.literals) <= set(messages.values())
    assert {folder.digest for folder in encoded.root.folders()} <= set(messages)
    command = reapi.Action.FromString(encoded.action).command_digest
    assert messages[Digest(command.hash, command.size_bytes)] == encoded.command


@pytest.mark.parametrize("path", [PARAMETERS, f"{PARAMETERS}/x", f"/{WORK}/{PARAMETERS}"])
def test_an_input_in_the_place_of_the_parameters_conflicts(path: str) -> None:
    with pytest.raises(Conflict):
        encode(replace(TOOL, inputs={path: Source("x")}), {path: A})


def test_two_inputs_in_one_place_conflict() -> None:
    inputs = {"a": Source("x"), f"/{WORK}/a": Source("y")}
    with pytest.raises(Conflict):
        encode(replace(TOOL, inputs=inputs), {"a": A, f"/{WORK}/a": B})


def test_an_action_depends_on_those_whose_outputs_it_takes() -> None:
    literal = Literal(b"", "x")
    action = replace(TOOL, inputs={**TOOL.inputs, "x": literal, "y": Source("y")})
    assert action.dependencies == {OTHER}


def test_what_lies_below_an_output_has_a_path_below_it() -> None:
    assert Output(OTHER, "lib") / "a/b" == Output(OTHER, "lib/a/b")


def with_input(path: str, source: str, entry: Entry) -> Made:
    return replace(PROGRAM, inputs={path: Source(source)}), {path: entry}


def placed(one: str, two: str) -> tuple[Made, Made]:
    """Two actions that find one file of the workspace at different paths."""
    source = "models/data/b.txt"
    return with_input(one, source, B), with_input(two, source, B)


def holding(one: Entry, two: Entry) -> tuple[Made, Made]:
    """Two actions that find other things at one path."""
    return with_input("x", "models/x", one), with_input("x", "models/x", two)


def differing(**changed: tuple[Any, Any]) -> tuple[Made, Made]:
    """Two actions without inputs that differ so."""
    bare = replace(PROGRAM, inputs={})
    one, two = ({name: values[i] for name, values in changed.items()} for i in (0, 1))
    return (replace(bare, **one), {}), (replace(bare, **two), {})


@settings(max_examples=200)
@given(pairs())
@example(differing(step=(Program(("a b",)), Program(("a", "b")))))
@example(differing(step=(Program(("",)), Program(("", "")))))
@example(differing(step=(ToolCall("t", "1", {"a": 1}), ToolCall("t", "1", {"a": "1"}))))
@example(differing(step=(ToolCall("t", "1", {"a": None}), ToolCall("t", "1", {"a": "null"}))))
@example(differing(step=(ToolCall("t", "1", {"a.b": 1}), ToolCall("t", "1", {"a": {"b": 1}}))))
@example(differing(step=(ToolCall("t", "1", {"a": [1]}), ToolCall("t", "1", {"a[0]": 1}))))
@example(differing(timeout=(1, 1.000001)))
@example(holding(A, File(A.digest, executable=True)))
@example(holding(File(EMPTY), Folder()))
def test_keys_differ_exactly_where_facts_do(pair: tuple[Made, Made]) -> None:
    one, two = pair
    assert (key(*one) == key(*two)) == (facts(*one) == facts(*two))


@settings(max_examples=200)
@given(pairs(named=False))
@example(placed("a.txt", "b.txt"))
@example(placed("data/b.txt", "b.txt"))
def test_another_key_has_other_facts_whatever_inputs_are_called(pair: tuple[Made, Made]) -> None:
    one, two = pair
    assert key(*one) == key(*two) or facts(*one) != facts(*two)


@given(actions())
def test_a_command_and_an_action_are_encoded_canonically(made: Made) -> None:
    encoded = encode(*made)
    for text, message in ((encoded.command, reapi.Command), (encoded.action, reapi.Action)):
        assert message.FromString(text).SerializeToString(deterministic=True) == text
    assert folder_of({"": encoded.root}).digest == encoded.root.digest
