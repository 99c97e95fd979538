"""Wheels from package indexes."""

from __future__ import annotations

import re
from pathlib import Path

from tritonbuild.rule import ActionError, Digest, Problem, Process, ToolContext, public

from ..origins.transfer import WrongFileError, check
from . import pip


def fetch_wheel(ctx: ToolContext, name: str, sha256: str) -> Path:
    """A wheel by project, version and digest, from whichever index pip is configured to use."""
    from packaging.utils import parse_wheel_filename

    project, version, _, tags = parse_wheel_filename(name)
    requirements, folder = ctx.scratch / "requirements.txt", ctx.scratch / "wheels"
    requirements.write_text(f"{project}=={version} --hash=sha256:{sha256}\n")
    # Any Python that takes this wheel will do; nothing is installed.
    interpreter = min(tag.interpreter for tag in tags)
    chosen = [
        f"--implementation={interpreter[:2]}",
        f"--python-version={interpreter[2:]}",
        *(f"--abi={abi}" for abi in sorted({tag.abi for tag in tags})),
        *(f"--platform={platform}" for platform in sorted({tag.platform for tag in tags})),
    ]
    arguments = [
        "download", "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--ignore-requires-python", *chosen, f"--requirement={requirements}", f"--dest={folder}",
    ]  # fmt: skip
    log = ctx.scratch / "pip.log"
    process = ctx.start(pip.command(arguments), env=pip.variables(), cwd=ctx.scratch, log=log)
    exit_code = _finish(ctx, process)
    files = [*folder.iterdir()] if folder.is_dir() else []
    if exit_code or len(files) != 1:
        raise _failed(name, sha256, log.read_text(errors="replace"))
    (file,) = files
    got = Digest.of_file(file)
    try:
        check(sha256, 0, got.hash, got.size)
    except WrongFileError as wrong:
        raise ActionError(Problem(f"{name}, as pip brought it: {wrong}", remedy=_RELOCK)) from None
    return file


def _finish(ctx: ToolContext, process: Process) -> int:
    """The exit code. What still runs when the tool ends is stopped by the engine."""
    while True:
        try:
            return process.wait(0.2)
        except TimeoutError:
            if ctx.cancelled:
                raise ActionError("stopped") from None


_RELOCK = "if the file was replaced where it comes from, `tritonbuild lock` takes the new one"


def _failed(name: str, sha256: str, output: str) -> ActionError:
    """What pip's output means."""
    if reason := pip.unreachable(output):
        return ActionError(
            Problem(f"{name} cannot be fetched: {reason}", "a package index", pip.INDEX_REMEDY)
        )
    if "DO NOT MATCH THE HASHES" in output:
        got = output.rpartition("Got")[2].split()[0]
        place = re.search(r"^    \S+ from ([^\s#]+)", output, re.MULTILINE)
        found = f"{public(place[1]) if place else name} has sha256 {got}"
        return ActionError(Problem(found, f"{name} with sha256 {sha256}", _RELOCK))
    said = "; ".join(pip.errors(output)) or public(output.strip()) or "it said nothing"
    return ActionError(
        Problem(
            f"pip cannot fetch {name}: {said}",
            f"an index that has this file, sha256 {sha256}",
            "if it was removed there, `tritonbuild lock` takes another",
        )
    )
