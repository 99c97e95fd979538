"""Bases of real Debian packages, built through the command line and run from their own roots."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import tomli
from conftest import MINIMAL, Outcome, WorkspaceFolder
from parts.missing import missing

TRITON = (
    "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "libc-bin", "libpython3.11",
    "libstdc++6", "netbase", "python3", "tzdata",
)  # fmt: skip
FULL = f'{MINIMAL}[bases.full]\ndebian = "bookworm"\npackages = {json.dumps(TRITON)}\n'
SMALL = f'{MINIMAL}[bases.small]\ndebian = "bookworm"\npackages = ["busybox-static"]\n'


def folder(place: Path, cache: Path, manifest: str) -> WorkspaceFolder:
    made = WorkspaceFolder(place, cache)
    made.write({"triton.toml": manifest})
    return made


class Layout:
    """An OCI layout, read without our own code."""

    def __init__(self, path: Path):
        self._path = path
        index = json.loads((path / "index.json").read_text())
        (self.root,) = index["manifests"]
        self.manifest = self.document(self.root)
        self.config = self.document(self.manifest["config"])

    def blob(self, descriptor: dict[str, Any]) -> Path:
        digest: str = descriptor["digest"]
        return self._path / "blobs" / digest.replace(":", "/")

    def document(self, descriptor: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(descriptor).read_text())
        return found

    def unpack(self, target: Path) -> Path:
        """Layer upon layer, as root does."""
        target.mkdir()
        for layer in self.manifest["layers"]:
            with self.blob(layer).open("rb") as blob:
                extract = ["tar", "--numeric-owner", "-xpzC", str(target)]
                subprocess.run(extract, stdin=blob, check=True)
        return target


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> WorkspaceFolder:
    made = folder(tmp_path_factory.mktemp("full"), shared_cache, FULL)
    made.build()
    return made


@pytest.fixture(scope="module")
def layout(full: WorkspaceFolder) -> Layout:
    return Layout(full.output("_/full"))


@pytest.fixture(scope="module")
def root(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid():
        missing("this is not root", "run the tests as root, who may chroot")
    return layout.unpack(tmp_path_factory.mktemp("root") / "root")


def inside(root: Path, *command: str) -> str:
    return subprocess.run(
        ["chroot", root, *command],
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_python_runs_with_what_triton_needs(root: Path) -> None:
    code = "import bz2, ctypes, hashlib, lzma, sqlite3, ssl, uuid; print(ssl.OPENSSL_VERSION)"
    assert inside(root, "python3", "-c", code).startswith("OpenSSL 3")
    libraries = "for n in ('libpython3.11.so.1.0', 'libstdc++.so.6'): ctypes.CDLL(n)"
    inside(root, "python3", "-c", f"import ctypes\n{libraries}")


def test_certificates_are_found_without_being_told_where(root: Path) -> None:
    code = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(inside(root, "python3", "-c", code)) > 100


def test_both_shells_run(root: Path) -> None:
    assert inside(root, "bash", "-c", "echo $BASH_VERSION").startswith("5.")
    assert inside(root, "sh", "-c", "id --user --name").strip() == "root"


def test_the_linkers_cache_is_what_ldconfig_makes_there(root: Path, tmp_path: Path) -> None:
    made = (root / "etc/ld.so.cache").read_bytes()
    listed = inside(root, "/sbin/ldconfig", "-p")
    assert "libssl.so.3 (libc6,x86-64) => /lib/x86_64-linux-gnu/libssl.so.3" in listed
    copy = shutil.copytree(root, tmp_path / "copy", symlinks=True)
    inside(copy, "/sbin/ldconfig", "-X", "-i")
    assert (copy / "etc/ld.so.cache").read_bytes() == made


def test_dpkg_finds_everything_installed_and_nothing_changed(root: Path) -> None:
    inside(root, "dpkg", "--verify")
    inside(root, "dpkg", "--audit")
    listed = inside(root, "dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n")
    assert "bash installed\n" in listed
    assert {line.split()[1] for line in listed.splitlines()} == {"installed"}
    assert inside(root, "dpkg", "--search", "/usr/bin/bash") == "bash: /usr/bin/bash\n"
    assert "libz.so.1" in inside(root, "dpkg", "--listfiles", "zlib1g")


def test_the_links_into_usr_are_whole(root: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        assert os.readlink(root / name) == f"usr/{name}"
    assert os.readlink(root / "var/run") == "/run"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc/shadow").stat().st_gid == 42


def test_local_names_are_looked_up_in_files_first(root: Path) -> None:
    assert re.search(r"^hosts:\s+files", (root / "etc/nsswitch.conf").read_text(), re.MULTILINE)


def test_large_packages_have_a_layer_of_their_own(layout: Layout) -> None:
    by = [entry["created_by"] for entry in layout.config["history"]]
    assert by[0] == "an empty Debian root"
    assert "Debian package libc6" in by
    assert len(by) == len(layout.manifest["layers"]) <= 20
    assert layout.root["platform"] == {"architecture": "amd64", "os": "linux"}


def test_layers_hold_neither_manuals_nor_two_of_one_path(layout: Layout) -> None:
    for layer in layout.manifest["layers"]:
        with tarfile.open(layout.blob(layer)) as tar:
            names = tar.getnames()
        assert len(names) == len(set(names))
        assert not any(name.startswith("usr/share/man/") for name in names)


@pytest.mark.parametrize("tool", ["skopeo", "umoci"])
def test_others_take_the_image(full: WorkspaceFolder, tmp_path: Path, tool: str) -> None:
    layout, copy = full.output("_/full"), tmp_path / "copy"
    commands = {
        "skopeo": ["skopeo", "copy", f"oci:{layout}", f"dir:{copy}"],
        "umoci": ["umoci", "raw", "unpack", "--rootless", "--image", f"{layout}", f"{copy}"],
    }
    if tool == "umoci":  # it wants a name
        shutil.copytree(layout, tmp_path / "named")
        index = tmp_path / "named/index.json"
        document = json.loads(index.read_text())
        document["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "it"}
        index.write_text(json.dumps(document))
        commands[tool][-2] = f"{tmp_path}/named:it"
    if shutil.which(tool) is None:
        missing(f"{tool} is not here", f"apt-get install {tool}")
    subprocess.run(commands[tool], check=True, capture_output=True)


def test_the_lock_pins_every_package(full: WorkspaceFolder) -> None:
    lock = tomli.loads((full.root / "triton.lock").read_text())
    (resolution,) = lock["resolution"]
    assert resolution["platform"] == "bookworm/amd64"
    assert resolution["request"] == sorted(TRITON)
    names = [file["name"] for file in resolution["files"]]
    assert any(re.fullmatch(r"bash_5\.2\S+_amd64\.deb", name) for name in names)
    archive = r"https://snapshot\.debian\.org/archive/debian(-security)?/\d{8}T\d{6}Z/pool/.*\.deb"
    assert all(re.fullmatch(archive, file["url"]) for file in resolution["files"])
    assert full.build().executed == 0


def test_a_base_that_is_not_locked_is_refused_when_it_must_be(
    tmp_path: Path, shared_cache: Path
) -> None:
    made = folder(tmp_path / "locked", shared_cache, SMALL)
    outcome = made.run("build", "--locked", "//...")
    assert outcome.exit_code == 2
    assert "busybox-static" in outcome.text


def test_a_base_needs_no_libc_no_shell_and_no_accounts_of_its_own(
    tmp_path: Path, shared_cache: Path
) -> None:
    made = folder(tmp_path / "small", shared_cache, SMALL)
    made.build()
    if os.geteuid():
        missing("this is not root", "run the tests as root, who may chroot")
    root = Layout(made.output("_/small")).unpack(tmp_path / "root")
    assert inside(root, "/bin/busybox", "id", "-un").strip() == "root"
    assert not (root / "etc/ld.so.cache").exists()
    assert not (root / "etc/ssl").exists()


def test_a_base_for_another_machine_is_made_as_far_as_nothing_of_it_has_to_run(
    tmp_path: Path, shared_cache: Path
) -> None:
    other = SMALL + 'platform = "linux/arm64"\n'
    made = folder(tmp_path / "arm", shared_cache, other)
    made.build()
    assert Layout(made.output("_/small")).config["architecture"] == "arm64"
    made.write({"triton.toml": other.replace("busybox-static", "libc-bin")})
    outcome = made.run("build", "//...")
    if outcome.exit_code:  # else this machine has qemu
        assert "ldconfig, for arm64, cannot be run here" in outcome.text
        assert "leave libc-bin out" in outcome.text


def test_trixie_runs_too(tmp_path: Path, shared_cache: Path) -> None:
    manifest = FULL.replace("bookworm", "trixie").replace("libpython3.11", "libpython3.13")
    made = folder(tmp_path / "trixie", shared_cache, manifest)
    made.build()
    if os.geteuid():
        missing("this is not root", "run the tests as root, who may chroot")
    root = Layout(made.output("_/full")).unpack(tmp_path / "root")
    code = "import ssl, sys; print(*sys.version_info[:2]); ssl.create_default_context()"
    assert inside(root, "bash", "-c", f'python3 -c "{code}"') == "3 13\n"
    inside(root, "dpkg", "--verify")
    assert os.readlink(root / "bin") == "usr/bin"
    assert "libssl.so.3" in inside(root, "/sbin/ldconfig", "-p")


@pytest.mark.parametrize(
    ("manifest", "exit_code", "said"),
    [
        (SMALL.replace("bookworm", "bokworm"), 7, "did you mean 'bookworm'?"),
        (SMALL.replace("busybox-static", "Busy Box"), 7, "`NAME` or `NAME=VERSION`"),
        (SMALL.replace("busybox-static", "busybox-statik"), 2, "did you mean 'busybox-static'?"),
        (SMALL.replace('"busybox-static"', ""), 7, "a base of no packages"),
        (f'{SMALL}platform = "linux/vax"\n', 7, "linux/amd64, linux/arm64"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, shared_cache: Path, manifest: str, exit_code: int, said: str
) -> None:
    outcome: Outcome = folder(tmp_path / "wrong", shared_cache, manifest).run("build", "//...")
    assert outcome.exit_code == exit_code
    assert said in outcome.text
    assert "Traceback" not in outcome.text


def test_a_damaged_package_in_the_cache_is_fetched_again(
    full: WorkspaceFolder, tmp_path: Path
) -> None:
    made = folder(tmp_path / "small", tmp_path / "cache", SMALL)
    expected = made.build().outputs
    lock = tomli.loads((made.root / "triton.lock").read_text())
    (file,) = lock["resolution"][0]["files"]
    blob = made.cache / "blobs" / file["sha256"][:2] / file["sha256"]
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1000])
    for action in made.cache.glob("actions/*/*"):
        action.unlink()
    shutil.rmtree(made.output(""))
    assert made.build().outputs == expected
    assert blob.stat().st_size == file["size"]
