"""Releases of a few kilobytes, whose files nobody runs: for what can be wrong with images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from parts.ngc.build import Pair, execution
from parts.ngc.layers import BUILT, GZIP, Blob, Store, image, tar_into
from parts.ngc.native import library
from parts.ngc.releases import LIBRARIES, RELEASES
from parts.ngc.server import HOME
from parts.ngc.system import ENTRYPOINT, ENTRYPOINT_D, SERVE


class Link(NamedTuple):
    """A symbolic link."""

    target: str


class Same(NamedTuple):
    """A hard link to a file that comes before."""

    path: str


GONE = None
"""A whiteout."""
ANEW = Link("")
"""A folder that hides what lower layers have in it."""
Members = Mapping[str, bytes | Link | Same | None]
"""Path → what is there. Folders above come by themselves."""

BACKENDS, REPOAGENTS, CACHES = "backends", "repoagents", "caches"
COMPONENTS = (
    "backends/python", "backends/identity", "backends/onnxruntime", "backends/openvino",
    "repoagents/checksum", "caches/local",
)  # fmt: skip
_PREFIX = {BACKENDS: "libtriton_", REPOAGENTS: "libtritonrepoagent_", CACHES: "libtritoncache_"}
ONNXRUNTIME = f"{HOME}/backends/onnxruntime"
LOOP: Members = {
    f"{HOME}/backends/identity/libround.so": Link("libabout.so"),
    f"{HOME}/backends/identity/libabout.so": Link("libround.so"),
}
"""Links that lead to each other."""


def spread() -> Sequence[Members]:
    """Layers over which a component is spread: changed, deleted, made again, and anew."""
    file = "libtriton_onnxruntime.so"
    last = library("libtritonserver.so", soname=file, runpath="$ORIGIN", gives="last")
    return (
        {f"{ONNXRUNTIME}/added.txt": b"by a later layer\n"},
        {ONNXRUNTIME: GONE},
        {f"{ONNXRUNTIME}/again.txt": b"made again\n"},
        {ONNXRUNTIME: ANEW, f"{ONNXRUNTIME}/{file}": last, f"{ONNXRUNTIME}/kept.txt": b"kept\n"},
    )


def component(path: str, *needed: str) -> Members:
    """One of `backends/NAME` …, whose library needs these besides the server's."""
    kind, name = path.split("/")
    file = f"{_PREFIX[kind]}{name}.so"
    content = library("libtritonserver.so", *needed, soname=file, runpath="$ORIGIN")
    return {f"{HOME}/{path}/{file}": content}


def tiny(
    store: Store,
    name: str = "24.10",
    *,
    components: Sequence[str] = COMPONENTS,
    extra: Members | None = None,
    later: Sequence[Members] = (),
    below: Members | None = None,
    media_type: str = GZIP,
    cuda: str | None = None,
    system: str = "12",
    architecture: str = "amd64",
    gpu: bool = True,
    apart: bool = False,
) -> Pair:
    """`extra` is in the big layer of `full`, which is of `media_type`; `later` are layers on top,
    `below` is in `min`. Without `gpu` there is no CUDA, and `full` says so. What stands
    `apart` shares no layer with its `min`."""
    release = RELEASES[name]
    if cuda is not None:
        release = replace(release, cuda=cuda)
    lower = [layer(store, {**_system(), **(below or {})})]
    members = {
        **_core(release.server),
        **{path: content for one in components for path, content in component(one).items()},
        **(extra or {}),
    }
    upper = [layer(store, _outside()), layer(store, members, media_type)]
    upper += [layer(store, one) for one in later]
    own = [layer(store, {**_system(), "etc/apart": b"yes\n"})] if apart else lower
    settings = []
    for env, labels in (
        (release.min_env, release.min_labels), (release.full_env, release.full_labels),
    ):  # fmt: skip
        if not gpu:
            env = {key: value for key, value in env.items() if "CUDA" not in key}
            if "TRITON_SERVER_GPU_ENABLED" in env:
                env["TRITON_SERVER_GPU_ENABLED"] = "0"
        settings.append(execution(env, {**labels, "org.opencontainers.image.version": system}))
    return Pair(
        image(store, lower, settings[0], architecture),
        image(store, [*own, *upper], settings[1] | {"WorkingDir": f"/{HOME}"}, architecture),
    )


def layer(store: Store, members: Members, media_type: str = GZIP) -> Blob:
    """A blob of these; what is ANEW has to come before what it has."""
    with store.layer(media_type) as stream, tar_into(stream) as tar:
        there: set[str] = set()
        for path, content in members.items():
            for parent in _above(path):
                if parent not in there:
                    _add(tar, parent, ANEW)
                there.add(parent)
            if content is None:
                folder, _, name = path.rpartition("/")
                _add(tar, f"{folder}/.wh.{name}", b"")
                continue
            _add(tar, path, content)
            there.add(path)
            if content is ANEW:
                _add(tar, f"{path}/.wh..wh..opq", b"")
    return stream.blob


def _add(tar: tarfile.TarFile, path: str, content: bytes | Link | Same) -> None:
    info = tarfile.TarInfo(path)
    info.mtime, info.mode = BUILT, 0o755
    if content is ANEW:
        info.type = tarfile.DIRTYPE
    elif isinstance(content, Link):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, content.target, 0o777
    elif isinstance(content, Same):
        info.type, info.linkname = tarfile.LNKTYPE, content.path
    else:
        info.size = len(content)
        info.mode = 0o755 if content[:4] == b"\x7fELF" or content[:2] == b"#!" else 0o644
        tar.addfile(info, io.BytesIO(content))
        return
    tar.addfile(info)


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _system() -> Members:
    links = {name: Link(f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")}
    return {
        **{f"usr/{name}/.keep": b"" for name in links},
        **links,
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        "etc/group": b"root:x:0:\n",
        "etc/shadow": b"root:*:20000:0:99999:7:::\n",
        "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n",
        "etc/ld.so.conf.d/x86_64-linux-gnu.conf": f"/{LIBRARIES}\n".encode(),
        "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
        "var/lib/dpkg/status": b"",
        ENTRYPOINT[1:]: b'#!/bin/bash\nexec "$@"\n',
        f"{LIBRARIES}/libbelow.so.1": library(soname="libbelow.so.1"),
    }


def _outside() -> Members:
    status = (
        "Package: libabove1\nStatus: install ok installed\nPriority: optional\nSection: libs\n"
        "Maintainer: Test <test@example.org>\nArchitecture: amd64\nVersion: 1.0-1\n"
        "Description: a library of full's\n\n"
    )
    return {
        f"{LIBRARIES}/libabove.so.1.0": library("libbelow.so.1", soname="libabove.so.1"),
        f"{LIBRARIES}/libabove.so.1": Link("libabove.so.1.0"),
        "var/lib/dpkg/status": status.encode(),
        "var/lib/dpkg/info/libabove1.list": f"/.\n/{LIBRARIES}/libabove.so.1\n"
        f"/{LIBRARIES}/libabove.so.1.0\n".encode(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n"
        b"triton-server:x:1000:1000::/home/triton-server:/bin/sh\n",
        "etc/group": b"root:x:0:\ntriton-server:x:1000:\n",
        "etc/shadow": b"root:*:20000:0:99999:7:::\ntriton-server:!:20000:0:99999:7:::\n",
        "usr/bin/serve": SERVE.encode(),
        **{f"opt/nvidia/entrypoint.d/{n}": text.encode() for n, text in ENTRYPOINT_D.items()},
    }


def _core(version: str) -> Members:
    return {
        f"{HOME}/LICENSE": b"Nobody's.\n",
        f"{HOME}/TRITON_VERSION": f"{version}\n".encode(),
        f"{HOME}/NVIDIA_Deep_Learning_Container_License.pdf": b"%PDF-1.4\n%%EOF\n",
        f"{HOME}/bin/tritonserver": library("libtritonserver.so", runpath="$ORIGIN/../lib"),
        f"{HOME}/lib/libtritonserver.so": library("libabove.so.1", soname="libtritonserver.so"),
        f"{HOME}/include/triton/core/tritonbackend.h": b"/* A header. */\n",
        f"{HOME}/python/tritonserver-{version}-py3-none-any.whl": b"PK",
        f"{HOME}/third-party-src/README": b"Sources.\n",
    }
