"""Registries that want to know who we are: passwords, tokens, helpers, TLS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.faulty import Fault, faulty
from parts.images import Memory, file
from parts.registry import (
    HTPASSWD,
    IDENTITY,
    LARGE,
    PASSWORD,
    Asked,
    Tokens,
    at,
    helper,
    identify,
    log_in,
    put,
    registry,
    token_registry,
)
from parts.web import authority_file, serve

from tritonbuild.oci import Descriptor, Image, OciError, Refused
from tritonbuild.oci.content import read
from tritonbuild.oci.registry import Repository


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With TLS and a password."""
    with registry(tmp_path_factory.mktemp("registry"), HTPASSWD, tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def issuing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Tokens]]:
    """With tokens; acme/public is for all."""
    with token_registry(tmp_path_factory.mktemp("registry"), "acme/public") as running:
        yield running


@pytest.fixture
def tokens(issuing: tuple[str, Tokens]) -> Tokens:
    """Nothing was asked yet."""
    _, tokens = issuing
    tokens.asked.clear()
    tokens.issued.clear()
    return tokens


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder of configuration, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return folder


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority_file(tmp_path)))


@pytest.fixture
def image() -> Image:
    return Memory().image([[file("small", "x")], [file("large", LARGE)]])


def outcomes(repository: Repository, image: Image, *mounts: str) -> list[str]:
    """What became of each part."""
    return [each.outcome for each in put(repository, image, mounts=mounts)]


def text(error: OciError) -> str:
    return f"{error} {error.problem}"


@pytest.mark.usefixtures("trust")
def test_a_password_is_dockers(guarded: str, docker: Path, image: Image) -> None:
    log_in(docker, guarded)
    with at(guarded) as repository:
        assert outcomes(repository, image) == ["moved"] * 4
        assert repository.resolve("v1").digest == image.descriptor.digest


@pytest.mark.usefixtures("trust")
def test_a_wrong_password_is_told_and_not_shown(guarded: str, docker: Path, image: Image) -> None:
    with at(guarded) as repository, pytest.raises(Refused, match=r"wants credentials \(401\)"):
        put(repository, image)
    log_in(docker, guarded, password="a-wrong-password")
    with at(guarded) as repository, pytest.raises(Refused, match="does not take Docker's") as error:
        put(repository, image)
    assert f"docker login {guarded}" in error.value.problem.remedy
    assert "wrong-password" not in text(error.value)


def test_an_authority_is_trusted_that_somebody_names(
    guarded: str, docker: Path, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(docker, guarded)
    with at(guarded) as repository, pytest.raises(Refused, match="not trusted") as error:
        put(repository, image)
    assert "certs.d" in error.value.problem.remedy
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file(tmp_path)))
    with at(guarded) as repository:
        put(repository, image)
    monkeypatch.delenv("SSL_CERT_FILE")
    folder = docker / "certs.d" / guarded
    folder.mkdir(parents=True)
    authority_file(folder).rename(folder / "ca.crt")
    with at(guarded) as repository:
        put(repository, image)
    (folder / "ca.crt").write_text("none")
    with at(guarded) as repository, pytest.raises(Refused, match="cannot be used"):
        put(repository, image)


def test_who_knows_nobody_pulls_what_is_public(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, image: Image
) -> None:
    host, _ = issuing
    log_in(docker, host)
    with at(host, "acme/public") as repository:
        put(repository, image)
    (docker / "config.json").unlink()
    tokens.asked.clear()
    with at(host, "acme/public") as repository:
        assert repository.resolve("v1").digest == image.descriptor.digest
    assert tokens.asked == [Asked(("repository:acme/public:pull",), "")]


def script(answer: str, code: int = 0) -> str:
    return f"cat >/dev/null; echo '{answer}'; exit {code}"


BROKEN = {
    "fails": script(PASSWORD, 1),
    "talks": script(f"no JSON {PASSWORD}"),
    "says half": script(json.dumps({"Username": "user"})),
    "says a list": script("[]"),
    "knows nobody": script("credentials not found in native keychain", 1),
    "is not there": "",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_helper_that_does_not_help_stands_in_nobodys_way(
    issuing: tuple[str, Tokens], fault: str, docker: Path, image: Image, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    host, _ = issuing
    log_in(docker, host)
    with at(host, "acme/public") as repository:
        put(repository, image)
    path = helper(docker, host, tmp_path / "bin", BROKEN[fault])
    if fault == "is not there":
        (tmp_path / "bin/docker-credential-ours").unlink()
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    with at(host, "acme/public") as repository:
        for layer in image.manifest.layers:
            read(repository, layer, 1 << 30)
        with pytest.raises(Refused, match="401") as error:
            put(repository, Memory().image([[file("new", fault)]]))
    told = "cannot be read" in text(error.value)
    assert told == (fault != "knows nobody")
    assert "docker login" in error.value.problem.remedy
    assert PASSWORD not in text(error.value) + "".join(capfd.readouterr())


def test_a_configuration_that_is_no_json_is_told_where_it_is_wanted(
    issuing: tuple[str, Tokens], docker: Path, image: Image
) -> None:
    host, _ = issuing
    log_in(docker, host)
    with at(host, "acme/public") as repository:
        put(repository, image)
    (docker / "config.json").write_text('{"auths":')
    with at(host, "acme/public") as repository:
        assert repository.resolve("v1").digest == image.descriptor.digest
        with pytest.raises(Refused, match="401") as error:
            put(repository, Memory().image([[file("new", "broken")]]))
    assert f"{docker}/config.json cannot be read: it is not JSON" in str(error.value)
    assert "docker login" in error.value.problem.remedy


def test_nobodys_helper_is_asked_where_nobody_wants_to_know(
    docker: Path, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path / "open") as host:
        called = tmp_path / "called"
        path = helper(docker, host, tmp_path / "bin", f"touch {called}; exit 1")
        monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
        with at(host) as repository:
            put(repository, image)
        assert not called.exists()


def test_a_helper_is_asked_once(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, image: Image, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host, _ = issuing
    calls = tmp_path / "calls"
    said = json.dumps({"ServerURL": host, "Username": "user", "Secret": PASSWORD})
    path = helper(docker, host, tmp_path / "bin", f"echo x >>{calls}; {script(said)}")
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    with at(host, "acme/helped") as repository:
        put(repository, image)
    assert calls.read_text() == "x\n"
    assert {asked.by for asked in tokens.asked} == {"basic"}


def test_a_helper_may_know_an_identity_token(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, image: Image
) -> None:
    host, _ = issuing
    identify(docker, host)
    with at(host, "acme/identity") as repository:
        put(repository, image)
    assert {asked.by for asked in tokens.asked} == {"identity"}
    identify(docker, host, "another-identity-token")
    with at(host, "acme/identity") as repository, pytest.raises(Refused, match="not take") as error:
        repository.resolve("v1")
    assert "another-identity-token" not in text(error.value)
    assert IDENTITY not in text(error.value)


def test_a_token_is_for_what_is_done(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, image: Image
) -> None:
    host, _ = issuing
    log_in(docker, host)
    with at(host, "acme/from") as repository:
        put(repository, image)
        other = Repository(repository.registry, "acme/to")
        assert outcomes(other, image, "acme/from") == ["mounted"] * 3 + ["moved"]
    assert {asked.scopes for asked in tokens.asked} == {
        ("repository:acme/from:pull",),
        ("repository:acme/from:pull,push",),
        ("repository:acme/to:pull",),
        ("repository:acme/to:pull,push",),
        ("repository:acme/to:pull,push", "repository:acme/from:pull"),
    }
    assert len(tokens.asked) <= 6  # threads share them


def test_who_may_not_is_told(issuing: tuple[str, Tokens], image: Image) -> None:
    host, _ = issuing
    with at(host, "acme/public") as repository, pytest.raises(Refused, match="401") as error:
        put(repository, Memory().image([[file("mine")]]))
    assert f"docker login {host}" in error.value.problem.remedy


def stale(tokens: Tokens, method: str, path: str, scope: str, after: int = 0) -> Fault:
    """The token that is used there ended two hours ago."""
    old = tokens.token((scope,), everything=True, age=7200)
    return Fault("authorize", method, path, after=after, headers={"Authorization": f"Bearer {old}"})


@pytest.mark.parametrize(
    ("method", "path", "after"),
    [
        ("HEAD", "blobs", 0),
        ("POST", "uploads", 0),
        ("PATCH", "uploads", 0),
        ("PATCH", "uploads", 1),
        ("PATCH", "uploads", 2),
        ("PUT", "uploads", 0),
        ("PUT", "manifests", 0),
    ],
)
def test_a_token_that_ends_in_the_middle_of_a_push_is_renewed(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, method: str, path: str, after: int
) -> None:
    host, _ = issuing
    name = f"acme/{method}{path}{after}".lower()
    image = Memory().image([[file("large", LARGE)]])
    with faulty(host) as proxy:
        log_in(docker, proxy.host)
        scope = f"repository:{name}:pull,push"
        proxy.faults.append(stale(tokens, method, path, scope, after))
        with at(proxy.host, name) as repository:
            assert set(outcomes(repository, image)) == {"moved"}
            assert repository.resolve("v1").digest == image.descriptor.digest
        assert [seen.status for seen in proxy.asked(method, path)].count(401) == 1
        size = image.manifest.layers[0].size
        sent = sum(seen.sent for seen in proxy.asked("PATCH") if seen.status != 401)
        assert sent == size  # no chunk twice


def test_a_token_that_ends_in_the_middle_of_a_pull_is_renewed(
    issuing: tuple[str, Tokens], tokens: Tokens, docker: Path, image: Image
) -> None:
    host, _ = issuing
    large = image.manifest.layers[1]
    with faulty(host) as proxy:
        log_in(docker, proxy.host)
        with at(proxy.host, "acme/pulled") as repository:
            put(repository, image)
            scope = "repository:acme/pulled:pull"
            again = stale(tokens, "GET", "blobs", scope, after=1)
            proxy.faults += [again, Fault("cut body", path="blobs")]
            content = read(repository, large, 1 << 30)
        assert content == image.source.open(large).read()
        statuses = [seen.status for seen in proxy.asked("GET", "blobs")]
        assert statuses == [200, 401, 206]


def test_a_token_is_renewed_before_it_ends(docker: Path) -> None:
    """One that says it lives for no time is not used twice."""
    asked: list[str] = []

    def token(handler: object) -> tuple[int, bytes]:
        asked.append("token")
        return 200, b'{"access_token": "x", "expires_in": 0.000001}'

    with serve(token) as web:
        challenge = {"WWW-Authenticate": f'Bearer realm="{web.url("token")}",service="ours"'}
        faults = [Fault("answer", path="/v2/$", status=401, headers=challenge)]
        faults += [Fault("answer", "HEAD", status=401, headers=challenge)]
        faults += [Fault("answer", "HEAD", status=404, times=9)]
        with faulty("127.0.0.1:9", *faults) as proxy, at(proxy.host) as repository:
            nothing = Descriptor(media_type="x", digest=f"sha256:{'0' * 64}", size=1)
            assert not any([repository.holds(nothing), repository.holds(nothing)])
        assert len(asked) == 1 + 2  # for the challenge, and for each request


@pytest.mark.parametrize(
    ("challenge", "found"),
    [
        ("", r"unknown kind \(none\)"),
        ("Digest realm=x", r"unknown kind \(digest\)"),
        ('Bearer service="x"', r"unknown kind \(bearer\)"),
        ('Bearer realm="http://token.example/"', "without TLS"),
        ('Bearer realm="ftp://127.0.0.1/"', "cannot be asked for"),
    ],
)
def test_a_strange_challenge_is_refused(challenge: str, found: str) -> None:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    wrong = Fault("answer", "HEAD", status=401, headers=headers, times=9)
    with (
        faulty("127.0.0.1:9", Fault("answer", status=200, times=9), wrong) as proxy,
        at(proxy.host) as repository,
        pytest.raises(Refused, match=found),
    ):
        repository.resolve("v1")


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"token": "a\\nb"}', b'{"token": 7}', b"{}"])
def test_a_strange_token_is_refused(answer: bytes) -> None:
    with serve(lambda _: (200, answer)) as web:
        headers = {"WWW-Authenticate": f'Bearer realm="{web.url("token")}"'}
        wrong = Fault("answer", "HEAD", status=401, headers=headers, times=9)
        with (
            faulty("127.0.0.1:9", Fault("answer", status=200, times=9), wrong) as proxy,
            at(proxy.host) as repository,
            pytest.raises(Refused, match="answers no token"),
        ):
            repository.resolve("v1")


def test_a_registry_that_repeats_a_password_is_not_quoted(docker: Path) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": f"you are {PASSWORD}"}]}).encode()
    headers = {"WWW-Authenticate": "Basic realm=x"}
    with faulty(
        "127.0.0.1:9",
        Fault("answer", path="/v2/$", status=200),
        Fault("answer", "HEAD", status=401, headers=headers),
        Fault("answer", "HEAD", status=405, times=9),
        Fault("answer", "GET", status=403, body=body),
    ) as proxy:
        log_in(docker, proxy.host)
        with at(proxy.host) as repository, pytest.raises(Refused, match="403") as error:
            repository.resolve("v1")
    assert PASSWORD not in text(error.value)
