"""The `deb-state` tool: the layer on top of packages' layers, with what their maintainer scripts
would have made of them all.

dpkg's status; the cache of the dynamic linker, by the `ldconfig` of the packages; the bundle of
certificates, where OpenSSL looks for it without having to be told; and the files that packages
bring to be copied.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import BinaryIO

from tritonbuild.oci import Compression, Member
from tritonbuild.oci.compression import decompressed
from tritonbuild.oci.made import BLOB, MAKERS, write_layer
from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

from .layer import LAYER

_COPIES = {
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/base-files/profile": "etc/profile",
}
_CERTIFICATE = re.compile(r"usr/share/ca-certificates/.*\.crt")
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_OPENSSL = "usr/lib/ssl/cert.pem"
"""Where OpenSSL looks for certificates besides its folder of hashes."""
_LDCONFIG, _CACHE = "usr/sbin/ldconfig", "etc/ld.so.cache"
_LINKER = re.compile(
    rf"{_LDCONFIG}|etc/ld\.so\.conf(?:\.d/[^/]+\.conf)?|usr/(?:local/)?lib[^/]*/.*\.so(?:\..*)?"
)
"""What `ldconfig` reads."""


@tool("deb-state", version=1, libraries=MAKERS)
def make_deb_state(ctx: ToolContext) -> None:
    """Inputs `layers/NNN`, from the lowest up, and `status/NNN`; output `layer`."""
    epoch = ctx.parameters["epoch"]
    root = ctx.scratch / "root"
    layers, statuses = ctx.inputs.get("layers"), ctx.inputs.get("status")
    assert isinstance(layers, Folder)
    assert isinstance(statuses, Folder)
    read: dict[str, bytes] = {}
    for name in sorted(layers.entries):
        blob = ctx.open(f"layers/{name}/{BLOB}")
        with decompressed(blob, Compression.GZIP) as stream:
            _read(stream, root, read)
    paragraphs = [
        paragraph + b"\n\n"
        for name in statuses.entries
        for paragraph in ctx.read(f"status/{name}").split(b"\n\n")
        if paragraph
    ]
    made = {
        "var/lib/dpkg/status": b"".join(sorted(paragraphs)),
        "var/lib/dpkg/info/format": b"1\n",
        **{target: read[source] for source, target in _COPIES.items() if source in read},
    }
    if (root / _LDCONFIG).exists():
        made[_CACHE] = _cache(ctx, root)
    members = []
    if certificates := [read[path] for path in sorted(read) if path not in _COPIES]:
        made[_BUNDLE] = b"".join(one.rstrip(b"\n") + b"\n" for one in certificates)
        members.append(Member(_OPENSSL, "link", 0o777, mtime=epoch, target=f"/{_BUNDLE}"))
    members += (Member(path, mtime=epoch, content=content) for path, content in made.items())
    write_layer(ctx, LAYER, members, "what Debian's packages make together", Compression.GZIP)


def _read(stream: BinaryIO, root: Path, read: dict[str, bytes]) -> None:
    """Takes from a layer what is wanted: what the linker needs into a folder, the rest as it is."""
    links = []
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8") as tar:
        for info in tar:
            linker = _LINKER.fullmatch(info.name)
            if not linker and info.name not in _COPIES and not _CERTIFICATE.fullmatch(info.name):
                continue
            path = root / info.name
            if linker and not info.isdir():
                path.parent.mkdir(parents=True, exist_ok=True)
            if file := (tar.extractfile(info) if info.isfile() else None):
                if linker:
                    path.write_bytes(file.read())
                else:
                    read[info.name] = file.read()
            elif linker and info.issym():
                links.append((path, info.linkname))
            elif linker and info.islnk():
                path.hardlink_to(root / info.linkname)
    for path, target in links:  # when nothing can be written through them any more
        path.symlink_to(target)


def _cache(ctx: ToolContext, root: Path) -> bytes:
    """What the packages' own `ldconfig`, which is linked statically, makes of a root. Raises
    ActionError where it is for another machine."""
    for name in ("lib", "lib32", "lib64", "libx32"):
        if (root / "usr" / name).is_dir():
            (root / name).symlink_to(f"usr/{name}")
    program, log = root / _LDCONFIG, ctx.scratch / "ldconfig.log"
    program.chmod(0o755)
    argv = [str(program), "-X", "-i", "-r", str(root)]
    try:
        exit_code = ctx.start(argv, env={"LC_ALL": "C"}, cwd=root, log=log).wait()
    except ActionError as error:
        architecture = ctx.parameters["architecture"]
        raise ActionError(
            Problem(
                f"the packages' ldconfig, for {architecture}, cannot be run here\n    {error}",
                "a machine that runs it",
                "build this base there; or install qemu-user-static here; or leave libc-bin out: "
                "libraries are then found in Debian's own folders only",
            )
        ) from None
    if exit_code:
        raise ActionError(Problem(f"ldconfig failed: {log.read_text(errors='replace')}"))
    return (root / _CACHE).read_bytes()
