"""`tritonbuild compose`, run on images of a registry; and what the images hold that it makes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import Outcome, WorkspaceFolder

from parts.ngc.build import Pair
from parts.ngc.layers import Store
from parts.ngc.shelf import NAME, ngc, put
from tritonbuild.oci import Content, Descriptor, Image, Platform, image_in
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.validate import validate

AMD64 = Platform.of("linux/amd64")


@dataclass
class Shelf:
    """A registry of NGC-shaped images."""

    folder: Path
    host: str
    store: Store
    _count: int = field(default=0)

    def put(self, pair: Pair) -> Flags:
        """The flags that name them, from now on."""
        self._count += 1
        for tag, image in (("full", pair.full), ("min", pair.min)):
            put(self.folder, image, f"acme/n{self._count}", tag)
        name = f"{self.host}/acme/n{self._count}"
        return Flags(f"{name}:min", f"{name}:full")

    def release(self, name: str) -> Flags:
        """Of one that it has."""
        reference = f"{self.host}/{NAME}:{name}-py3"
        return Flags(f"{reference}-min", reference)


class Flags(NamedTuple):
    min: str
    full: str

    @property
    def all(self) -> list[str]:
        return ["--image", f"min,{self.min}", "--image", f"full,{self.full}"]

    def at(self, host: str) -> Flags:
        """By another name of their registry."""
        return Flags(*(f"{host}/{name.partition('/')[2]}" for name in self))


@contextmanager
def shelf(folder: Path, *releases: str) -> Iterator[Shelf]:
    with ngc(folder / "registry", *releases) as host:
        yield Shelf(folder / "registry", host, Store(folder / "store"))


def standing(folder: Path, cache: Path) -> WorkspaceFolder:
    """No workspace: a folder to stand in, below one of the test's own."""
    for name in ("docker", "here"):
        (folder / name).mkdir(exist_ok=True)
    return WorkspaceFolder(folder / "here", cache, {"DOCKER_CONFIG": str(folder / "docker")})


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with shelf(tmp_path_factory.mktemp("shelf")) as running:
        yield running


@pytest.fixture(scope="module")
def place_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compose") / "cache"


@pytest.fixture
def place(tmp_path: Path, place_cache: Path) -> WorkspaceFolder:
    """Where verbs are started; the cache is its module's."""
    return standing(tmp_path, place_cache)


def composed(folder: WorkspaceFolder, *arguments: str) -> Outcome:
    """One that must succeed."""
    outcome = folder.run("compose", *arguments)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def refused(folder: WorkspaceFolder, *arguments: str, code: int = 1) -> str:
    """What is told of one that must not, and leave nothing behind."""
    outcome = folder.run("compose", *arguments, "--layout", "refused")
    assert outcome.exit_code == code, outcome.text
    assert "Traceback" not in outcome.text
    assert outcome.errors
    assert list(folder.root.glob("refused*")) == []
    return outcome.text


def image_of(layout: Path) -> Image:
    """One that was written, in which everything is as it says."""
    source = Layout(layout)
    return valid(source, source.descriptor())


def valid(source: Content, descriptor: Descriptor) -> Image:
    assert validate(source, descriptor) == []
    return image_in(source, descriptor, AMD64)


class Held(NamedTuple):
    """A path of an image."""

    kind: str
    """`file`, `link`, `folder`."""
    content: bytes | str
    """Of a file; where a link leads."""
    mode: int
    uid: int
    gid: int


def held(image: Image) -> dict[str, Held]:
    """What its layers make together, as tarfile reads them: path → what is there. Hard links are
    the files that they are."""
    found: dict[str, Held] = {}
    for layer in image.layers:
        with layer.uncompressed() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            _put(found, tar)
    return found


def held_by(pair: Pair) -> dict[str, Held]:
    """Likewise, of a `full` whose layers are gzip."""
    found: dict[str, Held] = {}
    for layer in pair.full.layers:
        with tarfile.open(pair.full.store.path(layer.digest), "r|*") as tar:
            _put(found, tar)
    return found


def _put(found: dict[str, Held], tar: tarfile.TarFile) -> None:
    members = [(member, _content(tar, member)) for member in tar]
    for member, _ in members:
        folder, _, name = member.name.rpartition("/")
        if name == ".wh..wh..opq":
            _drop(found, f"{folder}/")
        elif name.startswith(".wh."):
            gone = f"{folder}/{name.removeprefix('.wh.')}".lstrip("/")
            found.pop(gone, None)
            _drop(found, f"{gone}/")
    for member, content in members:
        if member.name.rpartition("/")[2].startswith(".wh."):
            continue
        if not member.isdir():
            _drop(found, f"{member.name}/")
        if member.islnk():
            found[member.name] = found[member.linkname]
            continue
        kind = "folder" if member.isdir() else "link" if member.issym() else "file"
        found[member.name] = Held(kind, content, member.mode, member.uid, member.gid)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | str:
    if not member.isreg():
        return member.linkname
    stream = tar.extractfile(member)
    assert stream is not None
    return stream.read()


def _drop(found: dict[str, Held], below: str) -> None:
    for path in [path for path in found if path.startswith(below)]:
        del found[path]


def below(held: Mapping[str, Held], *folders: str) -> dict[str, Held]:
    """What lies in some of its folders, and these."""
    heads = tuple(f"{folder}/" for folder in folders)
    return {path: it for path, it in held.items() if f"{path}/".startswith(heads)}
