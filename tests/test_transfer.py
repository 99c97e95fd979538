"""Files over HTTP, from a real server that can fail."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from parts.web import Answer, Web, authority_file, cut, first, ranged, redirect, serve
from tritonbuild.rules.origins import https
from tritonbuild.rules.origins import transfer as transferring
from tritonbuild.rules.origins.bring import bring
from tritonbuild.rules.origins.https import CHUNK
from tritonbuild.rules.origins.source import Refused
from tritonbuild.rules.origins.transfer import Expected, Got, transfer

from tritonbuild.rule import ActionError, public

BODY = b"".join(b"line %d of a file\n" % number for number in range(40_000))
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
KEPT = 300_000 // CHUNK * CHUNK
"""Of that many bytes, when a transfer breaks off."""
WHOLE = Expected(SHA256, len(BODY))


def whole(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    return 200, BODY


def get(url: str, target: Path, expected: Expected = WHOLE) -> Got:
    return transfer(https.opening(url), target, expected)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_a_file_is_fetched_and_progress_told(target: Path) -> None:
    told: list[tuple[int, int]] = []
    with serve(whole) as web:
        url = web.url("file")
        bring("file", [url], target, WHOLE, lambda done, size: told.append((done, size)))
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))


def test_what_is_not_known_is_told(target: Path) -> None:
    with serve(whole) as web:
        assert get(web.url("file"), target, Expected()) == Got(SHA256, len(BODY))


def test_the_next_address_is_asked_when_one_does_not_have_the_file(target: Path) -> None:
    with serve(lambda _: (404, b"no")) as empty, serve(whole) as web:
        bring("file", [empty.url("old"), web.url("file")], target, WHOLE)
    assert target.read_bytes() == BODY


def test_the_next_address_is_asked_when_one_has_another_file(target: Path) -> None:
    with serve(lambda _: (200, b"<html>Please log in</html>")) as portal, serve(whole) as web:
        bring("file", [portal.url("file"), web.url("file")], target, Expected(SHA256))
    assert target.read_bytes() == BODY


def test_a_transfer_that_breaks_off_is_taken_up_where_it_ended(target: Path) -> None:
    with serve(
        first(ranged(BODY, sends=300_000), ranged(BODY, sends=200_000), ranged(BODY))
    ) as web:
        assert get(web.url("file"), target) == Got(SHA256, len(BODY))
    assert target.read_bytes() == BODY
    assert web.ranges == ["", f"bytes={KEPT}-", f"bytes={KEPT + 200_000 // CHUNK * CHUNK}-"]


def test_a_server_that_starts_anew_is_waited_for(target: Path) -> None:
    stopped = threading.Event()
    with serve(ranged(BODY, sends=300_000, then=stopped.wait)) as web:
        opening = https.opening(web.url("file"))
        results: list[Got] = []
        waiting = threading.Thread(target=lambda: results.append(transfer(opening, target, WHOLE)))
        waiting.start()
        while not web.requests:
            waiting.join(0.01)
    stopped.set()
    with serve(ranged(BODY), chosen=web.port) as again:
        waiting.join()
    assert results == [Got(SHA256, len(BODY))]
    assert again.ranges == [f"bytes={KEPT}-"]


def test_a_part_that_nobody_asked_for_is_refused(target: Path) -> None:
    def partial(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return 206, BODY

    with serve(partial) as web, pytest.raises(ActionError, match="nobody asked for"):
        bring("file", [web.url("file")], target, WHOLE)


def test_a_file_that_was_replaced_meanwhile_is_begun_anew(target: Path) -> None:
    old = b"x" * len(BODY)
    with serve(first(ranged(old, '"old"', sends=300_000), ranged(BODY, '"new"'))) as web:
        assert get(web.url("file"), target, Expected()) == Got(SHA256, len(BODY))
    assert target.read_bytes() == BODY


def test_parts_that_nothing_says_belong_together_are_judged_by_the_digest(target: Path) -> None:
    old = b"x" * len(BODY)
    with serve(first(ranged(old, "", sends=300_000), ranged(BODY, ""))) as web:
        get(web.url("file"), target)
    assert target.read_bytes() == BODY
    assert web.ranges == ["", f"bytes={KEPT}-", ""]


def test_parts_that_nothing_could_judge_are_not_put_together(target: Path) -> None:
    with serve(first(ranged(BODY, "", sends=300_000), ranged(BODY, ""))) as web:
        assert get(web.url("file"), target, Expected()).sha256 == SHA256
    assert web.ranges == ["", ""]


def test_a_server_without_ranges_sends_all_again(target: Path) -> None:
    with serve(first(lambda handler: cut(handler, BODY), whole)) as web:
        get(web.url("file"), target)
    assert target.read_bytes() == BODY


def test_a_server_that_always_breaks_off_is_given_up(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(ranged(BODY, sends=0)) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, WHOLE)
    assert len(web.requests) == 5
    assert "proxy" in error.value.problems[0].remedy


def test_silence_ends(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SILENCE", 0.2)
    done = threading.Event()
    with serve(ranged(BODY, sends=1000, then=done.wait)) as web:
        with pytest.raises(ActionError, match=r"no byte came for 0\.2 s"):
            bring("file", [web.url("file")], target, WHOLE)
        done.set()


def test_silence_before_the_first_byte_ends(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SILENCE", 0.2)
    done = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        done.wait()
        return 0, b""

    with serve(silent) as web:
        with pytest.raises(ActionError, match=r"no byte came for 0\.2 s"):
            bring("file", [web.url("file")], target, WHOLE)
        done.set()
    assert len(web.requests) == 2


def test_a_slow_server_is_waited_for(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SILENCE", 5)
    pauses = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.send_response(200)
        handler.end_headers()
        for number in range(0, len(BODY), 100_000):
            handler.wfile.write(BODY[number : number + 100_000])
            handler.wfile.flush()
            pauses.wait(0.02)
        return 0, b""

    with serve(slow) as web:
        get(web.url("file"), target)
    assert target.read_bytes() == BODY


def test_a_busy_server_is_asked_again(target: Path) -> None:
    with serve(first(lambda _: (503, b"later"), whole)) as web:
        get(web.url("file"), target)
    assert len(web.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_stays_busy_is_told_apart_from_one_that_refuses(
    target: Path, status: int
) -> None:
    with serve(lambda _: (status, b"later")) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, WHOLE)
    assert "try again later" in str(error.value)
    assert len(web.requests) == 4


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (401, "it wants credentials (401)"),
        (403, "it refuses access (403)"),
        (404, "it is not there (404)"),
        (410, "it is gone (410)"),
        (418, "it answers 418 I'm a Teapot"),
    ],
)
def test_a_refusal_is_not_argued_with(target: Path, status: int, found: str) -> None:
    with serve(lambda _: (status, b"no")) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, WHOLE)
    (problem,) = error.value.problems
    assert f"{web.url('file')}: {found}" in problem.found
    assert ("netrc" in problem.remedy) == (status in (401, 403))
    assert len(web.requests) == 1


def test_a_wrong_digest_is_an_error_that_says_from_where(target: Path) -> None:
    with serve(whole) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, Expected(OTHER))
    assert f"{web.url('file')}: expected sha256 {OTHER}, got {SHA256}" in str(error.value)
    assert "tritonbuild lock" in error.value.problems[0].remedy


def test_a_file_that_is_too_long_is_not_read_to_its_end(target: Path) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        while True:
            sent += handler.wfile.write(bytes(1 << 20))

    with serve(endless) as web, pytest.raises(ActionError, match="expected 5 bytes, got more"):
        bring("file", [web.url("file")], target, Expected(SHA256, 5))
    assert sent < 100 << 20


def test_a_file_that_is_too_short_is_an_error(target: Path) -> None:
    with serve(lambda _: (200, b"abc")) as web, pytest.raises(ActionError, match="5 bytes, got 3"):
        bring("file", [web.url("file")], target, Expected(SHA256, 5))


def test_an_address_that_cannot_be_reached_is_one_clear_error(target: Path) -> None:
    with serve(whole) as web:
        gone = web.url("file")
    with pytest.raises(ActionError) as error:
        bring("file", [gone], target, WHOLE)
    (problem,) = error.value.problems
    assert problem.found == f"file cannot be fetched\n    {gone}: Connection refused"
    assert "proxy" in problem.remedy


def test_credentials_are_used_and_not_told(target: Path) -> None:
    with serve(lambda _: (403, b"no")) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file", "user:secret")], target, WHOLE)
    assert web.requests == [("/file", "Basic dXNlcjpzZWNyZXQ=")]
    assert "secret" not in str(error.value)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for 127.0.0.1, and none for localhost."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
def test_credentials_come_from_netrc_also_after_a_break(target: Path) -> None:
    with serve(first(ranged(BODY, sends=300_000), ranged(BODY))) as web:
        get(web.url("file"), target)
    assert web.requests == [("/file", "Basic dXNlcjpzZWNyZXQ=")] * 2


@pytest.mark.usefixtures("netrc")
def test_a_redirect_to_another_host_takes_no_credentials_along(target: Path) -> None:
    with serve(ranged(BODY)) as other, serve(redirect(other.url("f", host="localhost"))) as web:
        get(web.url("file"), target)
    assert web.requests == [("/file", "Basic dXNlcjpzZWNyZXQ=")]
    assert other.requests == [("/f", "")]


def test_what_a_redirect_leads_to_may_break_off(target: Path) -> None:
    with (
        serve(first(ranged(BODY, sends=300_000), ranged(BODY))) as other,
        serve(redirect(other.url("f?signature=secret"))) as web,
    ):
        get(web.url("file"), target)
    assert other.ranges == ["", f"bytes={KEPT}-"]
    assert target.read_bytes() == BODY


def test_a_circle_of_redirects_is_left(target: Path) -> None:
    def circle(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return redirect("/again")(handler)

    with serve(circle) as web, pytest.raises(ActionError, match="redirected in a circle"):
        bring("file", [web.url("file")], target, WHOLE)


def test_a_redirect_to_what_is_no_web_server_is_refused(target: Path) -> None:
    with serve(redirect("file:///etc/passwd")) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, WHOLE)
    assert "cannot be asked for" in str(error.value)


def test_the_place_that_refuses_after_a_redirect_is_named_without_its_signature(
    target: Path,
) -> None:
    with (
        serve(lambda _: (403, b"no")) as other,
        serve(redirect(other.url("f?sig=secret"))) as web,
        pytest.raises(ActionError) as error,
    ):
        bring("file", [web.url("file")], target, WHOLE)
    assert f"{other.url('f')}, where it was sent to: it refuses access (403)" in str(error.value)
    assert "secret" not in str(error.value)


def encrypted(answer: Answer, target: Path) -> Web:
    with serve(answer, tls=True) as web:
        get(web.url("file"), target)
    return web


def test_a_certificate_of_ones_own_authority_is_trusted_where_it_is_named(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority_file(tmp_path)))
    web = encrypted(first(ranged(BODY, sends=300_000), ranged(BODY)), target)
    assert web.ranges == ["", f"bytes={KEPT}-"]
    assert target.read_bytes() == BODY


def test_a_certificate_that_nobody_vouches_for_is_refused(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(Refused, match="certificate is not trusted") as refused:
        encrypted(ranged(BODY), target)
    assert "REQUESTS_CA_BUNDLE" in refused.value.remedy


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/file", "http://host/file"),
        ("http://user:secret@host:80/file", "http://host:80/file"),
        ("http://user:p@secret@host/file", "http://host/file"),
        ("http://user:se/cret@host/file", "http://host/file"),
        ("http://host/file?token=secret", "http://host/file"),
        ("http://host/file#secret", "http://host/file"),
        ("http://user:secret@host/file?token=secret", "http://host/file"),
        ("http://host/file?token=p@secret", "http://…"),
        ("http://user:secret?#@host/file", "http://…"),
        ("git+https://secret@host/file", "git+https://host/file"),
        ("file:///home/a@b/file", "file:///home/a@b/file"),
        ("Max retries exceeded with url: /file?secret", "Max retries exceeded with url: /file"),
    ],
)
@pytest.mark.parametrize("place", ["{}", "Not Found for url: {}: no", "('{}', '{}').", "{}\n{}"])
def test_secrets_of_urls_are_cut_out_wherever_they_stand(url: str, shown: str, place: str) -> None:
    assert public(place.replace("{}", url)) == place.replace("{}", shown)


def test_a_build_that_is_stopped_ends_a_transfer(target: Path) -> None:
    with serve(whole) as web, pytest.raises(ActionError, match="stopped"):
        bring("file", [web.url("file")], target, WHOLE, cancelled=lambda: True)


def test_a_large_file_is_never_in_memory(target: Path) -> None:
    import tracemalloc

    size, chunk = 200 << 20, bytes(1 << 20)

    def large(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.send_response(200)
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        for _ in range(0, size, len(chunk)):
            handler.wfile.write(chunk)
        return 0, b""

    with serve(large) as web:
        tracemalloc.start()
        try:
            got = get(web.url("file"), target, Expected(size=size))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert got.size == target.stat().st_size == size
    assert peak < 32 << 20


def test_a_body_without_end_is_left(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transferring, "_UNANNOUNCED", 1 << 20)

    def endless(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(bytes(1 << 16))
        return 0, b""

    with serve(endless) as web, pytest.raises(ActionError) as error:
        bring("file", [web.url("file")], target, Expected(SHA256))
    assert "sends more than 1048576 bytes, and does not say how many" in str(error.value)
    assert "Content-Length" in error.value.problems[0].remedy
    assert target.stat().st_size < 2 << 20
