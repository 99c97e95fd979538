"""Small images made for a test, in memory; those with `busybox` run."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from parts import store
from tritonbuild.digest import Digest
from tritonbuild.oci import Absent, Compression, Descriptor, Image, ImageConfig, Manifest, Member
from tritonbuild.oci.compression import compressing
from tritonbuild.oci.documents import CONFIG, MANIFEST, Execution, RootFs
from tritonbuild.oci.tar import recipe_of


class Memory:
    """Implements Content."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        """Digest → content; a test may damage it."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        content = self.blobs.get(descriptor.digest)
        if content is None:
            raise Absent(f"no blob {descriptor.digest}")
        return io.BytesIO(content)

    def put(self, media_type: str, content: bytes, **more: Any) -> Descriptor:
        descriptor = Descriptor.of(media_type, Digest.of_bytes(content), **more)
        self.blobs[descriptor.digest] = content
        return descriptor

    def image(
        self,
        layers: Sequence[Iterable[Member]],
        compression: Compression = Compression.NONE,
        **execution: Any,
    ) -> Image:
        """Of layers of members whose contents are bytes, from the lowest up; `execution` as
        `cmd=[…]`, `user="12345"`."""
        return self.image_of([tar(members) for members in layers], compression, **execution)

    def image_of(
        self,
        tars: Sequence[bytes],
        compression: Compression = Compression.NONE,
        **execution: Any,
    ) -> Image:
        """Of layers as tars, well made or not."""
        config = ImageConfig(
            architecture="amd64",
            os="linux",
            config=Execution(**{"env": ["PATH=/bin"], **execution}),
            rootfs=RootFs(diff_ids=[f"sha256:{Digest.of_bytes(layer).hash}" for layer in tars]),
            history=[{"created_by": f"layer {number}"} for number in range(len(tars))],
        )
        manifest = Manifest(
            config=self.put(CONFIG, config.encoded),
            layers=[self.put(compression.media_type, packed(t, compression)) for t in tars],
        )
        return Image(self, self.put(MANIFEST, manifest.encoded, platform=config.platform))


def tar(members: Iterable[Member]) -> bytes:
    """Of members whose contents are bytes."""
    parts = recipe_of(members).parts
    return b"".join(part for part in parts if isinstance(part, bytes))


def packed(content: bytes, compression: Compression) -> bytes:
    target = io.BytesIO()
    with compressing(target, compression) as stream:
        stream.write(content)
    return target.getvalue()


def folder(path: str, mode: int = 0o755, **more: Any) -> Member:
    return Member(path, "folder", mode, **more)


def file(path: str, content: str | bytes = b"", mode: int = 0o644, **more: Any) -> Member:
    encoded = content.encode() if isinstance(content, str) else content
    return Member(path, "file", mode, content=encoded, **more)


def link(path: str, target: str) -> Member:
    return Member(path, "link", 0o777, target=target)


APPLETS = (
    "cat", "chmod", "echo", "httpd", "id", "ln", "ls", "mkdir", "mount", "rm", "sh", "sleep",
    "stat", "touch", "true", "wget", "whoami",
)  # fmt: skip


def busybox() -> list[Member]:
    """A layer that makes an image runnable: a static shell and what goes with it."""
    program = Path(store.program("busybox")).read_bytes()
    return [
        *(folder(path) for path in ("bin", "dev", "etc", "proc", "sys")),
        folder("tmp", 0o1777),
        file("bin/busybox", program, 0o755),
        *(link(f"bin/{name}", "busybox") for name in APPLETS),
        file("etc/passwd", "root:x:0:0:root:/:/bin/sh\nserver:x:12345:54321:server:/:/bin/sh\n"),
        file("etc/group", "root:x:0:\nserver:x:54321:\n"),
    ]
