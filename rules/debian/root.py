"""The `deb-root` tool: the lowest layer, which packages stand on: folders, the links of a merged
`/usr`, and the users and groups that every Debian has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tritonbuild.oci import Compression, Member
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.rule import ToolContext, tool

from .layer import LAYER

ACCOUNTS = "base-passwd.deb"
"""The input that names users and groups."""
_MASTERS = "usr/share/base-passwd"
_MINIMAL = {
    "passwd.master": "root:*:0:0:root:/root:/bin/sh\n"
    "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group.master": "root:*:0:\nshadow:*:42:\nnogroup:*:65534:\n",
}
_SHADOW = 42
_FOLDERS = {
    **dict.fromkeys(
        (
            "dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr",
            "usr/local", "usr/local/bin", "usr/local/lib", "usr/local/sbin", "usr/local/share",
            "usr/share", "var", "var/cache", "var/lib", "var/lib/dpkg", "var/lib/dpkg/info",
            "var/log",
        ),
        0o755,
    ),
    "root": 0o700,
    **dict.fromkeys(("run/lock", "tmp", "var/tmp"), 0o1777),
}  # fmt: skip
_SOME = {"lib32": ("amd64",), "lib64": ("amd64",), "libx32": ("amd64",)}
"""Links that only these architectures have."""


@tool("deb-root", version=1, libraries=(*MAKERS, "python-debian"))
def make_deb_root(ctx: ToolContext) -> None:
    """Input `base-passwd.deb` where that is among the packages; output `layer`."""
    from .deb import LINKS, read_deb

    epoch, architecture = ctx.parameters["epoch"], ctx.parameters["architecture"]
    masters: Mapping[str, str] = _MINIMAL
    if ctx.inputs.get(ACCOUNTS) is not None:
        with ctx.open(ACCOUNTS) as package:
            masters = {
                member.path.removeprefix(f"{_MASTERS}/"): member.content.decode()
                for member in read_deb(package, ACCOUNTS, epoch).members
                if member.path.startswith(f"{_MASTERS}/") and isinstance(member.content, bytes)
            }
    links = [
        (path, target)
        for path, target in LINKS.items()
        if architecture in _SOME.get(path, (architecture,))
    ]
    folders = {**_FOLDERS, **{to: 0o755 for _, to in links if to.startswith("usr/")}}
    members = [
        *(Member(path, "folder", mode, mtime=epoch) for path, mode in folders.items()),
        # Relative in the root, as usrmerge makes them; /var's are base-files' own.
        *(
            Member(path, "link", 0o777, mtime=epoch, target=f"/{to}" if "/" in path else to)
            for path, to in links
        ),
        *_accounts(masters["passwd.master"], masters["group.master"], epoch),
    ]
    write_layer(ctx, LAYER, members, "an empty Debian root", Compression.GZIP)


def _accounts(passwd: str, group: str, epoch: int) -> Iterator[Member]:
    """Nobody has a password, and none can be tried: as `shadowconfig` leaves them."""
    users = [line.split(":") for line in passwd.splitlines()]
    groups = [line.split(":") for line in group.splitlines()]
    for path, gid, rows in (
        ("etc/passwd", 0, [[name, "x", *rest] for name, _, *rest in users]),
        ("etc/group", 0, [[name, "x", *rest] for name, _, *rest in groups]),
        (
            "etc/shadow",
            _SHADOW,
            [[row[0], "*", "", "0", "99999", "7", "", "", ""] for row in users],
        ),
        ("etc/gshadow", _SHADOW, [[row[0], "*", "", ""] for row in groups]),
    ):
        content = "".join(":".join(row) + "\n" for row in rows).encode()
        mode = 0o640 if gid else 0o644
        yield Member(path, mode=mode, gid=gid, mtime=epoch, content=content)
