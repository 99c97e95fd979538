"""Resolves Python requirements to wheels, for a Python and a platform that need not be this one's.

pip resolves. What the lock keeps is public: a file that pip took from a mirror or from this machine
is named by its place on PyPI where PyPI has it, else by its own address without credentials, and a
file that only this machine has by its package URL (`pkg:pypi/NAME@VERSION?file_name=…`,
https://github.com/package-url/purl-spec). Fetching goes by name and digest in any case.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tritonbuild.rule import (
    Desk,
    EnvironmentFailure,
    LockedFile,
    Problem,
    Request,
    TritonbuildError,
    UsageError,
    resolver,
)

from . import pip
from .interpreter import FULL_VERSIONS

_PYPI = "https://files.pythonhosted.org"
_PYPI_PATH = re.compile(r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+\Z")


@resolver("pypi")
def resolve(request: Request, desk: Desk) -> list[LockedFile]:
    """The wheels of the requirements and of all that they depend on."""
    return _resolve(request, desk)


@resolver("pypi-nodeps")
def resolve_alone(request: Request, desk: Desk) -> list[LockedFile]:
    """The wheels of the requirements alone."""
    return _resolve(request, desk, "--no-deps")


def _resolve(request: Request, desk: Desk, *options: str) -> list[LockedFile]:
    full_version = FULL_VERSIONS[request.python]
    report = desk.scratch / "report.json"
    arguments = [
        "install", "--dry-run", "--ignore-installed", f"--report={report}", *options,
        "--only-binary=:all:", "--implementation=cp", f"--python-version={full_version}",
        *(f"--platform={tag}" for tag in platform_tags(request.platform)),
        f"--target={desk.scratch}/target", "--", *request.request,
    ]  # fmt: skip
    environment = json.dumps(_markers(full_version, request.platform))
    process = subprocess.run(
        pip.command_for(environment, arguments),
        env=pip.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if process.returncode:
        raise _failed(request, process.stdout)
    found = json.loads(report.read_text())["install"]
    pypi = _Index()
    return sorted(_locked(item, pypi) for item in found)


def platform_tags(platform: str) -> list[str]:
    """Those of the wheels that `x86_64-linux-gnu2.36` can use, best first (PEP 600)."""
    machine, _, glibc = platform.partition("-linux-gnu")
    major, minor = map(int, glibc.split("."))
    newest = [f"manylinux_{major}_{number}" for number in range(minor, 4, -1)]
    older = ["manylinux2014", "manylinux2010", "manylinux1", "linux"]
    return [f"{tag}_{machine}" for tag in (*newest, *older)]


def _markers(full_version: str, platform: str) -> dict[str, str]:
    """The marker environment (PEP 508) of the Python that the wheels are for."""
    return {
        "implementation_name": "cpython",
        "implementation_version": full_version,
        "os_name": "posix",
        "platform_machine": platform.partition("-")[0],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full_version,
        "python_version": full_version.rpartition(".")[0],
        "sys_platform": "linux",
    }


def _locked(item: dict[str, Any], pypi: _Index) -> LockedFile:
    """One entry of pip's installation report."""
    from packaging.utils import canonicalize_name

    download, metadata = item["download_info"], item["metadata"]
    sha256 = download["archive_info"]["hashes"]["sha256"]
    link = download["url"]
    parts = urlsplit(link)
    name = unquote(parts.path).rpartition("/")[2]
    if match := _PYPI_PATH.search(parts.path):
        url = _PYPI + match[0]
        return LockedFile(name, url, sha256, pypi.size(url))
    if parts.scheme != "file":
        host = parts.netloc.rpartition("@")[2]
        return LockedFile(name, urlunsplit((parts.scheme, host, parts.path, "", "")), sha256, 0)
    file = Path(unquote(parts.path))
    with file.open("rb") as content:
        # PyPI places a file by this digest.
        place = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    url = f"{_PYPI}/packages/{place[:2]}/{place[2:4]}/{place[4:]}/{quote(name)}"
    if not pypi.size(url):
        project, version = canonicalize_name(metadata["name"]), quote(metadata["version"])
        url = f"pkg:pypi/{project}@{version}?file_name={quote(name)}"
    return LockedFile(name, url, sha256, file.stat().st_size)


class _Index:
    """What PyPI says of its files; not asked again once it could not be reached."""

    def __init__(self) -> None:
        import requests

        self._session = requests.Session()
        self._reachable = True

    def size(self, url: str) -> int:
        """Of a file, in bytes; 0 if PyPI does not have it or cannot be asked."""
        import requests

        if self._reachable:
            try:
                answer = self._session.head(url, timeout=5)
            except requests.RequestException:
                self._reachable = False
            else:
                return int(answer.headers.get("Content-Length", 0)) if answer.ok else 0
        return 0


def _failed(request: Request, output: str) -> TritonbuildError:
    """What pip's output means."""
    if reason := pip.unreachable(output):
        found = f"{request} cannot be resolved: {reason}"
        return EnvironmentFailure(Problem(found, "a package index", pip.INDEX_REMEDY))
    said = pip.errors(output)
    target = f"Python {request.python} on {request.platform}"
    if match := re.search(r"^ERROR: No matching distribution found for (.*)", output, re.M):
        versions = re.search(r"\(from versions: (.*)\)", output)
        known = versions[1].split(", ")[-8:] if versions and versions[1] != "none" else ()
        expected = (
            f"one of its versions, such as {', '.join(known)}"
            if known
            else "a project that has one"
        )
        return UsageError(
            Problem(
                f"no wheel satisfies {match[1]!r} for {target}",
                expected,
                "is the name right? Only wheels are taken; one that you build and put in your "
                "index or `find-links` folder will do",
            )
        )
    if "conflicting dependencies" in output:
        return _conflict(request, output)
    return UsageError(
        Problem(f"{request} cannot be resolved for {target}: {'; '.join(said) or output.strip()}")
    )


def _conflict(request: Request, output: str) -> UsageError:
    cause = output.partition("The conflict is caused by:")[2].partition("\n\n")[0]
    lines: Sequence[str] = [line.strip() for line in cause.splitlines() if line.strip()]
    remedy = "loosen one of them"
    if "numpy<2" in request.request and any("numpy" in line for line in lines):
        remedy += (
            "; numpy<2 may come from the distribution: with numpy 2, Triton before 24.11 fails"
        )
    found = "these requirements contradict each other: " + ("; ".join(lines) or str(request))
    return UsageError(Problem(found, "requirements that one environment can satisfy", remedy))
