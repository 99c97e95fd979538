"""Builds targets that are images, and holds what was made while a verb works with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tritonbuild import stamps
from tritonbuild.analysis import Target
from tritonbuild.build import Build, Options, Report
from tritonbuild.errors import Problem, TritonbuildError, UsageError
from tritonbuild.label import Label, Pattern
from tritonbuild.merkle import File
from tritonbuild.oci.sparse import Sparse
from tritonbuild.rule import ImageInfo
from tritonbuild.scheduler import find_output
from tritonbuild.session import Session


class BuildFailed(TritonbuildError):
    """What was to be looked at could not be built."""

    def __init__(self, report: Report):
        super().__init__(*report.problems, exit_code=report.exit_code)


@dataclass(frozen=True)
class BuiltImage:
    label: Label
    sparse: Sparse
    templates: Sequence[str]
    """Of its tags."""
    root: Path
    """Of the workspace."""
    origins: Sequence[str] = ()
    """References of what it was built on."""
    attached: Mapping[str, bytes] = field(default_factory=dict)
    """Artifact type → a document about it."""
    named: bool = False
    """It was asked for by its own label."""

    @property
    def tags(self) -> list[str]:
        """Their stamps replaced. Raises UsageError where git does not know, which is no matter to
        whoever wants other names, or none."""
        return [stamps.replace(template, self.root) for template in self.templates]


def shipped(images: Sequence[BuiltImage], to: Sequence[str]) -> list[BuiltImage]:
    """Those that a verb sends off to names: without `to`, those with tags and those that were asked
    for by their labels. Raises UsageError for several with one name."""
    if to and len(images) > 1:
        told = ", ".join(str(image.label) for image in images[:5])
        raise UsageError(Problem(f"--to, and {len(images)} images: {told}", "one image"))
    if to:
        return list(images)
    names: dict[str, BuiltImage] = {}
    for image in images:
        for tag in image.tags:
            other = names.setdefault(tag, image)
            if other is not image:
                found = f"{other.label} and {image.label} have one tag: {tag}"
                raise UsageError(Problem(found, remedy="name one of them, or give it another tag"))
    return [image for image in images if image.templates or image.named]


@contextmanager
def built(
    session: Session, patterns: Sequence[Pattern], *, locked: bool = False
) -> Iterator[tuple[Report, list[BuiltImage]]]:
    """Builds the images among what patterns mean; none where the build failed. What was made stays
    in the cache as long as this is held. Raises UsageError where no target is an image."""
    begun = time.monotonic()
    labels = _images(session, patterns)
    with session.cache.in_use():
        with session.output_lock(wait=True):
            plan = session.plan(labels, locked=locked)
            build = Build(session, plan, labels, Options(locked=locked))
            build.run()
        build.report.metrics.wall_s = round(time.monotonic() - begun, 3)
        failed = build.report.exit_code
        named = {d.label for p in patterns if p.is_label for d in session.graph.meant(p.label)}
        images = (
            []
            if failed
            else [
                _opened(build, plan.targets[label], session, named=label in named)
                for label in labels
            ]
        )
        yield build.report, images


def _images(session: Session, patterns: Sequence[Pattern]) -> list[Label]:
    declarations = session.graph.expand(patterns)
    labels = [d.label for d in declarations if ImageInfo in d.rule.provides]
    if not labels:
        told = ", ".join(f"{d.label} ({d.rule.table})" for d in declarations[:5])
        tables = [r.table for r in session.manifests.registry.rules.values()
                  if ImageInfo in r.provides]  # fmt: skip
        raise UsageError(Problem(f"no image: {told}", f"targets of {' or '.join(sorted(tables))}"))
    return sorted(labels)


def _opened(build: Build, target: Target, session: Session, *, named: bool) -> BuiltImage:
    info, sparse = target.get(ImageInfo), build.image(target)
    assert info is not None
    assert sparse is not None
    attached = {}
    for artifact_type, output in info.attached.items():
        entry = find_output(build.jobs[output.action], output.path)
        assert isinstance(entry, File)
        attached[artifact_type] = session.cache.read(entry.digest)
    return BuiltImage(target.label, sparse, info.tags, session.root, info.origins, attached, named)
