"""Models as folders of a model repository: each with its versions, and mostly a config.pbtxt.

https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_repository.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Digest, File, Folder, Problem, folder_of

from ..formats.kinds import file_names
from ..model_config import message as model_config
from ..model_config.backend_fields import complete_backend_fields
from ..model_config.versions import wrong_number
from . import python_model
from .found import FoundModel, lack_io, says_io
from .listing import Listing, source

CONFIG = "config.pbtxt"
GOLDEN = "golden"
RECORDED = {"random.json", "random.npz"}
"""What was recorded from a server here is no part of a model."""
NEWEST = ""
"""What files are for is found by the rules of the newest release."""
SAY_NOTHING = {"fil", "pytorch"}
"""Backends that complete no inputs and outputs: the config must say them."""


def is_model(listing: Listing) -> bool:
    """Whether a folder is a model's. Raises UsageError."""
    return CONFIG in listing.files or any(name[:1].isdigit() for name in listing.folders)


def read_model(listing: Listing, name: str, problems: list[Problem]) -> FoundModel:
    """What lies in a model's folder. `problems` gets what is broken. Raises UsageError."""
    config: Any = model_config.empty()
    file = ""
    if CONFIG in listing.files:
        file = listing.at(CONFIG)
        place = listing.from_root(file)
        config, wrong = model_config.parse((listing.absolute / CONFIG).read_bytes(), place)
        problems += wrong
    model = FoundModel(name, listing.path, "", config, source(file) if file else "")
    model.obstacles += _names_that_differ(model)
    if model.is_ensemble:
        _read_ensemble(model, listing)
    else:
        model.backend = _backend(model, listing)
        _read_versions(model, listing)
    _read_rest(model, listing)
    if not model.is_ensemble and not model.obstacles:
        model.obstacles += _wrong_files(model, listing)
        if model.backend == "python":
            python_model.read(model, listing)
        elif not says_io(config) and cannot_complete(model.backend, config.platform):
            lack_io(model, f"the {model.backend} backend finds out none")
    model.left_out = [listing.at(path) for path in listing.walk_left_out()]
    return model


def cannot_complete(backend: str, platform: str) -> bool:
    return backend in SAY_NOTHING or platform == "tensorflow_graphdef"


def _names_that_differ(model: FoundModel) -> Iterator[Problem]:
    if model.config.name not in ("", model.name):
        found = f"its config.pbtxt calls it {model.config.name!r}, its folder {model.name!r}"
        yield Problem(f"{found}: Triton does not load it", remedy="make them the same")


def _backend(model: FoundModel, listing: Listing) -> str:
    """What runs it, as Triton finds it out; empty, with an obstacle, where it would not."""
    config: Any = model_config.empty()
    config.CopyFrom(model.config)
    nothing = File(Digest.of_bytes(b""))
    first = next((name for name in _versions(listing)), None)
    folders: dict[str, Any] = {}
    if first is not None:
        inside = listing.below(first)
        entries = {name: Folder() if is_folder else nothing for name, is_folder in inside.names}
        folders[first] = folder_of(entries)
    wrong = list(complete_backend_fields(config, folder_of(folders), NEWEST, model.name))
    backend = str(config.backend)
    if wrong or not backend:
        text = wrong[0].found if wrong else f"platform {config.platform!r} is no backend's"
        remedy = "say `backend` in its config.pbtxt"
        model.obstacles.append(Problem(text, remedy=remedy))
    model.platform, model.file_name = config.platform, config.default_model_filename
    return backend


def _versions(listing: Listing) -> list[str]:
    good = [name for name in listing.folders if wrong_number(name) is None]
    return sorted(good, key=int)


def _read_versions(model: FoundModel, listing: Listing) -> None:
    for number in _versions(listing):
        model.versions[number] = listing.below(number).reference()
    for name in listing.folders:
        if _is_like_version(name) and name not in model.versions:
            model.remarks.append(f"Not taken along is {name!r}: {_what_triton_does(name)}.")
    if not model.versions:
        found = "it has no version folder, such as 1/: Triton does not load it"
        remedy = "make one; git keeps none that is empty, so put a file into it"
        model.obstacles.append(Problem(found, remedy=remedy))


def _is_like_version(name: str) -> bool:
    """Whether Triton tries to read a version's number in it, and reads one."""
    return re.match(r"\s*[+-]?\d", name) is not None


def _what_triton_does(name: str) -> str:
    number = re.match(r"\s*[+-]?\d+", name)
    assert number is not None, "it is like a version"
    if not int(number[0]):
        return "number versions 1, 2, 3 …"
    if name.startswith("0"):
        return "Triton takes a name that begins with 0 for no version"
    return f"Triton takes it for version {int(number[0])} and opens another folder; rename it"


def _read_ensemble(model: FoundModel, listing: Listing) -> None:
    if not model.members:
        found = "an ensemble without steps: Triton does not load it"
        model.obstacles.append(Problem(found, remedy="say its ensemble_scheduling"))
    if model.config.backend:
        found = f"an ensemble with backend {model.config.backend!r}: Triton does not load it"
        model.obstacles.append(Problem(found, remedy="take `backend` out of its config.pbtxt"))
    for index, step in enumerate(model.config.ensemble_scheduling.step):
        if step.model_version != -1 and step.model_version < 1:
            found = f"step {index} takes version {step.model_version} of {step.model_name!r}"
            remedy = "say model_version: -1 for the latest"
            model.obstacles.append(Problem(found, remedy=remedy))
        if step.model_namespace:
            found = f"step {index} is of the namespace {step.model_namespace!r}"
            model.obstacles.append(Problem(found, remedy="take `model_namespace` out"))
    if (numbers := _versions(listing)) and numbers != ["1"]:
        listed = ", ".join(numbers)
        model.remarks.append(f"An ensemble is built as version 1; it was {listed} here.")
    for number in numbers:
        if files := list(listing.below(number).walk()):
            model.remarks.append(f"Not taken along from {number}/: {', '.join(files)}.")
    model.config_file = ""  # its steps must stand in the manifest, and nothing is said twice


def _read_rest(model: FoundModel, listing: Listing) -> None:
    """Labels, warm-up, further configs and all that lies beside the versions."""
    kept = dict.fromkeys(_versions(listing) if model.is_ensemble else model.versions)
    for output in model.config.output:
        file = output.label_filename
        if file in listing.files:
            model.labels[output.name] = source(listing.at(file))
        elif file and file not in listing.walk():
            model.remarks.append(f"Its labels {file!r} are not in its folder: they are lost.")
    labels = set(model.labels.values())
    for name in listing.files:
        if name != CONFIG and source(listing.at(name)) not in labels:
            model.files[name] = source(listing.at(name))
    for name in listing.folders:
        if name in kept or _is_like_version(name):
            continue
        below = listing.below(name)
        if name == GOLDEN and set(below.files) <= RECORDED and not below.folders:
            continue
        reference = below.reference()
        if name == "warmup" and isinstance(reference, str) and model.config.model_warmup:
            model.warmup = reference
        elif name == "configs" and _are_configs(below, reference):
            model.configs = f"{reference}/*.pbtxt"
        elif isinstance(reference, str):
            model.files[name] = reference
        else:
            model.files |= {f"{name}/{path}": place for path, place in reference.items()}
    library = f"libtriton_{model.backend}.so"
    inside = (path for number in model.versions for path in listing.below(number).files)
    model.brings_backend = library in listing.files or library in inside
    if model.wants_cache:
        model.remarks.append("Its responses are cached: `local` stands for your server's cache.")


def _are_configs(listing: Listing, reference: object) -> bool:
    """Whether a glob finds all that lies there."""
    return (
        isinstance(reference, str)
        and not set("*?[") & set(reference)
        and not listing.folders
        and all(name.endswith(".pbtxt") for name in listing.files)
    )


def _wrong_files(model: FoundModel, listing: Listing) -> Iterator[Problem]:
    config = model.config
    if config.runtime or config.cc_model_filenames:
        return
    kind = config.parameters["model_type"].string_value if "model_type" in config.parameters else ""
    names = file_names(model.backend, model.platform, model.file_name, kind)
    for number in model.versions:
        there = [name for name, _ in listing.below(number).names]
        if names and not set(names) & set(there):
            found = f"version {number} holds {', '.join(there[:8]) or 'nothing'}"
            found += f"; the {model.backend} backend looks for {' or '.join(names)}"
            remedy = "rename the file, or say default_model_filename in config.pbtxt"
            yield Problem(found, remedy=remedy)
