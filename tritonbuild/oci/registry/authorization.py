"""What opens a registry: a password, or tokens that a password or an identity token is good for.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from tritonbuild.oci.errors import OciError, Refused
from tritonbuild.oci.registry.credentials import Credentials, credentials_for
from tritonbuild.oci.registry.transport import (
    ANSWER,
    CONNECT,
    body,
    failure,
    is_safe,
    place,
    told,
)

if TYPE_CHECKING:
    import requests

_LIFE = 60.0
"""Seconds of a token that does not say how long it lives."""
_FRESH = 0.9
"""The part of its life in which a token is used."""
_REALM = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class _Token:
    header: str
    until: float


class Authorization:
    """Headers by scope (`repository:acme/net:pull,push`, with spaces between several). For
    threads."""

    def __init__(self, web: requests.Session, registry: str, silence: float):
        self._web = web
        self._registry = registry
        self._silence = silence
        self._lock = threading.RLock()
        self._tokens: dict[str, _Token] = {}
        self._bearer: dict[str, str] | None = None
        """The challenge, once the registry has sent us for tokens."""
        self._basic = ""
        self._known: Credentials | None = None
        self._failed: Refused | None = None
        """Why there are no credentials, if somebody should have had them."""

    @property
    def secrets(self) -> Iterator[str]:
        known = self._known or Credentials()
        yield from (known.password, known.identity)
        yield from (value.partition(" ")[2] for value in self._headers())

    def _headers(self) -> list[str]:
        return [self._basic, *(token.header for token in list(self._tokens.values()))]

    def header(self, scope: str) -> str:
        """Of a request for which the scope is needed; empty while nobody has asked for one."""
        with self._lock:
            if self._basic or self._bearer is None:
                return self._basic
            token = self._tokens.get(scope)
            if token is None or token.until < time.monotonic():
                token = self._tokens[scope] = self._ask(self._bearer, scope)
            return token.header

    def renew(self, challenge: str, address: str, scope: str, used: str) -> None:
        """After a 401, to a request with the header `used`. Raises Refused where there is no other
        header to be had."""
        with self._lock:
            if (self._basic or self._of(scope)) not in ("", used):
                return  # another thread has been here
            asked = dict(_challenges(challenge))
            if "bearer" in asked and "realm" in asked["bearer"]:
                self._bearer = {
                    **asked["bearer"],
                    "realm": urljoin(address, asked["bearer"]["realm"]),
                }
                wanted = _joined(scope, asked["bearer"].get("scope", ""))
                self._tokens[scope] = self._ask(self._bearer, wanted)
            elif "basic" in asked:
                known = self._credentials()
                if used or not known.password:
                    raise self.refused(used)
                self._basic = _basic(known)
            else:
                kinds = ", ".join(asked) or "none"
                raise Refused(f"it asks for credentials of an unknown kind ({kinds})")

    def refused(self, used: str) -> Refused:
        """What a 401 says that nothing helps against."""
        if self._failed is not None:
            found = f"it wants credentials (401), and {self._failed.problem.found}"
            return Refused(found, remedy=self._failed.problem.remedy)
        mine = bool(self._known) and bool(used)
        found = "it does not take Docker's credentials" if mine else "it wants credentials"
        return Refused(f"{self._registry}: {found} (401)", remedy=self.remedy)

    @property
    def remedy(self) -> str:
        return f"`docker login {self._registry}` (or its helper) with an account that may"

    def _of(self, scope: str) -> str:
        token = self._tokens.get(scope)
        return token.header if token else ""

    def _credentials(self) -> Credentials:
        """Asked for once, and not before a registry wants some: nobody's helper stands in the way
        of what everybody may have."""
        if self._known is None:
            try:
                self._known = credentials_for(self._registry)
            except Refused as error:
                self._failed, self._known = error, Credentials()
        return self._known

    def _ask(self, bearer: dict[str, str], scope: str) -> _Token:
        realm, known = bearer["realm"], self._credentials()
        if not is_safe(realm):
            raise Refused(f"{self._registry} wants credentials to be sent without TLS")
        asked = {"service": bearer.get("service", "")}
        arguments: dict[str, Any]
        if known.identity:
            form = {"grant_type": "refresh_token", "refresh_token": known.identity, "scope": scope}
            arguments = {"method": "POST", "data": {**asked, **form, "client_id": "tritonbuild"}}
        else:
            headers = {"Authorization": _basic(known)} if known else {}
            scopes = {"scope": scope.split(), **({"account": known.user} if known else {})}
            arguments = {"method": "GET", "params": {**asked, **scopes}, "headers": headers}
        with told(realm, self._silence):
            # A form is no header, which would be kept from another host: nowhere else with it.
            # The `auth` that adds nothing keeps ~/.netrc out: Docker's credentials are meant.
            answer = self._web.request(
                url=realm, timeout=(CONNECT, self._silence), stream=True, auth=_nothing,
                allow_redirects=not known.identity, **arguments,
            )  # fmt: skip
        if answer.is_redirect:
            answer.close()
            raise Refused(f"{place(realm)} sends us elsewhere, where credentials do not go")
        if answer.status_code in (400, 401, 403) and known:
            answer.close()
            raise Refused(
                f"{place(realm)} does not take Docker's credentials for {self._registry} "
                f"({answer.status_code})",
                remedy=self.remedy,
            )
        if not answer.ok:
            raise self._worse(failure(answer, self._silence, self.remedy, self.secrets))
        return self._read(body(answer, ANSWER, self._silence), place(realm))

    def _worse(self, error: OciError) -> OciError:
        """A service that has nothing for nobody, when a helper should have known who we are."""
        failed = self._failed is not None and isinstance(error, Refused)
        return self.refused("") if failed else error

    def _read(self, content: bytes, where: str) -> _Token:
        try:
            document = json.loads(content)
            token = document.get("token") or document["access_token"]
            life = float(document.get("expires_in") or _LIFE)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            token, life = "", _LIFE
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Refused(f"{where} answers no token", expected='{"token": …}, in JSON')
        return _Token(f"Bearer {token}", time.monotonic() + life * _FRESH)


def _nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _basic(known: Credentials) -> str:
    pair = f"{known.user}:{known.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _challenges(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Scheme and parameters of each that a WWW-Authenticate header names."""
    parts = re.split(r"(?:^|,)\s*([A-Za-z]+)(?=\s+\w+=|\s*$|\s*,)", header)
    for scheme, rest in zip(parts[1::2], parts[2::2], strict=True):
        yield (
            scheme.lower(),
            {key.lower(): quoted or bare for key, quoted, bare in _REALM.findall(rest)},
        )


def _joined(*scopes: str) -> str:
    """All that scopes allow."""
    actions: dict[str, dict[str, None]] = {}
    for scope in " ".join(scopes).split():
        resource, _, allowed = scope.rpartition(":")
        actions.setdefault(resource, {}).update(dict.fromkeys(allowed.split(",")))
    return " ".join(f"{resource}:{','.join(allowed)}" for resource, allowed in actions.items())
