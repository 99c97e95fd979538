"""Resolving requirements: on the real PyPI, and in folders and indexes made for a test."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from parts.desk import resolved
from parts.packages import only_folder, only_index
from parts.web import serve
from parts.wheels import make_wheel
from tritonbuild.rules.python.interpreter import FULL_VERSIONS
from tritonbuild.rules.python.pypi import platform_tags, resolve, resolve_alone

from tritonbuild.rule import EnvironmentFailure, LockedFile, Request, UsageError


def request(*requirements: str, kind: str = "pypi") -> Request:
    return Request(kind, tuple(sorted(requirements)), "3.11", "x86_64-linux-gnu2.36")


def names(*requirements: str) -> list[str]:
    return [file.name.partition("-")[0] for file in resolved(resolve, request(*requirements))]


def test_wheels_are_for_the_python_and_platform_that_are_asked_for() -> None:
    (numpy,) = resolved(resolve, request("numpy==1.26.4"))
    assert numpy == LockedFile(
        "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "https://files.pythonhosted.org/packages/3a/d0/"
        "edc009c27b406c4f9cbc79274d6e46d634d139075492ad055e3d68445925/"
        "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
        18252005,
    )


def test_dependencies_come_along() -> None:
    assert {"joblib", "numpy", "scikit_learn", "scipy", "threadpoolctl"} <= {
        *names("scikit-learn==1.7.*", "numpy<2")
    }


def test_dependencies_can_be_left_out() -> None:
    (wheel,) = resolved(resolve_alone, request("nvidia-pytriton==0.7.0", kind="pypi-nodeps"))
    assert wheel.name == "nvidia_pytriton-0.7.0-py3-none-manylinux_2_35_x86_64.whl"


def test_markers_are_judged_for_the_python_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = FULL_VERSIONS["3.11"]
    requires = [f'wanted; python_full_version == "{full}"', 'unwanted; platform_release != ""']
    make_wheel(tmp_path, "top", "1", {}, requires=requires)
    make_wheel(tmp_path, "wanted", "1", {})
    only_folder(monkeypatch, tmp_path)
    assert names("top") == ["top", "wanted"]


def test_newer_glibc_is_preferred_and_too_new_is_not_taken() -> None:
    tags = platform_tags("x86_64-linux-gnu2.36")
    assert tags[:2] == ["manylinux_2_36_x86_64", "manylinux_2_35_x86_64"]
    assert "manylinux2014_x86_64" in tags


def test_a_file_of_this_machine_alone_is_named_by_its_package_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path, "My_Own.thing", "1.0+local", {"own.py": ""})
    only_folder(monkeypatch, tmp_path)
    (locked,) = resolved(resolve, request("my-own-thing"))
    assert locked == LockedFile(
        wheel.name,
        "pkg:pypi/my-own-thing@1.0%2Blocal?file_name=My_Own.thing-1.0%2Blocal-py3-none-any.whl",
        hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel.stat().st_size,
    )


@pytest.mark.parametrize("place", ["files", f"mirror/packages/ab/cd/{'0' * 60}"])
def test_a_private_index_is_named_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    wheel = make_wheel(tmp_path, "private", "1.0", {})

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if not handler.headers.get("Authorization"):
            return 401, b""
        if handler.path.startswith("/simple"):
            return 200, f'<a href="/{place}/{wheel.name}?token=secret">file</a>'.encode()
        return 200, wheel.read_bytes()

    with serve(answer) as web:
        only_index(monkeypatch, web.url("simple", "user:secret"))
        (locked,) = resolved(resolve, request("private"))
        # A mirror of PyPI keeps PyPI's paths.
        public = "https://files.pythonhosted.org" if "packages" in place else web.url("")[:-1]
    assert locked.url == f"{public}/{place.removeprefix('mirror/')}/{wheel.name}"


def test_requirements_that_contradict_each_other_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path, "numpy", "1", {})
    make_wheel(tmp_path, "numpy", "2", {})
    make_wheel(tmp_path, "modern", "1", {}, requires=["numpy>=2"])
    only_folder(monkeypatch, tmp_path)
    with pytest.raises(UsageError) as error:
        resolved(resolve, request("modern", "numpy<2"))
    (problem,) = error.value.problems
    assert "modern 1 depends on numpy>=2" in problem.found
    assert "The user requested numpy<2" in problem.found
    assert "the distribution" in problem.remedy


def test_a_project_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"no wheel satisfies 'tritonbuild-no-such-project'"):
        resolved(resolve, request("tritonbuild-no-such-project"))


def test_a_version_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UsageError) as error:
        resolved(resolve, request("numpy==1.99"))
    assert "'numpy==1.99' for Python 3.11" in str(error.value)
    assert "one of its versions, such as " in str(error.value)


def starts_to_resolve() -> subprocess.Popen[bytes]:
    """A process of its own whose pip waits for the index."""
    code = """\
from tritonbuild.rule import Request
from tritonbuild.rules.python.pypi import resolve
from parts.desk import resolved
resolved(resolve, Request("pypi", ("numpy",), "3.11", "x86_64-linux-gnu2.36"))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_pip_ends_with_the_process_that_started_it(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    asked, ended = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        asked.set()
        handler.connection.settimeout(30)
        if handler.connection.recv(1) == b"":  # nobody holds the other end any more
            ended.set()
        return 0, b""

    with serve(answer) as web:
        only_index(monkeypatch, web.url("simple"))
        monkeypatch.setenv("PIP_TIMEOUT", "600")
        with starts_to_resolve() as process:
            assert asked.wait(60)
            process.send_signal(number)
        assert ended.wait(20)


@pytest.mark.parametrize("retries", ["0", "1"])
def test_an_index_that_cannot_be_reached_is_a_fault_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, retries: str
) -> None:
    with serve(lambda _: (200, b"")) as web:
        gone = web.url("simple", "user:secret")
    only_index(monkeypatch, gone)
    monkeypatch.setenv("PIP_RETRIES", retries)
    with pytest.raises(EnvironmentFailure) as error:
        resolved(resolve, request("numpy"))
    assert "Connection refused" in str(error.value)
    assert "secret" not in str(error.value)
