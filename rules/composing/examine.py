"""The `examine-images` tool: what a distribution's images hold, against what is known of such; a
report that people can send to whoever has not got the images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tritonbuild.oci import Listing
from tritonbuild.rule import REPORT, ToolContext, tool

from ..linking.closure import closure
from ..linking.linkage import Linkage
from ..linking.loader import files_of
from .catalogue import Catalogue, shipped
from .check import FACTS, Facts
from .component import linked
from .needs import There, other_system, shared_with, terms
from .pick import as_cut, behind
from .selection import HOME, Selection, component, components, core
from .surveyed import Survey, left, surveys_of

_OF_RELEASES = ("TRITON_SERVER_VERSION", "NVIDIA_TRITON_SERVER_VERSION", "CUDA_VERSION",
                "DCGM_VERSION", "TRT_VERSION", "CUDNN_VERSION")  # fmt: skip


@tool("examine-images", version=3)
def examine_images(ctx: ToolContext) -> None:
    """Inputs as of `find-needs`, without pieces; output report.json: a list of findings."""
    catalogue = shipped()
    surveys = surveys_of(ctx)
    there = There(surveys, shared_with(ctx))
    facts = Facts.model_validate_json(ctx.read(FACTS))
    said = ", ".join(f"{n}={facts.env[n]}" for n in _OF_RELEASES if n in facts.env)
    findings = [_finding("release", True, said)]
    listings, linkages = shared_with(ctx)
    here = files_of(listings, linkages)
    if problem := other_system(here.root, there.files.root):
        findings.append(_finding("system", False, problem.found, problem.remedy))
    found = components(m.entry for m in left(surveys, Selection((HOME,))).values())
    findings.append(_examined(ctx, "server", core(()), surveys, there, catalogue))
    for kind, names in found.items():
        for name in names:
            subject = f"{kind}/{name}"
            selection = component(kind, name, ())
            findings.append(_examined(ctx, subject, selection, surveys, there, catalogue))
    findings += _twice(ctx, there, catalogue)
    findings += _unseen(catalogue, found)
    ctx.write(REPORT, json.dumps(findings).encode())


def _finding(subject: str, ok: bool | None, text: str, remedy: str = "") -> dict[str, Any]:
    return {"subject": subject, "ok": ok, "text": text, "remedy": remedy}


def _examined(
    ctx: ToolContext,
    subject: str,
    selection: Selection,
    surveys: Sequence[Survey],
    there: There,
    catalogue: Catalogue,
) -> dict[str, Any]:
    """A component on the base: how large it is, and what nothing has that it needs."""
    members = left(surveys, selection)
    if not members:
        return _finding(subject, False, "it is not there", "is this `full`?")
    size = sum(member.entry.size for member in members.values())
    listings, linkages = shared_with(ctx)
    files = behind(members, surveys)
    entries = tuple(as_cut(member, files) for member in members.values())
    elves = linked(members.values(), files)
    here = files_of([*listings, Listing(entries)], [*linkages, Linkage(elves)])
    needs = closure(here, there.files, elves, (), terms(ctx, catalogue))
    text = f"{len(entries)} files, {size:,} bytes; {len(needs.copied)} beside it"
    if needs.problems:
        told = "; ".join(problem.found for problem in needs.problems)
        return _finding(subject, False, f"{text}; {told}", needs.problems[0].remedy)
    return _finding(subject, True, text)


def _twice(ctx: ToolContext, there: There, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Libraries of which one name means several, where all components are together."""
    elves = [path for path in there.files.elves if path.startswith(f"{HOME}/")]
    for text in closure(there.files, there.files, elves, (), terms(ctx, catalogue)).told:
        yield _finding("together", None, text)


def _unseen(catalogue: Catalogue, found: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """What the catalogue knows and the images lack."""
    for kind, names in found.items():
        for name in getattr(catalogue, kind):
            if name not in names:
                text = "the catalogue knows it; these images do not have it"
                yield _finding(f"{kind}/{name}", None, text)
