"""Configs completed offline; beside a real server they are in test_differential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from tritonbuild.rules.formats import Signature, TensorInfo
from tritonbuild.rules.formats.python_model import completes_itself
from tritonbuild.rules.model_config.completion import Full, complete
from tritonbuild.rules.model_config.message import as_dict, parse
from tritonbuild.rules.model_config.sources import LEFT_TO_TRITON, written

from tritonbuild.digest import Digest
from tritonbuild.errors import Problem
from tritonbuild.merkle import File, Folder, folder_of

IO = """
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
"""


NOTHING = """\
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


class Case(NamedTuple):
    config: str
    files: tuple[str, ...] = ("1/model.py",)
    """A name that ends in `/` is an empty folder."""


def completed(
    name: str, case: Case, release: str = "2.51.0", **settings: Any
) -> tuple[Full, list[Problem]]:
    config, wrong = parse(case.config.encode(), "config.pbtxt")
    assert not wrong
    file = File(Digest.of_bytes(b""))
    entries = {path: Folder() if path.endswith("/") else file for path in case.files}
    folder = folder_of({path.rstrip("/"): entry for path, entry in entries.items()})
    given = {"folder": folder, "signatures": {}, "release": release, "name": name, **settings}
    return complete(config, written(config, {}), **given)


def test_everything_that_is_filled_in_has_its_source() -> None:
    case = Case('backend: "python" max_batch_size: 2 instance_group { count: 3 }' + IO)
    full, _ = completed("m", case)
    assert {path: source for path, source in full.sources.items() if path[0] != "input"} == {
        ("name",): "completed",
        ("version_policy", "latest", "num_versions"): "default",
        ("max_batch_size",): "file",
        ("output", 0, "name"): "file",
        ("output", 0, "data_type"): "file",
        ("output", 0, "dims"): "file",
        ("instance_group", 0, "name"): "default",
        ("instance_group", 0, "count"): "file",
        ("instance_group", 0, "kind"): "default",
        ("default_model_filename",): "completed",
        ("optimization", "input_pinned_memory", "enable"): "default",
        ("optimization", "output_pinned_memory", "enable"): "default",
        ("backend",): "file",
    }


def test_the_manifest_is_the_source_of_what_it_names() -> None:
    config, _ = parse(
        b'backend: "python" input { name: "x" dims: 2 } dynamic_batching { max_queue_delay_'
        b'microseconds: 5 preserve_ordering: true } parameters { key: "a" value { string_value: '
        b'"b" } } parameters { key: "c" value { string_value: "d" } }',
        "config.pbtxt",
    )
    table = {
        "input": [{"name": "x", "dims": [2]}],
        "dynamic_batching": {"max_queue_delay_microseconds": 5},
        "parameters": {"a": "b"},
    }
    assert written(config, table, [("backend",)]) == {
        ("backend",): "manifest",
        ("input", 0, "name"): "manifest",
        ("input", 0, "dims"): "manifest",
        ("dynamic_batching", "max_queue_delay_microseconds"): "manifest",
        ("dynamic_batching", "preserve_ordering"): "file",
        ("parameters", "a", "string_value"): "manifest",
        ("parameters", "c", "string_value"): "file",
    }


def test_onnx_inputs_come_from_the_file_of_the_newest_version_that_is_loaded() -> None:
    def of(*sizes: int) -> Signature:
        x, y = (TensorInfo(name, "TYPE_FP32", (-1, *sizes)) for name in ("x", "y"))
        return Signature((x,), (y,))

    full, problems = completed(
        "m",
        Case('backend: "onnxruntime"', ("1/model.onnx", "2/model.onnx", "3/model.onnx")),
        signatures={1: of(1), 2: of(2), 3: of(3, 3)},
    )
    assert not problems
    assert list(full.config.input[0].dims) == [3, 3]
    assert full.config.max_batch_size == 4
    assert list(full.config.dynamic_batching.preferred_batch_size) == [4]
    assert full.sources["input", 0, "dims"] == "completed"
    assert full.sources["dynamic_batching", "preferred_batch_size"] == "default"


def test_what_another_version_that_is_loaded_lacks_is_told_with_its_number() -> None:
    def of(name: str) -> Signature:
        x, y = (TensorInfo(name, "TYPE_FP32", (-1, 4)) for name in (name, "y"))
        return Signature((x,), (y,))

    _, problems = completed(
        "m",
        Case(
            'backend: "onnxruntime" max_batch_size: 2 version_policy { all {} }' + IO,
            ("1/model.onnx", "2/model.onnx"),
        ),
        signatures={1: of("z"), 2: of("x")},
    )
    assert problems
    assert all(problem.found.startswith("version 1: ") for problem in problems)


@pytest.mark.parametrize(
    ("backend", "settings", "unknown"),
    [
        ("python", {}, True),
        ("python", {"fixed": True}, False),
        ("tensorrt", {}, True),
        ("vllm", {}, True),
        ("mine", {}, True),
        ("onnxruntime", {}, True),
        ("pytorch", {}, False),
        ("identity", {}, False),
        ("identity", {"python_based": True}, True),
        ("identity", {"own_backend": True}, True),
    ],
)
def test_what_only_a_server_knows_is_said(
    backend: str, settings: Mapping[str, Any], unknown: bool
) -> None:
    full, problems = completed("m", Case(f'backend: "{backend}"' + IO), **settings)
    assert not problems
    assert bool(full.unknown) is unknown


@pytest.mark.parametrize(
    ("decoupled", "policy"),
    [(False, ("model_transaction_policy",)), (True, ("model_transaction_policy", "decoupled"))],
)
def test_an_ensemble_gets_a_version_policy_and_is_decoupled_as_its_members_are(
    decoupled: bool, policy: tuple[str, ...]
) -> None:
    case = Case('platform: "ensemble" ensemble_scheduling { step { model_name: "a" } }', ("1/",))
    full, problems = completed("m", case, decoupled=decoupled)
    assert not problems
    filled = {path for path, source in full.sources.items() if source in LEFT_TO_TRITON}
    assert filled == {("name",), ("version_policy", "latest", "num_versions"), policy}
    assert full.unknown == []


def test_groups_take_the_devices_that_are_there() -> None:
    groups = "instance_group [{}, { kind: KIND_GPU gpus: 1 }, { kind: KIND_AUTO gpus: 7 }]"
    full, _ = completed("m", Case(f'backend: "python" {groups}' + IO), gpus=2)
    told = [
        (group.kind == group.KIND_GPU, list(group.gpus)) for group in full.config.instance_group
    ]
    assert told == [(True, [0, 1]), (True, [1]), (False, [7])]
    full, _ = completed("m", Case(f'backend: "python" {groups}' + IO))
    kinds = [group.kind == group.KIND_GPU for group in full.config.instance_group]
    assert kinds == [False, True, True]
    full, _ = completed("m", Case('backend: "openvino"' + IO), gpus=2)
    assert full.config.instance_group[0].kind == full.config.instance_group[0].KIND_CPU


@pytest.mark.parametrize(
    ("release", "config", "file", "platform", "name"),
    [
        ("2.51.0", "", "1/model.pt", "pytorch_libtorch", "model.pt"),
        ("2.67.0", "", "1/model.pt2", "pytorch_libtorch", "model.pt"),
        ("2.68.0", "", "1/model.pt", "pytorch_libtorch", ""),
        ("2.68.0", "", "1/model.pt2", "torch_aoti", "model.pt2"),
        ("2.68.0", 'backend: "pytorch"', "1/model.pt", "pytorch_libtorch", "model.pt"),
        ("2.68.0", 'platform: "torch_aoti"', "1/model.pt2", "torch_aoti", "model.pt2"),
        ("", 'platform: "libtorch"', "1/model.pt", "libtorch", ""),
    ],
)
def test_pytorch_s_files_are_found_as_the_release_does(
    release: str, config: str, file: str, platform: str, name: str
) -> None:
    full, problems = completed("m", Case(config + IO, (file,)), release)
    assert not problems
    found = full.config.backend, full.config.platform, full.config.default_model_filename
    assert found == ("pytorch", platform, name)


def test_a_written_config_stays_as_it_is() -> None:
    config, _ = parse(b'backend: "python"', "config.pbtxt")
    complete(config, {}, folder=Folder(), signatures={}, release="")
    assert as_dict(config) == {"backend": "python"}


def test_it_is_stored_and_read_back() -> None:
    case = Case('backend: "python" parameters { key: "a" value {} }' + IO)
    full, _ = completed("m", case)
    full.advice.append(Problem("odd", "even", key="input[0]"))
    assert Full.from_json(full.to_json()) == full


@pytest.mark.parametrize(
    ("source", "may"),
    [
        (NOTHING, False),
        (NOTHING.replace("Model:", "Model(Base):"), True),
        (NOTHING.replace("execute", "auto_complete_config"), True),
        ("from other import TritonPythonModel", True),
        ("@wrapped\n" + NOTHING, True),
        ("class TritonPythonModel", True),
        (NOTHING + "x = 1" + " + 1" * 5000, True),
    ],
)
def test_a_python_model_may_complete_itself(source: str, may: bool) -> None:
    assert completes_itself(source.encode()) is may
