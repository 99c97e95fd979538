"""Who we are to a registry: what Docker's configuration and its credential helpers know."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from tritonbuild.oci.errors import Refused


@dataclass(frozen=True)
class Credentials:
    """False: there are none."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    """A token that other tokens are had for, in the place of a password."""

    def __bool__(self) -> bool:
        return bool(self.password or self.identity)


def credentials_for(registry: str) -> Credentials:
    """Asks helpers, which may take their time. Raises Refused where Docker's configuration cannot
    be read or its helper fails."""
    from docker import auth
    from docker.errors import DockerException
    from docker.utils.config import find_config_file

    if file := find_config_file():
        _check(Path(str(file)), registry)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a helper that is not installed fails, too
            found = auth.load_config().resolve_authconfig(registry) or {}
        return Credentials(
            found.get("username") or found.get("Username") or "",
            found.get("password") or found.get("Password") or "",
            found.get("IdentityToken") or "",
        )
    except (DockerException, OSError, ValueError, LookupError, TypeError, AttributeError):
        # What a helper says may hold the secret that it should have given.
        raise Refused(
            f"Docker's credentials for {registry} cannot be read",
            remedy=f"`docker login {registry}`; is the helper that Docker's config.json names "
            "installed, and does it answer?",
        ) from None


def _check(file: Path, registry: str) -> None:
    """Raises Refused for what the `docker` package would take for an empty configuration."""
    try:
        content = file.read_bytes()
        if file.suffix == ".json":  # the older .dockercfg need not be
            json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or f"it is not JSON: {error}"
        raise Refused(
            f"{file} cannot be read: {reason}",
            remedy=f"mend it, or remove it and `docker login {registry}`",
        ) from None
