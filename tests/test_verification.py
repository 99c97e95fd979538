"""The `verifications` rule: what it finds in models that fail in every way, on a real server."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from conftest import WorkspaceFolder
from parts.verdicts import errors, fails, verified
from tritonbuild.rules.verification import NO_GPU

PACKAGE = """\
[models.m]
backend = "python"
versions = { 1 = "doubles" }
config_file = "vector.pbtxt"
[verifications.v]
target = ":m"
"""


def test_a_model_that_loads_passes_smoke(faulty: WorkspaceFolder) -> None:
    outcome, result = verified(faulty, "doubles_load", "--no-cached-results")
    assert outcome.exit_code == 0
    assert (result["verdict"], result["kind"]) == ("passed", "smoke")
    assert [(each["name"], each["status"]) for each in result["outcomes"]] == [
        ("doubles", "passed")
    ]
    assert b"READY" in faulty.output("_/doubles_load/server.log").read_bytes()


def test_a_version_that_the_policy_names_must_be_served(faulty: WorkspaceFolder) -> None:
    package = PACKAGE.replace("{ 1", '{ 2 = "doubles", 1').replace(
        'config_file = "vector.pbtxt"',
        "[models.m.config]\nversion_policy.specific.versions = [1, 3]",
    )
    vector = '[{ name = "%s", data_type = "TYPE_FP32", dims = [-1] }]'
    io = f"input = {vector % 'x'}\noutput = {vector % 'y'}\n[verifications.v]"
    shutil.copytree(faulty.root / "doubles", faulty.root / "p/doubles")
    faulty.write({"p/triton.toml": package.replace("[verifications.v]", io)})
    outcome = faulty.run("test", "//p:v")
    assert (outcome.exit_code, outcome.targets["//p:v"]) == (3, "failed"), outcome.text
    assert outcome.error["found"] == (
        "model 'm' version 3 is not served, which its version_policy "
        "(specific { versions: 1 versions: 3 }) chooses"
    )
    faulty.write({"p/triton.toml": package.replace("[verifications.v]", io).replace("3]", "2]")})
    assert faulty.run("test", "//p:v").exit_code == 0


def test_an_exception_while_loading_is_named_with_its_line(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "raises_at_load_fails") == (
        "model 'raises_at_load' version 1: ValueError: the weights are not there "
        "(raises_at_load/model.py, line 3, in initialize)"
    )


def test_a_server_that_is_verified_sees_no_gpu(faulty: WorkspaceFolder) -> None:
    model = """
import os

class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("sees " + repr(os.environ["CUDA_VISIBLE_DEVICES"]))
"""
    faulty.write({"raises_at_load/model.py": model})
    faulty.environment["CUDA_VISIBLE_DEVICES"] = "0"
    assert "ValueError: sees ''" in fails(faulty, "raises_at_load_fails")


def test_that_verifications_run_on_no_gpu_is_told(faulty: WorkspaceFolder) -> None:
    config = (faulty.root / "vector.pbtxt").read_text()
    faulty.write({"vector.pbtxt": config + "instance_group { kind: KIND_GPU }"})
    (error,) = errors(faulty, "doubles_load")
    assert "has kind KIND_GPU but no GPUs are available" in error["found"]
    assert error["remedy"] == NO_GPU


def test_every_model_that_does_not_load_is_named(faulty: WorkspaceFolder) -> None:
    found = sorted(error["found"] for error in errors(faulty, "both_broken_fail"))
    named = [text for text in found if text.startswith("model")]
    assert [text.partition(":")[0] for text in named] == [
        "model 'misses_import' version 1",
        "model 'raises_at_load' version 1",
    ]
    assert "No module named 'surely_not_installed'" in named[0]


def test_a_server_that_never_gets_ready_is_given_up(faulty: WorkspaceFolder) -> None:
    found = fails(faulty, "never_ready_fails")
    assert found.startswith("the server was not ready after 4 s; still loading: never_ready")


def test_a_python_process_that_ends_is_not_waited_for(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "exits_fails") == (
        "the Python process of a model ended while the model was loading (exit code 3); "
        "still loading: exits"
    )


def test_a_passed_verification_is_not_run_again(faulty: WorkspaceFolder) -> None:
    verified(faulty, "doubles_load")
    outcome = faulty.run("test", "//:doubles_load")
    assert outcome.targets["//:doubles_load"] == "passed"
    assert outcome.executed == 0


def test_what_a_verification_needs_is_built_without_running_it(faulty: WorkspaceFolder) -> None:
    faulty.build("//:exits_fails")
    assert not faulty.output("_/exits_fails").exists()


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ('kind = "golden"', "a golden verification without cases"),
        ('kind = "smoke"\ncases = "cases/*"', "cases in a verification of kind 'smoke'"),
        ("rtol = 0.1", "rtol in a verification of kind 'smoke'"),
        ('kind = "golden"\ncases = "nothing/*.json"', "no file matches 'nothing/*.json'"),
        ('kind = "golden"\ncases = "nothing.json"', "there is no p/nothing.json"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused(
    faulty: WorkspaceFolder, declared: str, found: str
) -> None:
    assert refused(faulty, PACKAGE + declared)["found"] == found


def test_a_verification_needs_a_distribution(faulty: WorkspaceFolder) -> None:
    manifest = (faulty.root / "triton.toml").read_text()
    faulty.write({"triton.toml": manifest.replace('distribution = "//:pypi"', "")})
    error = refused(faulty, PACKAGE)
    assert error["found"] == "no distribution to serve from"
    assert "[workspace]" in error["remedy"]


def test_a_backend_that_the_distribution_lacks_is_found_before_anything_runs(
    faulty: WorkspaceFolder,
) -> None:
    error = refused(faulty, PACKAGE.replace("python", "square") + "[backends.square]")
    assert error["found"] == "//:pypi has no 'square' among its backends"
    assert "python" in error["expected"]


def test_two_backends_of_one_name_are_not_served_together(faulty: WorkspaceFolder) -> None:
    models = """\
    [backends.shim]
    path = "shim"
    [models.{0}]
    backend = ":shim"
    versions = {{ 1 = "doubles" }}
    """
    repository = """\
    [repositories.r]
    models = ["//:one", ":two"]
    [verifications.v]
    target = ":r"
    """
    root = (faulty.root / "triton.toml").read_text()
    faulty.write(
        {
            "triton.toml": root + models.format("one"),
            "shim/model.py": "# one\n",
            "p/shim/model.py": "# two\n",
        }
    )
    error = refused(faulty, models.format("two") + repository)
    assert error["found"].startswith("two backends are called 'shim'")


def refused(workspace: WorkspaceFolder, package: str) -> dict[str, Any]:
    """The error of the target `v` of a package."""
    shutil.copytree(workspace.root / "doubles", workspace.root / "p" / "doubles")
    shutil.copytree(workspace.root / "cases", workspace.root / "p" / "cases")
    shutil.copy(workspace.root / "vector.pbtxt", workspace.root / "p")
    workspace.write({"p/triton.toml": package})
    outcome = workspace.run("test", "//p:v")
    assert outcome.exit_code == 7, outcome.text
    assert outcome.error["label"] == "//p:v"
    return outcome.error
