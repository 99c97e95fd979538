"""`min` and `full` of a release, made once and kept."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from parts import store as parts
from parts.missing import missing
from parts.ngc import debian, server, system, wheels
from parts.ngc.layers import Blob, Image, Store, Tree, image, several, stored
from parts.ngc.releases import RELEASES, Release

VERSION = 5
"""Of this folder's code: raised when it makes other images."""
NUMPY = "numpy==1.26.4"
SITE = "usr/local/lib/python3.11/dist-packages"


class Pair(NamedTuple):
    """The two images of a release."""

    min: Image
    full: Image


def release(name: str) -> Pair:
    """Of `24.10`, or of another that RELEASES names."""
    return kept(name, lambda store: _made(RELEASES[name], store))


def kept(name: str, make: Callable[[Store], Pair]) -> Pair:
    """The part of that name, made in a store of its own."""

    def build(folder: Path) -> None:
        made = make(Store(folder))
        digests = {"min": made.min.manifest, "full": made.full.manifest}
        (folder / "pair.json").write_text(json.dumps(digests))

    store = Store(parts.keep(f"ngc-{VERSION}-{name}", build))
    digests = json.loads((store.folder / "pair.json").read_text())
    return Pair(stored(store, digests["min"]), stored(store, digests["full"]))


def _made(release: Release, store: Store) -> Pair:
    if os.geteuid():
        missing("releases of Triton are made as root", "run the tests as root")
    with tempfile.TemporaryDirectory(prefix="ngc-") as temporary:
        folder = Path(temporary)
        wanted = [f"nvidia-pytriton=={release.pytriton}", NUMPY]
        if release.large:
            wanted += [server.ONNXRUNTIME, server.MKL]
        with ThreadPoolExecutor(len(wanted)) as pool:
            downloads = [pool.submit(wheels.wheel, name, folder / "wheels") for name in wanted]
            tree = Tree(folder / "root", store)
            tree.root.mkdir()
            below, above = debian.packages()
            debian.prepare(tree.root)
            debian.install(tree.root, below)
            debian.configure(tree.root)
            debian.ldconfig(tree.root)
            layers = [tree.layer()]
            triton, numpy, *large = (download.result() for download in downloads)
        return _finished(release, tree, layers, above, triton, numpy, large)


def _finished(
    release: Release,
    tree: Tree,
    layers: list[Blob],
    above: list[Path],
    triton: ZipFile,
    numpy: ZipFile,
    large: list[ZipFile],
) -> Pair:
    root = tree.root
    system.add_cuda(root, release, triton)
    debian.ldconfig(root)
    layers.append(tree.layer())
    system.add_entrypoint(root)
    layers.append(tree.layer())
    lower = list(layers)

    debian.install(root, above)
    debian.ldconfig(root)
    layers.append(tree.layer())
    system.add_dcgm(root, release, triton)
    debian.ldconfig(root)
    layers.append(tree.layer())
    wheels.install(numpy, root / SITE)
    layers.append(tree.layer())
    system.add_user(root)
    system.add_serve(root)
    layers.append(tree.layer())
    server.add_core(root, release, triton)
    server.add_components(root, release, triton)
    if large:
        server.add_large(root, *large)
    layers.append(tree.layer())
    layers.append(tree.layer(opaque=server.change(root)))
    pair = Pair(
        image(tree.store, lower, execution(release.min_env, release.min_labels)),
        image(
            tree.store, layers,
            execution(release.full_env, release.full_labels, f"/{server.HOME}"),
        ),
    )  # fmt: skip
    return Pair(*(several(one, _other(one)) for one in pair)) if release.large else pair


def execution(
    env: dict[str, str], labels: dict[str, str], folder: str = "/workspace"
) -> dict[str, object]:
    """As a config has it. There is no command."""
    return {
        "Env": [f"{name}={value}" for name, value in env.items()], "Labels": labels,
        "Entrypoint": [system.ENTRYPOINT], "WorkingDir": folder,
    }  # fmt: skip


def _other(image_: Image) -> Image:
    """For arm64; nobody is meant to read further than its config."""
    return image(image_.store, image_.layers[:1], image_.config["config"], "arm64")
