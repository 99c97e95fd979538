"""The `wheel` tool, on wheels made for each test."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.bench import Bench
from parts.wheels import make_wheel
from tritonbuild.rules.python.wheel import unpack_wheel

from tritonbuild.merkle import File, Folder
from tritonbuild.rule import ActionError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


@pytest.fixture
def other_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def unpack(bench: Bench, wheel: File) -> Folder:
    site = bench.run(unpack_wheel, inputs={"wheel": wheel}, outputs=["site"]).outputs["site"]
    assert isinstance(site, Folder)
    return site


def paths(site: Folder) -> list[str]:
    return [path for path, _ in site.files() if ".dist-info/" not in path]


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def test_the_libraries_of_a_wheel_are_merged_into_one_folder(bench: Bench, tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, "both", "1", {
            "both/__init__.py": "",
            "both-1.data/purelib/both/pure.py": "",
            "both-1.data/platlib/both/fast.so": "",
        },
    )  # fmt: skip
    assert paths(unpack(bench, bench.take(wheel))) == [
        "both/__init__.py",
        "both/fast.so",
        "both/pure.py",
    ]


def test_metadata_stays(bench: Bench, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one", "1", {})
    assert isinstance(unpack(bench, bench.take(wheel)).get("one-1.dist-info/METADATA"), File)


def test_scripts_headers_and_data_stay_behind(bench: Bench, tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, "tool", "1", {
            "tool.py": "",
            "tool-1.data/scripts/tool": "#!python\n",
            "tool-1.data/headers/tool.h": "",
            "tool-1.data/data/share/man/tool.1": "",
        },
    )  # fmt: skip
    assert paths(unpack(bench, bench.take(wheel))) == ["tool.py"]


def test_bytecode_stays_behind(bench: Bench, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one", "1", {"one.py": "", "__pycache__/one.cpython-311.pyc": ""})
    assert paths(unpack(bench, bench.take(wheel))) == ["one.py"]


def test_x_bits_are_those_of_the_wheel(bench: Bench, tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, "one", "1", {"one/program": "", "one/data": ""}, executable=["one/program"]
    )
    site = unpack(bench, bench.take(wheel))
    assert [path for path, file in site.files() if isinstance(file, File) and file.executable] == [
        "one/program"
    ]


@pytest.mark.usefixtures("other_umask")
def test_the_umask_does_not_matter(bench: Bench, tmp_path: Path) -> None:
    wheel = bench.take(make_wheel(tmp_path, "one", "1", {"a/b.py": "1"}, executable=["a/b.py"]))
    here = unpack(bench, wheel)
    os.umask(0o022)
    assert unpack(bench, wheel).digest == here.digest


@pytest.mark.parametrize(
    "name", ["../outside", "a/../../outside", "/outside", "x-1.data/purelib/../../outside"]
)
def test_a_file_that_would_leave_the_folder_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(ActionError, match="would leave its folder"):
        unpack(bench, bench.file(archive(**{name: b""})))


def test_a_link_is_refused(bench: Bench) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ActionError, match="'link' is a link"):
        unpack(bench, bench.file(buffer.getvalue()))


def test_a_path_that_is_both_file_and_folder_is_refused(bench: Bench) -> None:
    with pytest.raises(ActionError, match="both a file and a folder"):
        unpack(bench, bench.file(archive(**{"a": b"", "a/b": b""})))


def test_what_is_no_zip_is_refused(bench: Bench) -> None:
    with pytest.raises(ActionError, match="not a wheel"):
        unpack(bench, bench.file(b"<html>"))
