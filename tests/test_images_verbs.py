"""The verbs on images, as users call them: push, pull, load, promote, diff and info, with a real
registry and a real Docker daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from conftest import Outcome, WorkspaceFolder
from docker import DockerClient
from parts.dockerd import Dockerd
from parts.ports import free_port
from parts.registry import registry
from parts.serving import IMAGE, image_of, small

from tritonbuild.digest import Digest
from tritonbuild.oci import Platform, image_in
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.validate import validate

AMD64 = Platform.of("linux/amd64")
SMALL = 100_000
"""Bytes that a changed line of a config may move."""
SPDX = "application/spdx+json"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "cache"


@pytest.fixture
def ours(tmp_path: Path, cache: Path) -> WorkspaceFolder:
    workspace = small(tmp_path / "workspace", IMAGE, cache=cache)
    (tmp_path / "docker").mkdir()
    workspace.environment = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    return workspace


@pytest.fixture
def repository(host: str, request: pytest.FixtureRequest) -> str:
    """One that no other test pushes to."""
    name = Digest.of_bytes(request.node.name.encode()).hash[:12]
    return f"{host}/acme/{name}"


def manifest(reference: str, kind: str = "image.manifest") -> tuple[str, dict[str, Any]]:
    """What a registry has, asked without our own code: its digest and the document."""
    host, _, rest = reference.partition("/")
    repository, _, name = rest.replace("@", ":", 1).partition(":")
    accept = {"Accept": f"application/vnd.oci.{kind}.v1+json"}
    with urlopen(Request(f"http://{host}/v2/{repository}/manifests/{name}", None, accept)) as got:
        content = got.read()
    return f"sha256:{Digest.of_bytes(content).hash}", json.loads(content)


def is_absent(reference: str) -> bool:
    try:
        manifest(reference)
    except HTTPError as error:
        return error.code == 404
    return False


def referrers(repository: str, digest: str) -> list[dict[str, Any]]:
    """By the tag that stands in where a registry does not list them itself."""
    fallback = f"{repository}:{digest.replace(':', '-')}"
    found: list[dict[str, Any]] = manifest(fallback, "image.index")[1]["manifests"]
    return found


def shipped(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.exit_code == 0, outcome.text
    return [event for event in outcome.events if event["event"] == "shipped"]


def pushed(outcome: Outcome) -> int:
    assert outcome.exit_code == 0, outcome.text
    count: int = outcome.finished["metrics"]["bytes_pushed"]
    return count


def change_one_line(workspace: WorkspaceFolder) -> None:
    text = (workspace.root / "one/triton.toml").read_text()
    workspace.write({"one/triton.toml": text.replace("size = 4", "size = 5")})


# push


def test_push_moves_what_is_not_there(ours: WorkspaceFolder, repository: str) -> None:
    ours.write({"serving/triton.toml": f'{IMAGE}tags = ["{repository}:v1", "{repository}:v2"]\n'})
    first = ours.run("push", "//serving:server")
    (event,) = shipped(first)
    image = image_of(ours)
    assert event["place"] == f"{repository}:v1"
    assert (event["label"], event["digest"]) == ("//serving:server", image.descriptor.digest)
    assert pushed(first) == event["moved"] > 2_000_000
    for tag in ("v1", "v2"):
        digest, document = manifest(f"{repository}:{tag}")
        assert digest == image.descriptor.digest
    assert len(document["layers"]) == 7

    (event,) = shipped(again := ours.run("push", "//serving:server"))
    assert pushed(again) == event["moved"] == 0
    assert event["there"] > 2_000_000

    change_one_line(ours)
    (event,) = shipped(changed := ours.run("push", "//serving:server"))
    assert 0 < pushed(changed) == event["moved"] < SMALL
    assert manifest(f"{repository}:v1")[0] == image_of(ours).descriptor.digest != digest


def test_push_mounts_what_another_repository_has(ours: WorkspaceFolder, repository: str) -> None:
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}/a:v1"))
    (event,) = shipped(ours.run("push", "//serving:server", "--to", f"{repository}/b:v1"))
    assert event["mounted"] > 2_000_000
    assert event["moved"] < SMALL
    assert manifest(f"{repository}/b:v1")[0] == event["digest"]


def test_push_replaces_stamps_in_tags(ours: WorkspaceFolder, repository: str) -> None:
    git = ["git", "-C", str(ours.root), "-c", "user.name=Test", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=one"], check=True)
    asked = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    ours.write({"serving/triton.toml": f'{IMAGE}tags = ["{repository}:{{git.short}}"]\n'})
    (event,) = shipped(ours.run("push", "//serving:server"))
    assert event["place"] == f"{repository}:{asked.stdout[:12]}"


def test_a_stamp_that_git_does_not_know_is_no_matter_where_it_is_not_wanted(
    ours: WorkspaceFolder, repository: str
) -> None:
    ours.write({"serving/triton.toml": f'{IMAGE}tags = ["{repository}:{{git.short}}"]\n'})
    assert ours.run("info", "//serving:server").exit_code == 0
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    outcome = ours.run("push", "//serving:server")
    assert outcome.exit_code == 2
    assert "{git.short} is not known" in outcome.error["found"]


def test_push_of_a_pattern_takes_what_has_tags(ours: WorkspaceFolder, repository: str) -> None:
    tagged = f'{IMAGE}tags = ["{repository}:v1"]\n'
    plain = IMAGE.replace("images.server", "images.plain")
    ours.write({"serving/triton.toml": tagged + plain})
    assert [event["label"] for event in shipped(ours.run("push", "//..."))] == ["//serving:server"]
    both = ours.run("push", "//serving:all", "--to", f"{repository}:v2")
    assert both.exit_code == 2
    assert "2 images: //serving:plain, //serving:server" in both.error["found"]
    ours.write({"serving/triton.toml": tagged + plain + f'tags = ["{repository}:v1"]\n'})
    twice = ours.run("push", "//serving:all")
    assert twice.exit_code == 2
    assert "have one tag" in twice.error["found"]


def test_push_needs_somewhere_to_push_to(ours: WorkspaceFolder) -> None:
    outcome = ours.run("push", "//serving:server")
    assert outcome.exit_code == 2
    assert outcome.error["found"] == "//serving:server has no tags"
    assert "--to" in outcome.error["remedy"]


def test_what_is_no_image_is_not_loaded(ours: WorkspaceFolder) -> None:
    outcome = ours.run("load", "//one:one", "//:release")
    assert outcome.exit_code == 2
    assert "//one:one (models)" in outcome.error["found"]
    assert "images" in outcome.error["expected"]


def test_push_without_a_registry(ours: WorkspaceFolder) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    outcome = ours.run("push", "//serving:server", "--to", f"{nowhere}/acme/server:v1")
    assert outcome.exit_code == 36
    assert outcome.error["found"] == f"{nowhere}: Connection refused"
    assert outcome.error["remedy"]
    assert "Traceback" not in outcome.text


def test_an_image_that_cannot_be_built_is_not_pushed(
    ours: WorkspaceFolder, repository: str
) -> None:
    tags = f'tags = ["{repository}:v1"]\nsize_budget = "1MB"\n'
    ours.write({"serving/triton.toml": IMAGE + tags})
    outcome = ours.run("push", "//serving:server")
    assert outcome.exit_code == 1
    assert outcome.error["key"] == "images.server.size_budget"
    assert is_absent(f"{repository}:v1")


# promote


def test_promote_takes_attachments_along(
    ours: WorkspaceFolder, repository: str, tmp_path: Path
) -> None:
    attached = f'{IMAGE}tags = ["{repository}:v1"]\nattach = ["spdx", "provenance"]\n'
    ours.write({"serving/triton.toml": attached})
    events = shipped(ours.run("push", "//serving:server"))
    digest = events[-1]["digest"]
    assert events[-1]["artifact_type"] == "", "the name comes last"
    kinds = {event["artifact_type"] for event in events}
    assert kinds == {"", SPDX, "application/vnd.in-toto+json"}
    before = referrers(repository, digest)
    assert {one["artifactType"] for one in before} == kinds - {""}

    there = f"{repository}-released"
    outcome = ours.run("promote", f"{repository}:v1", f"{there}:v1")
    assert {event["artifact_type"] for event in shipped(outcome)} == kinds
    assert pushed(outcome) < SMALL, "mounted within one registry"
    assert manifest(f"{there}:v1")[0] == digest
    assert {one["digest"] for one in referrers(there, digest)} == {one["digest"] for one in before}

    with registry(tmp_path / "other") as other:
        outcome = ours.run("promote", f"{repository}@{digest}", f"{other}/server:v1")
        assert pushed(outcome) > 2_000_000
        assert manifest(f"{other}/server:v1")[0] == digest
        assert len(referrers(f"{other}/server", digest)) == 2


def test_promote_of_what_is_not_there(ours: WorkspaceFolder, repository: str) -> None:
    outcome = ours.run("promote", f"{repository}:v1", f"{repository}:v2")
    assert outcome.exit_code == 1
    assert f"there is no tag 'v1' in {repository}" in outcome.error["found"]
    assert is_absent(f"{repository}:v2")


# pull


def test_pull_brings_a_layout(ours: WorkspaceFolder, repository: str) -> None:
    (event,) = shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    outcome = ours.run("pull", f"{repository}:v1", "brought")
    assert outcome.exit_code == 0, outcome.text
    layout = Layout(ours.root / "brought")
    descriptor = layout.descriptor("v1")
    assert descriptor.digest == event["digest"]
    assert validate(layout, descriptor) == []
    assert outcome.finished["metrics"]["bytes_pulled"] > 2_000_000
    again = ours.run("pull", f"{repository}:v1", "brought")
    assert again.exit_code == 2
    assert "brought is there already" in again.error["found"]
    nothing = ours.run("pull", f"{repository}:v2", "nothing")
    assert nothing.exit_code == 1
    assert nothing.error["found"] == f"there is no tag 'v2' in {repository}"
    other = ours.run("pull", f"{repository}:v1", "nothing", "--platform=linux/arm64")
    assert other.exit_code == 1
    assert "no image for linux/arm64" in other.error["found"]
    assert not (ours.root / "nothing").exists()


def test_pull_of_an_index_brings_all_or_one(ours: WorkspaceFolder, repository: str) -> None:
    root = (ours.root / "triton.toml").read_text()
    arm = '[bases.arm]\nscratch = true\nplatform = "linux/arm64"\n'
    index = '[images.server]\nimages = ["//:nothing", "//:arm"]\n'
    ours.write({"triton.toml": root + arm, "serving/triton.toml": index})
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    assert len(manifest(f"{repository}:v1", "image.index")[1]["manifests"]) == 2
    ours.run("pull", f"{repository}:v1", "both")
    both = Layout(ours.root / "both")
    for architecture in ("amd64", "arm64"):
        image = image_in(both, both.descriptor(), Platform.of(f"linux/{architecture}"))
        assert image.config.architecture == architecture
    ours.run("pull", f"{repository}:v1", "arm", "--platform", "linux/arm64")
    one = Layout(ours.root / "arm")
    assert image_in(one, one.descriptor(), AMD64).config.architecture == "arm64"
    for platform, code in (("linux/s390x", 1), ("arm64", 2)):
        outcome = ours.run("pull", f"{repository}:v1", "none", "--platform", platform)
        assert outcome.exit_code == code, outcome.text


# diff and info


def differences(outcome: Outcome) -> dict[str, set[str]]:
    """Section → names."""
    told: dict[str, set[str]] = {}
    for event in outcome.events:
        if event["event"] == "image-difference":
            told.setdefault(event["section"], set()).add(event["name"])
    return told


def test_diff_tells_what_changed(ours: WorkspaceFolder, repository: str) -> None:
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    same = ours.run("diff", f"{repository}:v1", "//serving:server")
    assert (same.exit_code, differences(same)) == (0, {})
    change_one_line(ours)
    outcome = ours.run("diff", f"{repository}:v1", "//serving:server")
    assert outcome.exit_code == 3
    assert differences(outcome) == {
        "manifest": {"digest"},
        "configs": {"one: max_batch_size"},
        "layers": {"model one config"},
    }
    (batch,) = [e for e in outcome.events if e.get("section") == "configs"]
    assert (batch["before"], batch["after"]) == ("4", "5")


def test_diff_tells_models_files_settings_and_components(ours: WorkspaceFolder) -> None:
    other = IMAGE.replace("images.server", "images.other").replace('"//one", ', "")
    ours.write(
        {
            "serving/triton.toml": f'{IMAGE}labels = {{ x = "1" }}\n{other}'
            'caches = ["local"]\nenv = { A = "a" }\nuser = "7"\n'
        }
    )
    outcome = ours.run("diff", "//serving:server", "//serving:other")
    assert outcome.exit_code == 3
    told = differences(outcome)
    assert told["models"] == {"one"}
    assert told["model files"] == {"one/1/weights"}
    assert told["components"] == {"caches/local"}
    assert told["image"] == {"command", "env A", "label x", "user"}
    assert told["layers"] >= {"cache local", "model one version 1", "model one config"}


def test_diff_tells_another_compression(ours: WorkspaceFolder) -> None:
    other = IMAGE.replace("images.server", "images.other")
    ours.write({"serving/triton.toml": f'{IMAGE}{other}compression = "zstd"\n'})
    outcome = ours.run("diff", "//serving:server", "//serving:other")
    assert outcome.exit_code == 3
    assert differences(outcome)["layers"] == {"Triton", "backend plain"}


def test_info_shows_what_put_each_layer_there(ours: WorkspaceFolder, repository: str) -> None:
    outcome = ours.run("info", "//serving:server")
    assert outcome.exit_code == 0, outcome.text
    (told,) = [event for event in outcome.events if event["event"] == "image"]
    image = image_of(ours)
    assert told["digest"] == image.descriptor.digest
    assert [layer["digest"] for layer in told["layers"]] == [
        layer.digest for layer in image.manifest.layers
    ]
    (weights,) = [layer for layer in told["layers"] if layer["by"] == "model one version 1"]
    assert (weights["files"], weights["unpacked"]) == (1, 999_999)
    assert weights["folders"] == ["/models/one"]
    facts = {(fact["section"], fact["name"]): fact["value"] for fact in told["facts"]}
    assert facts["models", "one"] == "versions 1"
    assert facts["configs", "one: max_batch_size"] == "4"
    assert ("components", "backends/plain") in facts
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    for place in (f"{repository}:v1", "tritonbuild-out/serving/_/server"):
        (other,) = [e for e in ours.run("info", place).events if e["event"] == "image"]
        assert {**other, "image": ""} == {**told, "image": ""}


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["info", "//serving:nothing"], 2, "nothing"),
        (["info", "//one:one"], 2, "no image"),
        (["info", "//serving:server", "--platform", "x"], 2, "OS/ARCHITECTURE"),
        (["info", "//serving:server", "--platform=linux/arm64"], 1, "no image for linux/arm64"),
        (["diff", "//serving:server", "serving"], 1, "oci-layout"),
        (["info", "serving"], 1, "an OCI layout or an archive of one, docker-daemon:NAME"),
        (["info", "./nosuch"], 1, "no file or folder './nosuch' here"),
        (["diff", "//serving:server", "serving/triton.toml"], 1, "triton.toml"),
        (["load", "//serving:server", "--platform", "x"], 2, "OS/ARCHITECTURE"),
        (["load", "//serving:server", "--to", "x/B"], 2, "names no image"),
        (["push", "//serving:server", "--to", "registry.example/UPPER:v1"], 2, "names no image"),
        (["push", "//serving:server", "--to", "x/y", "--form", "modelcar"], 2, "--form modelcar"),
    ],
)
def test_what_cannot_be_looked_at(
    words: list[str], code: int, found: str, ours: WorkspaceFolder
) -> None:
    outcome = ours.run(*words)
    assert outcome.exit_code == code, outcome.text
    assert found in outcome.error["found"] + outcome.error["expected"]


@pytest.mark.parametrize(
    ("image", "key"),
    [('form = "modelcar"\nmodels = ["//one"]', "form"), ('images = ["//:nothing"]', "images")],
)
def test_what_has_no_server_cannot_be_run(ours: WorkspaceFolder, image: str, key: str) -> None:
    ours.write({"serving/triton.toml": f"[images.server]\n{image}\n"})
    outcome = ours.run("run", "//serving:server")
    assert outcome.exit_code == 7, outcome.text
    assert (outcome.error["key"], outcome.error["line"]) == (f"images.server.{key}", 2)


def test_what_may_be_a_mistyped_path_is_told_as_one(ours: WorkspaceFolder) -> None:
    gone = f"127.0.0.1:{free_port()}"
    ours.environment["HTTPS_PROXY"] = f"http://{gone}"
    outcome = ours.run("info", "nosuch")
    assert outcome.exit_code == 36, outcome.text
    assert outcome.error["found"] == (
        "no file or folder 'nosuch' here; as the reference docker.io/library/nosuch: "
        "registry-1.docker.io: the proxy before it: Connection refused"
    )
    assert outcome.error["remedy"].startswith("is the path right?")
    assert "a target (//PACKAGE:NAME)" in outcome.error["expected"]


def test_of_an_image_of_another_platform_nothing_is_shown(
    ours: WorkspaceFolder, repository: str
) -> None:
    shipped(ours.run("push", "//serving:server", "--to", f"{repository}:v1"))
    for platform, code in (("linux/amd64", 0), ("linux/arm64", 1)):
        outcome = ours.run("info", f"{repository}:v1", "--platform", platform)
        assert outcome.exit_code == code, outcome.text
    assert outcome.error["found"] == f"{repository}:v1: no image for linux/arm64"
    assert outcome.error["expected"] == "one of its platforms: linux/amd64"


def test_info_tells_how_an_image_is_run(ours: WorkspaceFolder) -> None:
    said = 'user = "7"\nhealthcheck = ["CMD", "/probe", "-q"]\n'
    ours.write({"serving/triton.toml": f"{IMAGE}{said}"})
    outcome = ours.run("info", "//serving:server")
    (told,) = [event for event in outcome.events if event["event"] == "image"]
    facts = {f["name"]: f["value"] for f in told["facts"] if f["section"] == "image"}
    assert facts["user"] == "7"
    assert facts["healthcheck"].startswith("CMD /probe -q")
    assert "command" in facts


# load


@pytest.fixture
def client(docker_daemon: Dockerd, ours: WorkspaceFolder) -> Iterator[DockerClient]:
    ours.environment["DOCKER_HOST"] = docker_daemon.host
    client = docker_daemon.client()
    yield client
    client.close()


def test_load_sends_what_docker_lacks(
    ours: WorkspaceFolder, client: DockerClient, request: pytest.FixtureRequest
) -> None:
    ours.write({"one/one/weights": request.node.name * 50_000})
    name = "acme/verbs:v1"
    ours.write({"serving/triton.toml": f'{IMAGE}tags = ["{name}"]\n'})
    (event,) = shipped(first := ours.run("load", "//serving:server"))
    assert event["place"] == name
    assert pushed(first) == event["moved"] > 1_000_000
    loaded = client.images.get(name)
    assert loaded.id == image_of(ours).manifest.config.digest == event["digest"]
    assert loaded.attrs["RootFS"]["Layers"] == [layer.diff_id for layer in image_of(ours).layers]
    change_one_line(ours)
    changed = ours.run("load", "//serving:server")
    assert 0 < pushed(changed) < SMALL
    assert client.images.get(name).id == image_of(ours).manifest.config.digest != loaded.id
    told = [e for e in ours.run("info", f"docker-daemon:{name}").events if e["event"] == "image"]
    assert [layer["by"] for layer in told[0]["layers"]][-1] == "model two config"
    out, _ = ours.start("info", f"docker-daemon:{name}").communicate(timeout=60)
    assert b" stored, " in out


def test_load_names_what_has_no_tag_by_its_label(
    ours: WorkspaceFolder, client: DockerClient
) -> None:
    (event,) = shipped(ours.run("load", "//serving:server"))
    assert event["place"] == "serving/server:latest"
    (event,) = shipped(ours.run("load", "//serving:server", "--to", "acme/named:v2"))
    assert client.images.get("acme/named:v2").id == event["digest"]


def test_load_without_a_daemon(ours: WorkspaceFolder, tmp_path: Path) -> None:
    ours.environment["DOCKER_HOST"] = f"unix://{tmp_path}/nothing"
    for words in (
        ["load", "//serving:server"],
        ["info", "docker-daemon:acme/server:v1"],
        ["run", "//serving:server", "--set=docker=true"],
    ):
        outcome = ours.run(*words)
        assert outcome.exit_code == 36, outcome.text
        assert "no Docker daemon at" in outcome.error["found"]
        assert outcome.error["remedy"]
        assert outcome.error["file"] == ""


@pytest.mark.parametrize("docker", ["true", "false"])
def test_a_user_whom_the_image_does_not_know_is_told(
    docker: str, ours: WorkspaceFolder, client: DockerClient
) -> None:
    outcome = ours.run("run", "//serving:server", f"--set=docker={docker}", "--set=user=nobody")
    assert (outcome.exit_code, outcome.error["file"]) == (2, "")
    assert "user 'nobody' is not in the image" in outcome.error["found"]
