"""What `tritonbuild push` does with models: their files, then their configs, to a place from which
a server may be loading them at the same time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from tritonbuild.rule import (
    SHIPPED,
    ActionError,
    Context,
    Digest,
    File,
    Folder,
    Label,
    Problem,
    RunInfo,
    Symlink,
    ToolContext,
    UsageError,
    public,
    tool,
)

from ..model_config.environment import CONFIG
from ..origins.bring import NETWORK
from ..origins.source import Passing, Refused
from ..servable import ModelInfo
from .destination import Destination, Held, Item, opened, problem
from .registry import SCHEME, registry_info

T = TypeVar("T")
KEEP = ".keep"
"""Stands in folders that would be empty, such as the version of an ensemble: a store has none."""
_AT_ONCE = 8
_GLANCE, _GRACE = 0.2, 5.0
"""Seconds between looks at whether to go on, and for what is under way to end then."""
_EXPECTED = "a place that is there, and that we may list, read and write"
_REMEDY = "does the address name the right bucket or container? A push makes none"


def push_info(ctx: Context[Any], models: Iterable[ModelInfo]) -> RunInfo:
    """Pushes models, each as a folder of its name, to the place of the setting `to`."""
    to, form = (json.loads(ctx.settings[name]) for name in ("to", "form"))
    models = list(models)
    if to.startswith(SCHEME):
        return registry_info(ctx, models)
    if form:
        raise UsageError(Problem(f"--form {form} with {public(to)}", f"it with {SCHEME}… only"))
    if wrong := problem(to):
        raise UsageError(wrong)
    depths: dict[Label, int] = {}
    parameters = {
        "to": "",
        "delete": False,
        "form": "",
        "depths": {model.name: _depth(model, depths) for model in models},
        "requirements": {
            model.name: list(model.requirements) for model in models if model.requirements
        },
    }
    inputs = {f"models/{model.name}": model.tree for model in models}
    return ctx.interactive(publish, parameters=parameters, inputs=inputs, outputs=[SHIPPED])


def _depth(model: ModelInfo, known: dict[Label, int]) -> int:
    """Of the models that it needs, one on the other."""
    if model.label not in known:
        known[model.label] = max((_depth(need, known) + 1 for need in model.needs), default=0)
    return known[model.label]


@tool("publish", version=1)
def publish(ctx: ToolContext) -> None:
    models = ctx.inputs.get("models")
    assert isinstance(models, Folder)
    with _told(ctx.parameters["to"]):
        moved, there = _Push(ctx, opened(ctx.parameters["to"])).run(models)
    digest = f"sha256:{models.tree_digest.hash}"
    told = {"digest": digest, "moved": moved, "there": there}
    ctx.write(SHIPPED, json.dumps(told).encode())
    for name, requirements in ctx.parameters["requirements"].items():
        needs = ", ".join(requirements)
        ctx.log.write(f"note: {name} needs Python packages where it is served: {needs}\n")


class _Push:
    def __init__(self, ctx: ToolContext, place: Destination):
        self._ctx = ctx
        self._place = place
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._failed = Event()
        self._held: dict[str, Held] = {}

    def run(self, models: Folder) -> tuple[int, int]:
        """Bytes that were moved, and bytes that were there."""
        items = [Item(path, file.digest, file.executable) for path, file in _files(models)]
        self._ctx.put(b"")  # the content of KEEP
        try:
            for found in self._each(self._place.held, [f"{name}/" for name in models.entries]):
                self._held |= found
            moved = sum(sum(self._each(self._put, wave)) for wave in self._waves(items))
            self._look_after({item.path for item in items})
        finally:
            if not self._ctx.cancelled:  # else nobody waits for a server that says nothing
                self._pool.shutdown()
                self._place.close()
        return moved, sum(item.digest.size for item in items) - moved

    def _waves(self, items: Sequence[Item]) -> list[list[Item]]:
        """A server that looks now and then must not see a config before what it speaks of: the
        model's files, and the configs of models that it needs."""
        depths = self._ctx.parameters["depths"]
        configs = {f"{name}/{CONFIG}": depth for name, depth in depths.items()}
        waves: dict[int, list[Item]] = {}
        for item in items:
            waves.setdefault(configs.get(item.path, -1), []).append(item)
        return [waves[depth] for depth in sorted(waves)]

    def _put(self, item: Item) -> int:
        """Bytes that were moved."""
        self._check()
        if item.path in self._held and self._held[item.path](item):
            return 0
        file = self._ctx.find(item.digest)
        if file is not None:
            self._place.put(item, file, self._check)
            if self._ctx.find(item.digest) == file:
                return item.digest.size
            self._place.remove(item.path)  # it says of itself that it is what it is not
        found = f"{item.path} changed while it was pushed"
        raise ActionError(Problem(found, "files that stand still", "push again"))

    def _look_after(self, wanted: set[str]) -> None:
        """What these models no longer have, such as a version, is removed only if so asked."""
        gone = sorted(self._held.keys() - wanted)
        if gone and self._ctx.parameters["delete"]:
            list(self._each(self._place.remove, gone))
            self._ctx.log.write(f"note: removed {len(gone)}, such as {gone[0]}\n")
        elif gone:
            self._ctx.log.write(
                f"note: {len(gone)} more there that these models do not have, such as {gone[0]}, "
                "and a server may load it; --delete removes such\n"
            )

    def _each(self, function: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
        """As they end. The first failure stops the others."""
        futures = {self._pool.submit(function, item) for item in items}
        waiting = futures
        try:
            while waiting:
                ended, waiting = wait(waiting, _GLANCE, FIRST_COMPLETED)
                self._check()
                for future in ended:
                    yield future.result()
        except BaseException:
            self._failed.set()
            for future in futures:
                future.cancel()
            wait(futures, _GRACE)  # stores keep, and charge for, parts that are not taken back
            raise

    def _check(self) -> None:
        if self._ctx.cancelled or self._failed.is_set():
            raise ActionError("stopped")


def _files(folder: Folder, prefix: str = "") -> Iterator[tuple[str, File]]:
    """By path. Raises ActionError for a link: a store has none."""
    for name, entry in folder.entries.items():
        path = f"{prefix}{name}"
        match entry:
            case Symlink(target):
                found = f"{path} is a link to {target}"
                raise ActionError(Problem(found, "files and folders", "copy what it points to"))
            case File():
                yield path, entry
            case _ if entry.entries:
                yield from _files(entry, f"{path}/")
            case _:
                yield f"{path}/{KEEP}", File(Digest.of_bytes(b""))


@contextmanager
def _told(to: str) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        found = f"{public(to)} cannot be pushed to: {refused.found}"
        raise ActionError(Problem(found, _EXPECTED, refused.remedy or _REMEDY)) from None
    except Passing as passing:
        found = f"{public(to)} cannot be pushed to: {passing}"
        raise ActionError(Problem(found, _EXPECTED, NETWORK)) from None
