"""The options of a server as a manifest says them, and as its command line takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from tritonbuild.rule import (
    ActionError,
    Artifact,
    Context,
    Output,
    Problem,
    ToolContext,
    tool,
)

from ..component import SECRETS

FLAGS = "flags.json"
OURS = ("model_repository", "model_store", "backend_directory", "repoagent_directory",
        "cache_directory")  # fmt: skip
"""What the image decides."""
CACHE_CONFIG = "server.cache_config"
Option = str | int | float | bool | list[str] | dict[str, dict[str, str | int | float | bool]]


def command_line(ctx: Context[Any], options: Mapping[str, Option]) -> list[str]:
    """Flags, sorted. Raises AnalysisError for what cannot be one."""
    flags = []
    for name, value in sorted(options.items()):
        key = f"server.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ctx.error(f"{name!r} is no flag", key=key, expected="such as model_control_mode")
        if name in OURS:
            raise ctx.error(f"`{name}` is the image's own", key=key, remedy="take it away")
        flags += [f"--{name.replace('_', '-')}={text}" for text in _texts(ctx, key, value)]
    return flags


def _texts(ctx: Context[Any], key: str, value: Option) -> Iterator[str]:
    match value:
        case bool():
            yield str(value).lower()
        case str() | int() | float():
            yield str(value)
        case list():
            yield from value
        case dict():
            for part, settings in sorted(value.items()):
                _without_secrets(ctx, key, part, settings)
                words = [
                    f"{n}={_setting(ctx, key, n, said)}" for n, said in sorted(settings.items())
                ]
                if key == CACHE_CONFIG:
                    yield ",".join((part, *words))
                else:  # --backend-config takes one setting at a time
                    yield from (f"{part},{word}" for word in words)


def _without_secrets(ctx: Context[Any], key: str, part: str, settings: Iterable[str]) -> None:
    known = SECRETS.get(part, {}) if key == CACHE_CONFIG else {}
    for setting in settings:
        if setting in known:
            raise ctx.error(
                "a secret in a manifest",
                key=f"{key}.{part}.{setting}",
                remedy=f"set {known[setting]} where the image is run",
            )


def _setting(ctx: Context[Any], key: str, name: str, value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if name == "size":
        try:
            return str(int(TypeAdapter(ByteSize).validate_python(value)))
        except ValidationError:
            raise ctx.error(f"{value!r} is not a size", key=key, expected="`64MiB`") from None
    return str(value)


def known_flags(ctx: Context[Any], distribution: Artifact) -> Output:
    """Declares the asking of a release for its flags."""
    return ctx.tool(ask_flags, inputs={"distribution": distribution}, outputs=[FLAGS])[FLAGS]


@tool("server-flags", version=1)
def ask_flags(ctx: ToolContext) -> None:
    """Input `distribution`, output flags.json: what its server's --help names."""
    folder = ctx.path("distribution")
    log = ctx.scratch / "help"
    process = ctx.start(
        [str(folder / "bin" / "tritonserver"), "--help"],
        env={"LD_LIBRARY_PATH": str(folder / "lib"), "PATH": "/usr/bin:/bin"},
        cwd=ctx.scratch,
        log=log,
    )
    process.wait(60)  # its exit code is 1
    said = log.read_text(errors="replace")
    flags = sorted(set(re.findall(r"^\s*(?:-\w, )?--([a-z][a-z0-9-]+)", said, re.MULTILINE)))
    if "model-repository" not in flags:
        raise ActionError(Problem(f"its server does not tell its flags:\n{said[-2000:]}"))
    ctx.write(FLAGS, json.dumps(flags).encode())
