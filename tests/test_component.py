"""Backends, repository agents and caches: folders of one's own, and those of a distribution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.workspace import Make, workspaces
from tritonbuild.rules.component import BackendInfo, CacheInfo, ComponentInfo, RepoAgentInfo

from tritonbuild.rule import AnalysisError, Source, UsageError


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with workspaces(tmp_path) as made:
        yield made


def backend(make: Make, manifest: str, *files: str, name: str = "tokenizer") -> BackendInfo:
    workspace = make(f"[backends.{name}]\n{manifest}", dict.fromkeys(files, ""))
    info = workspace.analyze(name).get(BackendInfo)
    assert isinstance(info, BackendInfo)
    return info


def test_without_a_path_a_component_is_that_of_whoever_uses_it(make: Make) -> None:
    assert backend(make, "", name="onnxruntime") == BackendInfo(
        "backends", "onnxruntime", None, False, ()
    )


def test_a_folder_with_a_model_py_is_a_python_based_backend(make: Make) -> None:
    assert backend(
        make, 'path = "own"\nrequirements = ["tokenizers"]', "own/model.py"
    ) == BackendInfo("backends", "tokenizer", Source("own"), True, ("tokenizers",))


def test_a_folder_with_a_library_is_a_cpp_backend(make: Make) -> None:
    info = backend(make, 'path = "own"', "own/libtriton_tokenizer.so")
    assert info == BackendInfo("backends", "tokenizer", Source("own"), False, ())


def test_the_library_wins_over_a_model_py_as_in_triton(make: Make) -> None:
    info = backend(make, 'path = "own"', "own/libtriton_tokenizer.so", "own/model.py")
    assert not info.python_based


def test_a_folder_with_neither_is_an_error_that_says_what_is_expected(make: Make) -> None:
    with pytest.raises(AnalysisError) as error:
        backend(make, 'path = "own"', "own/libtriton_other.so")
    (problem,) = error.value.problems
    assert problem.key == "backends.tokenizer.path"
    assert problem.found == "own holds libtriton_other.so"
    assert problem.expected == "libtriton_tokenizer.so or model.py"


def test_a_cpp_backend_takes_no_requirements(make: Make) -> None:
    with pytest.raises(AnalysisError, match="C\\+\\+ backend"):
        backend(make, 'path = "own"\nrequirements = ["numpy"]', "own/libtriton_tokenizer.so")


def test_a_label_is_not_a_folder(make: Make) -> None:
    with pytest.raises(AnalysisError, match="is a label"):
        backend(make, 'path = ":made"\n[commands.made]\nargv = ["true"]\noutputs = ["o"]')


def test_a_folder_that_is_not_there_is_an_error(make: Make) -> None:
    with pytest.raises(AnalysisError, match="there is no own"):
        backend(make, 'path = "own"')


@pytest.mark.parametrize(
    ("table", "library", "provider"),
    [
        ("repoagents", "libtritonrepoagent_mine.so", RepoAgentInfo),
        ("caches", "libtritoncache_mine.so", CacheInfo),
    ],
)
def test_agents_and_caches_are_libraries(
    make: Make, table: str, library: str, provider: type[ComponentInfo]
) -> None:
    workspace = make(f'[{table}.mine]\npath = "own"\n', {f"own/{library}": ""})
    assert workspace.analyze("mine").get(provider) == provider(
        table, "mine", Source("own"), False, ()
    )
    workspace = make(f'[{table}.mine]\npath = "own"\n', {"own/model.py": ""})
    with pytest.raises(AnalysisError) as error:
        workspace.analyze("mine")
    assert error.value.problems[0].expected == library


def test_agents_take_no_requirements(make: Make) -> None:
    with pytest.raises(UsageError):
        make('[repoagents.mine]\nrequirements = ["numpy"]\n').analyze("mine")
