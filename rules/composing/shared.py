"""A registry that keeps surveys and slices for all who may pull from it: a release is cut once.
Each is an artifact with a tag that says all that decides its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from tritonbuild.oci import Absent, Descriptor, Invalid, Manifest, OciError, Refused
from tritonbuild.oci.content import read, verified
from tritonbuild.oci.documents import EMPTY, MANIFEST
from tritonbuild.rule import ActionError, Digest, ToolContext

if TYPE_CHECKING:
    from tritonbuild.oci.registry import Repository

Used = TypeVar("Used")

HINT = "component_cache"
_TYPE = "application/vnd.tritonbuild.component.v1"
_MEDIA = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_NOTHING = b"{}"
_PIECE = 1 << 20
_READ = 256 << 20
"""Bytes of a file that is read into memory."""


def tag(kind: str, *decides: str) -> str:
    """Of what everything in `decides` makes."""
    text = "\n".join(decides)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:48]}"


@dataclass(frozen=True)
class Shared:
    """A registry that does not do as it should is as one that has nothing, and so is an artifact
    that is not what it should be. Nobody vouches for what is right but differs: who may push there
    decides what others build."""

    ctx: ToolContext
    repository: Repository
    _broken: set[str] = field(default_factory=set)
    """Artifacts that are not as they should be."""

    def use(
        self, name: str, files: Collection[str], use: Callable[[Mapping[str, Descriptor]], Used]
    ) -> Used | None:
        """What `use` makes of an artifact of just these files: file → where it is. None where there
        is none, or one that is not as it should be: `use` raises OciError for it."""
        try:
            descriptor = self.repository.resolve(name)
        except Absent:
            return None
        except OciError as error:
            self._told(name, error)
            return None
        try:
            manifest = Manifest.parse(read(self.repository, descriptor), name)
            found = {(file.annotations or {}).get(_TITLE, ""): file for file in manifest.layers}
            if found.keys() != set(files):
                raise Invalid(f"it holds {', '.join(sorted(found))}", expected=", ".join(files))
            return use(found)
        except OciError as error:
            self._broken.add(name)
            self._told(name, error)
            return None

    def read(self, file: Descriptor) -> bytes:
        """Raises OciError."""
        return read(self.repository, file, _READ)

    def fetch(self, file: Descriptor) -> None:
        """Into the cache. Raises OciError."""
        target = self.ctx.scratch / f"shared-{file.content.hash}"
        with verified(self.repository, file) as stream, target.open("wb") as content:
            while piece := stream.read(_PIECE):
                content.write(piece)
                if self.ctx.cancelled:
                    raise ActionError("stopped")
        self.ctx.put(target)

    def put(self, name: str, files: Mapping[str, bytes | Path]) -> None:
        """Makes such an artifact."""
        from tritonbuild.oci.registry import push

        source = _Source(files)

        def send(*tags: str) -> None:
            push(source, source.root, self.repository, tags, cancelled=lambda: self.ctx.cancelled)

        try:
            if name in self._broken:
                send()  # what a tag has named already, it takes to be there
            with suppress(Refused):
                send(name)
                return
            send(name)  # of a blob that several send at once, a registry may lose sight
        except OciError as error:
            self._told(name, error)

    def _told(self, name: str, error: OciError) -> None:
        self.ctx.log.write(f"component cache {self.repository}:{name}: {error.problem.found}\n")


class _Source:
    """Implements Content: an artifact that is not anywhere yet."""

    def __init__(self, files: Mapping[str, bytes | Path]):
        self._contents: dict[str, bytes | Path] = {}
        config = self._add(EMPTY, _NOTHING)
        layers = [self._add(_MEDIA, content, {_TITLE: name}) for name, content in files.items()]
        manifest = Manifest(artifact_type=_TYPE, config=config, layers=layers)
        self.root = self._add(MANIFEST, manifest.encoded)

    def _add(
        self, media_type: str, content: bytes | Path, annotations: dict[str, str] | None = None
    ) -> Descriptor:
        digest = Digest.of_bytes(content) if isinstance(content, bytes) else Digest.of_file(content)
        descriptor = Descriptor.of(media_type, digest, annotations=annotations)
        self._contents[descriptor.digest] = content
        return descriptor

    def open(self, descriptor: Descriptor) -> BinaryIO:
        content = self._contents[descriptor.digest]
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


@contextmanager
def shared(ctx: ToolContext) -> Iterator[Shared | None]:
    """As the hint `component_cache` says."""
    from tritonbuild.oci.registry import Reference, Repository

    place = ctx.hints.get(HINT)
    if not place:
        yield None
        return
    with Repository.of(Reference.parse(place)) as repository:
        yield Shared(ctx, repository)
