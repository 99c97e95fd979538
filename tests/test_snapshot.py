"""A build with nothing to do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MINIMAL, WorkspaceFolder
from parts.imported import imported
from test_house import HEAVY

from tritonbuild import snapshot
from tritonbuild.workspace import OUTPUTS, Signature, placed_look

REQUEST = ["build", "", "//..."]
TARGETS = [{"event": "target", "label": "//:a"}]


class Saved:
    """A snapshot over a source, a file that was looked for in vain, and an output."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "snapshots"
        for name in ("source", "output"):
            (root / name).write_text(name)

    def save(self, request: list[str] = REQUEST) -> None:
        seen = {"source": Signature.of((self.root / "source").stat()), "none": None}
        look = placed_look(self.root / "output")
        assert look is not None
        snapshot.save(self.folder, request, self.root, seen, {"output": look}, TARGETS, 7)

    def load(self, request: list[str] = REQUEST) -> snapshot.Snapshot | None:
        return snapshot.load(self.folder, request)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all files, this checkout's too, had been written some seconds ago."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 5_000_000_000)


@pytest.fixture
def saved(tmp_path: Path, later: None) -> Saved:
    saved = Saved(tmp_path)
    saved.save()
    return saved


def test_while_nothing_changes_the_answer_is_known(saved: Saved) -> None:
    known = saved.load()
    assert known is not None
    assert (known.targets, known.actions) == (TARGETS, 7)


@pytest.mark.parametrize("name", ["source", "output"])
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("longer than before"),
        lambda path: path.unlink(),
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, (1, 1)),
    ],
)
def test_any_change_ends_it(saved: Saved, name: str, change: object) -> None:
    assert callable(change)
    change(saved.root / name)
    assert saved.load() is None


def test_a_file_that_appears_ends_it(saved: Saved) -> None:
    (saved.root / "none").write_text("")
    assert saved.load() is None


def test_another_link_to_an_output_does_not_end_it(saved: Saved) -> None:
    os.link(saved.root / "output", saved.root / "link")
    assert saved.load() is not None


def test_another_request_has_another_answer(saved: Saved) -> None:
    assert saved.load(["build", "", "//p:all"]) is None
    saved.save(["build", "", "//p:all"])
    assert saved.load(["build", "", "//p:all"]) is not None
    assert saved.load() is not None


def test_another_setting_has_another_answer(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITONBUILD_TAG", "x")
    assert saved.load() is None


def test_code_from_elsewhere_has_another_answer(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(saved.root)
    assert saved.load() is None


def test_changed_code_of_a_plug_in_ends_it(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plug").mkdir()
    code = tmp_path / "plug/acme_snapshot_rules.py"
    code.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "plug")
    __import__("acme_snapshot_rules")
    saved = Saved(tmp_path)
    saved.save()
    assert saved.load() is not None
    code.write_text("x = 22\n")
    assert saved.load() is None
    del sys.modules["acme_snapshot_rules"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"seen": 1}', b"\xff"])
def test_a_damaged_snapshot_is_none(saved: Saved, content: bytes) -> None:
    (file,) = saved.folder.iterdir()
    file.write_bytes(content)
    assert saved.load() is None


def test_fresh_files_make_no_snapshot(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    saved.save()
    assert saved.load() is None


MANIFEST = """
[commands.a]
argv = ["sh", "-c", "cat in/* > a"]
inputs = ["in/*.txt"]
outputs = ["a"]
[commands.b]
argv = ["cp", "a", "b"]
inputs = [":a"]
outputs = ["b"]
"""
FILES = {
    "triton.toml": MINIMAL,
    ".gitignore": "*.log\n",
    "p/triton.toml": MANIFEST,
    "p/in/1.txt": "1",
    "p/in/2.txt": "2",
    "p/in/x.log": "",
    "q/nothing": "",
}


def settle(root: Path) -> None:
    """Waits until the files are old enough to be trusted."""
    youngest = max(path.lstat().st_ctime_ns for path in root.rglob("*"))
    while time.time_ns() <= youngest + 1_000_000_000:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkspaceFolder]:
    """Workspaces whose files are old enough, made together so that they are waited for once."""
    top = tmp_path_factory.mktemp("settled")
    folders = [WorkspaceFolder(top / str(n), top / "cache" / str(n)) for n in range(16)]
    for folder in folders:
        folder.write(FILES)
        (folder.root / OUTPUTS).mkdir()  # when a build makes it, that is a change of the root
    settle(top)
    return iter(folders)


@pytest.fixture
def built(prepared: Iterator[WorkspaceFolder]) -> WorkspaceFolder:
    """A workspace that was built and whose snapshot holds."""
    folder = next(prepared)
    assert folder.build().executed == 2
    assert list((folder.cache / "workspaces").glob("*/snapshots/*.json"))
    return folder


def test_a_build_with_nothing_to_do_imports_nothing_heavy(built: WorkspaceFolder) -> None:
    modules = imported(built, "build", "//...")
    assert not modules & set(HEAVY)
    assert not modules & {"pathspec", "sqlite3", "tritonbuild.rules", "tritonbuild.session"}


def test_a_build_with_nothing_to_do_tells_the_same(built: WorkspaceFolder) -> None:
    outcome = built.build()
    assert outcome.executed == 0
    assert outcome.targets == {"//p:a": "cached", "//p:b": "cached"}
    assert set(outcome.outputs) == {"tritonbuild-out/p/_/a/a", "tritonbuild-out/p/_/b/b"}
    metrics: dict[str, Any] = outcome.finished["metrics"]
    assert (metrics["actions"], metrics["cached"]) == (2, 2)
    built.write({"p/in/1.txt": "1"})
    assert built.build().outputs == outcome.outputs


def test_a_touched_file_executes_nothing(built: WorkspaceFolder) -> None:
    for path in (built.root / "p/in").iterdir():
        os.utime(path)
    os.utime(built.root / "p/triton.toml")
    assert built.build().executed == 0


def test_a_comment_in_a_manifest_executes_nothing(built: WorkspaceFolder) -> None:
    built.write({"p/triton.toml": MANIFEST + "# a comment\n"})
    assert built.build().executed == 0


def test_a_changed_output_is_put_right(built: WorkspaceFolder) -> None:
    built.output("p/_/a/a").write_text("?")
    outcome = built.build()
    assert outcome.executed == 0
    assert built.output("p/_/a/a").read_text() == "12"


def test_a_removed_output_comes_back(built: WorkspaceFolder) -> None:
    built.output("p/_/b/b").unlink()
    assert built.build().executed == 0
    assert built.output("p/_/b/b").read_text() == "12"


def test_a_removed_output_tree_comes_back(built: WorkspaceFolder) -> None:
    assert built.run("clean").exit_code == 0
    assert not built.output("p").exists()
    assert built.build().executed == 0
    assert built.output("p/_/b/b").read_text() == "12"


def test_a_new_file_that_a_glob_matches_is_noticed(built: WorkspaceFolder) -> None:
    built.write({"p/in/3.txt": "3"})
    assert built.build().executed == 2
    assert built.output("p/_/b/b").read_text() == "123"


def test_a_new_package_is_noticed(built: WorkspaceFolder) -> None:
    built.write({"q/triton.toml": '[commands.c]\nargv = ["touch", "c"]\noutputs = ["c"]\n'})
    assert built.build().targets["//q:c"] == "built"


def test_a_changed_ignore_rule_is_noticed(built: WorkspaceFolder) -> None:
    built.write({".gitignore": "2.txt\n"})
    assert built.build().executed == 2
    assert built.output("p/_/a/a").read_text() == "1"


def test_a_manifest_that_breaks_is_noticed(built: WorkspaceFolder) -> None:
    built.write({"p/triton.toml": "broken"})
    assert built.run("build", "//...").exit_code == 2


def test_another_pattern_is_another_question(built: WorkspaceFolder) -> None:
    assert built.build("//p:a").targets == {"//p:a": "cached"}
    assert built.build("//p:a").targets == {"//p:a": "cached"}
    assert built.build().targets == {"//p:a": "cached", "//p:b": "cached"}
