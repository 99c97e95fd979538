"""Resolves an address to files with digests: from what the place says of them where it does, else
by fetching them, into the cache, so that they are fetched once."""

from __future__ import annotations

from collections.abc import Sequence

from tritonbuild.rule import (
    Desk,
    EnvironmentFailure,
    LockedFile,
    Problem,
    Request,
    UsageError,
    public,
    resolver,
)

from ..paths import EXPECTED, is_relative, overlap
from .bring import NETWORK
from .source import Passing, Refused, Remote, Source, Wanted, source_of
from .transfer import Expected, WrongFileError, transfer

KIND = "download"
_OPTIONS = ("revision", "path")


def request_for(wanted: Wanted) -> Request:
    options = {name: getattr(wanted, name) for name in _OPTIONS}
    words = (f"{name}={value}" for name, value in options.items() if value)
    return Request(KIND, (wanted.url, *words))


def _wanted(request: Request) -> Wanted:
    url, *words = request.request
    return Wanted(url, **dict(word.split("=", 1) for word in words))


@resolver(KIND)
def resolve(request: Request, desk: Desk) -> list[LockedFile]:
    """Raises UsageError where a place says no, EnvironmentFailure where it may not tomorrow."""
    wanted = _wanted(request)
    source = source_of(wanted.url)
    assert source is not None, "checked"
    try:
        remotes = source.files(wanted)
        _check(remotes)
        return [_locked(source, remote, desk) for remote in remotes]
    except Refused as refused:
        found = f"{public(wanted.url)} cannot be resolved: {refused.found}"
        raise UsageError(Problem(found, "a file that can be had", refused.remedy)) from None
    except (Passing, WrongFileError) as passing:
        found = f"{public(wanted.url)} cannot be resolved: {passing}"
        raise EnvironmentFailure(Problem(found, "a file that can be had", NETWORK)) from None


def _check(remotes: Sequence[Remote]) -> None:
    """What a place says of names is not to be trusted."""
    names = [remote.name for remote in remotes]
    if not names:
        raise Refused("there is nothing in it")
    for name in names:
        if not is_relative(name):
            raise Refused(f"it holds {name!r}, which is not {EXPECTED}")
    if twice := overlap(names):
        raise Refused(f"it holds {twice[0]!r} and also {twice[1]!r}")


def _locked(source: Source, remote: Remote, desk: Desk) -> LockedFile:
    if remote.sha256:
        return LockedFile(remote.name, remote.url, remote.sha256, remote.size)
    file = desk.scratch / "file"
    got = transfer(source.opening(remote.url), file, Expected(size=remote.size))
    desk.keep(file)
    return LockedFile(remote.name, remote.url, got.sha256, got.size)
