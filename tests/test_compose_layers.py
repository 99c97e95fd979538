"""`tritonbuild compose` on images laid out as images may be, and on such as are damaged."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from parts.composing import (
    Shelf,
    below,
    composed,
    held,
    held_by,
    image_of,
    refused,
)
from parts.ngc.build import Pair
from parts.ngc.layers import PLAIN, ZSTD, Blob, image
from parts.ngc.native import library
from parts.ngc.releases import LIBRARIES
from parts.ngc.server import HOME
from parts.ngc.shelf import blob
from parts.ngc.tiny import (
    ANEW,
    GONE,
    LOOP,
    ONNXRUNTIME,
    Link,
    Members,
    Same,
    component,
    spread,
    tiny,
)

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.upkeep import verify

IDENTITY = f"{HOME}/backends/identity"
BIG = -1
"""Number of the layer of `full` with the server."""


Check = Callable[..., None]


@pytest.fixture
def holds(shelved: Shelf, place: WorkspaceFolder) -> Check:
    """Composes an image of a pair, and sees that it holds of `full`'s file system what is said."""

    def check(
        pair: Pair, *arguments: str, paths: tuple[str, ...], like: Pair | None = None
    ) -> None:
        composed(place, *shelved.put(pair).all, *arguments, "--layout", "out")
        ours = below(held(image_of(place.root / "out")), *paths)
        full = below(held_by(like or pair), *paths)
        assert ours == full
        assert len(full) > 2

    return check


# Libraries, links and layers.


def test_a_library_that_nobody_has(shelved: Shelf, place: WorkspaceFolder) -> None:
    near = f"{LIBRARIES}/libnobody.so.2"
    pair = tiny(
        shelved.store,
        extra={
            **component("backends/identity", "libnobody.so.1"),
            near: library(soname="libnobody.so.2"),
        },
    )
    flags = shelved.put(pair)
    told = refused(place, *flags.all, "--backend", "identity")
    assert "libnobody.so.1" in told
    assert f"/{IDENTITY}/libtriton_identity.so needs" in told
    looked = told.partition("looked for in ")[2].splitlines()[0].split()
    assert {f"/{IDENTITY}", f"/{LIBRARIES}", "/usr/local/nvidia/lib64"} <= set(looked)
    assert f"nearest: /{near} of `full`" in told
    assert "catalogue" in told
    composed(place, *flags.all, "--backend", "onnxruntime", "--layout", "out")


def test_libraries_of_two_components_are_told_at_once(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    extra = {
        **component("backends/identity", "libnobody.so.1"),
        **component("caches/local", "libneither.so.1"),
    }
    flags = shelved.put(tiny(shelved.store, extra=extra))
    told = refused(place, *flags.all, "--backend", "identity", "--cache", "local")
    assert "libnobody.so.1" in told
    assert "libneither.so.1" in told


def test_links_that_lead_to_each_other_come_along(shelved: Shelf, holds: Check) -> None:
    holds(tiny(shelved.store, extra=LOOP), "--backend", "identity", paths=(IDENTITY,))


def test_a_library_that_is_links_in_a_circle(shelved: Shelf, place: WorkspaceFolder) -> None:
    extra = {**LOOP, **component("backends/identity", "libround.so")}
    flags = shelved.put(tiny(shelved.store, extra=extra))
    told = refused(place, *flags.all, "--backend", "identity")
    assert "libround.so" in told
    assert "a link to libabout.so" in told


@pytest.mark.parametrize(
    "links",
    [
        {f"{HOME}/backends/round": Link("round")},
        {f"{HOME}/backends/round": Link("about"), f"{HOME}/backends/about": Link("round")},
    ],
)
def test_a_component_that_is_links_in_a_circle(
    links: Members, shelved: Shelf, place: WorkspaceFolder
) -> None:
    flags = shelved.put(tiny(shelved.store, extra=links))
    told = refused(place, *flags.all, "--backend", "round")
    assert f"/{HOME}/backends/round" in told
    assert "circle" in told


def test_a_component_that_is_a_link_to_nothing(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(
        tiny(shelved.store, extra={f"{HOME}/backends/lost": Link("/opt/elsewhere/lost")})
    )
    told = refused(place, *flags.all, "--backend", "lost")
    assert "/opt/elsewhere/lost" in told


@pytest.mark.parametrize("target", ["identity", f"/{HOME}/backends/identity", "../backends/twice"])
def test_a_component_that_is_a_link_to_another(target: str, shelved: Shelf, holds: Check) -> None:
    extra: Members = {
        f"{HOME}/backends/repeat": Link(target), f"{HOME}/backends/twice": Link("identity"),
    }  # fmt: skip
    paths = [f"{HOME}/backends/repeat", IDENTITY]
    if "twice" in target:
        paths.append(f"{HOME}/backends/twice")
    holds(tiny(shelved.store, extra=extra), "--backend", "repeat", paths=tuple(paths))


def test_a_component_that_lies_elsewhere(shelved: Shelf, holds: Check) -> None:
    elsewhere = "srv/backends/far"
    extra: Members = {
        f"{elsewhere}/libtriton_far.so": library("libtritonserver.so", soname="libtriton_far.so"),
        f"{elsewhere}/data/file": b"of far\n",
        f"{HOME}/backends/far": Link(f"/{elsewhere}"),
    }
    pair = tiny(shelved.store, extra=extra)
    holds(pair, "--backend", "far", paths=(f"{HOME}/backends/far", elsewhere))


@pytest.mark.parametrize("layers", [spread()[:1], spread()])
def test_a_component_that_is_spread_over_layers(
    layers: Sequence[Members], shelved: Shelf, holds: Check
) -> None:
    """Changed; and deleted, made again, and made anew."""
    pair = tiny(shelved.store, later=layers)
    holds(pair, "--backend", "onnxruntime", paths=(ONNXRUNTIME,))


def test_a_component_that_is_gone(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store, later=spread()[:2]))
    told = refused(place, *flags.all, "--backend", "onnxruntime")
    assert "has no 'onnxruntime' among its backends" in told
    assert "one of: identity, openvino, python" in told


LATER: dict[str, list[Members]] = {
    "a file is replaced": [{f"{IDENTITY}/data/file": b"another\n"}],
    "a file goes": [{f"{IDENTITY}/data/file": GONE}],
    "a folder goes": [{f"{IDENTITY}/data": GONE}],
    "a folder is made again": [{f"{IDENTITY}/data": GONE}, {f"{IDENTITY}/data/new": b"new\n"}],
    "a folder is anew": [{f"{IDENTITY}/data": ANEW, f"{IDENTITY}/data/new": b"new\n"}],
    "a folder becomes a file": [{f"{IDENTITY}/data": b"no folder\n"}],
    "a file becomes a folder": [{f"{IDENTITY}/NOTICE/file": b"no file\n"}],
    "a link becomes a folder": [{f"{IDENTITY}/link/file": b"no link\n"}],
    "what a hard link stands for is replaced": [{f"{IDENTITY}/data/file": b"another\n"},
                                                {f"{HOME}/LICENSE": b"Somebody's.\n"}],
    "what a hard link stands for goes": [{f"{IDENTITY}/data": GONE, f"{HOME}/LICENSE": GONE},
                                         {f"{HOME}/LICENSE": b"Somebody's.\n"}],
    "a hard link into a lower layer": [{f"{IDENTITY}/late": Same(f"{IDENTITY}/data/file")}],
    "a hard link into a lower layer, whose file is replaced": [
        {f"{IDENTITY}/late": Same(f"{IDENTITY}/data/file")},
        {f"{IDENTITY}/data/file": b"another\n"},
    ],
    "a hard link to what is outside in a lower layer": [
        {f"{IDENTITY}/late": Same(f"{HOME}/TRITON_VERSION")}, {f"{IDENTITY}/LICENSE": GONE},
    ],
    "all goes but comes again": [{f"{HOME}/backends": GONE},
                                 component("backends/identity")],
}  # fmt: skip
EXTRA: Members = {
    f"{IDENTITY}/data/file": b"of identity\n",
    f"{IDENTITY}/data/other": b"other\n",
    f"{IDENTITY}/same": Same(f"{IDENTITY}/data/file"),
    f"{IDENTITY}/again": Same(f"{IDENTITY}/same"),
    f"{IDENTITY}/NOTICE": b"a notice\n",
    f"{IDENTITY}/LICENSE": Same(f"{HOME}/LICENSE"),
    f"{IDENTITY}/libserver.so": Same(f"{HOME}/lib/libtritonserver.so"),
    f"{IDENTITY}/link": Link("data"),
    f"{HOME}/caches/local/NOTICE": Same(f"{IDENTITY}/NOTICE"),
}


@pytest.mark.parametrize("what", LATER)
def test_what_layers_do_to_a_component(what: str, shelved: Shelf, holds: Check) -> None:
    pair = tiny(shelved.store, extra=EXTRA, later=LATER[what])
    core = tuple(f"{HOME}/{name}" for name in ("bin", "lib", "include", "LICENSE"))
    holds(pair, "--backend", "identity", paths=(IDENTITY, *core))


def test_a_hard_link_to_another_component_becomes_a_file(shelved: Shelf, holds: Check) -> None:
    pair = tiny(shelved.store, extra=EXTRA)
    holds(pair, "--cache", "local", paths=(f"{HOME}/caches", f"{HOME}/lib"))


def test_what_a_hard_link_to_another_component_needs_comes_along(
    shelved: Shelf, holds: Check
) -> None:
    twin, needed = f"{HOME}/backends/twin", f"{LIBRARIES}/libonly.so.1"
    extra: Members = {
        **component("backends/other", "libonly.so.1"),
        f"{twin}/libtriton_twin.so": Same(f"{HOME}/backends/other/libtriton_other.so"),
        f"{twin}/model.py": b"# A model.\n",
        needed: library(soname="libonly.so.1"),
    }
    holds(tiny(shelved.store, extra=extra), "--backend", "twin", paths=(twin, needed))


@pytest.mark.parametrize("media_type", [ZSTD, PLAIN])
def test_a_layer_that_is_not_gzip(media_type: str, shelved: Shelf, holds: Check) -> None:
    pair = tiny(shelved.store, extra=EXTRA, media_type=media_type)
    like = tiny(shelved.store, extra=EXTRA)
    holds(pair, "--backend", "identity", paths=(f"{HOME}/lib", IDENTITY), like=like)


def again(pair: Pair, pack: Callable[[bytes], bytes], number: int = BIG) -> Pair:
    """With one of `full`'s layers packed in another way."""
    store, layers = pair.full.store, list(pair.full.layers)
    tar = gzip.decompress(store.path(layers[number].digest).read_bytes())
    packed = pack(tar)
    layers[number] = Blob(store.put(packed), len(packed), layers[number].diff_id)
    return Pair(pair.min, image(store, layers, pair.full.config["config"]))


def test_a_layer_of_several_members_of_gzip(shelved: Shelf, holds: Check) -> None:
    def members(tar: bytes) -> bytes:
        return b"".join(gzip.compress(tar[n : n + 5000]) for n in range(0, len(tar), 5000))

    noise = random.Random(0).randbytes(300_000)
    like = tiny(shelved.store, extra={**EXTRA, f"{IDENTITY}/noise": noise})
    pair = again(like, members)
    holds(pair, "--backend", "identity", paths=(f"{HOME}/lib", IDENTITY), like=like)


# Damage.


def damage(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    if how == "changed":
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return {"cut short": content[:middle], "empty": b"", "longer": content + b"more"}[how]


@pytest.mark.parametrize("how", ["changed", "cut short", "empty", "longer"])
def test_a_layer_whose_bytes_are_damaged(
    how: str, shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    extra = {**EXTRA, f"{IDENTITY}/how": f"{how}\n".encode() * 1000}
    pair = tiny(shelved.store, extra=extra)
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    there = blob(shelved.folder, pair.full.layers[BIG].digest)
    place.cache = tmp_path / "cache"
    good = there.readlink()
    there.unlink()
    there.write_bytes(damage(good.read_bytes(), how))
    told = refused(place, *flags)
    assert pair.full.layers[BIG].digest in told
    there.unlink()
    there.symlink_to(good)
    composed(place, *flags, "--layout", "out")
    assert verify(DiskCache(place.cache)) == []
    made = image_of(place.root / "out")
    assert below(held(made), IDENTITY) == below(held_by(pair), IDENTITY)
    place.cache = tmp_path / "another"
    composed(place, *flags, "--layout", "another")
    assert image_of(place.root / "another").descriptor == made.descriptor


@pytest.mark.parametrize("how", ["changed", "cut short", "empty"])
def test_a_layer_that_was_pushed_damaged(how: str, shelved: Shelf, place: WorkspaceFolder) -> None:
    """It is what its digest says, and yet no gzip, or no tar."""
    pair = again(tiny(shelved.store, extra=EXTRA), lambda tar: damage(gzip.compress(tar), how))
    told = refused(place, *shelved.put(pair).all, "--backend", "identity")
    assert pair.full.layers[BIG].digest in told or how == "empty"
