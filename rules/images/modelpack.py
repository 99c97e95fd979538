"""The `image-modelpack` tool: a model repository for registries, over the blobs that server images
have, in two forms: as CNCF's ModelPack and as an image that KServe mounts (a modelcar).

https://github.com/modelpack/model-spec, https://kserve.github.io/website/docs/model-serving/storage/providers/oci
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from tritonbuild.oci import Descriptor, ImageConfig, Listing, Manifest, Platform
from tritonbuild.oci.assemble import MAKERS, Assembly, write_image
from tritonbuild.oci.documents import LAYER, MANIFEST, encode
from tritonbuild.oci.made import MadeLayer
from tritonbuild.rule import Folder, ToolContext, tool

from ..layouts import made_layers, names

MODELPACK, MODELCAR = "modelpack", "modelcar"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
FILE_PATH = "org.cncf.model.filepath"
Kind = Literal["weight", "weight.config", "code"]


@dataclass(frozen=True)
class Packed:
    """A layer of a model repository."""

    made: MadeLayer
    kind: Kind
    path: str
    """Of what it holds: of its one file, or of the folder that all its files lie in."""

    @property
    def descriptor(self) -> Descriptor:
        """The same blob, as ModelPack calls it."""
        media_type = f"application/vnd.cncf.model.{self.kind}.v1.tar"
        compression = self.made.descriptor.media_type.removeprefix(LAYER)
        annotations = {**(self.made.descriptor.annotations or {}), FILE_PATH: self.path}
        return Descriptor.of(
            f"{media_type}{compression}", self.made.descriptor.content, annotations=annotations
        )


def packed(made: MadeLayer, listing: Listing) -> Packed:
    """Judges a layer by what it holds: ROOT/MODEL/VERSION/FILE are weights, or code; what is only
    beside versions configures them."""
    files = [entry.path for entry in listing.entries if entry.kind == "file"]
    versioned = [path for path in files if _in_version(path)]
    kind: Kind = "weight"
    if not versioned:
        kind = "weight.config"
    elif all(path.endswith(".py") for path in versioned):
        kind = "code"
    return Packed(made, kind, _common(files))


def _in_version(path: str) -> bool:
    _, _, version, *file = (*path.split("/"), "", "")
    return version.isdecimal() and bool(file[0])


def _common(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return paths[0]
    names = []
    for here in zip(*(path.split("/") for path in paths), strict=False):
        if len(set(here)) > 1:
            break
        names.append(here[0])
    return "/".join(names)


def write_modelpack(
    assembly: Assembly, name: str, created: str, layers: Sequence[Packed],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:  # fmt: skip
    """Writes manifest and config; the layers are the assembly's already."""
    config = {
        "descriptor": {"createdAt": created, "name": name},
        "config": {"format": "triton"},
        "modelfs": {"type": "layers", "diffIds": [layer.made.diff_id for layer in layers]},
    }
    manifest = Manifest(
        artifact_type=ARTIFACT,
        config=assembly.write_blob(CONFIG, encode(config)),
        layers=[layer.descriptor for layer in layers],
        annotations=dict(annotations) if annotations else None,
    )
    return assembly.write_blob(MANIFEST, manifest.encoded, artifact_type=ARTIFACT)


def write_modelcar(
    assembly: Assembly, platform: Platform, created: str, layers: Sequence[MadeLayer],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:  # fmt: skip
    """Writes an image of the layers, which hold /models; one that runs beside a server needs
    `sh`, `ln` and `sleep` in them (`shell`)."""
    config = ImageConfig(
        architecture=platform.architecture, os=platform.os, variant=platform.variant,
        created=created,
    )  # fmt: skip
    return write_image(assembly, config, None, layers, annotations)


@tool("image-modelpack", version=1, libraries=MAKERS)
def pack_models(ctx: ToolContext) -> None:
    """Inputs `layers/NNN`, folders of made layers of models, and, for a modelcar that runs beside a
    server, `shell/NNN`; outputs `modelpack` and `modelcar`, sparse layouts."""
    parameters = ctx.parameters
    created = datetime.fromtimestamp(parameters["epoch"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotations = parameters["annotations"]
    pack, car = Assembly(ctx, MODELPACK), Assembly(ctx, MODELCAR)
    models = list(_layers(ctx, "layers"))
    for folder, made, _ in models:
        pack.take_layer(folder, made)
    layers = [packed(made, listing) for _, made, listing in models]
    pack.finish(write_modelpack(pack, parameters["name"], created, layers, annotations))
    below = [*_layers(ctx, "shell"), *models]
    for folder, made, _ in below:
        car.take_layer(folder, made)
    platform = Platform.of(parameters["platform"])
    image = write_modelcar(car, platform, created, [made for _, made, _ in below], annotations)
    car.finish(image)


def _layers(ctx: ToolContext, path: str) -> Iterator[tuple[Folder, MadeLayer, Listing]]:
    for name in names(ctx, path):
        yield from made_layers(ctx, f"{path}/{name}")
