"""Brings one file here: checked on its way, and taken up where it broke off."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tritonbuild.rule import ActionError

from .source import Broken, Opening, Passing, Refused, Stream

_UNANNOUNCED = 64 << 30
"""Bytes that a place may send which does not say how many there will be; of a disk's free space it
gets half."""
PAUSE = 0.2
"""Seconds before the second attempt; each is followed by a pause twice as long."""


class WrongFileError(Exception):
    """A file is not the one that was asked for."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is here."""

    sha256: str = ""
    """Empty: not known."""
    size: int = 0
    """0: not known."""


@dataclass(frozen=True)
class Got:
    sha256: str
    size: int


Progress = Callable[[int, int], None]
"""(bytes so far, in all or 0)"""


def check(sha256: str, size: int, got_sha256: str, got_size: int) -> None:
    """Raises WrongFileError. An empty digest and a size of 0 are not known."""
    if size and got_size != size:
        raise WrongFileError(f"expected {size} bytes, got {got_size}")
    if sha256 and got_sha256 != sha256:
        raise WrongFileError(f"expected sha256 {sha256}, got {got_sha256}")


def transfer(
    opening: Opening,
    target: Path,
    expected: Expected,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Got:
    """Writes a file. Raises Refused, Passing and WrongFileError; ActionError when cancelled."""
    partial = _Partial(target, expected, progress, cancelled)
    try:
        while True:
            try:
                partial.run(opening)
                return partial.finish()
            except WrongFileError:
                if not partial.patched:  # else the place may have another file by now
                    raise
                partial.begin()
                partial.may_patch = False
    finally:
        opening.close()


class _Partial:
    """A file that is there in part."""

    def __init__(
        self, target: Path, expected: Expected, progress: Progress, cancelled: Callable[[], bool]
    ):
        self._target = target
        self._expected = expected
        self._progress = progress
        self._cancelled = cancelled
        self._validator = ""
        self.may_patch = bool(expected.sha256)
        """Whether parts may be put together that nothing says belong together: the digest will."""
        self.begin()

    def begin(self) -> None:
        """With nothing."""
        self._sha, self._done, self._total = hashlib.sha256(), 0, 0
        self.patched = False
        self._target.write_bytes(b"")

    def run(self, opening: Opening) -> None:
        """Until all of it is there."""
        failures = 0
        while True:
            before = self._done
            try:
                if before and not self._validator and not self.may_patch:
                    self.begin()
                stream = opening.open(self._done, self._validator)
                if self._done and stream.start and stream.validator != self._validator:
                    stream = opening.open(0, "")  # another file stands there by now
                self._take(stream)
                return
            except Passing as error:
                if not self._done and not isinstance(error, Broken):
                    raise  # there may be another place to ask
                failures = 1 if self._done > before else failures + 1
                if failures >= (error.attempts if isinstance(error, Broken) else Broken.attempts):
                    raise
                self._pause(PAUSE * 2 ** (failures - 1))

    def _take(self, stream: Stream) -> None:
        if stream.start != self._done:
            self.begin()
        elif self._done and not self._validator:
            self.patched = True
        self._validator, self._total = stream.validator, stream.total
        limit = self._expected.size
        most = min(_UNANNOUNCED, shutil.disk_usage(self._target.parent).free // 2 + self._done)
        with self._target.open("ab") as file:
            for chunk in stream.chunks:
                if self._cancelled():
                    raise ActionError("stopped")
                self._sha.update(chunk)
                self._done += len(chunk)
                file.write(chunk)
                self._progress(self._done, limit or self._total)
                if limit and self._done > limit:
                    raise WrongFileError(f"expected {limit} bytes, got more")
                if not (limit or self._total) and self._done > most:
                    raise Refused(
                        f"it sends more than {most} bytes, and does not say how many there are",
                        "a place that says so (Content-Length), or more room in the cache",
                    )
        if self._total and self._done < self._total:
            raise Broken(f"it broke off after {self._done} of {self._total} bytes")

    def finish(self) -> Got:
        got = Got(self._sha.hexdigest(), self._done)
        check(self._expected.sha256, self._expected.size, got.sha256, got.size)
        return got

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._cancelled():
                raise ActionError("stopped")
            time.sleep(min(left, 0.1))
