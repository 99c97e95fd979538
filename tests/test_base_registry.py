"""Bases from registries: pinned, fetched once, kept to the byte, built on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from parts.bases import LOWER, UPPER, Standing, image, laid_out, pushed, skopeo
from parts.downloads import assert_stands_nowhere
from parts.images import Memory, file
from parts.registry import HTPASSWD, PASSWORD, log_in, registry

from tritonbuild.oci import Compression, Image, Index, Manifest
from tritonbuild.oci.documents import CONFIG, DOCKER_MANIFEST, INDEX, MANIFEST
from tritonbuild.oci.registry import Reference, Repository, push

Make = Callable[..., Standing]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder of configuration, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def on(tmp_path: Path) -> Make:
    """Makes workspaces that stand on an image; those of one test share a cache unless told."""

    def make(reference: str, name: str = "workspace", cache: str = "cache") -> Standing:
        return Standing(tmp_path / name, tmp_path / cache, f'image = "{reference}"')

    return make


def put(image: Image, reference: str) -> str:
    """Pushes it by ourselves; its digest."""
    with Repository.of(parsed := Reference.parse(reference)) as repository:
        push(image.source, image.descriptor, repository, [parsed.name])
    return image.descriptor.digest


@pytest.mark.parametrize("compression", list(Compression))
def test_a_base_is_as_the_registry_has_it(
    host: str, tmp_path: Path, on: Make, compression: Compression
) -> None:
    there = f"{host}/acme/{compression}:v1"
    manifest = pushed(laid_out(image(compression), tmp_path / "oci"), there, "--preserve-digests")
    workspace = on(there)
    workspace.build()
    base, server = workspace.elsewhere, workspace.server
    assert base.manifest_bytes == manifest
    count = len(base.layers)
    assert server.manifest.layers[:count] == base.manifest.layers
    assert server.config.rootfs.diff_ids[:count] == base.config.rootfs.diff_ids
    assert server.config.config
    assert "WHO=base" in (server.config.config.env or ())


def test_what_docker_has_pushed_is_kept_and_built_on_as_oci(
    host: str, tmp_path: Path, on: Make
) -> None:
    there = f"{host}/acme/schema2:v1"
    manifest = pushed(laid_out(image(), tmp_path / "oci"), there, "--format=v2s2")
    assert json.loads(manifest)["mediaType"] == DOCKER_MANIFEST
    workspace = on(there)
    workspace.build()
    base, server = workspace.elsewhere, workspace.server
    assert base.manifest_bytes == manifest
    assert all(".oci." in layer.media_type for layer in server.manifest.layers)
    blobs = [layer.digest for layer in base.manifest.layers]
    assert [layer.digest for layer in server.manifest.layers[: len(blobs)]] == blobs
    skopeo("copy", f"oci:{workspace.path('server')}", f"oci:{tmp_path / 'copy'}:x")


def test_of_an_index_it_is_the_image_of_the_platform(host: str, on: Make) -> None:
    memory = Memory()
    one = image(memory=memory)
    other = one.config.model_copy(update={"architecture": "arm64"})
    manifest = Manifest(config=memory.put(CONFIG, other.encoded), layers=one.manifest.layers)
    arm = memory.put(MANIFEST, manifest.encoded, platform=other.platform)
    index = Index(manifests=[arm, one.descriptor])
    put(Image(memory, memory.put(INDEX, index.encoded)), there := f"{host}/acme/both:v1")
    workspace = on(there)
    workspace.build("//:elsewhere")
    assert workspace.elsewhere.descriptor.digest == one.descriptor.digest
    workspace.say(f'image = "{there}"\nplatform = "linux/s390x"')
    told = workspace.refused(2)
    assert "no image for linux/s390x" in told
    assert "linux/arm64, linux/amd64" in told
    workspace.say(f'image = "{there}"\nplatform = "linux/arm64"')
    assert "its base for linux/arm64" in workspace.refused(7, "//:server")


def test_an_image_for_another_platform_is_refused(host: str, on: Make) -> None:
    put(image(), there := f"{host}/acme/amd64:v1")
    workspace = on(there)
    workspace.say(f'image = "{there}"\nplatform = "linux/arm64"')
    assert "the image is for linux/amd64" in workspace.refused(2)


def test_a_tag_that_moved_is_taken_by_lock_alone(host: str, on: Make) -> None:
    before = put(image(), there := f"{host}/acme/moving:v1")
    workspace = on(there)
    workspace.build("//:elsewhere")
    after = put(image(layers=(LOWER, UPPER, [file("etc/new", "x")])), there)
    workspace.build("//:elsewhere")
    assert workspace.elsewhere.descriptor.digest == before
    workspace.lock()
    ran = workspace.build("//:elsewhere").ran
    assert workspace.elsewhere.descriptor.digest == after
    # Of the layers the new one alone.
    assert len([name for name in ran if "index layer" in name]) == 1
    assert len([name for name in ran if "fetch" in name]) == 3


def test_a_base_is_fetched_once_and_is_there_without_the_registry(tmp_path: Path, on: Make) -> None:
    one = image()
    with registry(tmp_path / "own") as host:
        put(one, there := f"{host}/acme/base:v1")
        first = on(there)
        pulled = first.build().pulled
    assert pulled == sum(layer.descriptor.size for layer in one.layers)
    second = on(there, "second")
    shutil.copy(first.root / "triton.lock", second.root)
    assert second.build().ran == []
    assert second.elsewhere.descriptor.digest == one.descriptor.digest
    assert second.server.descriptor.digest == first.server.descriptor.digest
    third = on(there, "third", cache="empty")
    shutil.copy(first.root / "triton.lock", third.root)
    assert f"{host}/acme/base@sha256:" in third.refused(36)


def test_a_registry_that_wants_to_know_who_asks(tmp_path: Path, docker: Path, on: Make) -> None:
    with registry(tmp_path / "guarded", HTPASSWD) as host:
        workspace = on(there := f"{host}/acme/base:v1")
        told = workspace.refused(2)
        assert f"docker login {host}" in told
        log_in(docker, host)
        put(image(), there)
        workspace.build("//:elsewhere")
    folder = WorkspaceFolder(workspace.root, workspace.cache)
    assert_stands_nowhere(PASSWORD, folder, told)


def test_what_is_not_there_is_told(host: str, on: Make) -> None:
    told = on(f"{host}/acme/nothing:v1").refused(2)
    assert f"{host}/acme/nothing" in told
    assert "//:elsewhere" in told


@pytest.mark.parametrize(
    "reference", ["https://registry.example/a", "registry.example/A:v1", "a b"]
)
def test_a_name_of_no_image_is_found_in_the_manifest(on: Make, reference: str) -> None:
    told = on(reference).refused(7)
    assert "names no image" in told
    assert "bases.elsewhere.image" in told


def test_every_layer_that_is_not_what_the_image_says_is_told(host: str, on: Make) -> None:
    memory = Memory()
    one = image(memory=memory)
    lies = {"diff_ids": [f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"]}
    rootfs = one.config.rootfs.model_copy(update=lies)
    config = memory.put(CONFIG, one.config.model_copy(update={"rootfs": rootfs}).encoded)
    manifest = Manifest(config=config, layers=one.manifest.layers)
    put(Image(memory, memory.put(MANIFEST, manifest.encoded)), there := f"{host}/acme/liar:v1")
    told = on(there).refused()
    for layer, said in zip(one.layers, "12", strict=True):
        assert f"layer {layer.descriptor.digest}: it has the diff id {layer.diff_id}" in told
        assert f"sha256:{said * 64}, as the image's config says" in told


def test_a_hostile_layer_is_told(host: str, on: Make) -> None:
    put(image(layers=[[file("../escape", "x")]]), there := f"{host}/acme/hostile:v1")
    assert "'../escape' leads out of the root" in on(there).refused()


def test_a_layer_that_may_not_be_passed_on_is_refused(host: str, on: Make) -> None:
    memory = Memory()
    one = image(memory=memory)
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layers = [layer.model_copy(update={"media_type": kind}) for layer in one.manifest.layers]
    manifest = one.manifest.model_copy(update={"layers": layers})
    put(Image(memory, memory.put(MANIFEST, manifest.encoded)), there := f"{host}/acme/foreign:v1")
    told = on(there).refused(2)
    assert "may not be passed on" in told
    assert "take a base without it" in told


def test_a_blob_that_is_damaged_in_the_registry_is_refused(tmp_path: Path, on: Make) -> None:
    one = image()
    with registry(tmp_path / "damaged") as host:
        put(one, there := f"{host}/acme/base:v1")
        workspace = on(there)
        workspace.lock()
        hash = one.layers[0].descriptor.content.hash
        blob = tmp_path / f"damaged/data/docker/registry/v2/blobs/sha256/{hash[:2]}/{hash}/data"
        good = blob.read_bytes()
        blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert f"sha256:{hash}" in workspace.refused()
        blob.write_bytes(good)
        workspace.build("//:elsewhere")


def test_a_push_beside_the_base_moves_none_of_its_layers(host: str, on: Make) -> None:
    one = image()
    put(one, there := f"{host}/acme/below:v1")
    workspace = on(there)
    folder = WorkspaceFolder(workspace.root, workspace.cache)
    outcome = folder.run("push", "//:server", "--to", f"{host}/acme/above:v1")
    assert outcome.exit_code == 0, outcome.text
    shipped = [event for event in outcome.events if event["event"] == "shipped"]
    itself = next(event for event in shipped if not event["artifact_type"])
    assert itself["mounted"] == sum(layer.descriptor.size for layer in one.layers)
    (pinned,) = [locked for locked in workspace.locked if locked.name == "manifest.json"]
    assert pinned.url == f"oci://{host}/acme/below@{one.descriptor.digest}"
