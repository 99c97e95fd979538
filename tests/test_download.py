"""Files over HTTP, from a real server that can fail."""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from parts.web import Answer, cut, serve
from tritonbuild.rules.python.download import download, public

from tritonbuild.rule import ActionError

BODY = b"a file\n" * 100_000
SHA256 = hashlib.sha256(BODY).hexdigest()


def whole(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    return 200, BODY


def first(*answers: Answer) -> Answer:
    """One answer after the other; the last for ever."""
    waiting = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return answer


def test_a_file_is_downloaded_and_progress_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with serve(whole) as web:
        target = tmp_path / "file"
        download(
            [web.url("file")],
            target,
            SHA256,
            len(BODY),
            lambda done, size: told.append((done, size)),
        )
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))


def test_a_size_that_is_not_known_is_not_checked(tmp_path: Path) -> None:
    with serve(whole) as web:
        download([web.url("file")], tmp_path / "file", SHA256, 0)


def test_the_next_address_is_asked_when_one_does_not_have_the_file(tmp_path: Path) -> None:
    with serve(lambda _: (404, b"no")) as empty, serve(whole) as web:
        download([empty.url("old"), web.url("file")], tmp_path / "file", SHA256, len(BODY))
    assert (tmp_path / "file").read_bytes() == BODY


def test_the_next_address_is_asked_when_one_has_another_file(tmp_path: Path) -> None:
    with serve(lambda _: (200, b"<html>Please log in</html>")) as portal, serve(whole) as web:
        download([portal.url("file"), web.url("file")], tmp_path / "file", SHA256, 0)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_transfer_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    with serve(first(lambda handler: cut(handler, BODY), whole)) as web:
        download([web.url("file")], tmp_path / "file", SHA256, len(BODY))
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with serve(first(lambda _: (503, b"later"), whole)) as web:
        download([web.url("file")], tmp_path / "file", SHA256, len(BODY))
    assert len(web.requests) == 2


def test_a_wrong_digest_is_an_error_that_says_from_where(tmp_path: Path) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    with serve(whole) as web, pytest.raises(ActionError) as error:
        download([web.url("file")], tmp_path / "file", other, 0)
    assert f"{web.url('file')}: expected sha256 {other}, got {SHA256}" in str(error.value)


def test_a_wrong_size_is_an_error(tmp_path: Path) -> None:
    with serve(whole) as web, pytest.raises(ActionError, match="expected 5 bytes, got 700000"):
        download([web.url("file")], tmp_path / "file", SHA256, 5)


def test_an_address_that_cannot_be_reached_is_one_clear_error(tmp_path: Path) -> None:
    with serve(whole) as web:
        gone = web.url("file")
    with pytest.raises(ActionError) as error:
        download([gone], tmp_path / "file", SHA256, 0)
    (problem,) = error.value.problems
    assert problem.found == (
        f"file cannot be fetched\n    {gone}: "
        "Failed to establish a new connection: [Errno 111] Connection refused"
    )
    assert "proxy" in problem.remedy


def test_credentials_are_used_and_not_told(tmp_path: Path) -> None:
    with serve(lambda _: (403, b"no")) as web, pytest.raises(ActionError) as error:
        download([web.url("file", "user:secret")], tmp_path / "file", SHA256, 0)
    assert web.requests == [("/file", "Basic dXNlcjpzZWNyZXQ=")]
    assert "secret" not in str(error.value)


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


def test_a_build_that_is_stopped_ends_a_transfer(tmp_path: Path) -> None:
    with serve(whole) as web, pytest.raises(ActionError, match="stopped"):
        download([web.url("file")], tmp_path / "file", SHA256, 0, cancelled=lambda: True)
