"""The `fetch` tool, from PyPI and Debian, and from indexes that fail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from parts.bench import Bench
from parts.packages import only_folder, only_index
from parts.web import serve
from parts.wheels import make_wheel
from tritonbuild.rules.python.debian import MIRROR, archive_url
from tritonbuild.rules.python.fetch import fetch_file

from tritonbuild.merkle import File
from tritonbuild.rule import ActionError

FLATBUFFERS: dict[str, Any] = {
    "kind": "pypi",
    "name": "flatbuffers-25.12.19-py2.py3-none-any.whl",
    "sha256": "7634f50c427838bb021c2d66a3d1168e9d199b0607e6329399f04846d42e20b4",
}
LIBBZ2: dict[str, Any] = {
    "kind": "https",
    "name": "libbz2-1.0_1.0.8-5+b1_amd64.deb",
    "url": archive_url("20261121T000000Z", "pool/main/b/bzip2/libbz2-1.0_1.0.8-5+b1_amd64.deb"),
    "sha256": "54149da3f44b22d523b26b692033b84503d822cc5122fed606ea69cc83ca5aeb",
    "size": 47348,
}
OTHER = hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def fetch(bench: Bench, what: Mapping[str, Any]) -> File:
    name, hints = what["name"], {key: what[key] for key in ("url", "size") if key in what}
    parameters = {key: value for key, value in what.items() if key not in hints}
    made = bench.run(fetch_file, parameters=parameters, hints=hints, outputs=[name]).outputs[name]
    assert isinstance(made, File)
    return made


def test_a_package_comes_from_debian(bench: Bench) -> None:
    assert fetch(bench, LIBBZ2).digest == (LIBBZ2["sha256"], LIBBZ2["size"])


def test_what_is_here_already_is_not_fetched(bench: Bench) -> None:
    body = b"what is in the cache"
    there = bench.file(body)
    nowhere = {"url": "http://127.0.0.1:1/", "sha256": there.digest.hash, "size": len(body)}
    assert fetch(bench, {**LIBBZ2, **nowhere}) == there


def test_a_package_comes_from_the_mirror_that_the_user_names(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"what the mirror has"
    with serve(lambda _: (200, body)) as web:
        monkeypatch.setenv(MIRROR, web.url("debian", "user:secret"))
        sha256 = hashlib.sha256(body).hexdigest()
        made = fetch(bench, {**LIBBZ2, "sha256": sha256, "size": len(body)})
    assert bench.path(made).read_bytes() == body
    assert web.requests[0][0] == "/debian/pool/main/b/bzip2/libbz2-1.0_1.0.8-5+b1_amd64.deb"


def test_the_remedy_for_debian_is_a_mirror(bench: Bench) -> None:
    with pytest.raises(ActionError) as error:
        fetch(bench, {**LIBBZ2, "sha256": OTHER})
    assert f"expected sha256 {OTHER}, got {LIBBZ2['sha256']}" in str(error.value)
    assert MIRROR in error.value.problems[0].remedy


def test_a_wheel_comes_from_pypi_by_name_and_digest(bench: Bench) -> None:
    assert fetch(bench, FLATBUFFERS).digest == (FLATBUFFERS["sha256"], 26661)


def test_a_wheel_may_be_for_another_python_and_platform(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(
        tmp_path / "wheels", "native", "1.0+local", {"native.py": ""},
        tag="cp39-abi3-manylinux_2_99_aarch64.musllinux_1_2_aarch64",
    )  # fmt: skip
    only_folder(monkeypatch, wheel.parent)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    made = fetch(bench, {"kind": "pypi", "name": wheel.name, "sha256": sha256})
    assert bench.path(made).read_bytes() == wheel.read_bytes()


def test_a_wheel_with_another_digest_is_an_error_that_says_from_where(bench: Bench) -> None:
    with pytest.raises(ActionError) as error:
        fetch(bench, {**FLATBUFFERS, "sha256": OTHER})
    (problem,) = error.value.problems
    place, _, got = problem.found.partition(" has sha256 ")
    assert place.startswith(("https://", "file://"))
    assert place.endswith(FLATBUFFERS["name"])
    assert got == FLATBUFFERS["sha256"]
    assert OTHER in problem.expected


def test_a_wheel_that_no_index_has_is_an_error(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_folder(monkeypatch, tmp_path)
    with pytest.raises(ActionError) as error:
        fetch(bench, FLATBUFFERS)
    assert "No matching distribution found for flatbuffers==25.12.19" in str(error.value)
    assert "tritonbuild lock" in error.value.problems[0].remedy


def test_an_index_that_cannot_be_reached_is_one_clear_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda _: (200, b"")) as web:
        gone = web.url("simple", "user:secret")
    only_index(monkeypatch, gone)
    with pytest.raises(ActionError) as error:
        fetch(bench, FLATBUFFERS)
    (problem,) = error.value.problems
    assert "Connection refused" in problem.found
    assert "secret" not in str(error.value)
    assert "pip config list" in problem.remedy


def test_pips_credentials_open_a_private_index(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "wheels", "private", "1.0", {"private.py": ""})

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if handler.headers.get("Authorization") != "Basic dXNlcjpzZWNyZXQ=":
            return 401, b""
        if handler.path == f"/files/{wheel.name}":
            return 200, wheel.read_bytes()
        return 200, f'<a href="/files/{wheel.name}">{wheel.name}</a>'.encode()

    with serve(answer) as web:
        only_index(monkeypatch, web.url("simple", "user:secret"))
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        made = fetch(bench, {"kind": "pypi", "name": wheel.name, "sha256": sha256})
    assert bench.path(made).read_bytes() == wheel.read_bytes()
