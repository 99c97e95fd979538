"""A repository of a registry: documents and blobs by digest, and what its tags mean."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from tritonbuild.digest import CHUNK
from tritonbuild.oci.documents import INDEXES, LIMIT, MANIFESTS, Descriptor
from tritonbuild.oci.errors import Absent, Invalid, Passing, Refused
from tritonbuild.oci.registry.reference import Reference
from tritonbuild.oci.registry.session import Registry
from tritonbuild.oci.registry.transport import LATER, SILENCE

if TYPE_CHECKING:
    import requests

DOCUMENTS = (*MANIFESTS, *INDEXES)
ATTEMPTS = 5
"""In a row that bring not one byte, of what goes on where it broke off."""
PAUSE = 0.2
"""Seconds before the second attempt; each is followed by a pause twice as long."""
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


class Repository:
    """Implements Content; for threads. `scope` and `pushing` are what tokens are asked for."""

    def __init__(self, registry: Registry, name: str):
        self.registry = registry
        self.name = name
        self.scope = f"repository:{name}:pull"
        self.pushing = f"repository:{name}:pull,push"
        self._documents: dict[str, bytes] = {}

    @classmethod
    def of(cls, reference: Reference, *, silence: float = SILENCE) -> Self:
        """With a registry of its own, which `close` closes."""
        return cls(Registry(reference.registry, silence=silence), reference.repository)

    def __str__(self) -> str:
        return f"{self.registry.name}/{self.name}"

    def close(self) -> None:
        self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resolve(self, reference: str) -> Descriptor:
        """What a tag or the digest of a document means; by the document's own bytes, which are
        kept. Raises Absent, Refused, Passing; Invalid for what is no document of an image."""
        digest = self.digest(reference)
        content = self._documents.get(digest or "")
        kind = ""
        if content is None:
            content, kind = self._get(digest or reference)
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if (wanted := digest or reference) != found and _DIGEST.fullmatch(wanted):
            raise Invalid(f"{self}@{wanted}: its manifest has the digest {found}", expected=wanted)
        self._documents[found] = content
        return Descriptor(
            media_type=_media_type(f"{self}: {reference}", content, kind),
            digest=found,
            size=len(content),
        )

    def digest(self, reference: str) -> str | None:
        """Of the document that a tag or a digest means, as the registry says, which may not say
        it. Raises Absent, Refused, Passing; Invalid for one that is too large."""
        with self._document("HEAD", reference, also={405}) as response:
            size = response.headers.get("Content-Length", "")
            if size.isdecimal() and int(size) > LIMIT:
                raise _too_large(f"{self}: {reference}", int(size))
            found = response.headers.get("Docker-Content-Digest", "")
        return found if _DIGEST.fullmatch(found) else None

    def holds(self, descriptor: Descriptor) -> bool:
        """Whether a blob or a document is there."""
        if descriptor.media_type in DOCUMENTS:
            with suppress(Absent):
                return self.digest(descriptor.digest) in (None, descriptor.digest)
            return False
        with suppress(Absent):
            self.ask("HEAD", f"blobs/{descriptor.digest}")
            return True
        return False

    def open(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        """Also from a byte on, and to seek in. What breaks off goes on from there."""
        if descriptor.media_type in DOCUMENTS:
            content = self._documents.get(descriptor.digest)
            if content is None:
                content, _ = self._get(descriptor.digest)
            return io.BytesIO(content[start:])
        return io.BufferedReader(self.download(descriptor.digest, start, ATTEMPTS), CHUNK)

    def download(self, digest: str, start: int, attempts: int) -> Download:
        """A blob whose size is not known; with one attempt, for who goes on by himself."""
        return Download(self, digest, start, attempts)

    def put(self, content: bytes, media_type: str, reference: str) -> bool:
        """Stores a document, whose parts have to be there. Whether the registry itself keeps track
        of the subject that it names."""
        headers = {"Content-Type": media_type}
        with self.ask(
            "PUT", f"manifests/{reference}", self.pushing, headers=headers, data=content
        ) as response:
            return "OCI-Subject" in response.headers

    def ask(
        self, method: str, address: str, scope: str = "", **arguments: Any
    ) -> requests.Response:
        """As `Registry.request`; of something in the repository, or absolute."""
        if "://" not in address:
            address = f"{self.name}/{address}"
        return self.registry.request(method, address, scope or self.scope, **arguments)

    def _get(self, reference: str) -> tuple[bytes, str]:
        response = self._document("GET", reference)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return self.registry.body(response, LIMIT), kind

    def _document(self, method: str, reference: str, **arguments: Any) -> requests.Response:
        try:
            return self.ask(method, f"manifests/{reference}", headers=_ACCEPT, **arguments)
        except Absent:
            is_digest = _DIGEST.fullmatch(reference)
            what = f"manifest {reference}" if is_digest else f"tag {reference!r}"
            raise Absent(
                f"there is no {what} in {self}",
                remedy=f"is the name right? `skopeo list-tags docker://{self}` shows its tags",
            ) from None


_ACCEPT: Mapping[str, str] = {"Accept": ", ".join(DOCUMENTS)}


def _too_large(what: str, size: int) -> Invalid:
    return Invalid(f"{what} has {size} bytes", expected=f"a document of at most {LIMIT}")


def _media_type(what: str, content: bytes, told: str) -> str:
    """Of a document, which nobody may take for another kind than the next one does."""
    try:
        document = json.loads(content)
        said = document.get("mediaType", told)
    except (ValueError, AttributeError, RecursionError):
        kind = told or "no type"
        raise Invalid(
            f"{what} is no manifest: {len(content)} bytes, {kind}", expected="an object in JSON"
        ) from None
    if said not in DOCUMENTS or (told in DOCUMENTS and told != said):
        kinds = repr(said) if said == told else f"{said!r} by itself, {told!r} by the registry"
        raise Invalid(
            f"{what} is of media type {kinds}", expected=f"one of: {', '.join(DOCUMENTS)}"
        )
    if "manifests" in document and ("layers" in document or "config" in document):
        raise Invalid(f"{what} is a manifest and an index at once")
    return str(said)


class Download(io.RawIOBase):
    """A blob on its way. Reading raises Passing when it breaks off again and again."""

    def __init__(self, repository: Repository, digest: str, start: int, attempts: int):
        self.total = 0
        """Bytes of the whole blob; 0: not known."""
        self._repository = repository
        self._digest = digest
        self._position = start
        self._attempts = attempts
        self._response: requests.Response | None = None
        self._connect()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.total}
        wanted = max(0, starts[whence] + offset)
        if wanted != self._position:
            self._drop()
            self._position = wanted
        return wanted

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        for attempt in range(self._attempts):
            try:
                content = self._read(self._response or self._connect(), len(buffer))
            except Passing:
                self._drop()
                if attempt == self._attempts - 1:
                    raise
                time.sleep(PAUSE * 2**attempt)
                continue
            buffer[: len(content)] = content
            self._position += len(content)
            return len(content)
        raise AssertionError

    def _read(self, response: requests.Response | None, size: int) -> bytes:
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        if response is None:
            return b""
        try:
            content: bytes = response.raw.read(size, decode_content=False)
        except HTTPError as error:
            silent = isinstance(error, ReadTimeoutError)
            why = f"no byte came for {self._repository.registry.silence:g} s" if silent else ""
            raise Passing(
                f"{self._repository}: blob {self._digest} broke off after {self._position} bytes"
                f": {why or type(error).__name__}",
                remedy=LATER,
            ) from None
        return content

    def _connect(self) -> requests.Response | None:
        """From the position on; None at the end."""
        position = self._position
        if position and position == self.total:
            return None
        headers = {"Range": f"bytes={position}-"} if position else {}
        response = self._repository.ask("GET", f"blobs/{self._digest}", headers=headers, also={416})
        if response.status_code == 416:
            response.close()
            if not position:
                raise Refused(f"{self._repository}: it refuses to send anything (416)")
            return None
        self._response = response
        length = response.headers.get("Content-Length", "")
        given = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if position and response.status_code == 206:
            if given is None or int(given[1]) != position:
                self._drop()
                raise Refused(f"{self._repository}: it sends a part that nobody asked for (206)")
            self.total = int(given[2])
        else:
            self.total = int(length) if length.isdecimal() else 0
            while position and (piece := self._read(response, min(position, CHUNK))):
                position -= len(piece)
        return response

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response = None

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()
