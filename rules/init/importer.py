"""Model repositories and folders of model files → manifests that build them back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tritonbuild.rule import Imported, ImportRequest, Problem, UsageError, importer

if TYPE_CHECKING:
    from .components import Component
    from .found import FoundModel
    from .manifest import Everything, Package

MANIFEST = "triton.toml"
SHOWN = 20
"""Of the files that are left out."""
HEADER = "# Written by `tritonbuild init` from what lies here. It is yours now: edit it.\n"


@importer("model-repository")
def bring_over(request: ImportRequest) -> Imported:
    """Reads each folder and says what of it can be declared; what cannot is told, as comments and
    findings. Raises UsageError for what is broken."""
    from .components import components, not_startable
    from .folder import read_folder
    from .manifest import Everything
    from .release import too_new
    from .wiring import check_wiring

    problems: list[Problem] = []
    findings: list[Problem] = []
    packages = tuple(read_folder(request, path, problems, findings) for path in request.packages)
    parts = components(request, problems)
    if problems:
        raise UsageError(*problems)
    everything = Everything(packages, parts)
    for package in packages:
        _name_targets(everything, package)
        for model in package.models:
            model.obstacles += too_new(model, parts.release, parts.named)
            model.obstacles += not_startable(model, parts)
    check_wiring(everything)
    files = dict(_golden(request, everything))
    files |= _manifests(request, everything)
    return Imported(files, (*findings, *_findings(everything)))


def _needed(packages: Iterable[Package]) -> set[Component]:
    """Of models that wait as well, so that they only need to be uncommented."""
    return {one for each in packages for model in each.models for one in model.components()}


def _name_targets(everything: Everything, package: Package) -> None:
    parts, models = everything.components, package.models
    components = [name for model in models for _, name in model.components()]
    if parts.is_new and not package.path:
        components += [name for _, name in _needed(everything.packages)]
    elif parts.is_new:
        components = []
    if not parts.distribution or (parts.is_new and not package.path):
        components.append("pypi")
    package.name_targets(components)


def _golden(request: ImportRequest, everything: Everything) -> Iterator[tuple[str, bytes]]:
    """Cases by their paths relative to the root; their packages learn of them."""
    address = request.options.get("golden")
    if not address:
        for package in everything.packages:
            package.golden |= dict(_recorded(request, package))
        return
    from .golden import record

    for package in everything.packages:
        models = {model.name: model for model in package.declared}
        for name, suffix, content in record(address, models):
            path = f"{_free(request, package, models[name])}{suffix}"
            package.golden[name] = path
            yield _below(package.path, path), content


def _recorded(request: ImportRequest, package: Package) -> Iterator[tuple[str, str]]:
    """Cases of an earlier time."""
    from .repository import GOLDEN, RECORDED

    for model in package.declared:
        for file in sorted(RECORDED):
            path = f"{model.place}/{GOLDEN}/{file}"
            if (request.root / package.path / path).is_file():
                yield model.name, path


def _free(request: ImportRequest, package: Package, model: FoundModel) -> str:
    """Where a model's case may stand, but for its suffix: in a folder that is not part of it."""
    inside = request.root / package.path / model.place
    folder, number = "golden", 1
    if not inside.is_dir():
        return f"{folder}/{package.targets[model.name]}"
    while (inside / folder).exists():
        number += 1
        folder = f"golden{number}"
    return f"{model.place}/{folder}/random"


def _manifests(request: ImportRequest, everything: Everything) -> dict[str, bytes]:
    from .manifest import manifest, root_manifest

    parts, needed = everything.components, _needed(everything.packages)
    texts: dict[str, str] = {}
    for package in everything.packages:
        above = parts.in_package(_needed([package])) if not parts.is_new else ""
        texts[package.path] = "\n".join(filter(None, (above, manifest(everything, package))))
    if parts.is_new:
        root = root_manifest(request.root.name or "workspace", parts, needed)
        texts[""] = "\n".join(filter(None, (root, texts.get(""))))
    else:
        texts |= parts.own_manifest(needed)
    return {_below(path, MANIFEST): f"{HEADER}\n{text}".encode() for path, text in texts.items()}


def _findings(everything: Everything) -> Iterator[Problem]:
    from .manifest import unverified

    for package in everything.packages:
        if package.is_repository and not package.path:
            text = "the workspace begins in the model repository itself: a server that is pointed "
            text += "at it would take tritonbuild-out for a model"
            remedy = "point servers at what is built, or let it begin above: --root FOLDER"
            yield Problem(text, remedy=remedy)
        for model in package.models:
            place = _below(package.path, model.place)
            for problem in model.obstacles:
                found = f"not declared yet: {problem.found}"
                yield Problem(found, remedy=problem.remedy, file=place)
            yield from (Problem(text, file=place) for text in model.remarks)
    if paths := [_below(each.path, file) for each in everything.packages for file in each.left_out]:
        listed = ", ".join(paths[:SHOWN]) + _more(paths, SHOWN)
        remedy = "where a model needs a file, say it under the model's `files` or `versions`"
        yield Problem(f"left out of what is built: {listed}", remedy=remedy)
    waiting: dict[str, list[str]] = defaultdict(list)
    for package, model, why in unverified(everything):
        waiting[why].append(f"//{package.path}:{package.targets[model.name]}")
    for why, labels in waiting.items():
        listed = ", ".join(labels[:3]) + _more(labels, 3)
        yield Problem(f"verifications of {listed} stand as comments", remedy=why)


def _more(listed: list[str], shown: int) -> str:
    return f" and {len(listed) - shown} more" if len(listed) > shown else ""


def _below(package: str, path: str) -> str:
    return f"{package}/{path}" if package else path
