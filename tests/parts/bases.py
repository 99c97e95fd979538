"""Workspaces whose images stand on bases from elsewhere, and images to stand on."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tritonbuild.rules.base_info import BaseInfo

from parts import store
from parts.images import Memory, file, folder, link
from tritonbuild.build import Options, build
from tritonbuild.cancel import Cancellation
from tritonbuild.errors import TritonbuildError
from tritonbuild.events import ActionEnded, Status
from tritonbuild.label import Label, Pattern
from tritonbuild.lock import Lock, LockedFile
from tritonbuild.oci import Compression, Image, Member, Platform, Root, image_in
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.oci.validate import validate
from tritonbuild.session import Session

LOWER: Sequence[Member] = (
    folder("usr"), folder("usr/bin"), folder("etc"), folder("tmp", 0o1777), link("bin", "usr/bin"),
    file("usr/bin/tool", b"a tool " * 4000, 0o755),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    file("etc/group", "root:x:0:\n"),
)  # fmt: skip
UPPER: Sequence[Member] = (file("etc/release", "a base\n"), file("etc/motd", "welcome\n"))
MANIFEST = """\
[workspace]
name = "test"

[distributions.ours]
path = "triton"

[bases.elsewhere]
{base}

[images.server]
distribution = ":ours"
base = ":elsewhere"
files = {{ "/srv/hello" = "hello" }}
{image}
"""
TRITON = {
    "triton/bin/tritonserver": "#!/bin/sh\necho '  --model-repository <path>'\nexit 1\n",
    "triton/backends/none/readme": "none\n",
    "triton/TRITON_VERSION": "2.51.0\n",
}
"""A distribution that says what flags it knows, and nothing else."""


def image(
    compression: Compression = Compression.GZIP,
    layers: Sequence[Iterable[Member]] = (LOWER, UPPER),
    memory: Memory | None = None,
) -> Image:
    """Held by `memory`, where that is given."""
    held = memory if memory is not None else Memory()
    return held.image(layers, compression, env=["PATH=/bin", "WHO=base"])


def laid_out(image: Image, path: Path, name: str = "v1") -> Path:
    write_layout(image.source, image.descriptor, path, name)
    return path


def skopeo(*arguments: object) -> bytes:
    argv = [store.program("skopeo"), "--insecure-policy", *map(str, arguments)]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def pushed(layout: Path, reference: str, *options: str) -> bytes:
    """By skopeo; the manifest as the registry has it."""
    skopeo("copy", "--dest-tls-verify=false", *options, f"oci:{layout}:v1", f"docker://{reference}")
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")


@dataclass
class Built:
    """How a build, or a lock, ended."""

    exit_code: int
    text: str
    """Of its errors."""
    ran: list[str]
    """Names of the actions that were not taken from the cache."""
    pulled: int = 0


@dataclass
class Standing:
    """A workspace whose image `//:server` stands on a base, `//:elsewhere`; verbs run in this
    process."""

    root: Path
    cache: Path
    base: str
    """Lines of the base's table."""
    image: str = ""
    """More lines of the image's table."""

    def __post_init__(self) -> None:
        for name, content in {**TRITON, "hello": "hello\n"}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (self.root / "triton/bin/tritonserver").chmod(0o755)
        self.say(self.base)

    def say(self, base: str, image: str = "") -> None:
        """Writes the manifest anew."""
        text = MANIFEST.format(base=base, image=image or self.image)
        (self.root / "triton.toml").write_text(text)

    def build(self, *labels: str) -> Built:
        """One that must succeed; of everything, if not told."""
        built = self.try_build(*labels)
        assert not built.exit_code, built.text
        return built

    def refused(self, exit_code: int = 1, label: str = "//:elsewhere") -> str:
        """What a build is told that cannot succeed."""
        built = self.try_build(label)
        assert built.exit_code == exit_code, built.text
        return built.text

    def try_build(self, *labels: str) -> Built:
        patterns = [Pattern.parse(label) for label in labels or ("//...",)]
        ran: list[str] = []
        try:
            with self._session(ran) as session:
                report = build(session, patterns, Options())
        except TritonbuildError as error:
            return Built(error.exit_code, str(error), ran)
        text = "\n".join(map(str, report.problems))
        return Built(report.exit_code, text, ran, report.metrics.bytes_pulled)

    def lock(self) -> None:
        with self._session([]) as session, session.cache.in_use():
            session.lock([Pattern.parse("//...")], keep=False, others=False)

    @property
    def base_info(self) -> BaseInfo:
        label = Label("", "elsewhere")
        with self._session([]) as session:
            info = session.plan([label]).targets[label].get(BaseInfo)
        assert info is not None
        return info

    @property
    def locked(self) -> list[LockedFile]:
        return [file for files in Lock.read(self.root).entries.values() for file in files]

    @property
    def elsewhere(self) -> Image:
        return self._image("elsewhere")

    @property
    def server(self) -> Image:
        return self._image("server")

    def path(self, name: str) -> Path:
        """Of a placed image."""
        return self.root / f"tritonbuild-out/_/{name}"

    def _image(self, name: str) -> Image:
        """Raises AssertionError for one with faults."""
        layout = Layout(self.path(name))
        assert validate(layout, layout.descriptor()) == []
        return image_in(layout, layout.descriptor(), Platform.of("linux/amd64"))

    @contextmanager
    def _session(self, ran: list[str]) -> Iterator[Session]:
        def listen(event: object) -> None:
            if isinstance(event, ActionEnded) and event.status is Status.BUILT:
                ran.append(event.action.partition("%")[2] or event.action)

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITONBUILD_CACHE_DIR", str(self.cache))
            with Session(self.root, listen, Cancellation()) as session:
                yield session


def root_of(image: Image) -> Root:
    """Its file system."""
    root = Root()
    for layer in image.layers:
        with layer.uncompressed() as tar:
            root.put(index_layer(tar, 1 << 30))
    return root


def files_of(image: Image, path: str) -> list[bytes]:
    """A file as each layer that has it brings it, from the lowest up."""
    found = []
    for layer in image.layers:
        with layer.uncompressed() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            contents = (tar.extractfile(member) for member in tar if member.name == path)
            found += [content.read() for content in contents if content]
    return found
