"""What a program may leave behind as its outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.program_bench import ProgramBench

from tritonbuild.errors import ActionError
from tritonbuild.merkle import File, Folder, Symlink


@pytest.fixture
def bench(tmp_path: Path) -> ProgramBench:
    return ProgramBench(tmp_path / "cache")


def refused(bench: ProgramBench, script: str, *outputs: str) -> str:
    with pytest.raises(ActionError) as caught:
        bench.run(script, outputs=outputs)
    (problem,) = caught.value.problems
    assert problem.remedy
    return problem.found


@pytest.mark.parametrize("namespaces", ["0", "1"])
@pytest.mark.parametrize("deep", ["sub", "sub/deep"])
def test_an_output_behind_a_link_is_refused_and_left_where_it_is(
    bench: ProgramBench,
    tmp_path: Path,
    deep: str,
    namespaces: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITONBUILD_NO_NAMESPACES", namespaces)
    victim = tmp_path / "victim"
    (victim / "deep").mkdir(parents=True)
    for file in (victim / "data.txt", victim / "deep/data.txt"):
        file.write_text("kept")
        file.chmod(0o640)
    output = f"{deep}/data.txt"
    found = refused(bench, f"rm -rf sub; ln -s {victim} sub", output)
    assert found == f"output {output} lies behind the link sub"
    for file in (victim / "data.txt", victim / "deep/data.txt"):
        assert file.read_text() == "kept"
        assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("target", ["real", "/nowhere", "/etc/passwd"])
def test_a_link_as_an_output_is_refused(bench: ProgramBench, target: str) -> None:
    found = refused(bench, f"echo x > real; ln -s {target} out", "out")
    assert found == f"output out is a link to {target}"


def test_a_link_inside_of_an_output_folder_stays_a_link(bench: ProgramBench) -> None:
    result = bench.run("mkdir d; echo x > d/x; ln -s x d/y; ln -s /no d/z", outputs=["d"])
    folder = result.outputs["d"]
    assert isinstance(folder, Folder)
    assert folder.entries["y"] == Symlink("x")
    assert folder.entries["z"] == Symlink("/no")


def test_a_named_pipe_is_refused(bench: ProgramBench) -> None:
    assert refused(bench, "mkdir -p d/e; mkfifo d/e/p", "d") == "output d/e/p is a named pipe"
    assert refused(bench, "mkfifo p", "p") == "output p is a named pipe"


def test_a_socket_is_refused(bench: ProgramBench) -> None:
    script = "mkdir d; python3 -c 'import socket as s; s.socket(s.AF_UNIX).bind(\"d/s\")'"
    assert refused(bench, script, "d") == "output d/s is a socket"


def test_a_name_that_is_not_utf8_is_refused(bench: ProgramBench) -> None:
    script = "mkdir d; touch \"d/$(printf 'a\\377')\""
    assert refused(bench, script, "d") == r"a name in d is not UTF-8: b'a\xff'"
    script = "mkdir d; ln -s \"$(printf 'a\\377')\" d/link"
    found = refused(bench, script, "d")
    assert found == r"the target of the link d/link is not UTF-8: b'a\xff'"


def test_an_output_that_was_not_made_is_named(bench: ProgramBench) -> None:
    assert refused(bench, "echo x > a", "a", "b", "c/d") == "did not make b, c/d"
    assert refused(bench, "rmdir a; echo x > a", "a/b") == "did not make a/b"


def test_what_shares_its_content_with_another_file_is_copied(
    bench: ProgramBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONBUILD_NO_NAMESPACES", "1")
    mine = tmp_path / "mine"
    mine.write_text("mine")
    mine.chmod(0o640)
    before = mine.stat()
    result = bench.run(f"ln {mine} out", outputs=["out"])
    assert result.outputs == {"out": bench.file(b"mine")}
    assert (mine.stat().st_mode, mine.stat().st_mtime) == (before.st_mode, before.st_mtime)
    mine.write_text("changed")
    file = result.outputs["out"]
    assert isinstance(file, File)
    assert bench.cache.read(file.digest) == b"mine"


def test_two_names_of_one_file_are_two_files(bench: ProgramBench) -> None:
    result = bench.run("mkdir d; echo x > d/a; ln d/a d/b", outputs=["d"])
    folder = result.outputs["d"]
    assert isinstance(folder, Folder)
    assert folder.entries["a"] == folder.entries["b"] == bench.file(b"x\n")
