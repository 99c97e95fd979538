"""The `image-accounts` tool: who a server runs as. A name that the base does not know becomes an
account of it; a number needs none."""

from __future__ import annotations

import json
from typing import Any

from tritonbuild.oci import Compression, Listed, Member, Root
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.rule import (
    ActionError,
    Artifact,
    Context,
    Folder,
    Output,
    Problem,
    ToolContext,
    tool,
)

from ..layouts import LAYERS, root_of
from .layers import LayerGroup

USER = "user.json"
TRITON = "triton-server"
ID = 1000
"""Of Triton's own user, as NVIDIA's images have it."""
_PASSWD, _GROUP, _SHADOW = FILES = ("etc/passwd", "etc/group", "etc/shadow")
_OTHERS = ("tensorrt-server", "ubuntu")
"""Users of bases that have the number of Triton's."""


def accounts(
    ctx: Context[Any], base: Artifact, user: str, *, nvidias: bool = False
) -> tuple[LayerGroup, Output]:
    """Declares the finding, or making, of a user; the second is who it is, by number. `nvidias`:
    the image has Triton's user in any case, with the number that NVIDIA's images give it."""
    made = ctx.tool(
        make_accounts,
        parameters={"epoch": ctx.epoch, "nvidias": nvidias, "user": user},
        inputs={"base": base},
        outputs=[LAYERS, USER],
    )
    return LayerGroup(f"user {user}", made[LAYERS], FILES), made[USER]


@tool("image-accounts", version=2, libraries=MAKERS)
def make_accounts(ctx: ToolContext) -> None:
    """Input `base`, parameters `user` (`NAME`, `UID`, `UID:GID`), `nvidias` and `epoch`; outputs
    `layers`, which may be none, and user.json: what the image's config says."""
    folder = ctx.inputs.get("base")
    assert isinstance(folder, Folder)
    table = Accounts(root_of(folder, ctx))
    if ctx.parameters["nvidias"]:
        for name in _OTHERS:
            table.remove(name)
        table.add(TRITON, str(ID))
        table.lock(TRITON)
    user = ctx.parameters["user"]
    who = _who(table, user)
    if members := table.written(ctx.parameters["epoch"]):
        write_layer(ctx, f"{LAYERS}/000", members, f"user {user}", Compression.NONE)
    else:
        ctx.link(LAYERS, Folder())
    ctx.write(USER, json.dumps(who).encode())


def _who(table: Accounts, user: str) -> str:
    """By number; made where it is a name that there is not. Raises ActionError."""
    name, _, group = user.partition(":")
    if name.isdecimal():
        return f"{name}:{_group(table, group)}" if group else name
    person = table.people.get(name)
    if person is None:
        if group:
            found = f"the base has no user {name!r}"
            raise ActionError(Problem(found, "one of its users", key="user"))
        person = table.add(name)
    return f"{person[2]}:{_group(table, group) if group else person[3]}"


def _group(table: Accounts, group: str) -> str:
    if group.isdecimal():
        return group
    if group not in table.groups:
        raise ActionError(Problem(f"the base has no group {group!r}", key="user"))
    return table.groups[group][2]


class Accounts:
    """passwd(5), group(5) and shadow(5) of a file system."""

    def __init__(self, root: Root):
        self._texts = {path: root.text(path) or "" for path in FILES}
        self._before = dict(self._texts)
        self._entries = {path: root.find(path) or Listed(path, "file", 0o644) for path in FILES}

    @property
    def people(self) -> dict[str, list[str]]:
        """Name → its columns."""
        return self._rows(_PASSWD)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Likewise."""
        return self._rows(_GROUP)

    def _rows(self, path: str) -> dict[str, list[str]]:
        rows = (line.split(":") for line in self._texts[path].splitlines())
        return {row[0]: row for row in rows if len(row) >= 4}

    def remove(self, name: str) -> None:
        for path, text in self._texts.items():
            lines = text.splitlines(keepends=True)
            self._texts[path] = "".join(li for li in lines if not li.startswith(f"{name}:"))

    def add(self, name: str, number: str = "") -> list[str]:
        """A user and its group, of the first number from Triton's own on that nobody has, unless it
        is said; nothing where it is there."""
        if name not in self.people:
            rows = (*self.people.values(), *self.groups.values())
            taken = {row[2] for row in rows}
            number = number or str(next(id for id in range(ID, 1 << 16) if str(id) not in taken))
            self._append(_PASSWD, f"{name}:x:{number}:{number}::/tmp:/usr/sbin/nologin\n")
            self._append(_GROUP, f"{name}:x:{number}:\n")
        return self.people[name]

    def lock(self, name: str) -> None:
        """As `useradd` leaves a user: without a password."""
        if self._texts[_SHADOW] and name not in self._rows(_SHADOW):
            self._append(_SHADOW, f"{name}:!:::::::\n")

    def _append(self, path: str, line: str) -> None:
        text = self._texts[path]
        self._texts[path] = f"{text}\n{line}" if text and not text.endswith("\n") else text + line

    def written(self, epoch: int) -> list[Member]:
        """What is not as it was, as modes and owners have it."""
        return [
            Member(
                path, "file", entry.mode, entry.uid, entry.gid, epoch,
                text.encode(errors="surrogateescape"),
            )
            for path, text in self._texts.items()
            if text != self._before[path]
            for entry in [self._entries[path]]
        ]  # fmt: skip
