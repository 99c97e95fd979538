"""Pushes what is no image: as the rule of each target says, to the places that the call says."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tritonbuild.build import Report
from tritonbuild.errors import Problem, UsageError
from tritonbuild.events import Metrics, Shipped
from tritonbuild.graph import some_of
from tritonbuild.label import Label, Pattern
from tritonbuild.redact import public
from tritonbuild.rule import SHIPPED, Ask, ImageInfo, Rule
from tritonbuild.serve import asked
from tritonbuild.session import Session


def without_images(session: Session, patterns: Sequence[Pattern], to: Sequence[str]) -> list[Label]:
    """The targets to push that are no images; none where images are meant. Of what wildcards match
    that is what can be pushed, given a place. Raises UsageError."""
    declarations = session.graph.expand(patterns)
    named = {d.label for p in patterns if p.is_label for d in session.graph.meant(p.label)}
    images = [d for d in declarations if ImageInfo in d.rule.provides]
    others = [
        d
        for d in declarations
        if d not in images
        and (d.label in named or (type(d.rule).push is not Rule.push and (to or not images)))
    ]
    if images and others:
        found = f"images ({some_of(images)}) and what is none ({some_of(others)})"
        raise UsageError(Problem(found, "the one or the other: they go to different places"))
    if others and not to:
        example = "such as --to s3://bucket/prefix/, --to oci://host/repository:tag, or a folder"
        raise UsageError(
            Problem(f"nothing says where {some_of(others)} is to go", "--to ADDRESS", example)
        )
    if declarations and not images and not others:
        raise UsageError(Problem(f"nothing of {some_of(declarations)} can be pushed"))
    return [declaration.label for declaration in others]


def ship(
    session: Session,
    labels: Sequence[Label],
    to: Sequence[str],
    *,
    form: str = "",
    delete: bool = False,
    locked: bool = False,
) -> Report:
    """Builds each target and pushes it to each address, until something fails. `delete`: what is
    at a place of its earlier content, and is no longer part of it, is removed. Raises ActionError,
    UsageError."""
    report, before = Report(), Metrics()
    for label in labels:
        for place in to:
            said = {"to": place, "form": form, "delete": delete}
            settings = {name: json.dumps(value) for name, value in said.items()}
            answer = asked(session, label, Ask("push", settings), locked=locked)
            report = answer.report
            pushed, report.metrics = before.bytes_pushed, report.metrics.after(before)
            report.metrics.bytes_pushed = pushed
            before = report.metrics
            if report.exit_code:
                return report
            told = json.loads(answer.told[SHIPPED])
            session.listener(
                Shipped(
                    str(label), public(place), told["digest"], moved=told["moved"],
                    there=told["there"],
                )
            )  # fmt: skip
            report.metrics.bytes_pushed += told["moved"]
    return report
