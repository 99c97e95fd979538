"""The bundled Python, made of the real packages."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import tomli
from parts.bench import Bench
from parts.workspace import Make, workspaces
from tritonbuild.rules.distribution import DistributionInfo
from tritonbuild.rules.python.debian import archive_url
from tritonbuild.rules.python.fetch import fetch_file
from tritonbuild.rules.python.interpreter import make_python

from tritonbuild.merkle import Entry, Folder
from tritonbuild.rule import ActionError, AnalysisError

PINS = tomli.loads((Path(__file__).parents[1] / "rules/python/pins.toml").read_text())
GLIBC = ("ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0")
MANIFEST = '[distributions.own]\npath = "server"\n'
SERVER = {"server/bin/tritonserver": "", "server/backends/python/model.txt": ""}
IMPORT_ALL = """
import importlib, json, sys, pathlib
folder = pathlib.Path(sys.prefix, "lib/python3.11/lib-dynload")
modules = sorted(file.name.partition(".")[0] for file in folder.iterdir())
for module in modules:
    importlib.import_module(module)
mapped = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
print(json.dumps([modules, sorted(mapped)]))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def debs(bench: Bench) -> Mapping[str, Entry]:
    """The pinned packages, from Debian."""
    found: dict[str, Entry] = {}
    for pin in PINS["packages"]:
        url = archive_url(PINS["snapshot"], pin["path"])
        parameters = {"kind": "https", "name": "deb", "sha256": pin["sha256"]}
        made = bench.run(fetch_file, parameters=parameters, hints={"url": url}, outputs=["deb"])
        found[f"debs/{pin['name']}"] = made.outputs["deb"]
    return found


def make(bench: Bench, debs: Mapping[str, Entry]) -> Folder:
    made = bench.run(make_python, inputs=debs, outputs=["tree"]).outputs["tree"]
    assert isinstance(made, Folder)
    return made


@pytest.fixture(scope="module")
def folder(bench: Bench, debs: Mapping[str, Entry]) -> Folder:
    return make(bench, debs)


@pytest.fixture(scope="module")
def tree(bench: Bench, folder: Folder) -> Path:
    return bench.path(folder)


def say(tree: Path, code: str, *options: str, **environment: str) -> str:
    """What Python prints with an environment that holds nothing but a PATH to it."""
    return subprocess.run(
        ["python3", *options, "-c", code],
        env={"PATH": str(tree / "bin"), **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_it_is_the_version_that_is_pinned(tree: Path) -> None:
    assert say(tree, "import platform; print(platform.python_version())") == PINS["version"]


def test_its_prefix_is_its_folder_wherever_that_lies(tree: Path, tmp_path: Path) -> None:
    moved = tmp_path / "else where"
    shutil.copytree(tree, moved, symlinks=True)
    for place in (tree, moved):
        prefixes = json.loads(
            say(place, "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))")
        )
        assert prefixes == [str(place)] * 2


def test_modules_are_looked_for_in_its_folder_alone(tree: Path, tmp_path: Path) -> None:
    own = tmp_path / ".local/lib/python3.11/site-packages"
    own.mkdir(parents=True)
    (own / "intruder.pth").write_text("import sys; sys.exit('a module of the user')\n")
    printed = say(tree, "import sys; print(*sys.path[1:], sep='\\n')", HOME=str(tmp_path))
    assert printed.splitlines() == [
        f"{tree}/lib/python311.zip",
        f"{tree}/lib/python3.11",
        f"{tree}/lib/python3.11/lib-dynload",
        f"{tree}/lib/python3/dist-packages",
    ]


def test_every_library_that_a_file_needs_is_glibcs_or_beside_it(tree: Path) -> None:
    """As for a program that embeds it and has its `lib` in LD_LIBRARY_PATH."""
    elves = [*tree.glob("lib/*.so*"), *tree.glob("lib/*/lib-dynload/*.so"), tree / "bin/python3.11"]
    needed = subprocess.run(
        ["ldd", *elves],
        env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(tree / "lib")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "not found" not in needed
    found = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", needed, re.MULTILINE)
    assert len(found) > len(elves)
    hosts = {path for path in map(os.path.normpath, found) if not path.startswith(f"{tree}/lib/")}
    assert {Path(path).name for path in hosts} <= {*GLIBC}


def test_every_extension_module_loads_without_a_library_of_the_host(tree: Path) -> None:
    modules, mapped = json.loads(say(tree, IMPORT_ALL))
    assert {"_ssl", "_hashlib", "_ctypes", "_sqlite3", "_lzma", "_bz2", "_uuid"} <= {*modules}
    hosts = {Path(path).name for path in mapped if not path.startswith(f"{tree}/")}
    assert hosts <= {*GLIBC}


def test_it_never_writes_into_its_folder(tree: Path) -> None:
    before = set(tree.rglob("*"))
    say(tree, "import asyncio, email, encodings.idna, json, sqlite3, ssl")
    assert set(tree.rglob("*")) == before


def test_bash_can_put_it_first_wherever_it_lies(tree: Path) -> None:
    script = f"cd /; source {tree}/bin/activate && exec python3 -c 'import sys; print(sys.prefix)'"
    printed = subprocess.run(
        ["bash", "-c", script], check=True, capture_output=True, text=True, env={"PATH": "/bin"}
    ).stdout
    assert printed.strip() == str(tree)


def test_what_no_server_needs_is_left_out(tree: Path) -> None:
    library = tree / "lib/python3.11"
    gone = ["test", "curses", "venv", "lib-dynload/readline*", "EXTERNALLY-MANAGED", "*.pyc"]
    assert [path for pattern in gone for path in library.glob(pattern)] == []


def test_copyright_notices_stay(tree: Path) -> None:
    assert (tree / "share/doc/libssl3/copyright").is_file()


def test_the_umask_does_not_matter(bench: Bench, debs: Mapping[str, Entry], folder: Folder) -> None:
    before = os.umask(0o077)
    try:
        assert make(bench, debs).digest == folder.digest
    finally:
        os.umask(before)


def test_a_library_that_no_package_has_is_named(bench: Bench, debs: Mapping[str, Entry]) -> None:
    fewer = {path: deb for path, deb in debs.items() if path != "debs/libffi8"}
    with pytest.raises(ActionError, match=r"the packages lack lib/libffi\.so\.8"):
        make(bench, fewer)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Make]:
    with workspaces(tmp_path) as made:
        yield made


def test_a_python_that_is_not_bundled_is_an_error(workspace: Make) -> None:
    with pytest.raises(AnalysisError, match=r"no Python 3\.12 is bundled") as error:
        workspace(MANIFEST + 'python = "3.12"\n', SERVER).analyze("own")
    assert error.value.problems[0].key == "distributions.own.python"


def test_a_machine_that_it_is_not_for_is_an_error(
    workspace: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(AnalysisError, match="not for aarch64"):
        workspace(MANIFEST, SERVER).analyze("own")


def test_it_is_described_for_those_that_resolve_wheels(workspace: Make) -> None:
    info = workspace(MANIFEST, SERVER).analyze("own").get(DistributionInfo)
    assert info is not None
    assert info.host is not None
    python = info.host.python
    assert (python.version, python.platform) == (info.python, "x86_64-linux-gnu2.36")
    assert info.python == "3.11"
