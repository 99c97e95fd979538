"""What an image holds, for its bill."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.rule import Folder, ToolContext

from .bill import Item, in_order
from .facts import Facts
from .inventory import Inventory, Origins, files_of


def items_of(ctx: ToolContext, inventory: Inventory, facts: Facts) -> Iterator[Item]:
    yield from inventory.system()
    yield from inventory.packages()
    yield from inventory.wheels(facts.wheels)
    for one in facts.components:
        yield Item(
            kind=one.kind, name=one.name, version=one.release, purl=one.purl, source=one.source,
            sha256=one.sha256, layers=inventory.layers_below(one.path),
        )  # fmt: skip
    locked = {file.sha256: file.url for file in facts.build.locked}
    for model in facts.models:
        origins = Origins(model.name, model.sources, locked)
        within = list(inventory.model_files(model.path, origins))
        outside = list(_external(ctx, origins, {file.name for file in within}))
        files = in_order([*within, *outside])
        numbers = {file.name.split("/")[1] for file in files}
        versions = sorted((n for n in numbers if n.isdecimal()), key=int)
        yield Item(kind="model", name=model.name, version=",".join(versions), items=files)


def _external(ctx: ToolContext, origins: Origins, within: set[str]) -> Iterator[Item]:
    folder = ctx.inputs.get(f"external/{origins.model}")
    for path, file in files_of(folder) if isinstance(folder, Folder) else ():
        item = origins.file(path, file.digest.hash, file.digest.size)
        if item.name not in within and path.split("/")[0].isdecimal():
            yield item
