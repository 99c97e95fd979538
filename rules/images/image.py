"""The `image` tool: layers on a base, and what the image says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ByteSize

from tritonbuild.oci import Clash, Image, ImageConfig, Root
from tritonbuild.oci.assemble import MAKERS, Assembly, write_image
from tritonbuild.oci.documents import Execution, Platform
from tritonbuild.oci.made import MadeLayer
from tritonbuild.rule import (
    ActionError,
    Folder,
    Problem,
    ToolContext,
    did_you_mean,
    tool,
)

from ..base_info import IMAGE
from ..composing.check import FACTS
from ..layouts import image_of, made_layers, names
from .accounts import USER
from .options import FLAGS

MOST = 127
"""Layers that container runtimes take."""
SHOWN = 5
EXTERNAL = "dev.tritonbuild.external"
"""Label: mount path → digest of the folder that has to be there, as JSON."""


@tool("image", version=1, libraries=MAKERS)
def make_image(ctx: ToolContext) -> None:
    """Inputs `base` (a sparse layout), `layers/NNN` (folders of made layers), user.json,
    flags.json, facts.json (variables and labels of a release), `external/N`; output `image`, a
    sparse layout. Raises ActionError with all that is wrong."""
    parameters = ctx.parameters
    platform = Platform.of(parameters["platform"])
    assembly = Assembly(ctx, IMAGE)
    base, root = None, Root()
    folder = ctx.inputs.get("base")
    if isinstance(folder, Folder):
        sparse, base = image_of(folder, ctx, parameters["platform"])
        documents = (base.descriptor, base.manifest.config)
        assembly.take_all(folder, [document.content.hash for document in documents])
        for layer in base.layers:
            root.put(sparse.listing(layer.diff_id))
    added: list[MadeLayer] = []
    problems: list[Problem] = []
    for name in names(ctx, "layers"):
        for folder, made, listing in made_layers(ctx, f"layers/{name}"):
            clashes = root.put(listing)
            problems += _told(clashes, made.by, parameters["replaces"].get(name, ()))
            assembly.take_layer(folder, made)
            added.append(made)
    problems += _lacking(root, parameters["needs"])
    problems += _unknown_flags(ctx, parameters["flags"])
    problems += _too_much(base, added, parameters["size_budget"])
    if problems:
        raise ActionError(*problems)
    config = _config(ctx, base, platform)
    root_descriptor = write_image(assembly, config, base, added, parameters["annotations"])
    assembly.finish(root_descriptor)


def _told(clashes: Sequence[Clash], by: str, replaces: Sequence[str]) -> Iterator[Problem]:
    """What a layer replaces that it must not: an image never loses a file silently."""
    wrong = [clash for clash in clashes if not _may(clash.path, replaces)]
    for clash in wrong[:SHOWN]:
        found = f"/{clash.path} of {by} would replace another {clash.below.kind}"
        yield Problem(
            found,
            "files at paths where the base and the layers before have none, or the same",
            "put it elsewhere (`files`), or take a base without it",
        )
    if len(wrong) > SHOWN:
        yield Problem(f"and {len(wrong) - SHOWN} more of {by}")


def _may(path: str, replaces: Sequence[str]) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in replaces)


def _lacking(root: Root, needs: Mapping[str, str]) -> Iterator[Problem]:
    """Paths, as regular expressions, that have to be there, and why."""
    names = [entry.path for entry in root.entries] if needs else []
    for pattern, why in sorted(needs.items()):
        plain = root.find(pattern) is not None
        if not plain and not any(re.fullmatch(pattern, name) for name in names):
            shown = f"/{pattern}".replace("\\", "").replace("/(.*/)?", "")
            yield Problem(
                f"the image has no {shown}: {why}",
                remedy="add the Debian package that has it to `packages`, take another base, or "
                "say in the distribution which `python` it is",
            )


def _unknown_flags(ctx: ToolContext, flags: Sequence[str]) -> Iterator[Problem]:
    if FLAGS not in ctx.inputs.entries:
        return
    known = json.loads(ctx.read(FLAGS))
    for flag in flags:
        name = flag.removeprefix("--").partition("=")[0]
        if name not in known:
            options = {word.replace("-", "_") for word in known}
            key = name.replace("-", "_")
            yield Problem(
                f"this release's server has no flag --{name}",
                remedy=did_you_mean(key, options),
                key=f"server.{key}",
            )


def _too_much(base: Image | None, added: Sequence[MadeLayer], budget: int) -> Iterator[Problem]:
    below = base.manifest.layers if base else []
    count = len(below) + len(added)
    if count > MOST:
        yield Problem(
            f"{count} layers, {len(below)} of them the base's",
            f"at most {MOST}",
            "take a base with fewer layers, or serve fewer models from one image",
        )
    layers = [*((layer.size, "of the base") for layer in below),
              *((layer.descriptor.size, layer.by) for layer in added)]  # fmt: skip
    size = sum(layer for layer, _ in layers)
    if budget and size > budget:
        largest = sorted(layers, reverse=True)[:SHOWN]
        told = ", ".join(f"{_human(layer)} {by}" for layer, by in largest)
        yield Problem(
            f"{_human(size)} to pull; largest: {told}", f"at most {_human(budget)}",
            "`tritonbuild info` shows what each layer holds", key="size_budget",
        )  # fmt: skip


def _human(size: int) -> str:
    return ByteSize(size).human_readable(separator=" ")


def _config(ctx: ToolContext, base: Image | None, platform: Platform) -> ImageConfig:
    """The base's, with what the manifest says instead or besides."""
    parameters = ctx.parameters
    below = (base.config.config if base else None) or Execution()
    said, dropped = parameters["config"], parameters["dropped"]
    release = json.loads(ctx.read(FACTS)) if FACTS in ctx.inputs.entries else {}
    its = {**(below.labels or {}), **release.get("labels", {})}
    its = {name: text for name, text in its.items() if name not in dropped}
    labels = {**its, **said["labels"], **_external(ctx)}
    ports = {**(below.exposed_ports or {}), **{f"{port}/tcp": {} for port in said["ports"]}}
    user = json.loads(ctx.read(USER)) if USER in ctx.inputs.entries else below.user
    execution = below.model_copy(
        update={
            "env": _environment(
                [item for item in below.env or [] if item.partition("=")[0] not in dropped],
                release.get("env", {}),
                said["env"],
                said["first"],
            ),
            "labels": labels or None,
            "exposed_ports": ports or None,
            "user": user,
            "entrypoint": below.entrypoint if said["entrypoint"] is None else said["entrypoint"],
            "cmd": said["command"] or below.cmd,
            "working_dir": said["working_dir"] or release.get("working_dir") or below.working_dir,
            "stop_signal": said["stop_signal"] or below.stop_signal,
            "healthcheck": said["healthcheck"] or below.healthcheck,
        }
    )
    created = datetime.fromtimestamp(parameters["epoch"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=created,
        config=execution,
    )


def _environment(
    below: Sequence[str],
    release: Mapping[str, str],
    said: Mapping[str, str],
    first: Mapping[str, str],
) -> list[str]:
    """The base's variables in their order, the release's, then ours. Of paths (`first`) ours come
    first."""
    values = {**dict(item.split("=", 1) for item in below if "=" in item), **release}
    for name, path in first.items():
        there = values.get(name, "")
        values[name] = f"{path}:{there}" if there else path
    values |= said
    return [f"{name}={value}" for name, value in values.items()]


def _external(ctx: ToolContext) -> dict[str, str]:
    paths = ctx.parameters["external"]
    told = {}
    for number, path in enumerate(paths):
        folder = ctx.inputs.get(f"external/{number:03}")
        assert isinstance(folder, Folder)
        told[path] = f"sha256:{folder.tree_digest.hash}"
    return {EXTERNAL: json.dumps(told, sort_keys=True)} if told else {}
