"""The names of images, as people write them: `[HOST[:PORT]/]REPOSITORY[:TAG][@sha256:…]`, or
`oci://HOST…`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tritonbuild.oci.errors import Invalid
from tritonbuild.redact import public

DOCKER = "docker.io"
SCHEME = "oci://"
_LONGEST = 255
_HOST = re.compile(
    r"(?:[a-z0-9](?:[\w-]*\w)?(?:\.[\w-]+)*|\[[\da-f:]+\])(?::\d{1,5})?", re.A | re.I
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REST = re.compile(
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.A,
)


@dataclass(frozen=True)
class Reference:
    registry: str
    """As Docker's configuration names it: `docker.io`, `registry.example:5000`."""
    repository: str
    tag: str = ""
    digest: str = ""
    """`sha256:…`"""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """What has no host is Docker Hub's. Raises Invalid."""
        registry, slash, rest = text.removeprefix(SCHEME).partition("/")
        is_host = re.search(r"[.:A-Z]", registry) or registry == "localhost"
        if not text.startswith(SCHEME) and not (slash and is_host):
            registry, rest = DOCKER, text
        if registry in ("index.docker.io", "registry-1.docker.io"):
            registry = DOCKER
        match = _REST.fullmatch(rest)
        if match is None or not _HOST.fullmatch(registry) or len(match["repository"]) > _LONGEST:
            shown = re.sub(r"^[^/]*@(?!sha256:)", "…@", public(text))
            raise Invalid(
                f"{shown!r} names no image",
                expected="[HOST[:PORT]/]REPOSITORY[:TAG][@sha256:…], in small letters",
                remedy="without a scheme, or with oci://" if "://" in text else "",
            )
        repository = match["repository"]
        if registry == DOCKER and "/" not in repository:
            repository = f"library/{repository}"
        return cls(registry, repository, match["tag"] or "", match["digest"] or "")

    @property
    def name(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"
