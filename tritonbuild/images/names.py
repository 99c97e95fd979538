"""What people call images on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from tritonbuild.errors import UsageError
from tritonbuild.oci.errors import OciError
from tritonbuild.oci.registry.reference import Reference


def check_names(names: Sequence[str]) -> None:
    """Before anything is built. Raises UsageError for what names no image."""
    for name in names:
        try:
            Reference.parse(name)
        except OciError as error:
            raise UsageError(error.problem) from None
