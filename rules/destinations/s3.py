"""Objects in Amazon S3 and what speaks its protocol, below a prefix of a bucket."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from ..origins.s3 import connect, parts, told
from .destination import SHA256, Check, Held, Item

_REQUESTS = 16
"""At once; of a large file each carries a part."""
_GLANCE = 0.2
"""Seconds between looks at whether to go on."""


def opened(url: str) -> _Prefix:
    bucket, prefix, _ = parts(url)
    return _Prefix(bucket, prefix)


class _Prefix:
    """Implements Destination."""

    def __init__(self, bucket: str, prefix: str):
        self._client = connect(_REQUESTS)
        # Lazily, as the library is optional.
        from boto3.s3.transfer import TransferConfig, create_transfer_manager
        from s3transfer.subscribers import BaseSubscriber

        class Tells(BaseSubscriber):  # type: ignore[misc]  # has no types
            def __init__(self, over: Event):
                self._over = over

            def on_done(self, future: Any, **_: Any) -> None:
                self._over.set()

        self._tells = Tells
        config = TransferConfig(max_concurrency=_REQUESTS, preferred_transfer_client="classic")
        self._transfers = create_transfer_manager(self._client, config)
        self._bucket = bucket
        self._prefix = prefix

    def held(self, folder: str) -> dict[str, Held]:
        found: dict[str, Held] = {}
        pages = self._client.get_paginator("list_objects_v2")
        with told():
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}{folder}"):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):  # how consoles mark a folder
                        path = item["Key"].removeprefix(self._prefix)
                        found[path] = partial(self._is, item["Size"])
        return found

    def _is(self, size: int, item: Item) -> bool:
        """Lists tell sizes only."""
        if size != item.digest.size:
            return False
        with told():
            head = self._client.head_object(**self._place(item.path))
        return bool(head["Metadata"].get(SHA256) == item.digest.hash)

    def put(self, item: Item, file: Path, check: Check) -> None:
        over = Event()
        place = self._place(item.path)
        future = self._transfers.upload(
            str(file), place["Bucket"], place["Key"], {"Metadata": {SHA256: item.digest.hash}},
            [self._tells(over)],
        )  # fmt: skip
        try:
            while not over.wait(_GLANCE):
                check()
        except BaseException:
            future.cancel()  # takes back the parts that are there
            raise
        with told():
            future.result()

    def remove(self, path: str) -> None:
        with told():
            self._client.delete_object(**self._place(path))

    def close(self) -> None:
        self._transfers.shutdown()
        self._client.close()

    def _place(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{path}"}
