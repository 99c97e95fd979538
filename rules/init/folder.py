"""A folder that is to become a package: which models lie in it, and as what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tritonbuild.rule import ImportRequest, Problem

from . import loose, repository
from .components import MANIFEST, is_folder_of_backends
from .found import FoundModel
from .listing import Listing, source, try_to_read
from .manifest import Package


@dataclass
class _Reading:
    listing: Listing
    problems: list[Problem]
    findings: list[Problem]
    models: list[FoundModel] = field(default_factory=list)
    bare: list[loose.Loose] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Files that are no models."""


def read_folder(
    request: ImportRequest, path: str, problems: list[Problem], findings: list[Problem]
) -> Package:
    """`problems` gets what is broken, `findings` what is left out."""
    listing = Listing(request, path, "")
    reading = _Reading(listing, [], findings)
    with try_to_read(reading.problems):
        if not _is_one_model(reading):
            _read(reading)
            if not reading.models and not reading.problems:
                found = f"{listing.absolute} holds no model"
                expected = "folders of models (config.pbtxt, 1/, 2/ …) or files of models"
                reading.problems.append(Problem(found, expected))
    problems += reading.problems
    title = (path or request.root.name).rpartition("/")[2]
    return Package(path, title, reading.models, reading.left_out)


def _is_one_model(reading: _Reading) -> bool:
    listing = reading.listing
    numbers = [name for name in listing.folders if name.isdecimal()]
    if repository.CONFIG not in listing.files and (not numbers or numbers != listing.folders):
        return False
    found = f"{listing.absolute} is a model, not a folder of models"
    remedy = "name the folder that it lies in"
    reading.problems.append(Problem(found, "a model repository", remedy))
    return True


def _read(reading: _Reading) -> None:
    listing, problems = reading.listing, reading.problems
    for name in listing.files:
        pointers: list[Problem] = []
        with try_to_read(problems):
            pointers += listing.pointers(name)
        problems += pointers
        if not pointers and (kind := loose.detected(listing, name, reading.findings)):
            reading.bare.append(loose.Loose(name, False, kind))
    for name in listing.folders:
        with try_to_read(problems):
            _read_below(reading, name)
    taken = {model.name for model in reading.models}
    reading.models += loose.models(listing, reading.bare, taken, reading.findings)
    used = {file for model in reading.models for file in _version_files(model)}
    used |= {one.name for one in reading.bare}  # or told apart
    reading.left_out += [name for name in listing.files if source(name) not in used]
    reading.left_out += [path for model in reading.models for path in model.left_out]


def _version_files(model: FoundModel) -> Iterator[str]:
    for version in model.versions.values():
        yield from [version] if isinstance(version, str) else version.values()


def _read_below(reading: _Reading, name: str) -> None:
    """What a folder of the folder is. Raises UsageError."""
    listing, problems = reading.listing, reading.problems
    below = listing.below(name)
    place = below.from_root(below.path)
    if MANIFEST in below.files:
        text = f"{place} is a package already; it stays as it is"
        reading.findings.append(Problem(text, file=place))
        return
    if repository.is_model(below):
        problems += below.pointers()
        reading.models.append(repository.read_model(below, name, problems))
    elif kind := loose.detected(listing, name, reading.findings):
        problems += below.pointers()
        reading.bare.append(loose.Loose(name, True, kind))
    elif not is_folder_of_backends(listing.request, place):
        text = "no model: it has neither config.pbtxt nor a version folder such as 1/"
        reading.findings.append(Problem(text, file=place))
