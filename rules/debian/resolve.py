"""Resolves names of Debian packages to files of its archive."""

from __future__ import annotations

from tritonbuild.rule import Desk, LockedFile, Request, resolver

from ..python.debian import archive_url
from .archive import indexes
from .closure import closure
from .pool import Package, Pool


@resolver("debian")
def resolve_debian(request: Request, desk: Desk) -> list[LockedFile]:
    """`platform` is the suite and Debian's name of the architecture: `bookworm/amd64`."""
    suite, _, architecture = request.platform.partition("/")
    pool = Pool(indexes(suite, architecture, desk.scratch))
    return [_locked(package) for package in closure(pool, request.request)]


def _locked(package: Package) -> LockedFile:
    path, index = package.fields["Filename"], package.index
    return LockedFile(
        path.rpartition("/")[2],
        archive_url(index.snapshot, path, index.archive),
        package.fields["SHA256"],
        int(package.fields["Size"]),
    )
