"""The `wheel` tool: a wheel's importable files as a folder of site-packages."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tritonbuild.rule import ActionError, Problem, ToolContext, tool

_DATA = re.compile(r"[^/]+\.data/(?P<scheme>[^/]+)/(?P<path>.+)")


@tool("wheel", version=1)
def unpack_wheel(ctx: ToolContext) -> None:
    """Input `wheel`, output `site`. Scripts, headers and data stay behind, and so does bytecode:
    what other versions of Python wrote is of no use, and ours writes none."""
    target = ctx.scratch / "site"
    target.mkdir()
    with ctx.open("wheel") as wheel:
        extract(wheel, _importable, target)
    ctx.gather("site", target)


def _importable(path: str) -> str | None:
    """Where a wheel's file is installed below site-packages
    (https://packaging.python.org/specifications/binary-distribution-format/)."""
    if "__pycache__" in path.split("/") or path.endswith((".pyc", ".pyo")):
        return None
    match = _DATA.fullmatch(path)
    if match is None:
        return path
    return match["path"] if match["scheme"] in ("purelib", "platlib") else None


def extract(
    archive: BinaryIO,
    place: Callable[[str], str | None],
    folder: Path,
    executable: Callable[[str], bool] = lambda path: False,
) -> None:
    """Unpacks those files of a zip that `place` gives a path below the folder. They keep their x
    bit, or get one. Raises ActionError."""
    try:
        with zipfile.ZipFile(archive) as files:
            for info in files.infolist():
                path = None if info.is_dir() else place(_checked(info))
                if path is None:
                    continue
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # Of two files at one path the later stays, as with pip.
                with files.open(info) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                is_executable = info.external_attr >> 16 & 0o111 or executable(path)
                target.chmod(0o755 if is_executable else 0o644)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise ActionError(Problem(f"not a wheel that can be read: {error}")) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        path = Path(str(error.filename)).relative_to(folder).as_posix()
        raise ActionError(Problem(f"the wheel's {path!r} is both a file and a folder")) from None


def _checked(info: zipfile.ZipInfo) -> str:
    """The name of a file that stays where it is unpacked. Raises ActionError."""
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\0" in info.filename:
        raise ActionError(Problem(f"the wheel's file {info.filename!r} would leave its folder"))
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ActionError(Problem(f"the wheel's {info.filename!r} is a link", "files"))
    return path.as_posix()
