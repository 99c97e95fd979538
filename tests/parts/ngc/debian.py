"""Debian's packages in a root file system: unpacked, entered into dpkg's database, and no script of
theirs run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from conftest import ROOT

from parts import store

KEYS = ROOT / "rules/debian/keys"
MIRROR = "TRITONBUILD_DEBIAN_MIRROR"
BELOW = (
    "?essential", "ca-certificates", "libnuma1", "libstdc++6", "netbase", "openssl", "passwd",
    "tzdata", "zlib1g",
)  # fmt: skip
"""Of `min`."""
ABOVE = (
    "curl", "libarchive13", "libb64-0d", "libcurl4", "libgomp1", "libpython3.11", "libre2-9",
    "libxml2", "python3", "wget",
)  # fmt: skip
"""What `full` has besides: of what compose.py installs, all that is no compiler and no header."""

MERGED = ("bin", "lib", "lib64", "sbin")
_LEFT_OUT = ("info", "locale", "man")
_CONF = """\
Dir "{0}"; Dir::State "{0}"; Dir::State::lists "lists"; Dir::State::status "{0}/status";
Dir::Cache "{0}/cache"; Dir::Etc "{0}/etc"; Dir::Etc::parts "{0}/etc"; Dir::Etc::trustedparts "{1}";
APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false"; APT::Sandbox::User "root";
Acquire::Languages "none"; Debug::NoLocking "true";
"""


def packages() -> tuple[list[Path], list[Path]]:
    """The .debs of `min`, and those that come on top of them in `full`."""
    folder = store.keep("ngc-1-debian", _download)
    below = set((folder / "below").read_text().split())
    everything = sorted(folder.glob("*.deb"))
    return (
        [deb for deb in everything if deb.name in below],
        [deb for deb in everything if deb.name not in below],
    )


def _download(made: Path) -> None:
    """With apt, in a state of its own: what this machine has does not count."""
    store.program("apt-get")
    apt = made / "apt"
    for name in ("lists/partial", "cache/archives/partial", "etc/preferences.d"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    mirror = os.environ.get(MIRROR) or "http://deb.debian.org/debian"
    keys = ",".join(str(key.resolve()) for key in sorted(KEYS.glob("bookworm-*.gpg")))
    (apt / "etc/sources.list").write_text(f"deb [signed-by={keys}] {mirror} bookworm main\n")
    (apt / "conf").write_text(_CONF.format(apt, KEYS))
    environment = {**os.environ, "APT_CONFIG": str(apt / "conf")}

    def get(*arguments: str) -> str:
        argv = ["apt-get", "--quiet=2", "--yes", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    get("update")
    uris = get("install", "--print-uris", *BELOW).splitlines()
    (made / "below").write_text("\n".join(uri.split()[1] for uri in uris))
    get("install", "--download-only", *BELOW, *ABOVE)
    for deb in (apt / "cache/archives").glob("*.deb"):
        # apt writes an epoch's colon as %3a here, and as it is in the list.
        deb.rename(made / deb.name)
    shutil.rmtree(apt)


def prepare(root: Path) -> None:
    """What has to be there before the first package is: /usr merged."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("info", "updates"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "var/lib/dpkg/info/format").write_text("1\n")  # files named after architectures


def install(root: Path, debs: Sequence[Path]) -> None:
    """Unpacks them; documents and translations are left out, as images of Debian do."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        unpacked = list(pool.map(lambda deb: _unpack(root, deb), debs))
    for one in unpacked:
        _enter(root, one)
    share = root / "usr/share"
    for name in _LEFT_OUT:
        shutil.rmtree(share / name, ignore_errors=True)
    for document in share.glob("doc/*/*"):
        if document.name != "copyright":
            shutil.rmtree(document) if document.is_dir() else document.unlink()


def configure(root: Path) -> None:
    """What the scripts of `min`'s packages would have made."""
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / f"etc/{name}")
    names = [line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()]
    (root / "etc/shadow").write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in names))
    (root / "etc/shadow").chmod(0o640)
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(file.read_text() for file in authorities))
    (root / "tmp").chmod(0o1777)
    (root / "root").mkdir(mode=0o700, exist_ok=True)
    for name in ("media", "mnt", "opt", "srv", "usr/local/bin", "usr/local/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for path, target in {"usr/bin/awk": "mawk", "etc/localtime": "/usr/share/zoneinfo/UTC"}.items():
        (root / path).symlink_to(target)


def ldconfig(root: Path) -> None:
    subprocess.run([_program("ldconfig"), "-r", root, "-X"], check=True)
    # It remembers inodes of this machine: no two layers would be the same.
    shutil.rmtree(root / "var/cache/ldconfig")


def enter(root: Path, name: str, version: str, paths: Iterable[str], depends: str = "") -> None:
    """A package of ours that consists of files that are there already."""
    fields = {
        "Package": name, "Status": "install ok installed", "Priority": "optional",
        "Section": "multiverse/devel", "Maintainer": "cudatools <cudatools@example.org>",
        "Architecture": "amd64", "Version": version, "Depends": depends,
        "Description": f"{name}, as tests have it",
    }  # fmt: skip
    members = sorted(paths)
    sums = [
        f"{hashlib.md5((root / path).read_bytes(), usedforsecurity=False).hexdigest()}  {path}\n"
        for path in members
        if (root / path).is_file() and not (root / path).is_symlink()
    ]
    _write(root, fields, _with_parents(members), "".join(sums))


def _unpack(root: Path, deb: Path) -> tuple[Mapping[str, bytes], list[str]]:
    """Its control files, and what it brings."""
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True)
    told = subprocess.run(
        # Through /lib into /usr/lib, where dpkg-deb itself would make a folder of the link.
        ["tar", "-C", root, "-xvp", "--keep-directory-symlink", "--quoting-style=literal"],
        input=files.stdout, check=True, capture_output=True,
    )  # fmt: skip
    packed = subprocess.run(["dpkg-deb", "--ctrl-tarfile", deb], check=True, capture_output=True)
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as tar:
        control = {
            member.name.removeprefix("./"): content.read()
            for member in tar
            if (content := tar.extractfile(member))
        }
    names = (line.removeprefix("./").rstrip("/") for line in told.stdout.decode().splitlines())
    return control, [name for name in names if name]


def _enter(root: Path, unpacked: tuple[Mapping[str, bytes], list[str]]) -> None:
    control, paths = unpacked
    text = control["control"].decode().rstrip("\n")
    first, _, rest = text.partition("\n")
    fields = dict(
        line.split(": ", 1) for line in text.splitlines() if ": " in line and line[0] != " "
    )
    name = fields["Package"]
    if fields.get("Multi-Arch") == "same":
        name += ":amd64"
    info = root / "var/lib/dpkg/info"
    for file, content in control.items():
        if file != "control":
            (info / f"{name}.{file}").write_bytes(content)
    (info / f"{name}.list").write_text("".join(f"/{path}\n" for path in [".", *paths]))
    with (root / "var/lib/dpkg/status").open("a") as status:
        status.write(f"{first}\nStatus: install ok installed\n{rest}\n\n")


def _write(root: Path, fields: Mapping[str, str], paths: Sequence[str], sums: str) -> None:
    info = root / "var/lib/dpkg/info"
    name = fields["Package"]
    (info / f"{name}.list").write_text("".join(f"/{path}\n" for path in [".", *paths]))
    (info / f"{name}.md5sums").write_text(sums)
    with (root / "var/lib/dpkg/status").open("a") as status:
        status.writelines(f"{key}: {value}\n" for key, value in fields.items() if value)
        status.write("\n")


def _with_parents(paths: Sequence[str]) -> list[str]:
    return sorted({str(p) for path in paths for p in (Path(path), *Path(path).parents)} - {"."})


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or store.program(name)
