"""Models as bare files: each becomes a model's version 1, under the name that its backend wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tritonbuild.rule import Problem

from ..formats import Detected, FormatError, detect, read_signature
from ..formats.python_model import HOOK, completes_itself
from ..model_config import message as model_config
from ..server.shell import shell_word
from . import code
from .found import FoundModel, lack_io
from .listing import Listing, Reference, source
from .python_model import UNNAMED
from .repository import cannot_complete
from .requirements import of_model

PLATFORMS_TO_SAY = ("tensorflow", "pytorch")
"""Backends that serve several platforms, told apart by the config."""


@dataclass(frozen=True)
class Loose:
    """A file or folder that a backend serves."""

    name: str
    is_folder: bool
    kind: Detected


LIBRARY = "libtriton_"
"""How the library of a backend begins: it is no model."""


def detected(listing: Listing, name: str, findings: list[Problem]) -> Detected | None:
    """Whose it is; None when nothing tells. `findings` gets what stands in the place of one."""
    if name.startswith(LIBRARY):
        return None
    try:
        return detect(listing.absolute / name)
    except FormatError as error:
        findings.append(_left_out(listing, name, error.problem))
    except OSError as error:
        findings.append(_left_out(listing, name, Problem(error.strerror or str(error))))
    return None


def models(
    listing: Listing, loose: list[Loose], taken: set[str], findings: list[Problem]
) -> Iterator[FoundModel]:
    """A model of each; of those with one name each gets its backend's too: `x_onnxruntime`; and a
    number, if they have that in common."""
    stems = Counter(_stem(one) for one in loose)
    taken = taken | {name for name, count in stems.items() if count > 1}
    for one in loose:
        stem = name = _stem(one)
        number = 1
        while name in taken:
            name = f"{stem}_{one.kind.backend}{number if number > 1 else ''}"
            number += 1
        taken.add(name)
        try:
            yield _model(listing, one, name)
        except FormatError as error:
            findings.append(_left_out(listing, one.name, error.problem))


def _left_out(listing: Listing, name: str, found: Problem) -> Problem:
    text = f"left out: {found.found}"
    return Problem(text, found.expected, found.remedy, file=listing.from_root(listing.at(name)))


def _stem(loose: Loose) -> str:
    """The name of its model, but for what keeps it apart from others."""
    name = shell_word(PurePosixPath(loose.name).stem or loose.name)
    return name if name.strip(".") else f"_{name}"


def _model(listing: Listing, loose: Loose, name: str) -> FoundModel:
    kind = loose.kind
    config: Any = model_config.empty()
    model = FoundModel(name, listing.at(loose.name), kind.backend, config, is_loose=True)
    if kind.backend in PLATFORMS_TO_SAY and kind.platform:
        config.platform = kind.platform
    for path, value in kind.facts.items():
        table, _, key = path.partition(".")
        if table == "parameters":
            config.parameters[key].string_value = value
        else:
            setattr(config, path, value)
    model.versions = {"1": _version(listing, loose)}
    if kind.backend == "python":
        _read_code(model, listing, loose)
    elif cannot_complete(kind.backend, kind.platform):
        why = f"the file does not say them, and the {kind.backend} backend finds out none"
        lack_io(model, why)
    return model


def _version(listing: Listing, loose: Loose) -> Reference:
    place = source(listing.at(loose.name))
    if loose.is_folder:
        # What its backend opens is this folder itself, or a file in it.
        if loose.kind.file_name in listing.below(loose.name).files:
            return place
        return {loose.kind.file_name: place}
    beside = _beside(listing, loose)
    return {loose.kind.file_name: place, **beside} if beside else place


def _beside(listing: Listing, loose: Loose) -> dict[str, str]:
    """Other files that belong to a file, by the names that its backend looks for."""
    if loose.kind.backend == "openvino":
        weights = PurePosixPath(loose.name).with_suffix(".bin").name
        if weights in listing.files:
            stored = PurePosixPath(loose.kind.file_name).with_suffix(".bin").name
            return {stored: source(listing.at(weights))}
    if loose.kind.backend == "onnxruntime":
        file = listing.absolute / loose.name
        signature = read_signature(loose.kind.backend, loose.kind.platform, file)
        external = signature.facts.get("external_data", "") if signature else ""
        return {path: source(listing.at(path)) for path in external.splitlines()}
    return {}


def _read_code(model: FoundModel, listing: Listing, loose: Loose) -> None:
    content = (listing.absolute / loose.name).read_bytes()
    read = code.read({loose.name: content})
    model.callees = sorted(read.callees - {model.name})
    if not completes_itself(content):
        lack_io(model, f"its TritonPythonModel has no {HOOK}")
    if read.calls_others:
        model.remarks.append(UNNAMED)
    own = {name.removesuffix(".py") for name, _ in listing.names}
    if used := sorted({name.partition(".")[0] for name in read.imports} & own):
        model.remarks.append(f"It imports {', '.join(used)} from beside it: add it to `versions`.")
    of_model(model, listing, read.imports, own)
