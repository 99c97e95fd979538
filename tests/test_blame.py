"""Where people are told to look: the manifest's key, or the config file's line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parts.tree import Tree
from tritonbuild.rules.model_config import message
from tritonbuild.rules.model_config.blame import Blame
from tritonbuild.rules.model_config.lines import line_of
from tritonbuild.rules.model_config.sources import Source

from tritonbuild.errors import Problem
from tritonbuild.rule import KeyPath

CONFIG = b"""\
# A comment { with [ marks
name: "m"
input [
  {
    name: "x {"
    dims: [ 1,
            2 ]
  },
  { name: 'y'
    dims: 3 }
]
output { name: "z" }
output <
  name: "w"
  reshape { shape: [ ] }
>
parameters { key: "A" value: {
  string_value: "b" } }
parameters: { key: "B"
  value { string_value: "c" } }
cc_model_filenames [
  { key: "7.0" value: "a" },
  { key: "8.0" value: "b" }
]
dynamic_batching {
  preferred_batch_size: 4
  preferred_batch_size: 8
}
ensemble_scheduling { step [ {
  model_name: "a"
  input_map { key: "i"
    value: "t" } } ] }
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 2),
        (("input",), 3),
        (("input", 0), 4),
        (("input", 0, "name"), 5),
        (("input", 0, "dims"), 6),
        (("input", 0, "dims", 1), 7),
        (("input", 1), 9),
        (("input", 1, "dims"), 10),
        (("output", 0, "name"), 12),
        (("output", 1, "reshape", "shape"), 15),
        (("output", 1, "reshape", "shape", 7), 15),
        (("parameters", "A"), 17),
        (("parameters", "A", "string_value"), 18),
        (("parameters", "B", "string_value"), 20),
        (("cc_model_filenames", "8.0"), 23),
        (("dynamic_batching", "preferred_batch_size"), 26),
        (("dynamic_batching", "preferred_batch_size", 1), 27),
        (("dynamic_batching", "preserve_ordering"), 25),
        (("ensemble_scheduling", "step", 0, "input_map", "i"), 31),
        (("version_policy",), None),
        ((), None),
    ],
)
def test_a_place_is_found_by_its_line(key: KeyPath, line: int | None) -> None:
    assert line_of(CONFIG, key) == line


def test_what_is_cut_short_has_the_lines_before_that() -> None:
    assert line_of(b'name: "m"\ninput {\n  dims: [', ("input", 0, "dims")) == 3


def blame(sources: dict[KeyPath, Source], made: Any = None, **parameters: Any) -> Blame:
    return Blame(parameters, sources, "p/c.pbtxt", CONFIG, made or message.empty())


def placed(told: Blame, key: str) -> Problem:
    (problem,) = told.place([Problem("wrong", key=key)])
    return problem


def test_what_the_manifest_says_is_told_at_its_key() -> None:
    problem = placed(blame({("input", 0, "dims"): "manifest"}), "input[0].dims")
    assert (problem.key, problem.file) == ("config.input[0].dims", "")


def test_what_the_file_says_is_told_at_its_line() -> None:
    problem = placed(blame({("input", 0, "dims"): "file"}), "input[0].dims")
    assert (problem.key, problem.file, problem.line) == ("", "p/c.pbtxt", 6)
    assert problem.found == "input[0].dims: wrong"


def test_what_is_missing_is_told_where_its_surroundings_stand() -> None:
    problem = placed(blame({("input", 1, "name"): "file"}), "input[1].data_type")
    assert (problem.file, problem.line) == ("p/c.pbtxt", 9)


def test_what_triton_adds_is_told_in_the_manifest() -> None:
    problem = placed(blame({("input", 0, "dims"): "completed"}), "input[0].dims")
    assert (problem.key, problem.file) == ("config.input[0].dims", "")


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("ensemble_scheduling.step[1].input_map.x", "steps[1].inputs.x"),
        ("ensemble_scheduling.step[0].model_name", "steps[0].model"),
        ("ensemble_scheduling", "steps"),
        ("model_warmup[0].inputs.x", "warmup"),
        ("model_repository_agents.agents[0]", "repoagents"),
        ("response_cache.enable", "caches"),
        ("output[0].label_filename", 'labels."a b"'),
    ],
)
def test_what_an_attribute_says_is_told_at_the_attribute(key: str, place: str) -> None:
    config: Any = message.empty()
    config.output.add(name="a b")
    told = blame({}, config, steps=[], warmup={}, repoagents=[], caches=[], labels={"a b": "f"})
    assert placed(told, key).key == place


def test_a_cache_that_the_config_wants_itself_is_told_there() -> None:
    here: dict[KeyPath, Source] = {("response_cache", "enable"): "manifest"}
    assert placed(blame(here, caches=["local"]), "response_cache.enable").key == "caches"
    told = blame(here, caches=["local"], config={"response_cache": {"enable": True}})
    assert placed(told, "response_cache.enable").key == "config.response_cache.enable"
    told = blame({("response_cache", "enable"): "file"}, caches=["local"])
    assert placed(told, "response_cache.enable").file == "p/c.pbtxt"


def test_a_finding_stands_at_the_line_of_the_config_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write(
        {
            "triton.toml": '[workspace]\nname = "t"\n[backends.square]\n',
            "p/triton.toml": '[models.m]\nbackend = "square"\nversions = { 1 = {} }\n'
            'config_file = "c.pbtxt"\n',
            "p/c.pbtxt": 'input {\n name: "x"\n data_type: TYPE_FP32\n dims: 0\n}\n',
        }
    )
    _, problems = tree.problems("//p:m")
    (problem,) = [problem for problem in problems if "dims" in problem.found]
    assert (problem.file, problem.line) == ("p/c.pbtxt", 4)
