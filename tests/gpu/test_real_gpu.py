"""Commands with `gpu` on a real one: CUDA's driver answers in the sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import MINIMAL, WorkspaceFolder

from tritonbuild import gpus
from tritonbuild.errors import EnvironmentFailure
from tritonbuild.executors.sandbox import namespaces_refusal

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
LOOK = """
[commands.look]
argv    = ["/usr/bin/python3", "cuda.py"]
inputs  = ["cuda.py"]
outputs = ["seen.json"]
"""


@pytest.fixture(scope="session")
def driver() -> gpus.Driver:
    try:
        found = gpus.driver()
    except EnvironmentFailure as error:
        pytest.fail(error.problems[0].found)
    if not found.gpus:
        pytest.fail("no GPU can be used here")
    return found


@pytest.fixture
def folder(workspace: MakeWorkspace, driver: gpus.Driver) -> WorkspaceFolder:
    program = Path(__file__).with_name("cuda.py").read_text()
    return workspace({"triton.toml": MINIMAL + LOOK, "cuda.py": program})


def give_gpu(folder: WorkspaceFolder, gpu: str) -> None:
    folder.write({"triton.toml": f"{MINIMAL}{LOOK}gpu = {gpu}\n"})


def seen(folder: WorkspaceFolder, name: str = "look") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.output(f"_/{name}/seen.json").read_bytes())
    print(json.dumps(found))
    return found


def test_cuda_works_in_the_sandbox(folder: WorkspaceFolder, driver: gpus.Driver) -> None:
    give_gpu(folder, "true")
    folder.build()
    found = seen(folder)
    assert "error" not in found, found
    assert (found["count"], found["copied"]) == (1, True)
    assert found["name"] == driver.gpus[0].name
    assert found["visible"] == driver.gpus[0].uuid


def test_the_second_build_is_cached(folder: WorkspaceFolder) -> None:
    give_gpu(folder, "true")
    assert folder.build().targets == {"//:look": "built"}
    assert folder.build().targets == {"//:look": "cached"}


def test_why_names_the_gpu_and_its_driver(folder: WorkspaceFolder, driver: gpus.Driver) -> None:
    folder.build()
    give_gpu(folder, "true")
    folder.build()
    (why, _) = folder.run("why", "//:look").events
    gpu = driver.gpus[0]
    assert why["reasons"] == [
        f"platform gpu is new: {gpu.name}",
        f"platform gpu-capability is new: {gpu.capability}",
        "platform gpu-count is new: 1",
        f"platform gpu-cuda is new: {driver.cuda}",
        f"platform gpu-driver is new: {driver.version}",
    ]


@pytest.mark.skipif(bool(namespaces_refusal()), reason="without namespaces all of the host is seen")
def test_a_command_sees_no_gpu_but_its_own(folder: WorkspaceFolder, driver: gpus.Driver) -> None:
    folder.build()
    assert seen(folder)["devices"] == []
    assert "error" in seen(folder)
    give_gpu(folder, "true")
    folder.build()
    numbered = [path for path in seen(folder)["devices"] if re.fullmatch(r"/dev/nvidia\d+", path)]
    assert numbered == [f"/dev/nvidia{driver.gpus[0].minor}"]


def test_a_gpu_that_is_not_there_ends_with_thirty_six(folder: WorkspaceFolder) -> None:
    give_gpu(folder, '{ name = "no such GPU" }')
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    print(outcome.text)


def test_two_commands_at_once_get_a_gpu_each(folder: WorkspaceFolder, driver: gpus.Driver) -> None:
    if [gpu.kind for gpu in driver.gpus].count(driver.gpus[0].kind) < 2:
        pytest.skip("one GPU of its kind")
    text = LOOK.replace('"cuda.py"]\n', '"cuda.py", "{matrix.n}"]\n', 1)
    folder.write({"triton.toml": f"{MINIMAL}{text}gpu = true\nmatrix = {{ n = [1, 2] }}\n"})
    folder.build()
    both = [seen(folder, f"look[n={n}]") for n in (1, 2)]
    assert all(found["copied"] and found["count"] == 1 for found in both)
    assert {found["visible"] for found in both} == {gpu.uuid for gpu in driver.gpus[:2]}


def test_a_command_may_have_two(folder: WorkspaceFolder, driver: gpus.Driver) -> None:
    if [gpu.kind for gpu in driver.gpus].count(driver.gpus[0].kind) < 2:
        pytest.skip("one GPU of its kind")
    give_gpu(folder, "{ count = 2 }")
    folder.build()
    assert seen(folder)["count"] == 2
