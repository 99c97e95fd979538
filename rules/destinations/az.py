"""Blobs in Azure Storage, below a prefix of a container."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..origins.az import connect, listed, parts, told
from .destination import SHA256, Check, Held, Item

_BLOCK = 4 << 20
"""Bytes of a request …"""
_REQUESTS = 2
"""… and how many at once for one blob: all of them are held in memory."""


def opened(url: str) -> _Prefix:
    account, container, prefix, _ = parts(url)
    return _Prefix(account, container, prefix)


class _Prefix:
    """Implements Destination."""

    def __init__(self, account: str, container: str, prefix: str):
        self._service = connect(account, max_single_put_size=_BLOCK, max_block_size=_BLOCK)
        self._container = container
        self._prefix = prefix

    def held(self, folder: str) -> dict[str, Held]:
        with told():
            return {
                item.name.removeprefix(self._prefix): partial(
                    _is, item.size, (item.metadata or {}).get(SHA256)
                )
                for item in listed(self._service, self._container, f"{self._prefix}{folder}")
            }

    def put(self, item: Item, file: Path, check: Check) -> None:
        blob = self._service.get_blob_client(self._container, f"{self._prefix}{item.path}")
        with file.open("rb") as content, told():
            blob.upload_blob(
                content,
                length=item.digest.size,
                overwrite=True,
                metadata={SHA256: item.digest.hash},
                max_concurrency=_REQUESTS,
                progress_hook=lambda done, total: check(),
            )

    def remove(self, path: str) -> None:
        with told():
            self._service.get_blob_client(self._container, f"{self._prefix}{path}").delete_blob()

    def close(self) -> None:
        self._service.close()


def _is(size: int, sha256: str | None, item: Item) -> bool:
    return (size, sha256) == (item.digest.size, item.digest.hash)
