"""Debian's docker-registry on this machine: open, with a password, with TLS, with tokens."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from parts.missing import missing
from parts.ports import free_port, server
from parts.web import authority, authority_file, serve
from tritonbuild.oci import Image
from tritonbuild.oci.registry import Pushed, Reference, Repository, push
from tritonbuild.oci.registry.upload import SMALL

USER = "user"
PASSWORD = "a-password-that-nobody-should-see"
HTPASSWD = "user:$2b$05$abcdefghijklmnopqrstuuC.Y1pZcsNVMAsM09cMfFOkQvqUgDvKq\n"
"""Bcrypt of it, as the registry wants it."""
IDENTITY = "an-identity-token-that-nobody-should-see"
CHUNK = 2 << 20
LARGE = b"a weight" * (SMALL // 8 * 3 // 2)
_ISSUER = "ours"


@contextmanager
def registry(
    folder: Path, passwords: str = "", *, tls: bool = False, tokens: Tokens | None = None
) -> Iterator[str]:
    """`127.0.0.1:PORT`."""
    if shutil.which("docker-registry") is None:
        missing("docker-registry is not installed", "apt-get install docker-registry")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}"}
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": http,
    }
    if passwords:
        (folder / "htpasswd").write_text(passwords)
        config["auth"] = {"htpasswd": {"realm": "ours", "path": str(folder / "htpasswd")}}
    if tokens:
        config["auth"] = {"token": tokens.trusted_by(folder)}
    if tls:
        issued = authority().issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
        http["tls"] = {
            "certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem"),
        }  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(config))
    with server(["docker-registry", "serve", folder / "config.yml"], port, folder / "log"):
        yield f"127.0.0.1:{port}"


@dataclass(frozen=True)
class Asked:
    """A token was asked for."""

    scopes: tuple[str, ...]
    by: str
    """`basic`, `identity`, or nothing."""


@dataclass
class Tokens:
    """Issues tokens to everybody who may have them: `public` repositories may be pulled by all, and
    whoever knows the password, or the identity token, may do everything."""

    realm: str
    public: frozenset[str] = frozenset()
    asked: list[Asked] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._certificate = authority().issue_cert("tokens.test")
        self._key = load_pem_private_key(self._certificate.private_key_pem.bytes(), None)

    def trusted_by(self, folder: Path) -> dict[str, str]:
        return {
            "realm": self.realm, "service": "ours", "issuer": _ISSUER,
            "rootcertbundle": str(authority_file(folder)),
        }  # fmt: skip

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        sent = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        fields = parse_qs(sent or urlsplit(handler.path).query)
        scopes = tuple(" ".join(fields.get("scope", ())).split())
        kind, _, value = handler.headers.get("Authorization", "").partition(" ")
        by = "identity" if "refresh_token" in fields else kind.lower()
        self.asked.append(Asked(scopes, by))
        mine = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if by and value != mine and fields.get("refresh_token") != [IDENTITY]:
            return 401, b"{}"
        self.issued.append(self.token(scopes, everything=bool(by)))
        return 200, json.dumps({"token": self.issued[-1], "expires_in": 3600}).encode()

    def token(self, scopes: tuple[str, ...], *, everything: bool, age: int = 0) -> str:
        """As one is issued that is so many seconds old; it lives for an hour."""
        now = int(time.time()) - age
        access = [self._allowed(scope, everything) for scope in scopes]
        claims = {
            "iss": _ISSUER, "aud": "ours", "sub": USER, "exp": now + 3600, "nbf": now - 60,
            "iat": now, "jti": f"{len(self.issued)}", "access": [a for a in access if a["actions"]],
        }  # fmt: skip
        pem = self._certificate.cert_chain_pems[0].bytes()
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        chain = [base64.b64encode(der).decode()]
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": chain})  # type: ignore[arg-type]

    def _allowed(self, scope: str, everything: bool) -> dict[str, Any]:
        kind, name, actions = scope.split(":")
        wanted = actions.split(",")
        if not everything:
            wanted = [action for action in wanted if action == "pull" and name in self.public]
        return {"type": kind, "name": name, "actions": wanted}


@contextmanager
def token_registry(folder: Path, *public: str) -> Iterator[tuple[str, Tokens]]:
    """One that sends its clients to a server of ours for tokens."""
    tokens: list[Tokens] = []
    with serve(lambda handler: tokens[0].answer(handler)) as web:
        tokens.append(Tokens(web.url("token"), frozenset(public)))
        with registry(folder, tokens=tokens[0]) as host:
            yield host, tokens[0]


def at(host: str, name: str = "acme/net", silence: float = 60.0) -> Repository:
    return Repository.of(Reference.parse(f"{host}/{name}"), silence=silence)


def put(
    repository: Repository, image: Image, tags: Sequence[str] = ("v1",), mounts: Sequence[str] = ()
) -> list[Pushed]:
    """In chunks so small that LARGE has three."""
    return push(image.source, image.descriptor, repository, tags, mounts=mounts, chunk=CHUNK)


def log_in(docker: Path, host: str, user: str = USER, password: str = PASSWORD) -> None:
    """As `docker login` does without a helper."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (docker / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def identify(docker: Path, host: str, token: str = IDENTITY) -> None:
    """As `docker login` does where a registry gives an identity token for a password."""
    auth = base64.b64encode(b"x:").decode()
    entry = {"auth": auth, "identitytoken": token}
    (docker / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def helper(docker: Path, host: str, folder: Path, script: str) -> str:
    """A credential helper; the PATH that it is found on."""
    folder.mkdir(exist_ok=True)
    program = folder / "docker-credential-ours"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (docker / "config.json").write_text(json.dumps({"credHelpers": {host: "ours"}}))
    return str(folder)
