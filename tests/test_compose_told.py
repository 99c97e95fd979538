"""What `tritonbuild compose` tells: in the words of its flags, before images are read where that
can be known, and what is no error and yet to be known."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import COMMAND, Outcome, WorkspaceFolder
from parts.composing import Shelf, composed, held, image_of, refused
from parts.faulty import faulty
from parts.ngc.native import library
from parts.ngc.releases import LIBRARIES
from parts.ngc.server import HOME
from parts.ngc.shelf import ngc
from parts.ngc.tiny import component, tiny

from tritonbuild.outputs import locked

RELEASE = "24.03"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has a release by NVIDIA's names."""
    with ngc(tmp_path_factory.mktemp("released"), RELEASE) as host:
        yield host


@pytest.fixture(scope="module")
def flags(shelved: Shelf) -> list[str]:
    return shelved.put(tiny(shelved.store)).all


def notes(outcome: Outcome) -> list[str]:
    return [event["text"] for event in outcome.events if event["event"] == "note"]


def compositions(cache: Path) -> set[Path]:
    return {path.parent for path in cache.glob("compositions/*/triton.toml")}


@pytest.mark.parametrize(
    ("named", "near"),
    [
        (["--backend", "pyton"], "did you mean 'python'"),
        (["--backend", "vllm"], "onnxruntime"),
        (["--cache", "memcached"], "one of: local, redis"),
        (["--repoagent", "checksums"], "did you mean 'checksum'"),
    ],
)
def test_what_a_release_of_nvidias_lacks_is_told_before_any_layer_is_asked_for(
    named: list[str], near: str, released: str, place: WorkspaceFolder
) -> None:
    with faulty(released) as proxy:
        place.environment["TRITONBUILD_REGISTRY_MIRRORS"] = f"nvcr.io=http://{proxy.host}"
        told = refused(place, "--container-version", RELEASE, *named, code=7)
        assert proxy.asked("GET", "/manifests/")
        assert len(proxy.asked("GET", "/blobs/")) <= 2  # configs
    assert repr(named[1]) in told
    assert near in told


@pytest.mark.parametrize("name", ["triton", "identity", "all"])
def test_an_image_may_be_called_as_something_in_it(
    name: str, flags: list[str], place: WorkspaceFolder
) -> None:
    named = [*flags, "--backend", "identity", "--output-name", f"registry.example/acme/{name}:v1"]
    composed(place, *named, "--layout", "out")
    made = image_of(place.root / "out").descriptor
    composed(place, *named, "--emit-manifest")
    place.build(f"//:{name}-image")
    assert image_of(place.output(f"_/{name}-image")).descriptor.digest == made.digest


def test_flags_are_named_and_no_file(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store, gpu=False)).all
    full, below = place.run("compose", *flags, "--layout", "out").errors
    assert full["found"].startswith("--image full: ")
    assert below["found"].startswith("--image min: ")
    for error in (full, below):
        assert "--enable-gpu false" in error["remedy"]
        assert not {"label", "file", "line", "key"} & {name for name, said in error.items() if said}


def test_a_library_that_is_two_is_told_whenever_it_is_built(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    twins = {
        f"{HOME}/backends/{name}/libtwin.so.1": library(soname="libtwin.so.1", gives=f"of_{name}@V")
        for name in ("one", "two")
    }
    extra = {
        **twins,
        **component("backends/one", "libtwin.so.1"),
        **component("backends/two", "libtwin.so.1"),
    }
    flags = shelved.put(tiny(shelved.store, extra=extra)).all
    alone = composed(place, *flags, "--backend", "one", "--layout", "one")
    assert not any("libtwin" in note for note in notes(alone))
    for out in ("made", "cached"):
        both = composed(place, *flags, "--backend", "one", "--backend", "two", "--layout", out)
        (told,) = [note for note in notes(both) if "libtwin" in note]
        for name in ("one", "two"):
            assert f"/{HOME}/backends/{name}/libtriton_{name}.so" in told
    assert both.executed == 0
    composed(place, *flags, "--output-name", "s", "--emit-manifest")
    place.run("doctor", "--distribution", "//:triton", "--report", "report.json")
    assert "libtwin.so.1 is 2 different files" in (place.root / "report.json").read_text()


def test_tags_are_as_they_were_meant_whatever_else_is_asked_for(
    shelved: Shelf, place: WorkspaceFolder, tmp_path: Path
) -> None:
    place.cache = tmp_path / "cache"
    flags = shelved.put(tiny(shelved.store)).all
    unknown = refused(place, *flags, "--skip-pull", code=2)
    assert "leave out --skip-pull" in unknown
    composed(place, *flags, "--layout", "first")
    composed(place, *shelved.put(tiny(shelved.store)).all, "--layout", "another")
    planned = composed(place, *flags, "--backend", "identity", "--skip-pull", "--dry-run")
    assert len([note for note in notes(planned) if " is sha256:" in note]) == 2
    outcome = composed(place, *flags, "--backend", "identity", "--skip-pull", "--layout", "second")
    assert not any("resolving" in note for note in notes(outcome))
    composed(place, *flags, "--backend", "identity", "--layout", "third")
    digests = [image_of(place.root / out).descriptor.digest for out in ("second", "third")]
    assert digests[0] == digests[1]


def test_what_is_there_already_is_left(flags: list[str], place: WorkspaceFolder) -> None:
    composed(place, *flags, "--layout", "out")
    before = (place.root / "out/index.json").stat().st_ino
    (shipped,) = [
        event
        for event in composed(place, *flags, "--layout", "out").events
        if event["event"] == "shipped"
    ]
    assert shipped["moved"] == 0
    assert shipped["there"] > 0
    assert (place.root / "out/index.json").stat().st_ino == before
    outcome = place.run("compose", *flags, "--backend", "identity", "--layout", "out")
    assert outcome.exit_code == 1
    assert "is there already" in outcome.text
    assert (place.root / "out/index.json").stat().st_ino == before


def test_docker_is_asked_for_before_anything_is_made(
    flags: list[str], place: WorkspaceFolder
) -> None:
    place.environment["DOCKER_HOST"] = f"unix://{place.root}/nobody"
    told = place.run("compose", *flags, "--load")
    assert told.exit_code == 36
    assert not any("resolving" in note for note in notes(told))
    outcome = composed(place, *flags, "--output-name", "acme/server:v1")
    assert "no Docker answers; to the folder server, an OCI layout" in notes(outcome)
    image_of(place.root / "server")


def test_compositions_that_nobody_uses_go(flags: list[str], place: WorkspaceFolder) -> None:
    for name in ("old", "held", "new"):
        composed(place, *flags, "--output-name", name, "--layout", name)
    by_name = {(path / "triton.toml").read_text().split("//:")[1].split("`")[0]: path
               for path in compositions(place.cache)}  # fmt: skip
    long_ago = time.time() - 40 * 86400
    for name in ("old", "held"):
        os.utime(by_name[name] / "triton.toml", (long_ago, long_ago))
    with locked(by_name["held"], wait=False):
        done = subprocess.run([*COMMAND, "cache", "gc"], cwd=place.root, env=place.env)
        assert done.returncode == 0
    assert by_name["old"] not in compositions(place.cache)
    assert {by_name["held"], by_name["new"]} <= compositions(place.cache)


def test_an_image_on_another_base_gets_what_only_min_has_of_full(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    """The base is neither `min` nor stands on it."""
    path = f"{LIBRARIES}/libbelow.so.1"
    below = {path: library(soname="libbelow.so.1")}
    pair = tiny(shelved.store, below=below, extra=component("backends/mine", "libbelow.so.1"))
    flags = shelved.put(pair)
    bare = shelved.put(tiny(shelved.store))
    composed(place, *flags.all, "--backend", "mine", "--output-name", "s", "--emit-manifest")
    manifest = place.root / "triton.toml"
    text = manifest.read_text().replace("[images.s]", '[images.s]\nbase = ":bare"')
    manifest.write_text(f'{text}\n[bases.bare]\nimage = "{bare.min}"\n')
    place.build("//:s")
    made = held(image_of(place.output("_/s")))
    assert made[path].content == below[path]


def test_a_package_of_which_a_folder_alone_is_there_is_not_installed(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    extra = {
        **component("backends/mine", "libpack.so.1"),
        f"{LIBRARIES}/libpack.so.1": library(soname="libpack.so.1"),
        "var/lib/dpkg/info/libpack1.list": f"/{LIBRARIES}/libpack.so.1\n".encode(),
        "var/lib/dpkg/info/other.list": f"/{LIBRARIES}\n".encode(),
        "var/lib/dpkg/status": b"".join(
            b"Package: %s\nStatus: install ok installed\nVersion: 1\n\n" % name
            for name in (b"libpack1", b"other")
        ),
    }
    flags = shelved.put(tiny(shelved.store, extra=extra)).all
    composed(place, *flags, "--backend", "mine", "--layout", "out")
    status = held(image_of(place.root / "out"))["var/lib/dpkg/status"].content
    assert isinstance(status, bytes)
    assert b"Package: libpack1" in status
    assert b"Package: other" not in status


def test_what_full_cannot_open_itself_is_told_and_no_error(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    """A library opens another by its name, which needs one that nobody has."""
    opener = library(soname="libopener.so.1", runpath="$ORIGIN")
    extra = {
        **component("backends/mine", "libopener.so.1"),
        f"{LIBRARIES}/libopener.so.1": opener,
        f"{LIBRARIES}/libopener_part.so": library("libhardware.so.9", soname="libopener_part.so"),
    }
    (place.root / "more.toml").write_text('[opens]\n"libopener.so*" = ["libopener_*.so"]\n')
    flags = shelved.put(tiny(shelved.store, extra=extra)).all
    named = ["--backend", "mine", "--catalogue", "more.toml"]
    (told,) = [
        note
        for note in notes(composed(place, *flags, *named, "--layout", "out"))
        if "libhardware" in note
    ]
    assert f"/{LIBRARIES}/libopener_part.so needs libhardware.so.9" in told
    assert f"{LIBRARIES}/libopener_part.so" in held(image_of(place.root / "out"))
    composed(place, *flags, *named, "--output-name", "s", "--emit-manifest")
    place.build("//:s")
    made = image_of(place.output("_/s")).descriptor
    assert made.digest == image_of(place.root / "out").descriptor.digest
