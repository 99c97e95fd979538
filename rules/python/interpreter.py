"""The bundled Python: Debian's CPython, cut out of its packages into one folder that works wherever
it lies. Keys and results depend on no Python of the host; of the host it needs glibc alone."""

from __future__ import annotations

import fnmatch
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import tomli

from tritonbuild.rule import (
    ActionError,
    Artifact,
    Context,
    Folder,
    LockedFile,
    Problem,
    ToolContext,
    tool,
)

from .debian import archive_url, members
from .fetch import fetch

DEFAULT = "3.11"
SITE = "lib/python3/dist-packages"
"""Where Debian's Python looks for packages, below its prefix."""


@dataclass(frozen=True)
class PythonInfo:
    """A Python that environments can be made around."""

    version: str
    """Such as `3.11`."""
    platform: str
    """Such as `x86_64-linux-gnu2.36`: the machine, and the newest glibc that wheels may need."""
    tree: Artifact
    """A folder with bin/python3, lib/python3.11 and the libraries, libpython among them, in lib."""


@cache
def _pins() -> Mapping[str, Any]:
    return tomli.loads(Path(__file__).with_name("pins.toml").read_text())


FULL_VERSIONS = {_pins()["version"].rpartition(".")[0]: _pins()["version"]}
"""Of each bundled Python: `3.11` → `3.11.2`."""


def bundled_python(ctx: Context[Any], version: str) -> PythonInfo:
    """Declares the making of a Python. Raises AnalysisError for one that is not bundled, and on a
    machine that it is not for."""
    pins = _pins()
    if version not in FULL_VERSIONS:
        expected = " or ".join(FULL_VERSIONS)
        raise ctx.error(f"no Python {version} is bundled", key="python", expected=expected)
    if platform.machine() != pins["machine"]:
        found = f"the bundled Python is not for {platform.machine()}"
        raise ctx.error(found, key="python", expected=f"a machine with {pins['machine']}")
    debs = {
        f"debs/{package['name']}": fetch(ctx, _locked(package), "https")
        for package in pins["packages"]
    }
    tree = ctx.tool(make_python, inputs=debs, outputs=["tree"])["tree"]
    return PythonInfo(version, f"{pins['machine']}-linux-gnu{pins['glibc']}", tree)


def _locked(package: Mapping[str, Any]) -> LockedFile:
    url = archive_url(_pins()["snapshot"], package["path"])
    name = package["path"].rpartition("/")[2]
    return LockedFile(name, url, package["sha256"], package["size"])


_DROPPED = (
    # Debian's own affairs: its rules for pip, its crash reporter, links for building against it.
    "EXTERNALLY-MANAGED", "sitecustomize.py", "config-*", "_distutils_system_mod.py",
    # Need a terminal, sound, NIS or Berkeley DB, with libraries that nothing here is for.
    "curses/*", "rlcompleter.py", "turtle.py", "lib-dynload/_curses*", "lib-dynload/readline.*",
    "lib-dynload/ossaudiodev.*", "lib-dynload/nis.*", "lib-dynload/_dbm.*",
    # An environment is a folder, not a venv.
    "venv/*", "ensurepip/*",
    # Python's own tests, examples and manual.
    "test/*", "lib-dynload/_test*", "lib-dynload/_ctypes_test*", "lib-dynload/_xxtest*",
    "lib-dynload/xxlimited*", "__hello__.py", "__phello__/*", "*.rst", "pydoc_data/topics.py",
)  # fmt: skip
"""Of the standard library: not taken, and why."""

_LIBRARIES = (
    "libbz2.so.1.0", "libcrypt.so.1", "libcrypto.so.3", "libexpat.so.1", "libffi.so.8",
    "liblzma.so.5", "libpython3.11.so.1.0", "libsqlite3.so.0", "libssl.so.3", "libuuid.so.1",
    "libz.so.1",
    # Wheels expect these of every Linux (PEP 600); the smallest images lack them.
    "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip

_ADDED = {
    # Sourced by Triton's python backend (EXECUTION_ENV_PATH), and by people.
    "bin/activate": """\
# For bash: puts this folder's Python first, wherever the folder lies.
_tritonbuild_bin=${BASH_SOURCE[0]%/*}
if [ "$_tritonbuild_bin" = "${BASH_SOURCE[0]}" ]; then _tritonbuild_bin=.; fi
PATH="$(cd -- "$_tritonbuild_bin" && pwd):$PATH"
export PATH
unset _tritonbuild_bin PYTHONHOME PYTHONPATH
""",
    # PEP 405: keeps out ~/.local/lib/python3.11. Without `home` the prefix is still found from bin.
    "pyvenv.cfg": "include-system-site-packages = false\n",
    # The folder is shared and must never change, but root may write anywhere, and embedded Pythons
    # ignore PYTHONDONTWRITEBYTECODE. The first .pth file is read before any package is imported …
    f"{SITE}/00-no-bytecode.pth": "import sys; sys.dont_write_bytecode = True\n",
    # … but after this one was imported: a file, where Python would make a folder.
    "lib/python3.11/encodings/__pycache__": "",
}


_PATCHELF = "../patchelf"
"""Where it is put, beside the tree. It is Debian's too, so that all make the same bytes."""


@tool("python", version=1)
def make_python(ctx: ToolContext) -> None:
    """Inputs `debs/NAME`, output `tree`. Raises ActionError when they lack something."""
    tree = ctx.scratch / "tree"
    tree.mkdir()
    missing = {"bin/python3.11", _PATCHELF, *(f"lib/{name}" for name in _LIBRARIES)}
    packages = ctx.inputs.get("debs")
    assert isinstance(packages, Folder)
    for name in sorted(packages.entries):
        with ctx.open(f"debs/{name}") as package:
            for path, executable, content in _taken(package):
                _write(tree / path, content, executable)
                missing.discard(path)
    if missing:
        raise ActionError(Problem(f"the packages lack {', '.join(sorted(missing))}"))
    for path, text in _ADDED.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for link in ("python", "python3"):
        (tree / "bin" / link).symlink_to("python3.11")
    _find_own_libraries(ctx, tree)
    ctx.gather("tree", tree)


def _taken(package: Any) -> Iterator[tuple[str, bool, IO[bytes]]]:
    """What is taken of a package: path in the tree, x bit, content."""
    for member in members(package):
        folder, _, name = member.path.rpartition("/")
        if member.path == "usr/bin/python3.11":
            yield "bin/python3.11", True, member.content
        elif member.path == "usr/bin/patchelf":
            yield _PATCHELF, True, member.content
        elif name in _LIBRARIES and folder.endswith("lib/x86_64-linux-gnu"):
            yield f"lib/{name}", False, member.content
        elif member.path.startswith("usr/lib/python3.11/") and not member.alias:
            below = member.path.removeprefix("usr/lib/python3.11/")
            if not any(fnmatch.fnmatchcase(below, pattern) for pattern in _DROPPED):
                yield f"lib/python3.11/{below}", False, member.content
        elif folder.startswith("usr/share/doc/") and name == "copyright":
            yield f"share/doc/{folder.rpartition('/')[2]}/copyright", False, member.content


def _write(path: Path, content: IO[bytes], executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file)
    path.chmod(0o755 if executable else 0o644)


def _find_own_libraries(ctx: ToolContext, tree: Path) -> None:
    """DT_RPATH, unlike RUNPATH and LD_LIBRARY_PATH, holds for every library of the process and for
    no child process."""
    process = subprocess.run(
        [tree / _PATCHELF, "--force-rpath", "--set-rpath", "$ORIGIN/../lib", "bin/python3.11"],
        cwd=tree,
        env={"LD_LIBRARY_PATH": "lib"},
        stdout=ctx.log,
        stderr=ctx.log,
    )
    if process.returncode:
        raise ActionError(Problem("patchelf cannot set where Python looks for libraries"))
