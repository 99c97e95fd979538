"""Images put into a docker-registry's storage, where it finds them: no blob is sent or copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from parts.ngc.build import release
from parts.ngc.layers import Image, Store
from parts.registry import registry

NAME = "nvidia/tritonserver"


@contextmanager
def ngc(folder: Path, *releases: str) -> Iterator[str]:
    """`127.0.0.1:PORT` of a registry that has these, as `nvidia/tritonserver:24.10-py3` and
    `…-py3-min`. More can be put into `folder`."""
    for name in releases:
        pair = release(name)
        put(folder, pair.full, NAME, f"{name}-py3")
        put(folder, pair.min, NAME, f"{name}-py3-min")
    with registry(folder) as host:
        yield host


def put(folder: Path, image: Image, name: str, tag: str) -> None:
    """Tags it in the registry of that folder, whether it runs or not. Blobs are links into the
    image's store: one that a test removes or damages there is gone from its registry alone if
    the link is what it removes."""
    storage = folder / "data/docker/registry/v2"
    repository = storage / "repositories" / name
    for manifest in _manifests(image.store, image.manifest):
        _lay(storage, image.store, manifest)
        _link(repository / "_manifests/revisions", manifest)
        document = image.store.read(manifest)
        for entry in [document["config"], *document["layers"]] if "layers" in document else []:
            _lay(storage, image.store, entry["digest"])
            _link(repository / "_layers", entry["digest"])
    _link(repository / f"_manifests/tags/{tag}/index", image.manifest)
    current = repository / f"_manifests/tags/{tag}/current"
    current.mkdir(parents=True, exist_ok=True)
    (current / "link").write_text(image.manifest)


def blob(folder: Path, digest: str) -> Path:
    """Where the registry of that folder has it."""
    value = digest.removeprefix("sha256:")
    return folder / f"data/docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"


def _manifests(store: Store, digest: str) -> Iterator[str]:
    """It, and those that it lists."""
    yield digest
    document: Mapping[str, list[dict[str, str]]] = json.loads(store.path(digest).read_bytes())
    for entry in document.get("manifests", ()):
        yield entry["digest"]


def _lay(storage: Path, store: Store, digest: str) -> None:
    value = digest.removeprefix("sha256:")
    data = storage / f"blobs/sha256/{value[:2]}/{value}/data"
    if not data.is_symlink():
        data.parent.mkdir(parents=True, exist_ok=True)
        data.symlink_to(store.path(digest))


def _link(folder: Path, digest: str) -> None:
    place = folder / digest.replace(":", "/")
    place.mkdir(parents=True, exist_ok=True)
    (place / "link").write_text(digest)
