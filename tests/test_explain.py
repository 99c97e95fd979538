"""Why an action ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from parts.tree import Tree

from tritonbuild.action import Action, ActionId, Literal, Output, Program, Source, ToolCall
from tritonbuild.cache.state import State
from tritonbuild.digest import Digest
from tritonbuild.explain import Diary, compare, facts_of
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder, Symlink

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
ID = ActionId(Label("models", "x"), "make")
A = File(Digest.of_bytes(b"a"))
HASH = A.digest.hash[:12]
EMPTY = "e3b0c44298fc"


def facts(
    step: ToolCall | Program, given: Mapping[str, tuple[object, Entry]] | None = None
) -> dict[str, str]:
    """What is told of an action, but for its platform."""
    some = given or {}
    inputs = {path: artifact for path, (artifact, _) in some.items()}
    action = Action(ID, step, inputs, ("out",), {}, 1.5)  # type: ignore[arg-type]
    return facts_of(action, "models.x", {path: entry for path, (_, entry) in some.items()})


CALL = ToolCall("model", "1", {})


def test_a_tool_is_told_with_its_version_and_what_else_is_declared() -> None:
    told = facts(ToolCall("model", "2,protobuf=6", {}))
    assert told == {"tool model": "2,protobuf=6", "output out": "declared", "timeout": "1.5 s"}


def test_a_parameter_is_told_by_its_manifest_key_as_toml_writes_it() -> None:
    config = {"max_batch_size": 8, "name": "x", "on": True, "a b": 1, "dims": [1, 2], "e": {}}
    told = facts(ToolCall("model", "1", {"config": config}))
    assert {key: value for key, value in told.items() if key.startswith("models.x")} == {
        "models.x.config.max_batch_size": "8",
        "models.x.config.name": '"x"',
        "models.x.config.on": "true",
        'models.x.config."a b"': "1",
        "models.x.config.dims[0]": "1",
        "models.x.config.dims[1]": "2",
        "models.x.config.e": "{}",
    }


def test_a_program_is_told_as_a_shell_writes_it() -> None:
    told = facts(Program(("sh", "-c", "echo $A"), {"A": "1"}, network=True))
    assert told["command"] == "sh -c 'echo $A'"
    assert told["environment A"] == "1"
    assert told["platform network"] == "true"


def test_a_file_in_its_own_place_is_told_by_its_path() -> None:
    told = facts(CALL, {"a.txt": (Source("models/a.txt"), A)})
    assert {key for key in told if "a.txt" in key} == {"file models/a.txt"}
    assert told["file models/a.txt"] == HASH


def test_a_file_in_another_place_is_told_with_it() -> None:
    told = facts(CALL, {"versions/1": (Source("models/a.onnx"), A)})
    assert told["file models/a.onnx"] == HASH
    assert told["input versions/1"] == "models/a.onnx"


def test_a_folder_is_told_file_by_file() -> None:
    folder = Folder({"a": A, "d": Folder({"b": File(A.digest, executable=True)})})
    told = facts(
        CALL, {"data": (Source("models/data"), folder), "e": (Source("models/e"), Folder())}
    )
    assert told["file models/data/a"] == HASH
    assert told["file models/data/d/b"] == f"{HASH} (executable)"
    assert told["file models/e"] == f"{EMPTY} (a folder)"


def test_what_others_make_is_told_by_their_label() -> None:
    other = ActionId(Label("", "train"), "run")
    told = facts(CALL, {"m": (Output(other, "out/m"), A), "d": (Output(other, "d"), Folder())})
    assert told["//:train out/m as m"] == HASH
    assert told["//:train d as d"] == f"{EMPTY} (a folder)"


def test_a_link_is_told_with_what_it_names() -> None:
    other = ActionId(Label("", "train"), "run")
    assert facts(CALL, {"l": (Output(other, "l"), Symlink("x"))})["//:train l as l"] == "→ x"


def test_what_the_manifest_says_itself_is_told_by_its_key() -> None:
    told = facts(CALL, {"text": (Literal(b"a", "models.x.text"), A)})
    assert told["models.x.text as text"] == HASH


def test_what_changed_is_told_a_sentence_each() -> None:
    before = {"a": "1", "b": "2", "c": "3"}
    assert compare(before, {"a": "1", "b": "4", "d": "5"}) == [
        "b changed: 2 → 4",
        "c is gone: 3",
        "d is new: 5",
    ]
    assert compare(before, before) == []


def test_without_a_before_everything_is_new() -> None:
    assert compare(None, {"a": "1"}) == ["it is new in this workspace"]


ONE, TWO = Digest.of_bytes(b"one"), Digest.of_bytes(b"two")


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(State(tmp_path / "state"))


def test_the_diary_compares_with_the_last_time(diary: Diary) -> None:
    first = diary.reasons("//:a (x)", ONE, lambda: {"k": "1"})
    assert first == ("it is new in this workspace",)
    diary.keep("//:a (x)", ONE, lambda: {"k": "1"}, executed=True, reasons=first)
    assert diary.reasons("//:a (x)", TWO, lambda: {"k": "2"}) == ("k changed: 1 → 2",)
    assert diary.reasons("//:b (x)", ONE, lambda: {"k": "1"}) == ("it is new in this workspace",)


def test_the_diary_knows_when_only_the_result_is_missing(diary: Diary) -> None:
    diary.keep("//:a (x)", ONE, lambda: {"k": "1"}, executed=True, reasons=())
    assert diary.reasons("//:a (x)", ONE, lambda: {"k": "1"}) == (
        "nothing changed, but its result is not in the cache",
    )


def test_the_diary_tells_why_an_action_ran_after_it_was_cached(diary: Diary) -> None:
    diary.keep("//:a (x)", ONE, lambda: {"k": "1"}, executed=True, reasons=("why it ran",))
    (story,) = diary.stories(Label("", "a"))
    assert (story.status, story.reasons) == ("built", ("why it ran",))
    assert story.ran is not None
    diary.keep("//:a (x)", ONE, lambda: {"k": "1"}, executed=False, reasons=("not this",))
    (later,) = diary.stories(Label("", "a"))
    assert (later.status, later.reasons, later.ran) == ("cached", ("why it ran",), story.ran)


def test_the_diary_tells_of_a_result_that_others_made(diary: Diary) -> None:
    diary.keep("//:a (x)", ONE, lambda: {"k": "1"}, executed=False, reasons=("new",))
    (story,) = diary.stories(Label("", "a"))
    assert (story.status, story.ran, story.reasons) == ("cached", None, ("new",))


def test_the_diary_tells_of_one_target_only(diary: Diary) -> None:
    for name in ("//:a (y)", "//:a (x)", "//:ab (x)", "//p:a (x)"):
        diary.keep(name, ONE, dict, executed=True, reasons=())
    assert [story.action for story in diary.stories(Label("", "a"))] == ["//:a (x)", "//:a (y)"]


COMMAND = """
[commands.c]
argv = ["sh", "-c", "cat in/* > out"]
inputs = ["in/*"]
outputs = ["out"]
timeout = 60
"""


def why(folder: WorkspaceFolder, label: str) -> list[str]:
    outcome = folder.run("why", label)
    (story,) = [event for event in outcome.events if event["event"] == "why"]
    reasons: list[str] = story["reasons"]
    return reasons


def test_why_tells_what_changed(workspace: MakeWorkspace) -> None:
    folder = workspace({"p/triton.toml": COMMAND, "p/in/a": "1", "p/in/b": "2"})
    folder.build()
    assert why(folder, "//p:c") == ["it is new in this workspace"]
    folder.write(
        {"p/in/a": "changed", "p/in/c": "new", "p/triton.toml": COMMAND.replace("60", "61")}
    )
    (folder.root / "p/in/b").unlink()
    assert folder.build().executed == 1
    one, gone, new, timeout = why(folder, "//p:c")
    assert one.startswith("file p/in/a changed: 6b86b273ff34 → ")
    assert gone.startswith("file p/in/b is gone: ")
    assert new.startswith("file p/in/c is new: ")
    assert timeout == "timeout changed: 60 s → 61 s"


def people_see(folder: WorkspaceFolder) -> str:
    out, _ = folder.start("why", "//p:c").communicate(timeout=30)
    return out.decode()


def test_what_was_new_and_found_in_the_cache_is_not_called_unchanged(
    workspace: MakeWorkspace, tmp_path: Path
) -> None:
    files = {"p/triton.toml": COMMAND, "p/in/a": "1", "p/in/b": "2"}
    first = workspace(files)
    first.build()
    first.build()
    assert "nothing had changed" in people_see(first)
    second = WorkspaceFolder(tmp_path / "second", first.cache)
    second.write({"triton.toml": (first.root / "triton.toml").read_text(), **files})
    assert second.build().executed == 0
    told = people_see(second)
    assert "its result was in the cache" in told
    assert "it is new in this workspace" in told
    assert "nothing had changed" not in told


def test_a_build_explains_itself(workspace: MakeWorkspace) -> None:
    folder = workspace({"p/triton.toml": COMMAND, "p/in/a": "1"})
    folder.build()
    folder.write({"p/in/a": "2"})
    outcome = folder.run("build", "//...", "--explain")
    assert "built //p:c (run) because\n    file p/in/a changed: 6b86b273ff34 → " in outcome.text
    assert "because" not in folder.run("build", "//...", "--explain").text


def test_why_of_what_never_ran_says_how_to_build_it(workspace: MakeWorkspace) -> None:
    outcome = workspace({"p/triton.toml": COMMAND, "p/in/a": ""}).run("why", "//p:c")
    assert outcome.exit_code == 2
    assert outcome.error["remedy"] == "tritonbuild build //p:c"


def test_why_of_an_unknown_target_gets_a_hint(workspace: MakeWorkspace) -> None:
    outcome = workspace({"p/triton.toml": "[commands.train]\nargv=['true']\noutputs=['x']\n"}).run(
        "why", "//p:trian"
    )
    assert outcome.exit_code == 2
    assert outcome.error["remedy"] == "did you mean 'train'?"


def test_a_result_that_left_the_cache_is_made_again_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write({"triton.toml": '[workspace]\nname = "t"\n' + COMMAND, "in/a": "1"})
    tree.build("//:c")
    for result in (tmp_path / "cache/actions").glob("??/*"):
        result.unlink()
    assert tree.build("//:c").metrics.executed == 1
    (remembered,) = (tmp_path / "cache/workspaces").iterdir()
    (story,) = Diary(State(remembered)).stories(Label("", "c"))
    assert story.reasons == ("nothing changed, but its result is not in the cache",)
