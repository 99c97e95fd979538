"""What holds of the lint for any config."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tritonbuild.rules.model_config import message
from tritonbuild.rules.model_config.completion import complete
from tritonbuild.rules.model_config.lint import Finding, Member, Subject, lint, wiring

from tritonbuild.digest import Digest
from tritonbuild.merkle import File, folder_of

words = st.sampled_from(["", "x", "y", "INPUT__0", "OUTPUT0", "../a", "1"])
numbers = st.sampled_from([-2, -1, 0, 1, 2, 8, 9, 2**31 - 1])
FOLDER = folder_of({"1/model.py": File(Digest.of_bytes(b"any")), "warmup/x": File(Digest("0", 3))})
DEEPEST = 4
"""Messages inside one another; the schema has no deeper ones but for `oneof`s."""


def _values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.message_type is not None:
        return _messages(field.message_type, depth + 1)
    if field.cpp_type == field.CPPTYPE_STRING:
        return words
    if field.cpp_type == field.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return numbers.map(abs)
    return numbers


def _messages(descriptor: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Messages of a type, as what their fields are set to."""
    fields = (
        {} if depth > DEEPEST else {field.name: _field(field, depth) for field in descriptor.fields}
    )
    return st.fixed_dictionaries({}, optional=fields) if depth else _few(fields)


def _few(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A config says some things of many."""
    return st.sets(st.sampled_from(sorted(fields)), max_size=5).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in sorted(names)})
    )


def _field(field: Any, depth: int) -> st.SearchStrategy[Any]:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        keys = _values(entry.fields_by_name["key"], depth)
        return st.dictionaries(keys, _values(entry.fields_by_name["value"], depth), max_size=2)
    if field.is_repeated:
        return st.lists(_values(field, depth), max_size=2)
    return _values(field, depth)


def _build(target: Any, said: dict[str, Any]) -> None:
    """Of fields that exclude one another the last stays."""
    for name, value in said.items():
        field = target.DESCRIPTOR.fields_by_name[name]
        here = getattr(target, name)
        if isinstance(value, dict) and field.message_type.GetOptions().map_entry:
            for key, item in value.items():
                if isinstance(item, dict):
                    here[key].SetInParent()
                    _build(here[key], item)
                else:
                    here[key] = item
        elif isinstance(value, dict):
            here.SetInParent()
            _build(here, value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _build(here.add(), item)
                else:
                    here.append(item)
        else:
            setattr(target, name, value)


def _config(said: dict[str, Any]) -> Any:
    config: Any = message.empty()
    _build(config, said)
    return config


configs = st.deferred(lambda: _messages(message.empty().DESCRIPTOR, 0)).map(_config)
backends = st.sampled_from(["python", "onnxruntime", "pytorch", "openvino", "fil", "identity", ""])
releases = st.sampled_from(["2.44.0", "2.51.0", "2.70.0", ""])


def judged(config: Any, release: str) -> list[Finding]:
    full, problems = complete(config, {}, folder=FOLDER, signatures={}, release=release, name="m")
    found = list(lint(Subject(full.config, FOLDER, release, {})))
    member = Member(full.config, (1,))
    found += wiring(full.config, {"x": member, "y": member, "m": member})
    return found + [Finding((), problem.found) for problem in problems]


@given(configs, backends, releases)
def test_any_config_is_judged_and_alike_after_a_round_trip_through_text(
    config: Any, backend: str, release: str
) -> None:
    config.backend = backend
    found = judged(config, release)
    again, problems = message.parse(message.to_text(config), "config.pbtxt")
    assert not problems
    assert judged(again, release) == found


@given(configs, backends)
def test_every_finding_has_a_place_and_says_what_is_wrong(config: Any, backend: str) -> None:
    config.backend = backend
    for finding in lint(Subject(config, FOLDER, "", {})):
        assert finding.key
        assert finding.found
        assert all(isinstance(part, str | int) for part in finding.key)
        assert finding.key[0] in config.DESCRIPTOR.fields_by_name
