"""Bases that lie on this machine: layouts and archives in the workspace, images that Docker has;
and no base at all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from parts import store
from parts.bases import LOWER, UPPER, Standing, image, laid_out, root_of, skopeo
from parts.dockerd import Dockerd
from parts.images import Memory, file

from tritonbuild.cache.disk import DiskCache
from tritonbuild.oci import Compression, Image, Manifest, Member
from tritonbuild.oci.daemon import load
from tritonbuild.oci.documents import INDEX, MANIFEST, Index
from tritonbuild.oci.layout import write_layout

Make = Callable[..., Standing]


@pytest.fixture
def on(tmp_path: Path) -> Make:
    """Makes workspaces of a base; those of one test share a cache unless told."""

    def make(base: str, name: str = "workspace", cache: str = "cache") -> Standing:
        return Standing(tmp_path / name, tmp_path / cache, base)

    return make


@pytest.mark.parametrize("compression", list(Compression))
def test_a_layout_is_taken_without_a_copy(on: Make, compression: Compression) -> None:
    one = image(compression)
    workspace = on('layout = "base"')
    laid_out(one, workspace.root / "base")
    workspace.build()
    assert workspace.elsewhere.manifest_bytes == one.manifest_bytes
    server = workspace.server
    assert server.manifest.layers[: len(one.layers)] == one.manifest.layers
    assert root_of(server).get("srv/hello")
    cache = DiskCache(workspace.cache)
    assert [cache.find(layer.descriptor.content) for layer in one.layers] == [None, None]


def test_a_layout_that_umoci_and_buildah_wrote(on: Make, tmp_path: Path) -> None:
    workspace = on('layout = "base"\nref = "made"')
    base = workspace.root / "base"
    laid_out(image(), base)
    (tmp_path / "new").write_text("new\n")
    for argv in (
        ["umoci", "tag", "--image", f"{base}:v1", "made"],
        ["umoci", "insert", "--image", f"{base}:made", tmp_path / "new", "/etc/new"],
    ):
        subprocess.run([store.program(str(argv[0])), *map(str, argv[1:])], check=True)
    workspace.build()
    assert len(workspace.elsewhere.layers) == 3
    assert root_of(workspace.server).get("etc/new")


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_an_archive_is_as_good(on: Make, tmp_path: Path, kind: str) -> None:
    one = image()
    workspace = on('layout = "base.tar"')
    laid_out(one, tmp_path / "oci")
    skopeo("copy", f"oci:{tmp_path / 'oci'}:v1", f"{kind}:{workspace.root / 'base.tar'}:a/base:v1")
    workspace.build()
    server = workspace.server
    diff_ids = one.config.rootfs.diff_ids
    assert server.config.rootfs.diff_ids[: len(diff_ids)] == diff_ids
    base = workspace.elsewhere
    assert base.config.rootfs.diff_ids == diff_ids
    cache = DiskCache(workspace.cache)
    assert all(cache.find(layer.descriptor.content) for layer in base.layers)


def test_of_a_layout_of_several_one_is_named(on: Make) -> None:
    memory, workspace = Memory(), on('layout = "base"')
    names = "org.opencontainers.image.ref.name"
    two = [
        held.descriptor.model_copy(update={"annotations": {names: name}})
        for name, held in (
            ("small", image(memory=memory, layers=[LOWER])),
            ("large", image(memory=memory)),
        )
    ]
    write_layout(memory, memory.put(INDEX, Index(manifests=two).encoded), workspace.root / "base")
    (workspace.root / "base/index.json").write_bytes(Index(manifests=two).encoded)
    told = workspace.refused()
    assert "base: base holds 2 images: large, small" in told
    workspace.say('layout = "base"\nref = "larg"')
    assert "did you mean 'large'?" in workspace.refused()
    workspace.say('layout = "base"\nref = "large"')
    workspace.build("//:elsewhere")
    assert len(workspace.elsewhere.layers) == 2


def test_everything_that_is_wrong_with_a_layout_is_told(on: Make) -> None:
    one = image(layers=(LOWER, UPPER, [file("etc/third", "x")]))
    workspace = on('layout = "base"')
    blobs = laid_out(one, workspace.root / "base") / "blobs/sha256"
    first, second, third = (layer.descriptor.content.hash for layer in one.layers)
    (blobs / first).write_bytes(b"x" + (blobs / first).read_bytes()[1:])
    (blobs / second).unlink()
    (blobs / third).write_bytes((blobs / third).read_bytes() + b"\0")
    told = workspace.refused()
    assert f"base: the file {first} is sha256:" in told
    assert f"base holds no {second}" in told
    assert f"base: the file {third} is sha256:" in told
    assert len(list(told.split("expected: sha256:"))) == 3


@pytest.mark.parametrize("gone", ["oci-layout", "index.json"])
def test_a_folder_that_is_no_layout_is_told(on: Make, gone: str) -> None:
    workspace = on('layout = "base"')
    (laid_out(image(), workspace.root / "base") / gone).unlink()
    assert f"base holds no {gone}" in workspace.refused()


def test_a_layout_that_is_not_there_is_told(on: Make) -> None:
    assert "there is no base" in on('layout = "base"').refused(7)


def test_what_another_base_already_told_is_read_once(on: Make) -> None:
    """A change of the image on top leaves the base as it is."""
    workspace = on('layout = "base"')
    laid_out(image(), workspace.root / "base")
    workspace.build()
    (workspace.root / "hello").write_text("changed\n")
    assert not [name for name in workspace.build().ran if "elsewhere" in name]


def test_an_image_of_the_daemon_is_pinned_and_taken_once(
    on: Make, docker_daemon: Dockerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    one, other = image(), image(layers=(LOWER, [file("etc/other", "x")]))
    client = docker_daemon.client()
    identity = load(one, ["acme/pinned:v1"], client).identity
    workspace = on('daemon = "acme/pinned:v1"')
    workspace.build()
    base = workspace.elsewhere
    assert base.config_bytes == one.config_bytes
    assert base.config.rootfs.diff_ids == one.config.rootfs.diff_ids
    assert {locked.url for locked in workspace.locked} == {f"docker-daemon:{identity}"}
    load(other, ["acme/pinned:v1"], client)
    assert workspace.build().ran == []
    assert workspace.elsewhere.descriptor == base.descriptor
    # On another machine the daemon is asked for what is pinned, not for what the name means.
    elsewhere = on('daemon = "acme/pinned:v1"', "second", cache="empty")
    shutil.copy(workspace.root / "triton.lock", elsewhere.root)
    elsewhere.build("//:elsewhere")
    assert elsewhere.elsewhere.descriptor == base.descriptor
    workspace.lock()
    workspace.build("//:elsewhere")
    assert workspace.elsewhere.config_bytes == other.config_bytes
    client.images.remove(identity)
    third = on('daemon = "acme/pinned:v1"', "third", cache="empty too")
    shutil.copy(elsewhere.root / "triton.lock", third.root)
    told = third.refused()
    assert "No such image" in told
    assert f"load {identity} into it again" in told


def test_what_the_daemon_lacks_is_told(
    on: Make, docker_daemon: Dockerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    told = on('daemon = "acme/lacking:v1"').refused(2)
    assert "No such image: acme/lacking:v1" in told
    assert "`docker pull acme/lacking:v1`" in told


def test_no_daemon_is_told(on: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    told = on('daemon = "acme/base:v1"').refused(36)
    assert "no Docker daemon at" in told
    assert "systemctl start docker" in told


def test_scratch_is_nothing(on: Make) -> None:
    workspace = on("scratch = true")
    workspace.build()
    assert workspace.elsewhere.layers == []
    assert root_of(workspace.server).get("srv/hello")


def test_a_hard_link_to_nothing_is_told(on: Make) -> None:
    workspace = on('layout = "base"')
    lower = [Member("etc/link", "hardlink", target="etc/nothing")]
    laid_out(image(layers=[lower]), workspace.root / "base")
    assert "etc/link is a hard link to etc/nothing, which is not" in workspace.refused()


def test_a_media_type_that_lies_is_told(on: Make) -> None:
    memory = Memory()
    one = image(memory=memory)
    kind = Compression.ZSTD.media_type
    layers = [layer.model_copy(update={"media_type": kind}) for layer in one.manifest.layers]
    manifest = Manifest(config=one.manifest.config, layers=layers)
    workspace = on('layout = "base"')
    held = Image(memory, memory.put(MANIFEST, manifest.encoded, platform=one.config.platform))
    laid_out(held, workspace.root / "base")
    told = workspace.refused()
    assert told.count("its compression is gzip") == 2
    assert "zstd, as its media type says" in told


def test_what_analysis_cannot_know_of_a_base_may_be_said(on: Make) -> None:
    base = 'layout = "base"\npython = "3.10"\nglibc = "2.35"'
    workspace = on(base)
    status = "Package: libc6\nStatus: install ok installed\nVersion: 2.35-0ubuntu3\n"
    laid_out(image(layers=[[file("var/lib/dpkg/status", status)]]), workspace.root / "base")
    workspace.build("//:elsewhere")
    info = workspace.base_info
    assert (info.python, info.wheels) == ("3.10", "x86_64-linux-gnu2.35")
    workspace.say(base.replace("2.35", "2.36"))
    told = workspace.refused()
    assert "the base has glibc 2.35" in told
    assert 'say glibc = "2.35"' in told


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("", "nothing that says where it is from"),
        ('scratch = true\nimage = "a/b"', "`image` and `scratch`"),
        ('scratch = true\npackages = ["bash"]', "`packages` with `scratch`"),
        ('image = "a/b"\nref = "v1"', "`ref` with `image`"),
        ('debian = "bookworm"\npackages = ["bash"]\npython = "3.11"', "whose packages tell it"),
        ('scratch = true\npython = "3"', "'3' is no version"),
        ('scratch = true\nglibc = "musl"', "'musl' is no version"),
        ('scratch = true\nplatform = "linux"', "'linux' is not OS/ARCHITECTURE"),
    ],
)
def test_what_cannot_be_is_told(on: Make, base: str, found: str) -> None:
    assert found in on(base).refused(7)
