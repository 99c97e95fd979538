"""What the release at hand is too old for."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.rule import Problem, dotted

from ..model_config.backend_fields import AOTI, AOTI_SINCE
from ..model_config.releases import before
from ..model_config.schema import newer_than
from .found import FoundModel

REMEDY = "name a newer `distribution`, and uncomment it"


def too_new(model: FoundModel, release: str, distribution: str) -> Iterator[Problem]:
    """Why a model needs a newer release; `distribution` is whose it is, for messages."""
    said = [(dotted(key), since) for key, since in newer_than(model.config, release)]
    if AOTI in (model.platform, model.config.platform) and before(release, AOTI_SINCE):
        said.append((f"platform {AOTI}", AOTI_SINCE))
    for what, since in said:
        found = f"Triton {release} of {distribution} does not know {what}, which {since} brought"
        yield Problem(found, remedy=REMEDY)
