"""One blob on its way into a repository: there already, mounted from another, or uploaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from tritonbuild.digest import CHUNK
from tritonbuild.oci.content import Content
from tritonbuild.oci.documents import Descriptor
from tritonbuild.oci.errors import Absent, Invalid, OciError, Passing, Refused
from tritonbuild.oci.registry.repository import ATTEMPTS, PAUSE, Repository
from tritonbuild.oci.registry.transport import LATER

if TYPE_CHECKING:
    import requests

Outcome = Literal["moved", "mounted", "there"]
SMALL = 4 << 20
"""Bytes of a blob that is sent at once."""
CHUNKS = 128 << 20
"""Bytes of a chunk: what a break costs at most."""
_LEAST = 1 << 20
"""Of one, for a registry, or a proxy before it, that takes none so large."""
_COMMIT = 300.0
"""Seconds for a registry to put chunks together and to look at their digest."""
_BYTES = {"Content-Type": "application/octet-stream"}
_LOST = {400, 404, 416}
"""Answers of a registry that knows no upload of this name which goes on here."""
_NO_CHUNKS = {405, 413, 501}
"""Of one that wants a blob at once."""


class Upload:
    """`pause` waits for seconds; it and `progress`, which is told how many bytes there are, may
    raise to end it."""

    def __init__(
        self,
        repository: Repository,
        source: Content,
        descriptor: Descriptor,
        progress: Callable[[int], None],
        pause: Callable[[float], None],
        chunk: int = CHUNKS,
    ):
        self._repository = repository
        self._source = source
        self._descriptor = descriptor
        self._progress = progress
        self._pause = pause
        self._chunk = chunk
        self._url = ""
        self._confirmed = 0
        """Bytes that the registry has said it has."""
        self._resumed = False

    def run(self, mounts: Sequence[str] = ()) -> Outcome:
        """Raises what the source raises, Refused, Passing, and Invalid where the source's bytes are
        not the descriptor's."""
        if self._repository.holds(self._descriptor):
            return self._done("there")
        if any(self._mount(name) for name in mounts if name != self._repository.name):
            return self._done("mounted")
        if not self._url:
            self._begin()
        failures = best = 0
        while True:
            try:
                # It may be done, although nobody has said so.
                if not (failures and self._repository.holds(self._descriptor)):
                    self._go_on(again=bool(failures))
                return self._done("moved")
            except Passing:
                failures = failures + 1 if self._confirmed <= best else 1
                best = max(best, self._confirmed)
                if failures == ATTEMPTS:
                    raise
            self._pause(PAUSE * 2 ** (failures - 1))

    def _done(self, outcome: Outcome) -> Outcome:
        self._progress(self._descriptor.size)
        return outcome

    def _mount(self, name: str) -> bool:
        """From another repository of the registry, if it is known to be there: whoever asks for a
        mount that cannot be has begun an upload."""
        if self._url:
            return False
        other = Repository(self._repository.registry, name)
        try:
            if not other.holds(self._descriptor):
                return False
            with self._repository.ask(
                "POST", "blobs/uploads/", f"{self._repository.pushing} {other.scope}",
                params={"mount": self._descriptor.digest, "from": name},
            ) as response:  # fmt: skip
                if response.status_code == 201:
                    return True
                self._url = self._repository.registry.location(response)
        except OciError:  # then it is uploaded
            pass
        return False

    def _go_on(self, again: bool) -> None:
        size = self._descriptor.size
        if again and size <= max(SMALL, self._chunk):
            self._url = ""  # what goes at once begins anew
        if again and self._url:
            self._ask()
        if not self._url:
            self._begin()
        with _Bytes(self._source, self._descriptor) as source:
            if size <= SMALL:
                self._commit(b"".join(self._part(source, 0, size)))
            elif size <= self._chunk:
                self._commit(self._part(source, 0, size))
            else:
                while self._confirmed < size:
                    self._patch(source)
                self._commit(b"")

    def _part(self, source: _Bytes, start: int, length: int) -> _Part:
        return _Part(source, start, length, self._progress)

    def _begin(self) -> None:
        self._confirmed, self._resumed = 0, False
        with self._ask_for("POST", "blobs/uploads/") as response:
            least = response.headers.get("OCI-Chunk-Min-Length", "")
            if least.isdecimal():
                self._chunk = max(self._chunk, int(least))
            self._url = self._repository.registry.location(response)

    def _patch(self, source: _Bytes) -> None:
        start = self._confirmed
        length = min(self._chunk, self._descriptor.size - start)
        headers = {**_BYTES, "Content-Range": f"{start}-{start + length - 1}"}
        with self._ask_for(
            "PATCH", self._url, headers=headers, data=self._part(source, start, length),
            also=_LOST | _NO_CHUNKS,
        ) as response:  # fmt: skip
            too_large = response.status_code == 413 and self._may_be_smaller()
            if response.status_code in _NO_CHUNKS and not too_large:
                self._chunk, self._url = self._descriptor.size, ""
            if not response.ok:
                raise self._went_wrong(response)
            end = _end(response)
            self._url = self._repository.registry.location(response)
        if end not in (None, start + length):
            raise Passing(f"{self._repository}: of {start + length} bytes it has {end}")
        self._confirmed = start + length

    def _may_be_smaller(self) -> bool:
        """What is sent next, after something too large."""
        smaller = min(self._chunk, self._descriptor.size) // 4
        if smaller < _LEAST:
            return False
        self._chunk = smaller
        return True

    def _went_wrong(self, response: requests.Response) -> Passing:
        problem = self._repository.registry.failure(response).problem
        return Passing(problem.found, remedy=LATER)

    def _commit(self, content: bytes | _Part) -> None:
        with self._ask_for(
            "PUT", self._url, params={"digest": self._descriptor.digest}, headers=_BYTES,
            data=content, also=_LOST | {413}, patience=_COMMIT,
        ) as response:  # fmt: skip
            if response.ok:
                return
            if response.status_code == 413 and not self._may_be_smaller():
                raise self._repository.registry.failure(response)
            error = self._went_wrong(response)
        self._url = ""
        if "DIGEST_INVALID" in error.problem.found and not self._resumed:
            raise Invalid(
                f"what was sent for {self._descriptor.digest} has another digest",
                expected=f"{self._descriptor.size} bytes of that digest",
            )
        raise error

    def _ask(self) -> None:
        """How far the upload is; where that cannot be said, or where a registry's answer leads
        nowhere, it begins anew."""
        try:
            with self._ask_for("GET", self._url) as response:
                found = _end(response)
                self._url = self._repository.registry.location(response)
        except (Absent, Refused):
            found = None
        if found is None or found > self._descriptor.size:
            self._url = ""
        else:
            self._confirmed, self._resumed = found, True

    def _ask_for(self, method: str, address: str, **arguments: Any) -> requests.Response:
        return self._repository.ask(method, address, self._repository.pushing, **arguments)


def _end(response: requests.Response) -> int | None:
    """Bytes of an upload that a registry has; None where it does not say."""
    found = re.fullmatch(r"(?:bytes=)?0-(\d+)", response.headers.get("Range", ""))
    return (int(found[1]) + 1 if int(found[1]) else 0) if found else None


class _Bytes:
    """A blob's bytes, from where they are wanted."""

    def __init__(self, source: Content, descriptor: Descriptor):
        self._source = source
        self._descriptor = descriptor
        self._stream = source.open(descriptor)
        self._position = 0

    def read(self, position: int, size: int) -> bytes:
        """At least one byte, if any is wanted. Raises Invalid where there is none."""
        try:
            if position != self._position:
                self._go_to(position)
            content = self._stream.read(size)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Refused(f"{self._descriptor.digest} cannot be read: {reason}") from None
        self._position += len(content)
        if size and not content:
            raise Invalid(
                f"{self._descriptor.digest} ends after {self._position} bytes",
                expected=f"{self._descriptor.size} bytes",
            )
        return content

    def _go_to(self, position: int) -> None:
        if self._stream.seekable():
            self._position = self._stream.seek(position)
            return
        self._stream.close()
        self._stream, self._position = self._source.open(self._descriptor), 0
        while self._position < position:
            self.read(self._position, min(CHUNK, position - self._position))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class _Part:
    """The body of a request, which may have to be sent again."""

    def __init__(
        self, source: _Bytes, start: int, length: int, progress: Callable[[int], None]
    ) -> None:
        self._source = source
        self._start = start
        self._length = length
        self._progress = progress
        self._done = 0

    def read(self, size: int = -1) -> bytes:
        left = self._length - self._done
        content = self._source.read(
            self._start + self._done, min(size, left) if size >= 0 else left
        )
        self._done += len(content)
        self._progress(self._start + self._done)
        return content

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """For requests, which takes what can be iterated for a stream; it is read."""
        return iter(lambda: self.read(CHUNK), b"")

    def tell(self) -> int:
        return self._done

    def seek(self, position: int) -> int:
        self._done = position
        return position
