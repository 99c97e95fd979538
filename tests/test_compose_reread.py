"""Layers of `full` that are read again, here and there: what they hold is what it was when they
were read as a whole, or it is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from conftest import WorkspaceFolder
from parts.bench import Bench
from parts.composing import Shelf, below, composed, held, held_by, image_of, refused
from parts.hostile import END, hard, head, member, pax
from parts.linking import compile_library
from parts.ngc.build import Pair
from parts.ngc.layers import GZIP, PLAIN, Blob, image
from parts.ngc.server import HOME
from parts.ngc.shelf import blob
from parts.ngc.tiny import Members, Same, component, tiny
from tritonbuild.rules.composing import place as places
from tritonbuild.rules.composing.component import cut_component
from tritonbuild.rules.composing.selection import Selection
from tritonbuild.rules.composing.survey import SURVEY, survey_layer
from tritonbuild.rules.layouts import LAYERS
from tritonbuild.rules.linking.facts import LINKAGE
from tritonbuild.rules.linking.linkage import Linkage

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.upkeep import verify
from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError
from tritonbuild.merkle import Entry
from tritonbuild.oci import Compression
from tritonbuild.oci.compression import compressing

IDENTITY, AMID = f"{HOME}/backends/identity", f"{HOME}/backends/amid"
BIG = -1
"""Number of the layer of `full` with the server."""
MEGABYTE = 1 << 20
NOWHERE = "127.0.0.1:1/acme/none"
"""A registry that nobody asks."""


def stored(tar: bytes) -> bytes:
    """Gzip in which every byte of the tar stands as it is."""
    return gzip.compress(tar, 0, mtime=0)


def anew(pair: Pair, make: Callable[[bytes], bytes], pack: Callable[[bytes], bytes]) -> Pair:
    """With another tar in `full`'s large layer, packed in another way."""
    store, layers = pair.full.store, list(pair.full.layers)
    content = store.path(layers[BIG].digest).read_bytes()
    tar = make(content if layers[BIG].media_type == PLAIN else gzip.decompress(content))
    packed, diff_id = pack(tar), f"sha256:{hashlib.sha256(tar).hexdigest()}"
    layers[BIG] = Blob(store.put(packed), len(packed), diff_id, layers[BIG].media_type)
    return Pair(pair.min, image(store, layers, pair.full.config["config"]))


# Other bytes.

CAPABILITY = "SCHILY.xattr.security.capability"


def with_capability(tar: bytes) -> bytes:
    """A file more, which says in a pax header that it may do something."""
    end = tar.rindex(tar.rstrip(b"\0")[-1:]) + 1
    end += -end % 512
    return tar[:end] + pax({CAPABILITY: "none"}) + member(f"{AMID}/helper", mode=0o755) + END


def with_mode(header: bytes, mode: int) -> bytes:
    info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    info.mode = mode
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


HELPER = head(f"{AMID}/helper", size=1, mode=0o755)
OTHER: Mapping[str, tuple[bytes, bytes]] = {
    "content": (b"what amid knows", b"what evil knows"),
    "a mode": (HELPER, with_mode(HELPER, 0o4755)),
    "an attribute": (f"{CAPABILITY}=none".encode(), f"{CAPABILITY}=evil".encode()),
}


@pytest.mark.parametrize("media_type", [GZIP, PLAIN])
@pytest.mark.parametrize("what", OTHER)
def test_a_registry_that_gives_other_bytes_to_who_reads_a_range(
    what: str, media_type: str, shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    extra: Members = {
        f"{HOME}/before/noise": what.encode() * 20,
        **component("backends/amid"),
        f"{AMID}/data": b"what amid knows\n",
    }
    like = tiny(shelved.store, extra=extra, media_type=media_type)
    pack = bytes if media_type == PLAIN else stored
    pair = anew(like, with_capability, pack)
    flags = shelved.put(pair).all
    composed(place, *flags, "--backend", "identity", "--layout", "out")
    there = blob(shelved.folder, pair.full.layers[BIG].digest)
    good, (old, new) = there.readlink(), OTHER[what]
    tar = good.read_bytes() if media_type == PLAIN else gzip.decompress(good.read_bytes())
    assert (tar.count(old), len(old)) == (1, len(new))
    there.unlink()
    there.write_bytes(pack(tar.replace(old, new)))
    both = ("--backend", "identity", "--backend", "amid")
    told = refused(place, *flags, *both)
    assert pair.full.layers[BIG].digest in told
    assert "is not what it was" in told
    assert verify(DiskCache(place.cache)) == []
    there.unlink()
    there.symlink_to(good)
    composed(place, *flags, *both, "--layout", "more")
    place.cache = tmp_path / "another"
    composed(place, *flags, *both, "--layout", "another")
    ours, first = image_of(place.root / "more"), image_of(place.root / "another")
    assert ours.descriptor == first.descriptor
    made = held(ours)
    assert made[f"{AMID}/data"].content == b"what amid knows\n"
    assert made[f"{AMID}/helper"].mode == 0o755


class Fickle(io.BytesIO):
    """Some of its bytes are others when they are read again."""

    def __init__(self, content: bytes, where: range):
        super().__init__(content)
        self._where = where
        self._seen: set[int] = set()
        self.changed = False

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        content = bytearray(super().read(size))
        for place in self._where:
            if start <= place < start + len(content):
                if place in self._seen:
                    content[place - start] ^= 1
                    self.changed = True
                self._seen.add(place)
        return bytes(content)


def test_a_registry_that_gives_other_bytes_the_second_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files on both sides are read first: what became of the blocks between them is in memory, and
    they are read again to be taken over."""
    numbers = "".join(f"{number * number}\n" for number in range(2_000_000)).encode()
    tar = member("one") + hard(f"{AMID}/one", "one") + member(f"{AMID}/data", numbers)
    tar += member("other", b"y") + hard(f"{AMID}/other", "other") + END
    content = gzip.compress(tar, 1, mtime=0)
    survey, digest = of_survey(bench, content), Digest.of_bytes(content)
    stream = Fickle(content, range(1_000_000, 2_500_000, 10_000))

    def opened(self: places.Blobs, sha256: str, start: int = 0) -> BinaryIO:
        return stream

    monkeypatch.setattr(places.Blobs, "open", opened)
    with pytest.raises(ActionError, match=digest.hash):
        bench.run(
            cut_component,
            parameters={
                "blobs": [digest.hash], "by": "amid", "selection": Selection((AMID,)).parameters,
            },
            hints={"blobs": {digest.hash: [digest.size, NOWHERE]}},
            inputs={"surveys/000": survey},
            outputs=[LAYERS, LINKAGE],
        )  # fmt: skip
    assert stream.changed


# A tar without its end.


def bare(tar: bytes) -> bytes:
    """Without what pads the last file, and the end."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        last = read.getmembers()[-1]
    assert last.size % 512
    return tar[: last.offset_data + last.size]


@pytest.mark.parametrize("media_type", [GZIP, PLAIN])
def test_a_layer_that_ends_with_its_last_file(
    media_type: str, shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    """A component's, cut out as it goes by, and afterwards."""
    extra: Members = {**component("backends/amid"), f"{AMID}/last": b"of amid" * 100}
    like = tiny(shelved.store, extra=extra)
    plain = tiny(shelved.store, extra=extra, media_type=media_type)
    pair = anew(plain, bare, bytes if media_type == PLAIN else gzip.compress)
    flags = shelved.put(pair).all
    place.cache = tmp_path / "cache"
    composed(place, *flags, "--backend", "amid", "--layout", "first")
    place.cache = tmp_path / "another"
    composed(place, *flags, "--backend", "identity", "--layout", "other")
    composed(place, *flags, "--backend", "amid", "--layout", "again")
    first, again = image_of(place.root / "first"), image_of(place.root / "again")
    assert first.descriptor == again.descriptor
    assert below(held(first), AMID) == below(held_by(like), AMID)


# Hard links.


@pytest.mark.parametrize("inside", [True, False])
def test_hard_links_in_a_circle(inside: bool, shelved: Shelf, place: WorkspaceFolder) -> None:
    folder = IDENTITY if inside else "srv"
    extra: Members = {
        f"{folder}/one": Same(f"{folder}/other"),
        f"{folder}/other": Same(f"{folder}/one"),
        f"{IDENTITY}/link": Same(f"{folder}/one"),
    }
    told = refused(
        place, *shelved.put(tiny(shelved.store, extra=extra)).all, "--backend", "identity"
    )
    assert f"/{folder}/one of `full` is a hard link to /{folder}/other" in told


# Libraries that are looked at again.

FAR = """SECTIONS {
    . = SIZEOF_HEADERS;
    .before : { *(.before) }
    .hash : { *(.hash) } .gnu.hash : { *(.gnu.hash) }
    .dynsym : { *(.dynsym) } .dynstr : { *(.dynstr) }
    .text : { *(.text*) } .dynamic : { *(.dynamic) }
    .after : { *(.after) }
}
"""
"""For the linker: names lie amid megabytes."""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("far")
    (folder / "script").write_text(FAR)
    source = "".join(
        f'__attribute__((section(".{name}"))) const char {name}[{12 << 20}] = {{ 1 }};\n'
        for name in ("before", "after")
    )
    made = compile_library(
        folder / "far", f"-Wl,-T,{folder / 'script'}", soname="libfar.so.1", source=source
    )
    return made.read_bytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def of_survey(bench: Bench, blob: bytes) -> Entry:
    """What the tool makes of a layer that this machine has."""
    digest = bench.cache.put(blob)
    result = bench.run(
        survey_layer,
        parameters={"sha256": digest.hash},
        hints={"blobs": {digest.hash: [digest.size, NOWHERE]}},
        outputs=[SURVEY],
    )
    return result.outputs[SURVEY]


def surveyed(bench: Bench, blob: bytes) -> Path:
    return bench.path(of_survey(bench, blob))


def packed(tar: bytes, compression: Compression) -> bytes:
    target = io.BytesIO()
    with compressing(target, compression) as stream:
        stream.write(tar)
    return target.getvalue()


@pytest.mark.parametrize("compression", list(Compression))
def test_a_library_of_which_the_ends_do_not_tell_all(
    compression: Compression, far: bytes, bench: Bench
) -> None:
    tar = member("first", b"1") + member("libfar.so.1", far) + hard("link", "first") + END
    folder = surveyed(bench, packed(tar, compression))
    linkage = Linkage.decode((folder / LINKAGE).read_bytes())
    assert linkage["libfar.so.1"].soname == "libfar.so.1"


def test_a_library_that_is_another_when_it_is_looked_at_again(
    far: bytes, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tar = member("libfar.so.1", far) + END
    other = stored(tar.replace(b"\0libfar.so.1\0", b"\0libbad.so.1\0"))
    opened: list[str] = []
    right = places.Blobs.open

    def wrong(self: Any, sha256: str, start: int = 0) -> BinaryIO:
        opened.append(sha256)
        if len(opened) == 1:
            return right(self, sha256, start)
        return io.BytesIO(other)

    monkeypatch.setattr(places.Blobs, "open", wrong)
    with pytest.raises(ActionError, match=r"/libfar\.so\.1 is not what it was"):
        surveyed(bench, stored(tar))
    assert len(opened) == 2


def test_what_dpkg_has_of_packages_may_not_be_without_end(bench: Bench) -> None:
    large = head("var/lib/dpkg/info/large.list", size=1 << 33) + bytes(4096)
    with pytest.raises(ActionError, match="MiB of dpkg's lists"):
        surveyed(bench, packed(large, Compression.GZIP))
    half = bytes(9 * MEGABYTE)
    several = b"".join(member(f"var/lib/dpkg/info/{name}.md5sums", half) for name in "ab") + END
    with pytest.raises(ActionError, match=r"'var/lib/dpkg/info/b\.md5sums' makes more"):
        surveyed(bench, packed(several, Compression.GZIP))
