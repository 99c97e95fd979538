"""File systems with programs and libraries, for what reads them and for the real dynamic linker."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tritonbuild.rules.linking.elf import MAGIC, Elf, read_elf
from tritonbuild.rules.linking.linkage import Linkage
from tritonbuild.rules.linking.loader import Files, files_of

from parts.missing import missing
from tritonbuild.oci import Listed, Listing
from tritonbuild.oci.listing import is_text

TRIPLET = "x86_64-linux-gnu"
LD_SO = "lib64/ld-linux-x86-64.so.2"
USR_LIB = Path("/usr/lib")
_FOUND = re.compile(r"\t(\S+) (?:=> (\S+)|\(0x)")


def compile_library(
    file: Path, *options: str, soname: str = "", source: str = "int f(void) { return 1; }\n",
    needs: Sequence[Path] = (), versions: str = "",
) -> Path:  # fmt: skip
    """Without libc, unless an option says otherwise."""
    gcc = shutil.which("gcc") or missing("there is no gcc", "apt-get install gcc")
    file.parent.mkdir(parents=True, exist_ok=True)
    script = file.with_name(f".{file.name}.map")
    script.write_text(versions or "{ global: *; };")
    subprocess.run(
        [
            gcc, "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-x", "none", "-o", file,
            f"-Wl,--version-script={script}", "-Wl,--no-as-needed",
            *([f"-Wl,-soname,{soname}"] if soname else []), *needs, *options,
        ],
        input=source.encode(), check=True,
    )  # fmt: skip
    script.unlink()
    return file


def tree(root: Path, only: Iterable[str] = ("",)) -> tuple[Listing, Linkage]:
    """What a folder holds, as a layer would have it."""
    entries: list[Listed] = []
    texts: dict[str, str] = {}
    elves: dict[str, Elf] = {}
    for top in only:
        for folder, folders, files in os.walk(root / top):
            for name in (*folders, *files):
                file = Path(folder, name)
                path = str(file.relative_to(root))
                mode = file.lstat().st_mode
                if stat.S_ISLNK(mode):
                    entries.append(Listed(path, "link", 0o777, target=os.readlink(file)))
                elif stat.S_ISDIR(mode):
                    entries.append(Listed(path, "folder", 0o755))
                elif stat.S_ISREG(mode):
                    digest = hashlib.sha256(path.encode()).hexdigest()
                    with file.open("rb") as opened:
                        if opened.read(4) == MAGIC and (elf := read_elf(opened)) is not None:
                            elves[path] = elf
                            opened.seek(0)
                            digest = hashlib.file_digest(opened, "sha256").hexdigest()
                    if is_text(path):
                        texts[path] = file.read_text(errors="surrogateescape")
                    entries.append(Listed(path, "file", 0o644, digest=digest))
    return Listing(tuple(entries), texts), Linkage(elves)


def files_in(root: Path, only: Iterable[str] = ("",)) -> Files:
    listing, linkage = tree(root, only)
    return files_of([listing], [linkage])


def this_machine() -> Files:
    """Without what no dynamic linker looks for."""
    said = (line.partition(":")[0] for line in ldconfig("-v", "-N", "-X") if line[:1] == "/")
    folders = [Path(folder).resolve() for folder in said if Path(folder).resolve() != USR_LIB]
    linked = {link.resolve().parent for folder in folders for link in folder.glob("lib*.so*")}
    only = sorted({str(folder).strip("/") for folder in (*folders, *linked)} - {""})
    listing, linkage = tree(Path("/"), (*only, "usr/bin", "usr/lib64", "etc/ld.so.conf.d"))
    config = Path("/etc/ld.so.conf")
    links = [file for file in Path("/").iterdir() if file.is_symlink()]
    tops = (
        *(Listed(file.name, "link", 0o777, target=os.readlink(file)) for file in links),
        Listed("etc/ld.so.conf", "file"),
    )
    texts = {**listing.texts, "etc/ld.so.conf": config.read_text()}
    return files_of([Listing((*tops, *listing.entries), texts)], [linkage])


def with_linker(root: Path) -> Path:
    """A root with the dynamic linker and libc of this machine, laid out as Debian does."""
    libraries = root / f"usr/lib/{TRIPLET}"
    libraries.mkdir(parents=True, exist_ok=True)
    (root / "etc/ld.so.conf.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    (root / "lib64").mkdir(exist_ok=True)
    shutil.copy(f"/{LD_SO}", root / LD_SO)
    shutil.copy(f"/lib/{TRIPLET}/libc.so.6", libraries)
    (root / "lib").symlink_to("usr/lib")
    return root


def ldconfig(*arguments: str | Path) -> list[str]:
    """Lines that it prints."""
    program = shutil.which("ldconfig", path="/usr/sbin:/sbin") or missing(
        "there is no ldconfig", "apt-get install libc-bin"
    )
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def found_by_linker(root: Path, file: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """What the real dynamic linker finds in a root for a file of it: name → path, "" for what it
    does not."""
    if os.geteuid() != 0:
        missing("this is not root", "run the tests as root, who may chroot")
    done = subprocess.run(
        ["/" + LD_SO, f"/{file}"], capture_output=True, text=True, cwd="/",
        env={**(env or {}), "LD_TRACE_LOADED_OBJECTS": "1"}, preexec_fn=lambda: os.chroot(root),
    )  # fmt: skip
    lines = (_FOUND.match(line) for line in done.stdout.splitlines())
    found = {line[1]: (line[2] or line[1]).strip("/") for line in lines if line}
    found |= {name: "" for name, path in found.items() if path == "not"}
    assert found, done.stderr
    return found
