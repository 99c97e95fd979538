"""Independent programs read the images that we write, and we read theirs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker.errors import ImageLoadError
from parts import store
from parts.dockerd import Dockerd
from parts.hostile import END, hard, member
from parts.hostile import folder as folder_of
from parts.hostile import link as link_of
from parts.images import Memory, file, folder, link, tar
from parts.missing import missing

from tritonbuild.oci import Compression, Image, Member, Platform, image_in
from tritonbuild.oci.archive import Archive, write_docker_archive
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.oci.validate import validate

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service, effective."""
LONG = f"{'d' * 120}/{'n' * 150}"
LAYERS = [
    [
        folder("bin"),
        file("bin/ping", b"program", 0o4755, xattrs={"security.capability": CAPABILITY}),
        folder("d" * 120),
        file(LONG, "long name"),
        link("link", f"{'t' * 130}/{'u' * 130}"),
        Member("hard", "hardlink", target=LONG),
        folder("ünï"),
        file("ünï/cødę 漢字", "unicode"),
        file("owned", b"", uid=12345, gid=54321),
        folder("gone"),
        file("gone/a"),
        folder("emptied"),
        file("emptied/old"),
    ],
    [file(".wh.gone"), file("emptied/.wh..wh..opq"), file("emptied/new", "new")],
]


def run(program: str, *arguments: object) -> str:
    try:
        path = store.program(program)
    except LookupError as error:
        missing(f"no {program}", str(error))
    command = [path, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Of containers/image: what is to be accepted."""
    path = tmp_path / "policy.json"
    path.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    return path


def laid_out(path: Path, compression: Compression) -> tuple[Image, Layout]:
    image = Memory().image(LAYERS, compression, cmd=["/bin/ping"])
    write_layout(image.source, image.descriptor, path, "latest")
    return image, Layout(path)


def without_fault(source: Layout | Archive) -> Image:
    descriptor = source.descriptor()
    assert validate(source, descriptor) == []
    return image_in(source, descriptor, Platform.of("linux/amd64"))


def check(root: Path) -> None:
    """That a root file system is what the layers say."""
    assert (root / LONG).read_text() == "long name"
    assert (root / "hard").stat().st_ino == (root / LONG).stat().st_ino
    assert os.readlink(root / "link") == f"{'t' * 130}/{'u' * 130}"
    assert (root / "ünï/cødę 漢字").read_text() == "unicode"
    assert not (root / "gone").exists()
    assert os.listdir(root / "emptied") == ["new"]
    status = (root / "owned").stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)
    assert stat.S_IMODE((root / "bin/ping").stat().st_mode) == 0o4755
    assert os.getxattr(root / "bin/ping", "security.capability") == CAPABILITY
    assert (root / "bin/ping").stat().st_mtime == 0


@pytest.mark.parametrize("compression", Compression)
def test_skopeo_reads_and_copies_what_we_write(
    compression: Compression, tmp_path: Path, policy: Path
) -> None:
    image, _ = laid_out(tmp_path / "layout", compression)
    told = json.loads(run("skopeo", "inspect", f"oci:{tmp_path}/layout:latest"))
    assert told["Digest"] == image.descriptor.digest
    assert told["Layers"] == [layer.digest for layer in image.manifest.layers]
    copy = ("skopeo", "--policy", policy, "copy", "--preserve-digests")
    run(*copy, f"oci:{tmp_path}/layout:latest", f"oci:{tmp_path}/copy:latest")
    assert without_fault(Layout(tmp_path / "copy")).descriptor.digest == image.descriptor.digest
    run(*copy, f"oci:{tmp_path}/layout:latest", f"oci-archive:{tmp_path}/archive:latest")
    assert without_fault(Archive(tmp_path / "archive")).manifest_bytes == image.manifest_bytes


def test_skopeo_and_we_exchange_dockers_archives(tmp_path: Path, policy: Path) -> None:
    image, _ = laid_out(tmp_path / "layout", Compression.GZIP)
    copy = ("skopeo", "--policy", policy, "copy")
    archive = f"docker-archive:{tmp_path}/theirs:example.com/name:tag"
    run(*copy, f"oci:{tmp_path}/layout:latest", archive)
    theirs = without_fault(Archive(tmp_path / "theirs"))
    diff_ids = [layer.diff_id for layer in image.layers]
    assert [layer.diff_id for layer in theirs.layers] == diff_ids
    assert Archive(tmp_path / "theirs").descriptor("example.com/name:tag") is not None
    with (tmp_path / "ours").open("wb") as target:
        write_docker_archive(image, target, tags=["example.com/name:tag"])
    run(*copy, f"docker-archive:{tmp_path}/ours", f"oci:{tmp_path}/back:latest")
    assert [layer.diff_id for layer in without_fault(Layout(tmp_path / "back")).layers] == diff_ids


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])  # zstd: not by 0.4
def test_umoci_unpacks_what_we_write(compression: Compression, tmp_path: Path) -> None:
    laid_out(tmp_path / "layout", compression)
    run("umoci", "unpack", "--image", f"{tmp_path}/layout:latest", tmp_path / "bundle")
    check(tmp_path / "bundle/rootfs")


def test_what_umoci_writes_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/file").write_text("content")
    (tree / "sub" / ("n" * 200)).write_text("long name")
    (tree / "link").symlink_to("sub/file")
    (tree / "hard").hardlink_to(tree / "sub/file")
    layout = tmp_path / "layout"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:latest")
    run("umoci", "insert", "--image", f"{layout}:latest", tree, "/opt")
    run("umoci", "unpack", "--image", f"{layout}:latest", tmp_path / "bundle")
    (tmp_path / "bundle/rootfs/opt/link").unlink()
    run("umoci", "repack", "--image", f"{layout}:latest", tmp_path / "bundle")
    image = without_fault(Layout(layout))
    listings = []
    for layer in image.layers:
        with layer.uncompressed() as stream:
            listings.append(index_layer(stream, 1 << 30))
    pair = [e.kind for e in listings[0].entries if e.path in ("opt/hard", "opt/sub/file")]
    assert pair == ["file", "hardlink"]
    assert ("opt/link", "whiteout") in [(e.path, e.kind) for e in listings[1].entries]


@contextmanager
def buildah(folder: Path) -> Iterator[Callable[..., str]]:
    """With a store of the test's own, which is left empty."""
    policy = folder / "policy.json"
    common = ("--root", folder / "store", "--runroot", folder / "run")

    def call(verb: str, *arguments: object) -> str:
        signed = ("--signature-policy", policy) if verb in ("from", "commit", "pull") else ()
        return run("buildah", *common, verb, *signed, *arguments).strip()

    try:
        yield call
    finally:
        call("rm", "--all")
        call("rmi", "--all")


@pytest.mark.parametrize("compression", Compression)
def test_buildah_builds_on_what_we_write(
    compression: Compression, tmp_path: Path, policy: Path
) -> None:
    image, _ = laid_out(tmp_path / "layout", compression)
    (tmp_path / "more").write_text("more")
    with buildah(tmp_path) as call:
        container = call("from", f"oci:{tmp_path}/layout:latest")
        check(Path(call("mount", container)))
        call("umount", container)
        call("copy", container, tmp_path / "more", "/more")
        call("commit", container, f"oci:{tmp_path}/built:latest")
    built = without_fault(Layout(tmp_path / "built"))
    below = [layer.diff_id for layer in image.layers]
    assert [layer.diff_id for layer in built.layers][: len(below)] == below
    assert len(built.layers) == len(below) + 1


ODD = (
    member("/absolute", b"absolute")
    + hard("hard", "/absolute")
    + folder_of("folder")
    + link_of("link", "/../folder")
    + member("link/file", b"through a link")
    + member(".//dots/./file", b"dots")
    + END
)
"""What is allowed though no honest program writes it."""
PATHS = {
    "absolute": "absolute",
    "hard": "absolute",
    "folder/file": "through a link",
    "dots/file": "dots",
}


def test_umoci_takes_odd_layers_as_we_do(tmp_path: Path) -> None:
    image = Memory().image_of([ODD])
    write_layout(image.source, image.descriptor, tmp_path / "layout", "latest")
    run("umoci", "unpack", "--image", f"{tmp_path}/layout:latest", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    assert {path: (root / path).read_text() for path in PATHS} == PATHS
    same_as_listed(image, {path: len(content) for path, content in PATHS.items()})


def test_docker_takes_odd_layers_as_we_do(tmp_path: Path, docker_daemon: Dockerd) -> None:
    image = Memory().image_of([ODD], cmd=["/none"])
    client = docker_daemon.client()
    with (tmp_path / "archive").open("wb") as target:
        write_docker_archive(image, target)
    with (tmp_path / "archive").open("rb") as source:
        client.images.load(source)
    identity = image.manifest.config.digest
    container = client.containers.create(identity)
    try:
        for path, content in PATHS.items():
            stream, _ = container.get_archive(f"/{path}")
            assert content.encode() in b"".join(stream)
    finally:
        container.remove()
        client.images.remove(identity)
        client.close()


def test_docker_refuses_a_path_that_comes_twice(tmp_path: Path, docker_daemon: Dockerd) -> None:
    image = Memory().image_of([folder_of("a") + folder_of("a/") + END], cmd=["/none"])
    client = docker_daemon.client()
    with (tmp_path / "archive").open("wb") as target:
        write_docker_archive(image, target)
    with (tmp_path / "archive").open("rb") as source, pytest.raises(ImageLoadError):
        client.images.load(source)
    client.close()


def same_as_listed(image: Image, sizes: dict[str, int]) -> None:
    from tritonbuild.oci import Root

    root = Root()
    with image.layers[0].uncompressed() as stream:
        root.put(index_layer(stream, len(ODD)))
    for path, size in sizes.items():
        entry = root.get(path)
        assert entry is not None
        assert (entry.kind, entry.size) == ("file", size)


def test_what_docker_saves_is_read(tmp_path: Path, docker_daemon: Dockerd) -> None:
    image = Memory().image(LAYERS, cmd=["/bin/ping"])
    client = docker_daemon.client()
    with (tmp_path / "ours").open("wb") as target:
        write_docker_archive(image, target, tags=["saved:latest"])
    with (tmp_path / "ours").open("rb") as source:
        client.images.load(source)
    with (tmp_path / "theirs").open("wb") as target:
        target.writelines(client.images.get("saved:latest").save(named=True))
    client.images.remove("saved:latest")
    client.close()
    theirs = without_fault(Archive(tmp_path / "theirs"))
    assert theirs.config_bytes == image.config_bytes
    for layer, members in zip(theirs.layers, LAYERS, strict=True):
        with layer.uncompressed() as stream:
            assert stream.read() == tar(members)
