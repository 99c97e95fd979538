"""Workspaces with images: small ones, whose server is only a script on an empty base, and one with
a real Triton that runs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, WorkspaceFolder

from parts.models import MANIFEST as TRITON
from parts.models import io, scale
from parts.tree import Tree
from tritonbuild.build import Report
from tritonbuild.oci import Image, Layer, Listing, Platform, View, image_in
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout

MANIFEST = """\
[workspace]
name = "small"
distribution = "//:release"
[distributions.release]
path = "release"
[bases.nothing]
scratch = true
[backends.plain]
[caches.local]
"""
HELP = """\
#!/bin/sh
cat <<END
Usage: tritonserver [options]
  --help
	Print usage
  --model-repository <string>
	Path to a model repository
  --model-control-mode <string>
	`none`, `poll` or `explicit`
  --cache-config <<string>,<string>=<string>>
	A cache's setting
  --log-verbose <integer>
	How much to say
END
exit 1
"""
MODEL = """\
backend = "plain"
versions = {{ 1 = "{0}" }}
[models.{0}.config]
max_batch_size = 4
input = [{{ name = "x", data_type = "TYPE_FP32", dims = [2] }}]
output = [{{ name = "y", data_type = "TYPE_FP32", dims = [2] }}]
"""


def model(name: str) -> dict[str, str | bytes]:
    """A model of a package of its own, `//NAME`, with a weight of 1 MB."""
    return {
        f"{name}/triton.toml": f"[models.{name}]\n" + MODEL.format(name),
        f"{name}/{name}/weights": name.encode() * (1_000_000 // len(name)),
    }


def small(folder: Path, images: str, files: Mapping[str, str | bytes] | None = None,
          cache: Path | None = None) -> WorkspaceFolder:  # fmt: skip
    """One with two models, `//one` and `//two`; `images` is //serving's manifest."""
    workspace = WorkspaceFolder(folder, cache or folder.parent / "cache")
    workspace.write(
        {
            "triton.toml": MANIFEST,
            "release/bin/tritonserver": HELP,
            "release/lib/libtritonserver.so": b"server",
            "release/backends/plain/libtriton_plain.so": b"backend",
            "release/caches/local/libtritoncache_local.so": b"cache",
            "serving/triton.toml": images,
            **model("one"),
            **model("two"),
            **(files or {}),
        }
    )
    (folder / "release/bin/tritonserver").chmod(0o755)
    shutil.copy(ROOT / "examples/quickstart/triton.lock", folder)
    return workspace


IMAGE = """\
[images.server]
base = "//:nothing"
models = ["//one", "//two"]
"""
MODELS = f"""\
[models.scales]
backend = "python"
versions = {{ 1 = "scales" }}
caches = ["local"]
[models.scales.config]
{io(2)}
response_cache = {{ enable = true }}
[models.pads]
backend = "python"
versions = {{ 1 = "pads" }}
requirements = ["packaging==24.2"]
[models.pads.config]
{io(2)}
"""
OUTSIDE = f"""\
[models.halves]
backend = "python"
versions = {{ 1 = "halves" }}
weights = "external"
[models.halves.config]
{io(2)}
"""
PADS = """\
from importlib.metadata import version

import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        major = np.float32(version("packaging").split(".")[0])
        return [
            pb_utils.InferenceResponse([
                pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(r, "x").as_numpy() + major)
            ])
            for r in requests
        ]
"""
SERVING = """\
[images.server]
models = ["//models:all"]
server = { model_control_mode = "explicit", load_model = ["scales", "pads"] }
healthcheck = true
tags = ["acme/server:v1"]
[images.lazy]
models = ["//outside:all"]
server = { model_control_mode = "explicit" }
[verifications.server_answers]
kind = "golden"
target = ":server"
cases = "golden"
[verifications.lazy_answers]
kind = "golden"
target = ":lazy"
cases = "outside.json"
"""


def case(name: str, given: list[float], answer: list[float]) -> str:
    """A golden case of a model."""
    x, y = (
        {"name": tensor, "datatype": "FP32", "shape": [len(data)], "data": data}
        for tensor, data in (("x", given), ("y", answer))
    )
    return json.dumps({"model": name, "inputs": [x], "outputs": [y]})


def triton(folder: Path, cache: Path) -> WorkspaceFolder:
    """A real Triton on Debian packages, with models that it runs and that are golden in //serving:
    `scales` in the environment of all, `pads` in one of its own, and `halves`, whose version the
    image leaves out."""
    workspace = WorkspaceFolder(folder, cache)
    workspace.write(
        {
            "triton.toml": TRITON,
            "models/triton.toml": MODELS,
            "models/scales/model.py": scale(3),
            "models/pads/model.py": PADS,
            "serving/triton.toml": SERVING,
            "outside/triton.toml": OUTSIDE,
            "outside/halves/model.py": scale(0.5),
            "serving/outside.json": case("halves", [1.0, 2.0], [0.5, 1.0]),
            "serving/golden/scales.json": case("scales", [1.0, 2.0], [3.0, 6.0]),
            "serving/golden/pads.json": case("pads", [1.0, 2.0], [25.0, 26.0]),
        }
    )
    shutil.copytree(ROOT / "examples/quickstart/backends/onnxruntime", folder / "onnxruntime")
    shutil.copy(ROOT / "examples/quickstart/triton.lock", folder)
    return workspace


def image_of(
    workspace: WorkspaceFolder, name: str = "server", platform: str = "linux/amd64"
) -> Image:
    """As it was placed for //serving:NAME."""
    layout = Layout(workspace.output(f"serving/_/{name}"))
    image = image_in(layout, layout.descriptor(), Platform.of(platform))
    assert image.layers, "read now: the next build may replace it"
    return image


def paths(image: Image) -> dict[str, str]:
    """Path → kind of everything in it."""
    return {entry.path: entry.kind for entry in view_of(image).root.entries}


def view_of(image: Image) -> View:
    def listing(layer: Layer) -> Listing:
        with layer.uncompressed() as stream:
            return index_layer(stream, 1 << 30)

    return View(image, listing)


def stories(image: Image) -> dict[str, str]:
    """What put each layer there → its digest."""
    told = [entry["created_by"] for entry in image.config.history or ()]
    return {by: layer.descriptor.digest for by, layer in zip(told, image.layers, strict=True)}


@dataclass
class Small:
    """A small workspace that is built in this process, with one cache for the module."""

    workspace: WorkspaceFolder
    report: Report | None = None

    def build(self, images: str = IMAGE, files: Mapping[str, str | bytes] | None = None) -> Image:
        """//serving:server of such a manifest, with files changed."""
        self.workspace.write({"serving/triton.toml": images, **(files or {})})
        self.report = Tree(self.workspace.root).build("//serving:server")
        return image_of(self.workspace)

    @property
    def executed(self) -> int:
        assert self.report is not None
        return self.report.metrics.executed

    @property
    def hashed(self) -> int:
        assert self.report is not None
        return self.report.metrics.bytes_hashed


def in_process(folder: Path, cache: Path, patch: pytest.MonkeyPatch) -> Small:
    """One with //serving's IMAGE, whose files look as if they were some seconds old."""
    patch.setenv("TRITONBUILD_CACHE_DIR", str(cache))
    patch.delenv("SOURCE_DATE_EPOCH", raising=False)
    now = time.time_ns
    patch.setattr(time, "time_ns", lambda: now() + 5_000_000_000)
    return Small(small(folder, IMAGE, cache=cache))


def changed(before: Image, after: Image) -> list[str]:
    """What put the layers there that the first image lacks."""
    old = {layer.descriptor.digest for layer in before.layers}
    return [by for by, digest in stories(after).items() if digest not in old]


def config(image: Image) -> dict[str, Any]:
    """What its containers get."""
    told: dict[str, Any] = json.loads(image.config_bytes)["config"]
    return told


def more(text: str) -> str:
    """//serving's manifest, which says more of its image."""
    return f"{IMAGE}{text}\n"
