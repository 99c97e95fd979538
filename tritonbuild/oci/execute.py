"""An image at work in its own root file system, without Docker: unpacked once, then run in private
namespaces, by any user."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from tritonbuild.digest import Digest
from tritonbuild.errors import Interrupted
from tritonbuild.oci.documents import Execution
from tritonbuild.oci.errors import Absent, Invalid
from tritonbuild.oci.image import Image
from tritonbuild.oci.unpack import unpack
from tritonbuild.oci.user import User, user_of
from tritonbuild.tools import Bind, Container, Process, ToolContext

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are found in an image that does not say it, as in Docker."""
_VERSION = 1
"""Of unpacked roots."""
_ROOT, _FACTS = "root", "facts.json"


@dataclass(frozen=True)
class Unpacked:
    """An image's root file system on this machine."""

    root: Path
    """Read-only: other runs share it. All in it belongs to who unpacked it, with modes that let
    this user do what the image's user may."""
    user: User
    contents: Mapping[str, Digest]
    """Path → what belongs there; the file in the root is empty."""


@dataclass(frozen=True)
class Terms:
    """How an image is run, where not as its config says."""

    command: Sequence[str] | None = None
    """Instead of its `Cmd`."""
    entrypoint: Sequence[str] | None = None
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    binds: Sequence[Bind] = ()
    shown: Sequence[Path] = ()
    """Of the host, in its place: devices of GPUs."""
    scratch: Sequence[tuple[str, int]] = (("/tmp", 0),)  # noqa: S108
    """Folders in memory, and their bytes (0: half of the machine's)."""
    writable: bool = False
    """Whether what the image's modes let its user write can be written, in memory."""


def root_of(ctx: ToolContext, image: Image, user: str = "") -> Unpacked:
    """An image's root for a user (empty: its own), unpacked when it is wanted for the first time on
    this machine. Raises Invalid and what sources of images raise."""
    name = (image.config.config or Execution()).user or ""
    wanted = user or name
    key = (_VERSION, image.descriptor.digest, wanted, os.geteuid())
    kept = ctx.kept(
        f"root-{sha256(repr(key).encode()).hexdigest()}",
        lambda folder: _unpack(ctx, image, wanted, folder),
    )
    facts = json.loads((kept / _FACTS).read_bytes())
    contents = {path: Digest.parse(text) for path, text in facts["contents"].items()}
    return Unpacked(kept / _ROOT, User(**facts["user"]), contents)


def run_image(
    ctx: ToolContext, image: Image, log: Path, terms: Terms | None = None, shm_prefix: str = ""
) -> Process:
    """Starts an image's program, which sees nothing of the host but its network and what the terms
    show, and has no capabilities. Raises Invalid, what sources of images raise, and what
    `ToolContext.start` raises."""
    terms = terms or Terms()
    config = image.config.config or Execution()
    unpacked = root_of(ctx, image, terms.user)
    entrypoint = config.entrypoint if terms.entrypoint is None else terms.entrypoint
    command = config.cmd if terms.command is None and terms.entrypoint is None else terms.command
    argv = [*(entrypoint or ()), *(command or ())]
    if not argv:
        raise Invalid("the image says no program to run", expected="an entrypoint or a command")
    variables = dict(line.partition("=")[::2] for line in config.env or ())
    container = Container(
        unpacked.root,
        unpacked.user.uid,
        unpacked.user.gid,
        [*_bound(ctx, unpacked.contents), *terms.binds],
        terms.shown,
        terms.scratch,
        terms.writable,
    )
    return ctx.start(
        argv,
        env={"PATH": PATH, "HOME": unpacked.user.home, **variables, **terms.env},
        cwd=Path("/", config.working_dir or ""),
        log=log,
        shm_prefix=shm_prefix,
        container=container,
    )


def _unpack(ctx: ToolContext, image: Image, user: str, folder: Path) -> None:
    def check() -> None:
        if ctx.cancelled:
            raise Interrupted()

    folder.mkdir(mode=0o755)
    unpacked = unpack(image, folder / _ROOT, check)
    account = user_of(user, unpacked.text("etc/passwd"), unpacked.text("etc/group"))
    unpacked.settle(account.seen)
    contents = {path: str(digest) for path, digest in unpacked.apart.items()}
    (folder / _FACTS).write_text(json.dumps({"user": asdict(account), "contents": contents}))


def _bound(ctx: ToolContext, contents: Mapping[str, Digest]) -> list[Bind]:
    binds = []
    for path, digest in contents.items():
        source = ctx.find(digest)
        if source is None:
            raise Absent(f"content {digest} of /{path} is gone", remedy="build again")
        binds.append(Bind(source, f"/{path}"))
    return binds
