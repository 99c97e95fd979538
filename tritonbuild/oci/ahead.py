"""Reads ahead in a thread, so that what makes a stream's bytes and what takes them work at the same
time."""

from __future__ import annotations

import threading
from queue import Empty, Queue
from typing import BinaryIO

from tritonbuild.digest import CHUNK

_PIECES = 4


class Ahead:
    """The pieces of a stream, as they come. Close it before the stream."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._queue: Queue[bytes | BaseException] = Queue(_PIECES)
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self) -> bytes:
        """The next piece; empty at the end. Raises what reading the stream raises."""
        piece = self._queue.get()
        if isinstance(piece, BaseException):
            self._queue.put(piece)
            raise piece
        if not piece:
            self._queue.put(piece)
        return piece

    def _run(self) -> None:
        piece: bytes | None = None
        while not self._closed and piece != b"":
            try:
                piece = self._stream.read(CHUNK)
            except BaseException as error:
                self._queue.put(error)
                return
            self._queue.put(piece)

    def close(self) -> None:
        self._closed = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except Empty:
                continue
