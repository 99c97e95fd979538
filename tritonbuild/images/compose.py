"""Makes the image that a composition says, in a workspace of its own that is kept in the cache, and
sends it off."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from tritonbuild.atomic import make_folders, write_atomically
from tritonbuild.build import Options, Report, build
from tritonbuild.cancel import Cancellation
from tritonbuild.errors import ExitCode, Problem, UsageError
from tritonbuild.events import Event, Finished, Listener, Note, Shipped, TargetEnded
from tritonbuild.images.built import BuiltImage, built
from tritonbuild.images.compose_flags import as_flags, told
from tritonbuild.images.compose_place import recalled, remember, workspace
from tritonbuild.images.compose_plan import plan
from tritonbuild.images.composition import Composition, check_names, short_name
from tritonbuild.images.errors import told as raised
from tritonbuild.images.load import load
from tritonbuild.images.names import check_names as check_references
from tritonbuild.images.push import push
from tritonbuild.label import Label, Pattern
from tritonbuild.lock import Lock
from tritonbuild.oci import daemon
from tritonbuild.oci.documents import Descriptor, Platform
from tritonbuild.oci.errors import OciError, Unreachable
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.rule import DOCKERFILE, Ask
from tritonbuild.serve import asked
from tritonbuild.session import Session

_DOCKERFILE = "Dockerfile.compose"


@dataclass(frozen=True)
class Wanted:
    """What becomes of the image."""

    output_name: str
    work_dir: Path
    push: bool = False
    load: bool = False
    layout: Path | None = None
    skip_pull: bool = False
    """What tags mean is not asked again."""
    dry_run: bool = False
    emit_manifest: bool = False
    emit_dockerfile: bool = False


def compose(
    listener: Listener, cancellation: Cancellation, composition: Composition, wanted: Wanted
) -> Finished:
    """Raises UsageError for what cannot be asked for, and what the build and the places raise."""
    check_names(composition)
    _check_together(wanted)
    check_references([wanted.output_name])
    if wanted.push and "/" not in wanted.output_name:
        found = f"--push: {wanted.output_name!r} names no repository of a registry"
        remedy = "--output-name registry.example/acme/server:v1"
        raise UsageError(Problem(found, "REGISTRY/REPOSITORY:TAG", remedy))
    if wanted.load and not wanted.dry_run:
        with raised(""):
            daemon.connect().close()
    if wanted.emit_manifest:
        _emit(composition, wanted, listener)
        return Finished(ExitCode.OK)
    root = workspace(composition)
    label = Label("", composition.name)
    listener = _without_outputs(listener)
    with as_flags(composition), Session(root, listener, cancellation) as session:
        chosen = [Pattern.parse(str(label), "")]
        resolve = recalled if wanted.skip_pull else None
        with session.cache.in_use():
            session.lock(chosen, keep=False, others=False, resolve=resolve)
        remember(root)
        if wanted.emit_dockerfile:
            report = _write_dockerfile(session, label, wanted)
        elif wanted.dry_run:
            for line in plan(Lock.read(root)):
                listener(Note(line))
            with Session(root, listener, cancellation, dry_run=True) as dry:
                report = build(dry, chosen, Options(dry_run=True))
        else:
            report = _made(session, chosen, composition, wanted)
    return Finished(report.exit_code, told(report, composition), report.metrics)


def _without_outputs(listener: Listener) -> Listener:
    """Those of the workspace in the cache are nobody's to look at."""

    def listen(event: Event) -> None:
        listener(replace(event, outputs=()) if isinstance(event, TargetEnded) else event)

    return listen


def _check_together(wanted: Wanted) -> None:
    """Raises UsageError for flags of which one would make nothing of the other."""
    writes = {"--emit-manifest": wanted.emit_manifest, "--emit-dockerfile": wanted.emit_dockerfile}
    sends = {"--push": wanted.push, "--load": wanted.load, "--layout": wanted.layout is not None}
    said = [flag for flag, is_said in {**writes, "--dry-run": wanted.dry_run}.items() if is_said]
    if any(writes.values()):
        said += [flag for flag, is_said in sends.items() if is_said]
    if len(said) > 1:
        raise UsageError(Problem(" and ".join(said), "one of them", "run the one after the other"))


def _emit(composition: Composition, wanted: Wanted, listener: Listener) -> None:
    files = {wanted.work_dir / name: text for name, text in composition.files.items()}
    for path in files:
        if path.exists() or path.is_symlink():
            found = f"{path} is there already"
            raise UsageError(Problem(found, remedy="remove it, or name another --work-dir"))
    for path, text in files.items():
        write_atomically(path, text.encode())
    told = " and ".join(map(str, files))
    there = "" if wanted.work_dir == Path() else f"cd {wanted.work_dir} && "
    listener(Note(f"wrote {told}; next: {there}tritonbuild build //:all"))


def _write_dockerfile(session: Session, label: Label, wanted: Wanted) -> Report:
    """Dockerfile.compose, as compose.py calls it, and beside it a folder of what it copies."""
    answer = asked(session, label, Ask("dockerfile", {"name": json.dumps(_DOCKERFILE)}))
    if not answer.report.exit_code:
        for name, text in json.loads(answer.told[DOCKERFILE]).items():
            path = wanted.work_dir / name
            make_folders(path.parent)
            write_atomically(path, text.encode(errors="surrogateescape"))
        session.listener(Note(f"wrote {wanted.work_dir / _DOCKERFILE}"))
    return answer.report


def _made(
    session: Session, chosen: list[Pattern], composition: Composition, wanted: Wanted
) -> Report:
    names = [wanted.output_name]
    platform = Platform.of(composition.platform)
    with built(session, chosen) as (report, images):
        for image in images:
            if wanted.push:
                report.metrics.bytes_pushed += push(session, image, names)
            if wanted.layout is not None:
                _write(session, image, platform, wanted.layout)
            if wanted.load:
                report.metrics.bytes_pushed += load(session, image, platform, names)
            if not (wanted.push or wanted.load or wanted.layout):
                _send(session, image, platform, composition, wanted, report)
    return report


def _send(
    session: Session,
    image: BuiltImage,
    platform: Platform,
    composition: Composition,
    wanted: Wanted,
    report: Report,
) -> None:
    """Where nothing says where it is to go: as compose.py, if Docker is there."""
    try:
        daemon.connect().close()
    except Unreachable:
        folder = wanted.work_dir / short_name(wanted.output_name)
        session.listener(Note(f"no Docker answers; to the folder {folder}, an OCI layout"))
        _write(session, image, platform, folder)
        return
    report.metrics.bytes_pushed += load(session, image, platform, [wanted.output_name])


def _write(session: Session, image: BuiltImage, platform: Platform, folder: Path) -> None:
    one = image.sparse.image(platform)
    if _is_there(one.descriptor, folder):
        there = sum(layer.descriptor.size for layer in one.layers)
        session.listener(Shipped(str(image.label), str(folder), one.descriptor.digest, there=there))
        return
    with raised(str(image.label)):
        write_layout(image.sparse, one.descriptor, folder)
    size = sum(layer.descriptor.size for layer in one.layers)
    session.listener(Shipped(str(image.label), str(folder), one.descriptor.digest, moved=size))


def _is_there(wanted: Descriptor, folder: Path) -> bool:
    """Whether a folder is a layout of that very image."""
    try:
        return Layout(folder).descriptor().digest == wanted.digest
    except OciError:
        return False
