"""What a server image holds: models, their versions, files and configs; components; packages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tritonbuild.oci import Listed, OciError, Root, View
from tritonbuild.rule import Fact, dotted, inspector

from ..model_config.environment import CONFIG
from ..pytriton import COMPONENTS
from .components import HOME
from .inventory import Inventory
from .models import REPOSITORY


@inspector("triton-server")
def inspect(view: View) -> Iterator[Fact]:
    yield from _models(view)
    yield from _components(view.root)
    inventory = Inventory(view)
    for item in inventory.packages():
        yield Fact("packages", item.name, item.version)
    for item in inventory.wheels(()):
        yield Fact("python packages", item.name, item.version)


def _models(view: View) -> Iterator[Fact]:
    root = view.root
    for name in root.names(REPOSITORY):
        folder = f"{REPOSITORY}/{name}"
        if (entry := root.get(folder)) is not None and entry.kind != "folder":
            continue
        versions = sorted((v for v in root.names(folder) if v.isdecimal()), key=int)
        yield Fact("models", name, f"versions {', '.join(versions)}" if versions else "no versions")
        for file in _files(root, folder):
            inner = file.path.removeprefix(f"{folder}/")
            if inner != CONFIG:
                yield Fact("model files", f"{name}/{inner}", _content(file))
        yield from _config(view, name)


def _config(view: View, model: str) -> Iterator[Fact]:
    """Field by field."""
    from google.protobuf import text_format

    from ..model_config.message import empty
    from ..model_config.text import lines

    path = f"{REPOSITORY}/{model}/{CONFIG}"
    if view.root.find(path) is None:
        return
    config: Any = empty()
    with suppress(OciError, text_format.ParseError, UnicodeDecodeError):
        text_format.Parse(view.read(path).decode(), config)
        for line in lines(config):
            if line.path:
                yield Fact("configs", f"{model}: {dotted(line.path)}", line.value)


def _components(root: Root) -> Iterator[Fact]:
    """By the digest of all their files; Triton itself is what lies beside them."""
    inside: dict[str, list[Listed]] = {}
    for file in _files(root, HOME):
        kind, _, below = file.path.removeprefix(f"{HOME}/").partition("/")
        name, slash, _ = below.partition("/")
        core = kind not in COMPONENTS or not slash
        inside.setdefault("core" if core else f"{kind}/{name}", []).append(file)
    for component, files in sorted(inside.items()):
        sha = hashlib.sha256()
        for file in files:
            sha.update(f"{file.path}\0{file.digest}\0{file.target}\n".encode())
        size = sum(file.size for file in files)
        yield Fact(
            "components", component, f"{len(files)} files, {size} bytes, {sha.hexdigest()[:12]}"
        )


def _files(root: Root, folder: str) -> Iterator[Listed]:
    for name in root.names(folder):
        entry = root.get(f"{folder}/{name}")
        if entry is not None and entry.kind in ("file", "link"):
            yield entry
        yield from (
            _files(root, f"{folder}/{name}") if entry is None or entry.kind == "folder" else ()
        )


def _content(file: Listed) -> str:
    return f"sha256 {file.digest}, {file.size} bytes" if file.digest else f"→ {file.target}"
