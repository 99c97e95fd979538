"""What the Python of a model in a repository tells."""

from __future__ import annotations

from ..formats.python_model import HOOK, completes_itself
from ..model_config.environment import KEY as ENVIRONMENT_KEY
from . import code
from .found import FoundModel, lack_io, says_io
from .listing import Listing
from .requirements import of_model

UNNAMED = "It calls models by names that only it knows: add them to `bls`."


def read(model: FoundModel, listing: Listing) -> None:
    """Its callees and requirements, and whether anything says its inputs and outputs. `listing` is
    the model's folder. Raises UsageError."""
    versions = [listing.below(number) for number in model.versions]
    found = [code.read(_python(folder)) for folder in (listing, *versions)]
    own: set[str] = set().union(*(_modules(folder) for folder in (listing, *versions)))
    imports: frozenset[str] = frozenset().union(*(one.imports for one in found))
    callees: set[str] = set().union(*(one.callees for one in found))
    for one in found:
        if one.broken:
            model.remarks.append(f"Not Python that could be read: {one.broken}.")
    if not says_io(model.config) and not all(_completes_itself(model, one) for one in versions):
        lack_io(model, f"neither config.pbtxt nor {HOOK} says them")
    model.callees = sorted(callees - {model.name})
    if any(one.calls_others for one in found):
        model.remarks.append(UNNAMED)
    if ENVIRONMENT_KEY in model.config.parameters:
        path = model.config.parameters[ENVIRONMENT_KEY].string_value
        model.remarks.append(f"Its Python environment is its own: {path}.")
    else:
        of_model(model, listing, imports, own)


def _completes_itself(model: FoundModel, version: Listing) -> bool:
    file = version.absolute / (model.file_name or "model.py")
    return not file.is_file() or completes_itself(file.read_bytes())


def _python(listing: Listing) -> dict[str, bytes]:
    names = (name for name in listing.files if name.endswith(".py"))
    return {listing.at(name): (listing.absolute / name).read_bytes() for name in names}


def _modules(listing: Listing) -> set[str]:
    """What code there can import from beside it."""
    return {name.removesuffix(".py").partition(".")[0] for name, _ in listing.names}
