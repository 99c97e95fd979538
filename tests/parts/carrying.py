"""A workspace with an image that is made in seconds, of layers of every kind: compressed ones, and
a model's, one of them large."""

from __future__ import annotations

import random
from pathlib import Path

from conftest import WorkspaceFolder

from parts.bases import TRITON
from parts.faulty import Proxy
from parts.leftovers import eventually
from tritonbuild.oci import Content, Descriptor, Platform, image_in
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.registry import Reference, Repository
from tritonbuild.oci.validate import validate

LARGE = 66 << 20
"""Bytes of weights: enough for a layer of their own, and for verbs to take a while."""
MANIFEST = """\
[workspace]
name = "test"

[distributions.ours]
path = "triton"

[bases.nothing]
scratch = true

[backends.none]

[models.m]
backend = "none"
versions = { 1 = "weights" }

[images.server]
distribution = ":ours"
base = ":nothing"
models = [":m"]
files = { "/srv/text" = "text" }
"""
SERVER = "//:server"


def carrying(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """Writes it there."""
    generator = random.Random(0)
    lines = "".join(f"{generator.randrange(10**9)}\n" for _ in range(100_000))
    weights = generator.randbytes(1 << 20) * (LARGE >> 20)
    workspace.write({**TRITON, "triton.toml": MANIFEST, "text": lines, "weights": weights})
    (workspace.root / "triton/bin/tritonserver").chmod(0o755)
    return workspace


def valid(folder: Path) -> str:
    """The digest of the image in a layout, in which everything is as it says."""
    layout = Layout(folder)
    return _valid(layout, layout.descriptor())


def valid_in_registry(reference: str) -> str:
    """Of an image in a registry, likewise."""
    named = Reference.parse(reference)
    with Repository.of(named) as repository:
        return _valid(repository, repository.resolve(named.name))


def identity(folder: Path) -> str:
    """What a Docker daemon calls the image in a layout."""
    layout = Layout(folder)
    image = image_in(layout, layout.descriptor(), Platform.of("linux/amd64"))
    return image.manifest.config.digest


def uploaded(proxy: Proxy) -> list[str]:
    """The digests of blobs that a registry took from its clients, once nothing is on its way."""
    assert eventually(lambda: all(seen.over for seen in proxy.seen), 60)
    taken = [seen.path for seen in proxy.asked("PUT", "/blobs/uploads/") if seen.status == 201]
    return [path.rpartition("digest=")[2] for path in taken]


def _valid(source: Content, descriptor: Descriptor) -> str:
    assert validate(source, descriptor) == []
    return descriptor.digest
