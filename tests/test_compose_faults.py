"""`tritonbuild compose` on images that are wrong, or laid out as images may be; and where
registries and processes fail it."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, WorkspaceFolder
from parts.composing import (
    Flags,
    Shelf,
    below,
    composed,
    held,
    held_by,
    image_of,
    refused,
    shelf,
    standing,
    valid,
)
from parts.faulty import Fault, Proxy, What, faulty
from parts.leftovers import traced
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
from tritonbuild.oci import Absent, Descriptor
from tritonbuild.oci.registry import Reference, Repository

IDENTITY = f"{HOME}/backends/identity"
BIG = -1
"""Number of the layer of `full` with the server."""


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with shelf(tmp_path_factory.mktemp("shelf")) as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compose") / "cache"


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> WorkspaceFolder:
    return standing(tmp_path, cache)


Check = Callable[..., None]


@pytest.fixture
def holds(shelved: Shelf, folder: WorkspaceFolder) -> Check:
    """Composes an image of a pair, and sees that it holds of `full`'s file system what is said."""

    def check(
        pair: Pair, *arguments: str, paths: tuple[str, ...], like: Pair | None = None
    ) -> None:
        composed(folder, *shelved.put(pair).all, *arguments, "--layout", "out")
        ours = below(held(image_of(folder.root / "out")), *paths)
        full = below(held_by(like or pair), *paths)
        assert ours == full
        assert len(full) > 2

    return check


# Libraries, links and layers.


def test_a_library_that_nobody_has(shelved: Shelf, folder: WorkspaceFolder) -> None:
    near = f"{LIBRARIES}/libnobody.so.2"
    pair = tiny(
        shelved.store,
        extra={
            **component("backends/identity", "libnobody.so.1"),
            near: library(soname="libnobody.so.2"),
        },
    )
    flags = shelved.put(pair)
    told = refused(folder, *flags.all, "--backend", "identity")
    assert "libnobody.so.1" in told
    assert f"/{IDENTITY}/libtriton_identity.so needs" in told
    looked = told.partition("looked for in ")[2].splitlines()[0].split()
    assert {f"/{IDENTITY}", f"/{LIBRARIES}", "/usr/local/nvidia/lib64"} <= set(looked)
    assert f"nearest: /{near} of `full`" in told
    assert "catalogue" in told
    composed(folder, *flags.all, "--backend", "onnxruntime", "--layout", "out")


def test_libraries_of_two_components_are_told_at_once(
    shelved: Shelf, folder: WorkspaceFolder
) -> None:
    extra = {
        **component("backends/identity", "libnobody.so.1"),
        **component("caches/local", "libneither.so.1"),
    }
    flags = shelved.put(tiny(shelved.store, extra=extra))
    told = refused(folder, *flags.all, "--backend", "identity", "--cache", "local")
    assert "libnobody.so.1" in told
    assert "libneither.so.1" in told


def test_links_that_lead_to_each_other_come_along(shelved: Shelf, holds: Check) -> None:
    holds(tiny(shelved.store, extra=LOOP), "--backend", "identity", paths=(IDENTITY,))


def test_a_library_that_is_links_in_a_circle(shelved: Shelf, folder: WorkspaceFolder) -> None:
    extra = {**LOOP, **component("backends/identity", "libround.so")}
    flags = shelved.put(tiny(shelved.store, extra=extra))
    told = refused(folder, *flags.all, "--backend", "identity")
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
    links: Members, shelved: Shelf, folder: WorkspaceFolder
) -> None:
    flags = shelved.put(tiny(shelved.store, extra=links))
    told = refused(folder, *flags.all, "--backend", "round")
    assert f"/{HOME}/backends/round" in told
    assert "circle" in told


def test_a_component_that_is_a_link_to_nothing(shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(
        tiny(shelved.store, extra={f"{HOME}/backends/lost": Link("/opt/elsewhere/lost")})
    )
    told = refused(folder, *flags.all, "--backend", "lost")
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


def test_a_component_that_is_gone(shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store, later=spread()[:2]))
    told = refused(folder, *flags.all, "--backend", "onnxruntime")
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
    how: str, shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    extra = {**EXTRA, f"{IDENTITY}/how": f"{how}\n".encode() * 1000}
    pair = tiny(shelved.store, extra=extra)
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    there = blob(shelved.folder, pair.full.layers[BIG].digest)
    folder.cache = tmp_path / "cache"
    good = there.readlink()
    there.unlink()
    there.write_bytes(damage(good.read_bytes(), how))
    told = refused(folder, *flags)
    assert pair.full.layers[BIG].digest in told
    there.unlink()
    there.symlink_to(good)
    composed(folder, *flags, "--layout", "out")
    assert verify(DiskCache(folder.cache)) == []
    made = image_of(folder.root / "out")
    assert below(held(made), IDENTITY) == below(held_by(pair), IDENTITY)
    folder.cache = tmp_path / "another"
    composed(folder, *flags, "--layout", "another")
    assert image_of(folder.root / "another").descriptor == made.descriptor


@pytest.mark.parametrize("how", ["changed", "cut short", "empty"])
def test_a_layer_that_was_pushed_damaged(how: str, shelved: Shelf, folder: WorkspaceFolder) -> None:
    """It is what its digest says, and yet no gzip, or no tar."""
    pair = again(tiny(shelved.store, extra=EXTRA), lambda tar: damage(gzip.compress(tar), how))
    told = refused(folder, *shelved.put(pair).all, "--backend", "identity")
    assert pair.full.layers[BIG].digest in told or how == "empty"


# Images that do not go together.


def test_a_min_of_another_system(shelved: Shelf, folder: WorkspaceFolder) -> None:
    other = tiny(shelved.store, system="11").min
    full = tiny(shelved.store, apart=True).full
    told = refused(folder, *shelved.put(Pair(other, full)).all)
    assert "org.opencontainers.image.version=11" in told
    assert "org.opencontainers.image.version=12" in told


def test_a_min_of_another_system_that_says_nothing_in_labels(
    shelved: Shelf, folder: WorkspaceFolder
) -> None:
    pair = tiny(
        shelved.store, below={"etc/os-release": b'ID=ubuntu\nVERSION_ID="22.04"\n'}, apart=True
    )
    told = refused(folder, *shelved.put(pair).all)
    assert "the base is ubuntu 22.04, and `full` debian 12" in told


def test_a_min_of_another_cuda(shelved: Shelf, folder: WorkspaceFolder) -> None:
    other = tiny(shelved.store, cuda="11.8.0").min
    told = refused(folder, *shelved.put(Pair(other, tiny(shelved.store, apart=True).full)).all)
    assert "CUDA_VERSION=11.8.0" in told


def test_a_min_of_another_architecture(shelved: Shelf, folder: WorkspaceFolder) -> None:
    other = tiny(shelved.store, architecture="arm64").min
    flags = shelved.put(Pair(other, tiny(shelved.store, apart=True).full))
    told = refused(folder, *flags.all, code=2)
    assert flags.min in told
    assert "linux/arm64" in told
    assert "linux/amd64" in told


def test_images_for_another_platform(shelved: Shelf, folder: WorkspaceFolder) -> None:
    """Whatever machine this is."""
    pair = tiny(shelved.store, architecture="arm64")
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    refused(folder, *flags, code=2)
    outcome = folder.run("compose", *flags, "--platform", "linux/arm64", "--dry-run")
    assert outcome.exit_code == 0, outcome.text


def test_images_for_cpus_alone(shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store, gpu=False)).all
    told = refused(folder, *flags)
    assert "for CPUs only" in told
    composed(folder, *flags, "--enable-gpu=false", "--layout", "out")
    config = image_of(folder.root / "out").config.config
    assert config is not None
    assert "TRITON_SERVER_GPU_ENABLED=0" in (config.env or [])


def test_images_for_gpus_where_none_are_wanted(shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store)).all
    assert "built for GPUs" in refused(folder, *flags, "--enable-gpu=false")


def test_a_min_without_cuda(shelved: Shelf, folder: WorkspaceFolder) -> None:
    below_ = tiny(shelved.store, gpu=False).min
    flags = shelved.put(Pair(below_, tiny(shelved.store, apart=True).full))
    assert "has no CUDA" in refused(folder, *flags.all)


def test_min_and_full_taken_for_each_other(shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store))
    told = refused(folder, *Flags(min=flags.full, full=flags.min).all)
    assert "is it `full`? The smaller one is `min`" in told


@pytest.mark.parametrize("which", ["min", "full"])
def test_a_tag_that_does_not_exist(which: str, shelved: Shelf, folder: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store))._replace(**{which: f"{shelved.host}/acme/none:v1"})
    told = refused(folder, *flags.all, code=2)
    assert f"{shelved.host}/acme/none:v1" in told
    assert "its tag?" in told


def test_a_registry_that_is_not_there(folder: WorkspaceFolder) -> None:
    told = refused(folder, *Flags("127.0.0.1:1/min:v1", "127.0.0.1:1/full:v1").all, code=36)
    assert "127.0.0.1:1" in told


# Registries that fail.


def moved(proxy: Proxy, digest: str) -> int:
    """Bytes of a blob that a registry gave, or sent off before the client broke off."""
    return sum(seen.given for seen in proxy.asked("GET", f"/blobs/{digest}"))


def numbers(count: int) -> bytes:
    """Lines that become half as large when they are compressed."""
    generator = random.Random(2)
    return "".join(f"{generator.randrange(10**6)}\n" for _ in range(count)).encode()


def test_one_backend_more_reads_a_range_of_the_layer_alone(
    shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    folder.cache = tmp_path / "cache"
    data = numbers(600_000)
    sides = [{f"{HOME}/backends/{side}{n}/data": data for n in range(20)} for side in "ab"]
    extra = {**sides[0], **component("backends/amid"), **sides[1]}
    pair = tiny(shelved.store, extra=extra)
    big = pair.full.layers[BIG]
    with faulty(shelved.host) as proxy:
        flags = shelved.put(pair).at(proxy.host).all
        composed(folder, *flags, "--backend", "identity", "--layout", "out")
        assert moved(proxy, big.digest) == big.size
        proxy.seen.clear()
        more = ("--backend", "identity", "--backend", "amid")
        composed(folder, *flags, *more, "--layout", "more")
        assert any(seen.range for seen in proxy.asked("GET", big.digest))
        assert moved(proxy, big.digest) < big.size / 2
        assert moved(proxy, "") < moved(proxy, big.digest) + 100_000
    made = below(held(image_of(folder.root / "more")), f"{HOME}/backends/amid")
    assert made == below(held_by(pair), f"{HOME}/backends/amid")


def test_a_layer_of_min_that_is_gone_is_sent_from_the_cache(
    shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    """It was read when what it holds was looked at."""
    folder.cache = tmp_path / "cache"
    pair = tiny(shelved.store, below={"etc/below": b"of this test\n"})
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    made = shipped(composed(folder, *flags, "--layout", "out"))
    lose(shelved, pair.min.layers[0])
    to = f"{shelved.host}/acme/mended"
    pushed = shipped(composed(folder, *flags, "--push", "--output-name", f"{to}:v1"))
    assert pushed["digest"] == made["digest"]
    with Repository.of(Reference.parse(to)) as repository:
        assert valid(repository, repository.resolve("v1")).descriptor.digest == made["digest"]


def test_a_layer_of_full_that_is_gone_is_not_missed(
    shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    """Its components are cut; one that is not is told as what cannot be had."""
    folder.cache = tmp_path / "cache"
    pair = tiny(shelved.store, extra={f"{HOME}/bin/extra": b"of this test\n"})
    flags = shelved.put(pair).all
    composed(folder, *flags, "--backend", "identity", "--layout", "out")
    lost = pair.full.layers[BIG]
    lose(shelved, lost)
    to = f"{shelved.host}/acme/cut"
    composed(folder, *flags, "--backend", "identity", "--push", "--output-name", f"{to}:v1")
    with Repository.of(Reference.parse(to)) as repository:
        valid(repository, repository.resolve("v1"))
    told = refused(folder, *flags, "--backend", "identity", "--backend", "openvino")
    assert lost.digest in told
    assert "blob unknown to registry" in told


def test_both_the_registry_and_the_cache_have_lost_a_layer(
    shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    folder.cache = tmp_path / "cache"
    pair = tiny(shelved.store, below={"etc/below": b"of another test\n"})
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    composed(folder, *flags, "--layout", "out")
    lost = pair.min.layers[0]
    lose(shelved, lost)
    assert forget(folder, lost)
    to = f"{shelved.host}/acme/lost"
    told = refused(folder, *flags, "--push", "--output-name", f"{to}:v1")
    assert lost.digest.removeprefix("sha256:") in told
    with Repository.of(Reference.parse(to)) as repository, pytest.raises(Absent):
        repository.resolve("v1")
    there = blob(shelved.folder, lost.digest)
    there.symlink_to(pair.min.store.path(lost.digest))
    composed(folder, *flags, "--push", "--output-name", f"{to}:v1")
    with Repository.of(Reference.parse(to)) as repository:
        valid(repository, repository.resolve("v1"))


def test_what_was_cut_and_is_gone_is_cut_again(
    shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    folder.cache = tmp_path / "cache"
    flags = [*shelved.put(tiny(shelved.store, extra=EXTRA)).all, "--backend", "identity"]
    made = shipped(composed(folder, *flags, "--layout", "out"))
    layers = image_of(folder.root / "out").manifest.layers[1:]
    assert sum(forget(folder, layer) for layer in layers) >= 2
    again = shipped(composed(folder, *flags, "--layout", "again"))
    assert again["digest"] == made["digest"]
    image_of(folder.root / "again")


@pytest.mark.parametrize("what", ["cut body", "reset"])
def test_a_registry_that_breaks_off(
    what: What, shelved: Shelf, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    folder.cache = tmp_path / "cache"
    pair = tiny(shelved.store, extra={f"{IDENTITY}/noise": random.Random(1).randbytes(300_000)})
    flags = shelved.put(pair)
    path = f"/blobs/{pair.full.layers[BIG].digest}"
    with faulty(shelved.host, Fault(what, path=path, times=2)) as proxy:
        composed(folder, *flags.at(proxy.host).all, "--backend", "identity", "--layout", "out")
        assert len(proxy.asked("GET", path)) > 2
    made = held(image_of(folder.root / "out"))
    assert below(made, IDENTITY) == below(held_by(pair), IDENTITY)


def lose(shelved: Shelf, layer: Blob) -> None:
    """The registry has its name alone."""
    blob(shelved.folder, layer.digest).unlink()


def forget(folder: WorkspaceFolder, layer: Blob | Descriptor) -> bool:
    """The cache does not have it any more; whether it had."""
    name = layer.digest.removeprefix("sha256:")
    there = folder.cache / "blobs" / name[:2] / name
    found = there.exists()
    there.unlink(missing_ok=True)
    return found


def shipped(outcome: Outcome) -> dict[str, Any]:
    (event,) = [event for event in outcome.events if event["event"] == "shipped"]
    return event


# Processes.

KILLS = 50
ROUND = 5
"""Kills with one cache."""


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("TRITONBUILD_TEST_SEED") or random.randrange(10**9))
    print(f"TRITONBUILD_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def slow(shelved: Shelf) -> list[str]:
    """Flags of a composition that takes a while: a component of megabytes, in two layers."""
    noise = numbers(600_000)
    extra = {f"{IDENTITY}/one": noise, f"{HOME}/backends/python/other": noise[::-1]}
    later: list[Members] = [{f"{IDENTITY}/two": noise[1:], f"{IDENTITY}/one": GONE}]
    flags = shelved.put(tiny(shelved.store, extra=extra, later=later)).all
    return [*flags, "--backend", "identity", "--cache", "local"]


def test_a_composition_that_is_killed_again_and_again_is_right_in_the_end(
    slow: list[str], tmp_path: Path, folder: WorkspaceFolder, rng: random.Random
) -> None:
    folder.cache = tmp_path / "clean"
    began = time.monotonic()
    wanted = shipped(composed(folder, *slow, "--layout", "out"))["digest"]
    takes = time.monotonic() - began
    out = folder.root / "out"
    shutil.rmtree(out)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        folder.cache = tmp_path / f"cache{rounds}"
        with traced(folder) as trace:
            for done in range(ROUND):
                # What is done stays done: the next one takes less.
                after = rng.uniform(0, takes * (ROUND - done) / ROUND)
                print(f"killed after {after:.3f} s")
                command = ("compose", *slow, "--layout", "out")
                with folder.start(*command, start_new_session=True) as process:
                    time.sleep(after)
                    process.kill()
                killed += process.returncode == -signal.SIGKILL
                assert trace.left() == []
                if out.exists():
                    assert image_of(out).descriptor.digest == wanted
                    shutil.rmtree(out)
            composed(folder, *slow, "--layout", "out")
            assert image_of(out).descriptor.digest == wanted
            shutil.rmtree(out)
            cache = DiskCache(folder.cache)
            assert verify(cache) == []
            assert [*folder.root.rglob(".tmp-*"), *cache.tmp.iterdir()] == []
        shutil.rmtree(folder.cache.resolve())


def test_two_compositions_at_once_on_one_cache(
    slow: list[str], tmp_path: Path, folder: WorkspaceFolder
) -> None:
    folder.cache = tmp_path / "cache"
    several = [folder.start("compose", *flags, "--layout", f"out{number}")
               for number, flags in enumerate((slow, slow, slow))]  # fmt: skip
    for process in several:
        _, text = process.communicate()
        assert process.returncode == 0, text.decode()
    made = {image_of(folder.root / f"out{number}").descriptor.digest for number in range(3)}
    assert len(made) == 1
    assert verify(DiskCache(folder.cache)) == []
