"""What is told of libraries that are lacking, too old, or there twice."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from tritonbuild.oci import Listed
from tritonbuild.rule import Problem

from .elf import Elf
from .ldconfig import order
from .loader import Files

_SHOWN = 4
"""Of a chain, and of whatever there may be many of."""
_BASE, _FULL = "the base", "`full`"


def lacking(
    name: str, chain: Sequence[str], more: int, elf: Elf, looked: Sequence[str], here: Files,
    there: Files,
) -> Problem:  # fmt: skip
    """`chain`: who needs it, who needs that, and so on; `more`: how many others need it."""
    near = list(_near(name, elf, here, there, looked))
    nobody, remedy = (
        f"neither {_BASE} nor {_FULL} has",
        (
            "add it to the base, or say in the distribution's `catalogue` where it comes from "
            "(`driver`, if the machine that runs the image brings it)"
        ),
    )
    if _is_nothing(there):
        nobody, remedy = (
            "the image lacks",
            (
                "add it to the image; if the machine that runs the image brings it, say so under "
                "`driver` in the distribution's `catalogue`, which one that lies in images may have"
            ),
        )
    return Problem(
        f"{_needs(name, chain, more)}, which {nobody}; looked for in "
        + " ".join(f"/{folder}" for folder in looked),
        "a library that is there" + (f"; nearest: {', '.join(near[:_SHOWN])}" if near else ""),
        remedy,
    )


def clash(
    name: str, chain: Sequence[str], more: int, its: str, path: str, mine: Listed, other: Listed
) -> Problem:
    """What it is found by in `full` is something else in the base."""
    return Problem(
        f"{_needs(name, chain, more)}; it is {_FULL}'s /{its}, but /{path} is {_said(mine)} in "
        f"{_BASE} and {_said(other)} in {_FULL}",
        "the same in both: nothing of a base is replaced",
        "take the release's own `min` as the base",
        key="base",
    )


def lacks_versions(
    name: str, chain: Sequence[str], more: int, lacks: Sequence[str], path: str,
    gives: Sequence[str], there: Files, *, of_base: bool, better: str,
) -> Problem:  # fmt: skip
    """`better`: where `full` has one that gives them, if it has."""
    if _is_nothing(there):
        return Problem(
            f"{_needs(name, chain, more)} with {', '.join(lacks[:_SHOWN])}, and /{path} "
            f"{_up_to(lacks, gives)}",
            "the library that it was built against",
            "put a newer one into the image, or build for the one that it has what needs it",
        )
    owner = f"{_BASE}'s " if of_base else ""
    why = "nothing of a base is replaced" if better == path else "a process loads a name once"
    return Problem(
        f"{_needs(name, chain, more)} with {', '.join(lacks[:_SHOWN])}, and {owner}/{path} "
        f"{_up_to(lacks, gives)}"
        + (f"; {_FULL}'s /{better} would do, but {why}" if better else ""),
        f"a base as new as {_FULL}" if of_base else "the library that it was built against",
        "take the release's own `min`, or a newer base" if of_base else "leave one of them out",
        key="base" if of_base else "",
    )


def lacking_there(name: str, path: str, more: int) -> str:
    """Of what is opened by name, or comes along with a package."""
    return f"{_needs(name, (path,), more)}, which `full` lacks as well"


def twice(name: str, found: Sequence[tuple[str, str]]) -> str:
    """`found`: path and who needs it, of contents that differ."""
    told = "; ".join(f"/{path}{_version(path)} for /{by}" for path, by in found[:_SHOWN])
    return (
        f"{name} is {len(found)} different files: {told}. "
        "A server that runs all of these at once has, for all, the one that it loads first"
    )


def _needs(name: str, chain: Sequence[str], more: int) -> str:
    first, *others = (f"/{path}" for path in chain[: _SHOWN + 1])
    by = f" (for {', for '.join(others)})" if others else ""
    return f"{first} and {more} more need {name}{by}" if more else f"{first} needs {name}{by}"


def _is_nothing(there: Files) -> bool:
    """It is an image alone that is looked at, with no `full` beside it."""
    return not there.root.names("")


def _near(name: str, elf: Elf, here: Files, there: Files, looked: Sequence[str]) -> Iterator[str]:
    owners = (
        [(here, "")] if _is_nothing(there) else [(here, f" of {_BASE}"), (there, f" of {_FULL}")]
    )
    for folder in looked:
        path = f"{folder}/{posixpath.basename(name)}" if folder != name.strip("/") else folder
        for files, owner in owners:
            entry = files.root.get(path)
            if entry is not None and entry.kind == "link" and files.real(path) is None:
                yield f"/{entry.path}{owner}, a link to {entry.target}, which leads to no file"
    stem = _stem(name)
    near = [
        (posixpath.basename(path) == posixpath.basename(name), order(path), path, owner, its)
        for files, owner in owners
        for path, its in files.elves.items()
        if _stem(path) == stem and (files is here or path not in here.elves)
    ]
    for same, _, path, owner, its in sorted(near, key=lambda one: one[:3], reverse=True):
        if (its.machine, its.bits) != (elf.machine, elf.bits):
            yield f"/{path}{owner}, but for {its.machine}, {its.bits} bits"
        else:
            yield f"/{path}{owner}" + (", where it is not looked for" if same else "")


def _up_to(lacks: Sequence[str], gives: Iterable[str]) -> str:
    kind = _kind(lacks[-1])
    its = [version for version in gives if _kind(version) == kind]
    return f"goes up to {max(its, key=order)}" if its else f"has no {kind}"


def _kind(version: str) -> str:
    return version.rpartition("_")[0] or version


def _stem(path: str) -> str:
    return posixpath.basename(path).partition(".so")[0]


def _version(path: str) -> str:
    version = posixpath.basename(path).partition(".so.")[2]
    return f" (version {version})" if version else ""


def _said(entry: Listed) -> str:
    return f"a link to {entry.target}" if entry.kind == "link" else f"another {entry.kind}"
