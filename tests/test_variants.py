"""Targets with a matrix, from the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, WorkspaceFolder

from tritonbuild.label import Label

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
PLAN = """
[commands.plan]
matrix  = { gpu = ["L4", "H100"], batch = [1, 8] }
argv    = ["sh", "-c", "echo {matrix.gpu} {matrix.batch} > {matrix.gpu}.plan"]
outputs = ["{matrix.gpu}.plan"]
timeout = "{matrix.batch}"
tags    = ["on-{matrix.gpu}"]
"""
LABELS = [f"//p:plan[gpu={gpu},batch={batch}]" for gpu in ("L4", "H100") for batch in (1, 8)]
USE = """
[commands.use]
matrix  = {{ gpu = ["H100"] }}
argv    = ["sh", "-c", "cat *.plan > used"]
inputs  = [{inputs}]
outputs = ["used"]
"""


@pytest.fixture
def folder(workspace: MakeWorkspace) -> WorkspaceFolder:
    return workspace({"p/triton.toml": PLAN})


def test_a_label_without_parameters_builds_all_variants(folder: WorkspaceFolder) -> None:
    outcome = folder.build("//p:plan")
    assert outcome.targets == dict.fromkeys(LABELS, "built")
    assert sorted(outcome.outputs) == sorted(
        f"tritonbuild-out/p/_/plan[gpu={gpu},batch={batch}]/{gpu}.plan"
        for gpu in ("L4", "H100")
        for batch in (1, 8)
    )
    assert folder.output("p/_/plan[gpu=L4,batch=8]/L4.plan").read_text() == "L4 8\n"


def test_a_variant_is_built_alone(folder: WorkspaceFolder) -> None:
    assert folder.build("//p:plan[gpu=L4,batch=8]").targets == {LABELS[1]: "built"}
    assert set(folder.build("//p:plan[gpu=H100]").targets) == set(LABELS[2:])


def test_a_variant_is_taken_away(folder: WorkspaceFolder) -> None:
    outcome = folder.build("//...", "--", "-//p:plan[gpu=L4]", "-//p:plan[batch=8]")
    assert set(outcome.targets) == {"//p:plan[gpu=H100,batch=1]"}


def test_tags_may_hold_parameters(folder: WorkspaceFolder) -> None:
    assert set(folder.run("build", "//...", "--tag", "on-L4").targets) == set(LABELS[:2])


def test_one_value_more_builds_one_variant_more(folder: WorkspaceFolder) -> None:
    folder.build("//p:plan[batch=1]")
    folder.write({"p/triton.toml": PLAN.replace('"H100"]', '"H100", "A100"]')})
    outcome = folder.build("//p:plan[batch=1]")
    assert outcome.executed == 1
    assert outcome.targets["//p:plan[gpu=A100,batch=1]"] == "built"


def test_nothing_to_do_is_answered_from_a_snapshot(folder: WorkspaceFolder) -> None:
    first = folder.build("//p:plan")
    again = folder.build("//p:plan")
    assert again.targets == dict.fromkeys(LABELS, "cached")
    assert again.outputs == first.outputs


def test_why_tells_of_one_variant_or_of_all(folder: WorkspaceFolder) -> None:
    folder.build("//p:plan")
    folder.write({"p/triton.toml": PLAN.replace("echo", "echo on")})
    folder.build("//p:plan")
    told = [e for e in folder.run("why", LABELS[0]).events if e["event"] == "why"]
    assert [event["label"] for event in told] == [LABELS[0]]
    assert told[0]["reasons"] == [
        "command changed: sh -c 'echo L4 1 > L4.plan' → sh -c 'echo on L4 1 > L4.plan'"
    ]
    told = [e for e in folder.run("why", "//p:plan").events if e["event"] == "why"]
    assert [event["label"] for event in told] == LABELS


def test_a_failure_names_its_variant_and_line(folder: WorkspaceFolder) -> None:
    folder.write({"p/triton.toml": PLAN.replace("echo", "[ {matrix.gpu} = L4 ] && echo")})
    outcome = folder.run("build", "//p:plan[batch=1]", "--keep-going")
    assert outcome.targets == {LABELS[0]: "built", LABELS[2]: "failed"}
    error = outcome.error
    assert (error["label"], error["file"], error["line"]) == (LABELS[2], "p/triton.toml", 2)


def test_only_one_variant_can_be_run(folder: WorkspaceFolder) -> None:
    outcome = folder.run("run", "//p:plan[gpu=L4]")
    assert outcome.exit_code == 2
    assert outcome.error["found"] == "//p:plan[gpu=L4] means 2 targets"
    assert outcome.error["expected"] == f"one of: {LABELS[0]}, {LABELS[1]}"


@pytest.mark.parametrize(
    ("inputs", "used"),
    [
        ('":plan[batch=8]"', "H100 8\n"),
        ('":plan[gpu={matrix.gpu},batch=1]"', "H100 1\n"),
        ('":plan[gpu=L4,batch=1]/L4.plan"', "L4 1\n"),
        ('":plan[gpu=L4,batch=8]", ":plan[batch=1]"', "H100 1\nL4 8\n"),
    ],
)
def test_outputs_of_variants_are_inputs(folder: WorkspaceFolder, inputs: str, used: str) -> None:
    folder.write({"p/triton.toml": PLAN + USE.format(inputs=inputs)})
    folder.build("//p:use")
    assert folder.output("p/_/use[gpu=H100]/used").read_text() == used


def test_variants_that_make_the_same_path_are_told(folder: WorkspaceFolder) -> None:
    folder.write({"p/triton.toml": PLAN + USE.format(inputs='":plan"')})
    outcome = folder.run("build", "//p:use")
    assert outcome.exit_code == 7
    error = outcome.error
    assert (error["found"], error["line"]) == (
        ":plan means several targets that make 'H100.plan'",
        12,
    )
    assert error["remedy"] == f"name one of {LABELS[2]}, {LABELS[3]}"


def test_where_one_target_is_wanted_all_variants_are_listed(workspace: MakeWorkspace) -> None:
    text = """
    [commands.pick]
    argv         = ["true"]
    outputs      = ["x"]
    distribution = ":pypi"
    [distributions.pypi]
    matrix = { version = ["0.5.5", "0.7.0"] }
    pypi   = "nvidia-pytriton=={matrix.version}"
    """
    outcome = workspace({"triton.toml": MINIMAL + text}).run("build", "//:pick")
    assert outcome.exit_code == 7
    assert outcome.error["found"] == "':pypi' means 2 targets"
    assert outcome.error["remedy"] == ("name one of //:pypi[version=0.5.5], //:pypi[version=0.7.0]")
    assert outcome.error["line"] == 7


def test_where_one_file_is_wanted_all_variants_are_listed(workspace: MakeWorkspace) -> None:
    text = """
    [backends.onnxruntime]
    [models.m]
    backend  = "onnxruntime"
    versions = { 1 = ":plan[gpu=L4]" }
    """
    outcome = workspace({"p/triton.toml": PLAN + text}).run("build", "//p:m")
    assert outcome.exit_code == 7
    assert outcome.error["found"] == ":plan[gpu=L4] means 2 targets"
    assert outcome.error["remedy"] == f"name one of {LABELS[0]}, {LABELS[1]}"


MODELS = """
[workspace]
name = "test"
distribution = "//:pypi"

[distributions.pypi]
matrix = { version = ["0.5.5", "0.7.0"] }
pypi   = "nvidia-pytriton=={matrix.version}"

[backends.python]

[models.doubles]
backend      = "python"
matrix       = { batch = [0, 4] }
versions     = { 1 = "doubles" }
distribution = ":pypi[version=0.7.0]"

[models.doubles.config]
max_batch_size = "{matrix.batch}"
input          = [{ name = "IN", data_type = "TYPE_FP32", dims = [1] }]
output         = [{ name = "OUT", data_type = "TYPE_FP32", dims = [1] }]
parameters     = { batch = { string_value = "at most {matrix.batch}" } }

[verifications.loads]
matrix  = { version = ["0.5.5", "0.7.0"], batch = [0, 4] }
target  = ":doubles"
timeout = 120
"""
DOUBLES = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUT", 2 * pb_utils.get_input_tensor_by_name(r, "IN").as_numpy())]
            )
            for r in requests
        ]
"""


@pytest.fixture
def models(workspace: MakeWorkspace, shared_cache: Path) -> WorkspaceFolder:
    folder = workspace({"triton.toml": MODELS, "doubles/model.py": DOUBLES})
    folder.cache = shared_cache
    return folder


def test_variants_of_a_model_have_its_name(models: WorkspaceFolder) -> None:
    models.build("//:doubles")
    config = models.output("_/doubles[batch=4]/doubles/config.pbtxt").read_text()
    assert "max_batch_size: 4" in config
    assert "at most 4" in config


def test_a_model_is_verified_against_each_distribution(models: WorkspaceFolder) -> None:
    outcome = models.run("test", "//:loads[batch=4]", timeout=600)
    assert outcome.exit_code == 0, outcome.text
    assert outcome.targets == {
        "//:loads[version=0.5.5,batch=4]": "passed",
        "//:loads[version=0.7.0,batch=4]": "passed",
    }
    logs = {
        version: models.output(f"_/loads[version={version},batch=4]/server.log").read_text()
        for version in ("0.5.5", "0.7.0")
    }
    assert "2.44.0" in logs["0.5.5"]
    assert "2.51.0" in logs["0.7.0"]


def test_a_variant_of_a_model_brings_the_verifications_that_agree(models: WorkspaceFolder) -> None:
    outcome = models.run("test", "//:doubles[batch=4]", timeout=600)
    assert outcome.exit_code == 0, outcome.text
    assert set(outcome.targets) == {
        "//:doubles[batch=4]",
        "//:loads[version=0.5.5,batch=4]",
        "//:loads[version=0.7.0,batch=4]",
    }


def test_a_label_that_is_told_is_a_label(folder: WorkspaceFolder) -> None:
    for label in folder.build("//p:plan").targets:
        assert str(Label.parse(label)) == label
