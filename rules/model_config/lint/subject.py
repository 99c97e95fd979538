"""What a lint looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Folder, KeyPath

from ..releases import before

if TYPE_CHECKING:
    from ...formats import Signature


@dataclass(frozen=True)
class Finding:
    key: KeyPath
    """The place in the config."""
    found: str
    expected: str = ""
    remedy: str = ""
    fatal: bool = True
    """The server refuses the model; else it loads, but is likely not what was meant."""


@dataclass(frozen=True)
class Subject:
    config: Any
    """The full ModelConfig, completed as the server would."""
    folder: Folder
    """Of the model, as the server will see it."""
    release: str
    """Triton's version, "2.51.0"; "" when not known: then the newest one's rules hold."""
    signatures: Mapping[int, Signature]
    """What the model of a version takes and gives, where that can be read."""
    written: Any = None
    """The ModelConfig before it was completed; None: it says the same."""

    own_backend: bool = False
    """The backend is the user's own, and none of Triton's rules for one of its name hold."""

    @property
    def groups(self) -> Any:
        """The instance groups as they were written: what they are completed to depends on the
        host's devices."""
        return (self.config if self.written is None else self.written).instance_group

    def is_from(self, first: str) -> bool:
        """Whether its release is that one ("2.56") or a later one."""
        return not before(self.release, first)
