"""`tritonbuild compose` where registries and processes fail it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, WorkspaceFolder
from parts.composing import (
    Shelf,
    below,
    composed,
    held,
    held_by,
    image_of,
    refused,
    valid,
)
from parts.faulty import Fault, Proxy, What, faulty
from parts.leftovers import traced
from parts.ngc.layers import Blob
from parts.ngc.server import HOME
from parts.ngc.shelf import blob
from parts.ngc.tiny import (
    GONE,
    Members,
    component,
    tiny,
)

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.upkeep import verify
from tritonbuild.oci import Absent, Descriptor
from tritonbuild.oci.registry import Reference, Repository

IDENTITY = f"{HOME}/backends/identity"
BIG = -1
"""Number of the layer of `full` with the server."""


# Registries that fail.


def moved(proxy: Proxy, digest: str) -> int:
    """Bytes of a blob that a registry gave, or sent off before the client broke off."""
    return sum(seen.given for seen in proxy.asked("GET", f"/blobs/{digest}"))


def numbers(count: int) -> bytes:
    """Lines that become half as large when they are compressed."""
    generator = random.Random(2)
    return "".join(f"{generator.randrange(10**6)}\n" for _ in range(count)).encode()


def test_one_backend_more_reads_a_range_of_the_layer_alone(
    shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    data = numbers(600_000)
    sides = [{f"{HOME}/backends/{side}{n}/data": data for n in range(20)} for side in "ab"]
    extra = {**sides[0], **component("backends/amid"), **sides[1]}
    pair = tiny(shelved.store, extra=extra)
    big = pair.full.layers[BIG]
    with faulty(shelved.host) as proxy:
        flags = shelved.put(pair).at(proxy.host).all
        composed(place, *flags, "--backend", "identity", "--layout", "out")
        assert moved(proxy, big.digest) == big.size
        proxy.seen.clear()
        more = ("--backend", "identity", "--backend", "amid")
        composed(place, *flags, *more, "--layout", "more")
        assert any(seen.range for seen in proxy.asked("GET", big.digest))
        assert moved(proxy, big.digest) < big.size / 2
        assert moved(proxy, "") < moved(proxy, big.digest) + 100_000
    made = below(held(image_of(place.root / "more")), f"{HOME}/backends/amid")
    assert made == below(held_by(pair), f"{HOME}/backends/amid")


def test_a_layer_of_min_that_is_gone_is_sent_from_the_cache(
    shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    """It was read when what it holds was looked at."""
    place.cache = tmp_path / "cache"
    pair = tiny(shelved.store, below={"etc/below": b"of this test\n"})
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    made = shipped(composed(place, *flags, "--layout", "out"))
    lose(shelved, pair.min.layers[0])
    to = f"{shelved.host}/acme/mended"
    pushed = shipped(composed(place, *flags, "--push", "--output-name", f"{to}:v1"))
    assert pushed["digest"] == made["digest"]
    with Repository.of(Reference.parse(to)) as repository:
        assert valid(repository, repository.resolve("v1")).descriptor.digest == made["digest"]


def test_a_layer_of_full_that_is_gone_is_not_missed(
    shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    """Its components are cut; one that is not is told as what cannot be had."""
    place.cache = tmp_path / "cache"
    pair = tiny(shelved.store, extra={f"{HOME}/bin/extra": b"of this test\n"})
    flags = shelved.put(pair).all
    composed(place, *flags, "--backend", "identity", "--layout", "out")
    lost = pair.full.layers[BIG]
    lose(shelved, lost)
    to = f"{shelved.host}/acme/cut"
    composed(place, *flags, "--backend", "identity", "--push", "--output-name", f"{to}:v1")
    with Repository.of(Reference.parse(to)) as repository:
        valid(repository, repository.resolve("v1"))
    told = refused(place, *flags, "--backend", "identity", "--backend", "openvino")
    assert lost.digest in told
    assert "blob unknown to registry" in told


def test_both_the_registry_and_the_cache_have_lost_a_layer(
    shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    pair = tiny(shelved.store, below={"etc/below": b"of another test\n"})
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    composed(place, *flags, "--layout", "out")
    lost = pair.min.layers[0]
    lose(shelved, lost)
    assert forget(place, lost)
    to = f"{shelved.host}/acme/lost"
    told = refused(place, *flags, "--push", "--output-name", f"{to}:v1")
    assert lost.digest.removeprefix("sha256:") in told
    with Repository.of(Reference.parse(to)) as repository, pytest.raises(Absent):
        repository.resolve("v1")
    there = blob(shelved.folder, lost.digest)
    there.symlink_to(pair.min.store.path(lost.digest))
    composed(place, *flags, "--push", "--output-name", f"{to}:v1")
    with Repository.of(Reference.parse(to)) as repository:
        valid(repository, repository.resolve("v1"))


def test_what_was_cut_and_is_gone_is_cut_again(
    shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    extra = {f"{IDENTITY}/data": b"of identity\n"}
    flags = [*shelved.put(tiny(shelved.store, extra=extra)).all, "--backend", "identity"]
    made = shipped(composed(place, *flags, "--layout", "out"))
    layers = image_of(place.root / "out").manifest.layers[1:]
    assert sum(forget(place, layer) for layer in layers) >= 2
    again = shipped(composed(place, *flags, "--layout", "again"))
    assert again["digest"] == made["digest"]
    image_of(place.root / "again")


@pytest.mark.parametrize("what", ["cut body", "reset"])
def test_a_registry_that_breaks_off(
    what: What, shelved: Shelf, tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    pair = tiny(shelved.store, extra={f"{IDENTITY}/noise": random.Random(1).randbytes(300_000)})
    flags = shelved.put(pair)
    path = f"/blobs/{pair.full.layers[BIG].digest}"
    with faulty(shelved.host, Fault(what, path=path, times=2)) as proxy:
        composed(place, *flags.at(proxy.host).all, "--backend", "identity", "--layout", "out")
        assert len(proxy.asked("GET", path)) > 2
    made = held(image_of(place.root / "out"))
    assert below(made, IDENTITY) == below(held_by(pair), IDENTITY)


def lose(shelved: Shelf, layer: Blob) -> None:
    """The registry has its name alone."""
    blob(shelved.folder, layer.digest).unlink()


def forget(place: WorkspaceFolder, layer: Blob | Descriptor) -> bool:
    """The cache does not have it any more; whether it had."""
    name = layer.digest.removeprefix("sha256:")
    there = place.cache / "blobs" / name[:2] / name
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
    slow: list[str], tmp_path: Path, place: WorkspaceFolder, rng: random.Random
) -> None:
    place.cache = tmp_path / "clean"
    began = time.monotonic()
    wanted = shipped(composed(place, *slow, "--layout", "out"))["digest"]
    takes = time.monotonic() - began
    out = place.root / "out"
    shutil.rmtree(out)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        place.cache = tmp_path / f"cache{rounds}"
        with traced(place) as trace:
            for done in range(ROUND):
                # What is done stays done: the next one takes less.
                after = rng.uniform(0, takes * (ROUND - done) / ROUND)
                print(f"killed after {after:.3f} s")
                command = ("compose", *slow, "--layout", "out")
                with place.start(*command, start_new_session=True) as process:
                    time.sleep(after)
                    process.kill()
                killed += process.returncode == -signal.SIGKILL
                assert trace.left() == []
                if out.exists():
                    assert image_of(out).descriptor.digest == wanted
                    shutil.rmtree(out)
            composed(place, *slow, "--layout", "out")
            assert image_of(out).descriptor.digest == wanted
            shutil.rmtree(out)
            cache = DiskCache(place.cache)
            assert verify(cache) == []
            assert [*place.root.rglob(".tmp-*"), *cache.tmp.iterdir()] == []
        shutil.rmtree(place.cache.resolve())


def test_two_compositions_at_once_on_one_cache(
    slow: list[str], tmp_path: Path, place: WorkspaceFolder
) -> None:
    place.cache = tmp_path / "cache"
    several = [place.start("compose", *flags, "--layout", f"out{number}")
               for number, flags in enumerate((slow, slow, slow))]  # fmt: skip
    for process in several:
        _, text = process.communicate()
        assert process.returncode == 0, text.decode()
    made = {image_of(place.root / f"out{number}").descriptor.digest for number in range(3)}
    assert len(made) == 1
    assert verify(DiskCache(place.cache)) == []
