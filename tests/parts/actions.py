"""Actions as values, for properties that must hold of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from parts.folders import files, folders
from tritonbuild.action import (
    Action,
    ActionId,
    Artifact,
    Literal,
    Needs,
    Output,
    Program,
    Source,
    ToolCall,
)
from tritonbuild.digest import Digest
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder

PACKAGE = "models"
ID = ActionId(Label(PACKAGE, "x"), "step")
OTHER = ActionId(Label(PACKAGE, "other"), "step")

words = st.sampled_from(["a", "b", "a b", "", "'", "a.b", "1", "true"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 1.5]) | words,
    lambda below: st.lists(below, max_size=2) | st.dictionaries(words, below, max_size=2),
    max_leaves=4,
)
steps = st.builds(
    ToolCall, st.just("tool"), st.sampled_from(["1", "2"]), st.dictionaries(words, values)
) | st.builds(
    Program,
    st.lists(words, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["A", "B"]), words),
    st.booleans(),
)

Inputs = Mapping[str, tuple[Artifact, Entry]]


@st.composite
def sources(draw: st.DrawFn, path: str) -> tuple[Artifact, Entry]:
    """A file or folder of the workspace: a folder there holds files only."""
    held = st.dictionaries(st.sampled_from(["f", "g"]), files, max_size=2)
    return Source(f"{PACKAGE}/{path}"), draw(files | held.map(lambda some: Folder(dict(some))))


@st.composite
def elsewhere(draw: st.DrawFn, path: str) -> tuple[Artifact, Entry]:
    """A file under a name that is not its own."""
    source = draw(st.sampled_from([path, f"{PACKAGE}/b", "data/a", f"{PACKAGE}/sub/{path}"]))
    return Source(source), File(Digest.of_bytes(source.encode()))


@st.composite
def literals(draw: st.DrawFn, path: str) -> tuple[Artifact, Entry]:
    content = draw(st.sampled_from([b"", b"a", b"b"]))
    return Literal(content, f"greetings.x.{path}"), File(Digest.of_bytes(content))


@st.composite
def outputs_of_others(draw: st.DrawFn, path: str) -> tuple[Artifact, Entry]:
    return Output(OTHER, "made"), draw(files | folders)


def inputs(*, named: bool) -> st.SearchStrategy[Inputs]:
    """Up to four inputs. `named`: what lies at a path has one name only."""
    kinds: dict[str, Any] = {"a": sources, "b": literals, "c/d": sources, "/env": outputs_of_others}
    anything = (*kinds.values(), elsewhere)
    return st.fixed_dictionaries(
        {},
        optional={
            path: kind(path) if named else st.one_of(*(any_kind(path) for any_kind in anything))
            for path, kind in kinds.items()
        },
    )


@st.composite
def actions(draw: st.DrawFn, *, named: bool = True) -> tuple[Action, dict[str, Entry]]:
    """An action and what its inputs hold."""
    given = draw(inputs(named=named))
    action = Action(
        ID,
        draw(steps),
        {path: artifact for path, (artifact, _) in given.items()},
        tuple(draw(st.lists(st.sampled_from(["out", "out/x", "y"]), unique=True))),
        {"OSFamily": draw(st.sampled_from(["linux", "darwin"]))},
        draw(st.none() | st.sampled_from([1, 1.5, 1.000001, 3600])),
        draw(st.builds(Needs, st.sampled_from([1.0, 2.0]))),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    return action, {path: entry for path, (_, entry) in given.items()}


Made = tuple[Action, dict[str, Entry]]


@st.composite
def pairs(draw: st.DrawFn, *, named: bool = True) -> tuple[Made, Made]:
    """Two actions that differ in a few things at most."""
    (one, here), (two, there) = draw(actions(named=named)), draw(actions(named=named))
    fields = draw(st.sets(st.sampled_from([field.name for field in dataclasses.fields(one)])))
    other = dataclasses.replace(one, **{name: getattr(two, name) for name in fields})
    return (one, here), (other, there if "inputs" in fields else here)
