"""A place for a resolver to work in, outside of a build."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritonbuild.digest import Digest
from tritonbuild.lock import LockedFile, Request
from tritonbuild.rule import Resolver


@dataclass(frozen=True)
class Desk:
    scratch: Path

    def keep(self, file: Path) -> Digest:
        return Digest.of_file(file)


def resolved(resolver: Resolver, request: Request) -> Sequence[LockedFile]:
    with tempfile.TemporaryDirectory() as folder:
        return resolver.function(request, Desk(Path(folder)))
