"""What a workspace adds to the catalogue, and what is told of components."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Outcome, WorkspaceFolder
from parts.composing import Shelf, composed, held, image_of, refused
from parts.ngc.native import library
from parts.ngc.releases import LIBRARIES
from parts.ngc.server import HOME
from parts.ngc.tiny import Same, component, tiny
from tritonbuild.rules.composing.catalogue import pattern

MATRIX = "libmatrix.so.1"
DRIVER = f'driver = ["{MATRIX}"]\n'


def written(place: WorkspaceFolder, flags: list[str], catalogue: str = "", more: str = "") -> None:
    """A workspace with an image `//:s` of these flags."""
    composed(place, *flags, "--output-name", "s", "--emit-manifest")
    manifest = place.root / "triton.toml"
    text = manifest.read_text()
    if catalogue:
        (place.root / "more.toml").write_text(catalogue)
        text = text.replace(
            "[distributions.triton]", '[distributions.triton]\ncatalogue = "more.toml"'
        )
    manifest.write_text(text + more)


def file(place: WorkspaceFolder, path: str, content: bytes) -> None:
    target = place.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def verified(name: str) -> str:
    return f'\n[verifications.whole]\nkind = "static"\ntarget = ":{name}"\n'


# A static verification.


def test_what_the_machine_brings_is_not_missed_by_a_static_verification(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    pair = tiny(shelved.store, extra=component("backends/mine", MATRIX))
    written(place, [*shelved.put(pair).all, "--backend", "mine"], DRIVER, verified("s"))
    outcome = place.run("test", "//:whole")
    assert (outcome.exit_code, outcome.targets["//:whole"]) == (0, "passed"), outcome.text
    # Nobody says so of another.
    other = DRIVER.replace("matrix", "vector")
    (place.root / "more.toml").write_text(f"{DRIVER}\n")
    assert place.run("test", "//:whole").exit_code == 0
    (place.root / "more.toml").write_text(other)
    assert MATRIX in place.run("test", "//:whole").text


@pytest.fixture
def missed(shelved: Shelf, place: WorkspaceFolder) -> Outcome:
    """A verification of an image with a library that lacks another, and one that lacks a version of
    another."""
    own = '\n[images.own]\ndistribution = ":triton"\nfiles = { "/opt/tritonserver/own" = "own" }\n'
    file(place, "own/liba.so", library("libnobody.so.1", soname="liba.so"))
    file(place, "own/libb.so", library("libbelow.so.2", soname="libb.so", calls="of_it@V_2"))
    below = {
        f"{LIBRARIES}/libbelow.so.2": library(soname="libbelow.so.2", gives="of_it@V_1"),
        f"{LIBRARIES}/libnobody.so.2": library(soname="libnobody.so.2"),
    }
    flags = shelved.put(tiny(shelved.store, below=below)).all
    written(place, flags, more=own + verified("own"))
    return place.run("test", "//:whole")


def test_a_static_verification_speaks_of_the_image_alone(missed: Outcome) -> None:
    assert missed.exit_code == 3, missed.text
    lacking, old = sorted(missed.errors, key=lambda error: "with V_2" in error["found"])
    assert "needs libnobody.so.1, which the image lacks; looked for in" in lacking["found"]
    assert f"nearest: /{LIBRARIES}/libnobody.so.2" in lacking["expected"]
    assert "driver" in lacking["remedy"]
    assert f"with V_2, and /{LIBRARIES}/libbelow.so.2 goes up to V_1" in old["found"]
    for error in (lacking, old):
        told = " ".join((error["found"], error["expected"], error["remedy"]))
        assert "base" not in told
        assert "`full`" not in told
        assert "`min`" not in told


# What a file may say.


@pytest.mark.parametrize("place_of", ["core", "backends.mine", "caches.local"])
def test_what_a_component_cannot_do_without_is_not_a_workspaces_to_say(
    place_of: str, shelved: Shelf, place: WorkspaceFolder
) -> None:
    (place.root / "more.toml").write_text(f'[{place_of}]\nwith = ["python"]\n')
    flags = [*shelved.put(tiny(shelved.store)).all, "--catalogue", "more.toml"]
    told = refused(place, *flags)
    assert f"{place_of}.with" in told
    assert "name in the image itself" in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('driver = ["lib[z-a].so"]', "driver.0"),
        ('[opens]\n"lib[z-a].so" = ["x"]', "opens.lib[z-a].so"),
        ('[opens]\n"libx.so" = ["lib[].so"]', "opens.libx.so.0"),
        ('[core]\npaths = ["lib[z-a].so"]', "core.paths.0"),
        ('[caches.local]\npackages = ["lib[!].so"]', "caches.local.packages.0"),
    ],
)
def test_what_is_no_pattern_is_told_with_its_key(
    text: str, key: str, shelved: Shelf, place: WorkspaceFolder
) -> None:
    (place.root / "more.toml").write_text(text)
    told = refused(place, *shelved.put(tiny(shelved.store)).all, "--catalogue", "more.toml")
    assert f"more.toml: {key}" in told or f"catalogue.toml: {key}" in told
    assert "pattern" in told


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("lib[!a].so", "libb.so", "liba.so"),
        ("lib[!a].so", "lib!.so", "lib/.so"),
        ("lib[^a].so", "libb.so", "liba.so"),
        ("lib[a!].so", "lib!.so", "libb.so"),
        ("lib[a-c].so", "libb.so", "libd.so"),
        ("lib[]x].so", "lib].so", "liby.so"),
        ("lib[\\d].so", "lib\\.so", "lib1.so"),
        ("lib[x.so", "lib[x.so", "libx.so"),
        ("lib*.so", "liba.b.so", "lib/a.so"),
        ("lib?.so", "liba.so", "lib/.so"),
        ("lib/**", "lib/a/b", "lib64/a"),
    ],
)
def test_patterns_are_those_of_shells(text: str, yes: str, no: str) -> None:
    assert pattern((text,)).fullmatch(yes)
    assert not pattern((text,)).fullmatch(no)


# Components.


def test_a_backend_of_ones_own_stands_for_that_which_another_cannot_do_without(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    below = {
        "usr/bin/python3": b"#!/none\n", "usr/bin/bash": b"#!/none\n", "usr/bin/sh": b"#!/none\n",
        f"{LIBRARIES}/libpython3.11.so.1.0": library(soname="libpython3.11.so.1.0"),
    }  # fmt: skip
    extra = {f"{HOME}/backends/python/of_full": b"full's\n", **component("backends/vllm")}
    pair = tiny(shelved.store, extra=extra, below=below)
    own = library("libtritonserver.so", soname="libtriton_python.so", gives="of_mine@V")
    file(place, "mine/libtriton_python.so", own)
    written(place, [*shelved.put(pair).all, "--backend", "vllm"])
    manifest = place.root / "triton.toml"
    text = manifest.read_text().replace('"vllm",', '"vllm", "python",')
    manifest.write_text(f'{text}\n[backends.python]\npath = "mine"\n')
    place.build("//:s")
    python = f"{HOME}/backends/python/"
    image = image_of(place.output("_/s"))
    there = {path: it.content for path, it in held(image).items() if path.startswith(python)}
    assert there == {f"{python}libtriton_python.so": own}
    by = [entry["created_by"] for entry in image.config.history or []]
    assert by.count("backend python") == 1


@pytest.mark.parametrize(
    ("with_full", "found"),
    [
        (False, "the image has no 'openvin' among its backends"),
        (True, "neither the image nor `full` has 'openvin' among its backends"),
    ],
)
def test_what_an_image_lacks_that_is_kept_whole(
    *, with_full: bool, found: str, shelved: Shelf, place: WorkspaceFolder
) -> None:
    whole = shelved.put(tiny(shelved.store, components=("backends/openvino",)))
    full = shelved.put(tiny(shelved.store, extra=component("backends/only")))
    name = place.root / "triton.toml"
    name.write_text(
        '[workspace]\nname = "whole"\n[distributions.whole]\n'
        f'image = "{whole.full}"\n'
        + (f'full = "{full.full}"\n' if with_full else "")
        + "[backends.openvin]\n[backends.elsewhere]\n"
        + "".join(
            f'[images.{image}]\ndistribution = ":whole"\nbackends = ["{backend}"]\n'
            for image, backend in (("near", "openvin"), ("far", "elsewhere"))
        )
    )
    error = place.run("build", "//:near").error
    assert error["found"].endswith(found)
    there = ["identity", "only", "onnxruntime", "openvino", "python"] if with_full else ["openvino"]
    assert error["expected"] == f"one of: {', '.join(there)}"
    assert error["remedy"] == "did you mean 'openvino'?"
    far = place.run("build", "//:far").error
    assert "[backends.elsewhere] path = …" in far["remedy"]
    assert ("full = …" in far["remedy"]) != with_full


def test_doctor_tells_what_a_hard_link_to_a_library_lacks(
    shelved: Shelf, place: WorkspaceFolder, tmp_path: Path
) -> None:
    twin = f"{HOME}/backends/twin"
    extra = {
        **component("backends/other", "libnobody.so.1"),
        f"{twin}/libtriton_twin.so": Same(f"{HOME}/backends/other/libtriton_other.so"),
        f"{twin}/model.py": b"# A model.\n",
    }
    written(place, shelved.put(tiny(shelved.store, extra=extra)).all)
    report = tmp_path / "report.json"
    outcome = place.run("doctor", "--distribution", "//:triton", "--report", str(report))
    assert outcome.exit_code == 1, outcome.text
    found = {finding["subject"]: finding for finding in json.loads(report.read_text())}
    for name in ("other", "twin"):
        assert not found[f"backends/{name}"]["ok"]
        assert f"libtriton_{name}.so needs libnobody.so.1" in found[f"backends/{name}"]["text"]
    assert found["backends/identity"]["ok"]
