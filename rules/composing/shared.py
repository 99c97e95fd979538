"""A registry that keeps surveys and slices for all who may pull from it: a release is cut once.
Each is an artifact with a tag that says all that decides its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tritonbuild.oci import Absent, Descriptor, Manifest, OciError
from tritonbuild.oci.content import read, verified
from tritonbuild.oci.documents import EMPTY, MANIFEST
from tritonbuild.rule import ActionError, Digest, ToolContext

if TYPE_CHECKING:
    from tritonbuild.oci.registry import Repository

HINT = "component_cache"
_TYPE = "application/vnd.tritonbuild.component.v1"
_MEDIA = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_NOTHING = b"{}"
_PIECE = 1 << 20


def tag(kind: str, *decides: str) -> str:
    """Of what everything in `decides` makes."""
    text = "\n".join(decides)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:48]}"


@dataclass(frozen=True)
class Shared:
    """A registry that does not do as it should is as one that has nothing."""

    ctx: ToolContext
    repository: Repository

    def get(self, name: str) -> Mapping[str, Descriptor] | None:
        """File → where it is; None where there is no such artifact."""
        try:
            manifest = Manifest.parse(read(self.repository, self.repository.resolve(name)), name)
        except Absent:
            return None
        except OciError as error:
            self._told(error)
            return None
        return {(layer.annotations or {}).get(_TITLE, ""): layer for layer in manifest.layers}

    def read(self, file: Descriptor) -> bytes:
        """Raises OciError."""
        return read(self.repository, file, limit=file.size)

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
        try:
            push(
                source, source.root, self.repository, [name],
                cancelled=lambda: self.ctx.cancelled,
            )  # fmt: skip
        except OciError as error:
            self._told(error)

    def _told(self, error: OciError) -> None:
        self.ctx.log.write(f"component cache {self.repository}: {error.problem.found}\n")


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
