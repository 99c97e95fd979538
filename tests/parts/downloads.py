"""Workspaces of one download, `x`."""

from __future__ import annotations

import tomli
from conftest import MINIMAL, WorkspaceFolder

from tritonbuild.lock import FILE


def manifest(url: str, *lines: str) -> dict[str, str | bytes]:
    return {"triton.toml": "\n".join([MINIMAL, "[downloads.x]", f'url = "{url}"', *lines, ""])}


def locked(folder: WorkspaceFolder) -> list[dict[str, object]]:
    document = tomli.loads((folder.root / FILE).read_text())
    return [file for entry in document["resolution"] for file in entry["files"]]


def assert_stands_nowhere(secret: str, folder: WorkspaceFolder, *texts: str) -> None:
    """In no file of the workspace and of the cache; keys, logs and the lock are among them."""
    files = [*folder.root.rglob("*"), *folder.cache.rglob("*")]
    assert len(files) > 5
    for file in files:
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    for text in texts:
        assert secret not in text
