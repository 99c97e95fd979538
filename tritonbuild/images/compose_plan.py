"""What a composition would read, by what triton.lock pins: no layer is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tritonbuild.lock import Lock, LockedFile

_KIND, _MANIFEST, _LAYERS = "image", "manifest.json", "layers/"


def plan(lock: Lock) -> Iterator[str]:
    """A line for each image, and one for what two of them share."""
    layers: dict[str, set[LockedFile]] = {}
    for request, files in sorted(lock.entries.items()):
        if request.kind != _KIND:
            continue
        (name,) = request.request
        layers[name] = {file for file in files if file.name.startswith(_LAYERS)}
        digest = next(file.sha256 for file in files if file.name == _MANIFEST)
        yield f"{name} is sha256:{digest}: {_told(layers[name])}"
    if len(layers) == 2:
        first, second = ({file.sha256: file for file in its} for its in layers.values())
        shared = [first[sha256] for sha256 in first.keys() & second.keys()]
        others = {**first, **second}
        once = [others[sha256] for sha256 in first.keys() ^ second.keys()]
        yield f"they share {_told(shared)}; the others, which are read once: {_told(once)}"


def _told(layers: Iterable[LockedFile]) -> str:
    from pydantic import ByteSize

    sizes = [layer.size for layer in layers]
    return f"{len(sizes)} layers, {ByteSize(sum(sizes)).human_readable(separator=' ')}"
