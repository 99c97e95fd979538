"""`tritonbuild compose` and distributions that lie in images, on images that are shaped as
NVIDIA's, in a real registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, WorkspaceFolder
from parts.ngc.shelf import blob, ngc

from tritonbuild.oci import Image, Layer, Listing, Platform, View, image_in
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.registry import Reference, Repository
from tritonbuild.oci.validate import validate

pytestmark = pytest.mark.xdist_group(__name__)

RELEASE = "24.03"
HOME = "opt/tritonserver"
AMD64 = Platform.of("linux/amd64")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ngc(tmp_path_factory.mktemp("ngc"), RELEASE, "23.10") as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compose") / "cache"


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> WorkspaceFolder:
    """No workspace: a folder to stand in."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "here").mkdir()
    environment = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    return WorkspaceFolder(tmp_path / "here", cache, environment)


def named(host: str, release: str = RELEASE) -> list[str]:
    """The flags that name a release's images."""
    name = f"{host}/nvidia/tritonserver:{release}-py3"
    return ["--image", f"min,{name}-min", "--image", f"full,{name}"]


def composed(folder: WorkspaceFolder, *arguments: str) -> Outcome:
    """One that must succeed."""
    outcome = folder.run("compose", *arguments)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def shipped(outcome: Outcome) -> dict[str, Any]:
    (event,) = [event for event in outcome.events if event["event"] == "shipped"]
    return event


def listing(layer: Layer) -> Listing:
    with layer.uncompressed() as tar:
        return index_layer(tar, 1 << 40)


def files(image: Image) -> dict[str, str]:
    """Path below /opt/tritonserver → digest, or where a link leads."""

    return {
        entry.path: entry.digest or entry.target
        for entry in View(image, listing).root.entries
        if entry.path.startswith(f"{HOME}/") and entry.kind != "folder"
    }


def test_only_what_is_named_comes_along(host: str, folder: WorkspaceFolder) -> None:
    composed(folder, *named(host), "--backend", "python", "--cache", "local", "--layout", "out")
    layout = Layout(folder.root / "out")
    assert validate(layout, layout.descriptor()) == []
    image = image_in(layout, layout.descriptor(), AMD64)
    with Repository.of(Reference.parse(f"{host}/nvidia/tritonserver")) as repository:
        full = files(image_in(repository, repository.resolve(f"{RELEASE}-py3"), AMD64))
    core = ("bin/", "lib/", "include/", "LICENSE", "TRITON_VERSION", "NVIDIA_Deep")
    wanted = (*core, "backends/python/", "caches/local/")
    expected = {
        path: digest
        for path, digest in full.items()
        if path.removeprefix(f"{HOME}/").startswith(wanted)
    }
    assert files(image) == expected
    assert len(expected) > 8


def test_the_second_time_nothing_is_moved(host: str, folder: WorkspaceFolder) -> None:
    flags = [*named(host), "--backend", "identity", "--output-name", f"{host}/acme/again:v1"]
    first = shipped(composed(folder, *flags, "--push"))
    assert first["mounted"] > first["moved"] > 0
    outcome = composed(folder, *flags, "--push")
    second = shipped(outcome)
    assert (second["moved"], second["mounted"]) == (0, 0)
    assert second["digest"] == first["digest"]
    assert outcome.executed == 0


def test_what_it_says_of_itself_is_what_full_says(host: str, folder: WorkspaceFolder) -> None:
    composed(folder, *named(host), "--backend", "identity", "--layout", "out")
    layout = Layout(folder.root / "out")
    image = image_in(layout, layout.descriptor(), AMD64)
    with Repository.of(Reference.parse(f"{host}/nvidia/tritonserver")) as repository:
        full = image_in(repository, repository.resolve(f"{RELEASE}-py3"), AMD64).config.config
    ours = image.config.config
    assert ours is not None
    assert full is not None
    assert ours.entrypoint == full.entrypoint
    assert (ours.cmd, ours.working_dir) == (full.cmd, full.working_dir)
    left_out = {"NVIDIA_BUILD_ID", "DEBIAN_FRONTEND"}
    assert set(full.env or []) - set(ours.env or []) <= {
        item for item in full.env or [] if item.partition("=")[0] in left_out
    }
    labels = {k: v for k, v in (full.labels or {}).items() if not k.startswith("com.nvidia.build")}
    assert ours.labels == labels


def test_the_manifest_that_it_writes_makes_the_same_image(
    host: str, folder: WorkspaceFolder
) -> None:
    flags = [*named(host), "--backend", "identity", "--output-name", "server"]
    composed(folder, *flags, "--layout", "out")
    made = Layout(folder.root / "out").descriptor().digest
    composed(folder, *flags, "--emit-manifest")
    folder.build("//:server")
    assert Layout(folder.output("_/server")).descriptor().digest == made


def test_a_workspace_adds_to_the_catalogue(host: str, folder: WorkspaceFolder) -> None:
    composed(folder, *named(host), "--backend", "identity", "--output-name", "s", "--emit-manifest")
    manifest = folder.root / "triton.toml"
    text = manifest.read_text()
    more = '[distributions.triton]\ncatalogue = "more.toml"'
    manifest.write_text(text.replace("[distributions.triton]", more))
    (folder.root / "more.toml").write_text('[core]\npaths = ["etc/debian_version", "srv/**"]\n')
    folder.build("//:s")
    (folder.root / "more.toml").write_text("[core]\npath = 1\n")
    outcome = folder.run("build", "//:s")
    assert outcome.exit_code == 1
    assert "core.path" in outcome.text


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--image", "min,a", "--image", "min,b"], "two images for min"),
        (["--image", "min,a,b"], "one comma"),
        (["--image", "min,a"], "without full"),
        (["--image", "max,a"], "no image of a release"),
        (["--backend", "../../etc"], "no component's name"),
        (["--backend", "ensemble"], "part of the server"),
        (["--work-dir", "nowhere"], "nowhere"),
        (["--quiet", "--verbose"], "one of the two"),
        (["--dry-run", "--emit-dockerfile"], "--emit-dockerfile and --dry-run"),
        (["--emit-manifest", "--push"], "--emit-manifest and --push"),
        (["--push"], "names no repository"),
        (["--output-name", "Bad Name"], "Bad Name"),
        (["--image", "gpu-min,a"], "take it away"),
        (["--container-version", "2409"], "no release"),
        (["--container-version", "24.09", "--enable-gpu", "false"], "CPUs only"),
        (["--slim", "everything"], "left out"),
        (["--platform", "x86"], "x86"),
    ],
)
def test_what_cannot_be_asked_for_is_told_before_anything_is_fetched(
    folder: WorkspaceFolder, flags: list[str], found: str
) -> None:
    outcome = folder.run("compose", *flags)
    assert outcome.exit_code in (2, 7), outcome.text
    assert found in json.dumps(outcome.errors, ensure_ascii=False), outcome.text
    assert "Traceback" not in outcome.text


def test_a_component_that_is_not_there_is_told_with_those_that_are(
    host: str, folder: WorkspaceFolder
) -> None:
    outcome = folder.run("compose", *named(host), "--backend", "pyton", "--layout", "out")
    assert outcome.exit_code == 1
    assert "'pyton'" in outcome.error["found"]
    assert "identity, python" in outcome.error["expected"]
    assert "did you mean 'python'" in outcome.error["remedy"]
    assert not (folder.root / "out").exists()


def test_images_of_two_releases_are_refused(host: str, folder: WorkspaceFolder) -> None:
    name = f"{host}/nvidia/tritonserver"
    flags = ["--image", f"min,{name}:23.10-py3-min", "--image", f"full,{name}:{RELEASE}-py3"]
    outcome = folder.run("compose", *flags, "--layout", "out")
    assert outcome.exit_code == 1
    assert "CUDA_VERSION" in outcome.text


def test_a_dry_run_reads_no_layer(host: str, folder: WorkspaceFolder, tmp_path: Path) -> None:
    folder.cache = tmp_path / "cold"
    outcome = folder.run("compose", *named(host), "--backend", "python", "--dry-run")
    assert outcome.exit_code == 0, outcome.text
    assert outcome.executed == 0
    assert "they share 3 layers" in outcome.text
    fetched = sum(
        file.stat().st_size for file in (folder.cache / "cas").rglob("*") if file.is_file()
    )
    assert fetched < 1 << 20


def test_doctor_tells_what_images_hold(host: str, folder: WorkspaceFolder) -> None:
    composed(folder, *named(host), "--output-name", "s", "--emit-manifest")
    outcome = folder.run("doctor", "--distribution", "//:triton", "--report", "report.json")
    assert outcome.exit_code == 0, outcome.text
    findings = json.loads((folder.root / "report.json").read_text())
    by_subject = {finding["subject"]: finding for finding in findings}
    assert "TRITON_SERVER_VERSION=2.44.0" in by_subject["release"]["text"]
    assert by_subject["backends/python"]["ok"]
    assert by_subject["backends/pytorch"]["ok"] is None  # which the catalogue knows
    assert "caches/local" in by_subject


def test_a_static_verification_misses_what_is_not_there(host: str, folder: WorkspaceFolder) -> None:
    composed(folder, *named(host), "--backend", "python", "--output-name", "s", "--emit-manifest")
    manifest = folder.root / "triton.toml"
    verified = '\n[verifications.whole]\nkind = "static"\ntarget = ":s"\n'
    (folder.root / "own").mkdir()
    subprocess.run(
        ["gcc", "-shared", "-o", folder.root / "own/libnobodys.so", "-x", "c", "/dev/null"],
        check=True,
    )
    subprocess.run(
        ["gcc", "-shared", "-o", folder.root / "own/libtriton_own.so", "-Wl,--no-as-needed",
         "-x", "c", "/dev/null", "-x", "none", folder.root / "own/libnobodys.so"],
        check=True,
    )  # fmt: skip
    manifest.write_text(manifest.read_text() + verified)
    outcome = folder.run("test", "//:whole")
    assert outcome.exit_code == 0, outcome.text
    assert outcome.targets["//:whole"] == "passed"
    files = (
        '\n[images.bad]\ndistribution = ":triton"\nfiles = { "/opt/tritonserver/own" = "own" }\n'
    )
    bad = '\n[verifications.bad_one]\nkind = "static"\ntarget = ":bad"\n'
    manifest.write_text(manifest.read_text() + files + bad)
    (folder.root / "own/libnobodys.so").unlink()
    outcome = folder.run("test", "//:bad_one")
    assert outcome.exit_code == 3, outcome.text
    assert "libnobodys.so" in outcome.text


def test_what_was_cut_once_is_cut_for_all(
    tmp_path: Path, folder: WorkspaceFolder, cache: Path
) -> None:
    shelf = tmp_path / "shelf"
    with ngc(shelf, RELEASE) as running:
        flags = [*named(running), "--backend", "python", "--component-cache", f"{running}/cuts"]
        folder.cache = tmp_path / "first"
        first = shipped(composed(folder, *flags, "--push", "--output-name", f"{running}/a/b:v1"))
        with Repository.of(Reference.parse(f"{running}/nvidia/tritonserver")) as repository:
            full = image_in(repository, repository.resolve(f"{RELEASE}-py3"), AMD64)
            (large,) = [
                layer.descriptor.digest
                for layer in full.layers
                if any(entry.path == f"{HOME}/bin/tritonserver" for entry in listing(layer).entries)
            ]
        blob(shelf, large).unlink()
        folder.cache = tmp_path / "second"
        flags += ["--push", "--output-name", f"{running}/c/d:v1"]
        second = shipped(composed(folder, *flags))
    assert second["digest"] == first["digest"]
    assert second["moved"] < second["mounted"]
