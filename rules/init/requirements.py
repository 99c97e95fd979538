"""Which Python packages a model needs: what its requirements.txt says, else what it imports."""

from __future__ import annotations

from .code import third_party
from .found import FoundModel
from .listing import Listing

FILE = "requirements.txt"


def of_model(model: FoundModel, listing: Listing, imports: frozenset[str], own: set[str]) -> None:
    """Sets the model's requirements, with a remark that says where they are from."""
    for place in (listing, *(listing.below(number) for number in model.versions)):
        if FILE in place.files:
            good, bad = _of_file((place.absolute / FILE).read_bytes())
            model.requirements = good
            model.remarks.append(f"`requirements` are those of {place.at(FILE)}.")
            if bad:  # told by their places: addresses may hold passwords
                lines = "line " + ", ".join(map(str, bad))
                text = f"Left out of them, since not by a package's name: {lines}."
                model.remarks.append(text)
            return
    model.requirements, unclear = third_party(imports, own)
    if model.requirements:
        text = "`requirements` are from its imports: check the names, and pin the versions."
        model.remarks.append(text)
    if unclear:
        text = f"Add to `requirements` what brings {', '.join(unclear)}."
        model.remarks.append(text)


def _of_file(content: bytes) -> tuple[list[str], list[int]]:
    """The lines that are requirements of an index, and the numbers of the others."""
    from packaging.requirements import InvalidRequirement, Requirement

    good, bad = [], []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            bad.append(number)
            continue
        if requirement.url:
            bad.append(number)
        else:
            good.append(str(requirement))
    return good, bad
