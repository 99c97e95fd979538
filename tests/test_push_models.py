"""Models that are pushed to a registry by themselves: as a ModelPack and as modelcars, over one set
of blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Outcome, WorkspaceFolder
from parts.registry import registry

from tritonbuild.oci.documents import MANIFEST

Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
FILES: dict[str, str | bytes] = {
    "triton.toml": """\
[workspace]
name = "test"
[backends.python]
[models.one]
backend = "python"
versions = { 1 = "one" }
[models.one.config]
max_batch_size = 4
input = [{ name = "x", data_type = "FP32", dims = [3] }]
output = [{ name = "y", data_type = "FP32", dims = [3] }]
[repositories.served]
models = [":one"]
""",
    "one/model.py": "class TritonPythonModel: ...\n",
    "one/weights.bin": bytes(range(256)) * 4096,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def shipped(outcome: Outcome) -> dict[str, Any]:
    assert outcome.exit_code == 0, outcome.text
    (event,) = [event for event in outcome.events if event["event"] == "shipped"]
    return event


def manifest(host: str, repository: str, tag: str) -> dict[str, Any]:
    address = f"http://{host}/v2/{repository}/manifests/{tag}"
    answer = requests.get(address, headers={"Accept": MANIFEST}, timeout=30)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def blobs(document: dict[str, Any]) -> list[str]:
    return [layer["digest"] for layer in document["layers"]]


@pytest.mark.parametrize("target", ["//:one", "//:served"])
def test_the_forms_of_models_share_their_blobs(workspace: Make, host: str, target: str) -> None:
    here = workspace(FILES)
    name = f"acme/{target.removeprefix('//:')}"
    place = f"oci://{host}/{name}:"
    pack = shipped(here.run("push", target, "--to", f"{place}pack"))
    assert pack["moved"] > len(FILES["one/weights.bin"])
    car = shipped(here.run("push", target, "--to", f"{place}car", "--form", "modelcar"))
    assert car["moved"] < 4096
    packed, carried = manifest(host, name, "pack"), manifest(host, name, "car")
    assert packed["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert blobs(packed) == blobs(carried)
    again = shipped(here.run("push", target, "--to", f"{place}car", "--form", "modelcar"))
    assert (again["moved"], again["digest"]) == (0, car["digest"])


def test_a_changed_config_moves_itself_alone(workspace: Make, host: str) -> None:
    here = workspace(FILES)
    place = f"oci://{host}/acme/edited:v1"
    shipped(here.run("push", "//:one", "--to", place))
    text = str(FILES["triton.toml"]).replace("max_batch_size = 4", "max_batch_size = 8")
    here.write({"triton.toml": text})
    assert 0 < shipped(here.run("push", "//:one", "--to", place))["moved"] < 100_000


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--to", "oci://HOST/acme/one:v1", "--form", "modelcat"], "--form modelcat"),
        (["--to", "oci://HOST/Acme/one:v1"], "names no image"),
        (["--to", "somewhere", "--form", "modelcar"], "--form modelcar with"),
        (["--to", "localhost:5000/acme/one:v1"], "a registry or a folder"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_built(
    workspace: Make, host: str, arguments: list[str], found: str
) -> None:
    here = workspace(FILES)
    (here.root / "localhost:5000").mkdir()  # as an earlier mistake left it
    outcome = here.run("push", "//:one", *(word.replace("HOST", host) for word in arguments))
    assert outcome.exit_code == 2, outcome.text
    assert found in outcome.error["found"]
    assert outcome.error["expected"] or outcome.error["remedy"]
    assert not any((here.root / "localhost:5000").iterdir())
    assert not (here.root / "tritonbuild-out").exists()


def test_a_registry_that_is_not_there_is_told(workspace: Make) -> None:
    here = workspace(FILES)
    outcome = here.run("push", "//:one", "--to", "oci://127.0.0.1:1/acme/one:v1")
    assert outcome.exit_code == 1, outcome.text
    assert "127.0.0.1:1" in outcome.error["found"]
    assert Path(here.root, "tritonbuild-out/_/one/one/1/weights.bin").exists()
