"""Which actions run, when, and what happens below a failure."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from parts import steps

from tritonbuild.build import Options, Report, build
from tritonbuild.cancel import Cancellation
from tritonbuild.errors import ActionError, ExitCode, Interrupted
from tritonbuild.events import ActionEnded, ActionStarted, Event, Started
from tritonbuild.label import Label, Pattern
from tritonbuild.rule import ToolContext
from tritonbuild.session import Session, jobs_of

HEAD = '[workspace]\nname = "test"\nrules = ["rules.py"]\n'
PATIENCE = 30
"""Seconds until a test gives up waiting."""


@dataclass
class Scene:
    """A workspace, and all that happened in its builds."""

    root: Path
    events: list[Event] = field(default_factory=list)
    cancellation: Cancellation = field(default_factory=Cancellation)

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(content)

    def build(self, *patterns: str, jobs: int = 2, keep_going: bool = False) -> Report:
        """Of everything, unless told."""
        self.events.clear()
        parsed = [Pattern.parse(text) for text in patterns or ("//...",)]
        with Session(self.root, self.events.append, self.cancellation) as session:
            return build(session, parsed, Options(jobs=jobs, keep_going=keep_going))

    def statuses(self, report: Report) -> dict[str, str]:
        return {target.label: str(target.status) for target in report.targets}

    @property
    def started(self) -> list[str]:
        """Labels, in the order in which their actions started."""
        return [e.action.split(" ")[0] for e in self.events if isinstance(e, ActionStarted)]

    @property
    def ended(self) -> list[str]:
        return [e.action.split(" ")[0] for e in self.events if isinstance(e, ActionEnded)]


Do = Callable[[ToolContext], int | None]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    made = Scene(tmp_path / "workspace")
    made.write({"rules.py": steps.RULES})
    yield made
    steps.does.clear()


def declare(scene: Scene, text: str, files: Mapping[str, str] | None = None) -> None:
    scene.write({"triton.toml": HEAD + text, **(files or {})})


def fail(ctx: ToolContext) -> None:
    raise ActionError("broken")


class Crowd:
    """Counts how many steps are in it at once."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()
        self._third = threading.Event()

    def __call__(self, ctx: ToolContext) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now == 3:
                self._third.set()
        self._third.wait(0.1)  # so that others could come, if they may
        with self._lock:
            self._now -= 1


def crowd_of(scene: Scene, count: int, attributes: str = "") -> Crowd:
    """So many steps that do not need one another."""
    crowd = steps.does["crowd"] = Crowd()
    tables = (f'[steps.s{n}]\ndoes="crowd"\nsays="{n}"\n{attributes}' for n in range(count))
    declare(scene, "".join(tables))
    return crowd


def test_what_is_needed_runs_first(scene: Scene) -> None:
    declare(scene, '[steps.a]\nneeds=[":b",":c"]\n[steps.b]\nneeds=[":c"]\n[steps.c]\n')
    report = scene.build()
    assert scene.ended == ["//:c", "//:b", "//:a"]
    assert set(scene.statuses(report).values()) == {"built"}
    assert report.metrics.executed == report.metrics.actions == 3


def test_only_what_is_wanted_and_needed_runs(scene: Scene) -> None:
    declare(scene, '[steps.a]\nneeds=[":b"]\n[steps.b]\n[steps.c]\n')
    report = scene.build("//:a")
    assert set(scene.started) == {"//:a", "//:b"}
    assert scene.statuses(report) == {"//:a": "built"}
    assert [e for e in scene.events if isinstance(e, Started)] == [Started(1, 2)]


def test_steps_that_do_not_need_one_another_run_at_once(scene: Scene) -> None:
    barrier = threading.Barrier(2)
    steps.does["meet"] = lambda ctx: barrier.wait(PATIENCE) and None
    declare(scene, '[steps.a]\ndoes="meet"\nsays="a"\n[steps.b]\ndoes="meet"\nsays="b"\n')
    assert scene.build(jobs=2).exit_code == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_run_at_once_than_jobs_allows(scene: Scene, jobs: int) -> None:
    crowd = crowd_of(scene, 5)
    assert scene.build(jobs=jobs).metrics.executed == 5
    assert crowd.most <= jobs


def test_a_step_that_wants_more_cores_leaves_fewer_to_others(scene: Scene) -> None:
    crowd = crowd_of(scene, 3, "cpu = 2.0\n")
    assert scene.build(jobs=3).metrics.executed == 3
    assert crowd.most == 1


def test_a_step_that_wants_more_cores_than_there_are_runs_alone(scene: Scene) -> None:
    crowd = crowd_of(scene, 2, "cpu = 1000.0\n")
    assert scene.build(jobs=2).metrics.executed == 2
    assert crowd.most == 1


def test_steps_that_want_all_memory_run_one_after_another(scene: Scene) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    crowd = crowd_of(scene, 3, f"memory = {memory * 2 // 3}\n")
    assert scene.build(jobs=3).metrics.executed == 3
    assert crowd.most == 1


def test_equal_actions_run_once(scene: Scene) -> None:
    runs: list[int] = []
    steps.does["count"] = lambda ctx: runs.append(1)
    declare(scene, '[steps.a]\ndoes="count"\n[steps.b]\ndoes="count"\n')
    report = scene.build()
    assert runs == [1]
    assert sorted(scene.statuses(report).values()) == ["built", "cached"]


def test_below_a_failure_steps_are_skipped(scene: Scene) -> None:
    steps.does["b"] = fail
    declare(scene, '[steps.a]\nneeds=[":b"]\n[steps.top]\nneeds=[":a"]\n[steps.b]\n')
    report = scene.build()
    assert report.exit_code == ExitCode.BUILD_FAILED
    assert scene.statuses(report) == {"//:a": "skipped", "//:b": "failed", "//:top": "skipped"}
    assert scene.started == ["//:b"]
    (problem,) = report.problems
    assert (problem.found, problem.label, problem.line) == ("broken", "//:b", 8)


def test_after_a_failure_nothing_more_is_begun(scene: Scene) -> None:
    steps.does["a"] = fail
    declare(scene, "[steps.a]\n[steps.b]\n[steps.c]\n")
    report = scene.build(jobs=1)
    assert scene.statuses(report) == {"//:a": "failed", "//:b": "skipped", "//:c": "skipped"}


def test_what_runs_beside_a_failure_is_finished(scene: Scene) -> None:
    failed = threading.Event()
    slow = threading.Event()

    def fails(ctx: ToolContext) -> None:
        assert slow.wait(PATIENCE)
        failed.set()
        raise ActionError("broken")

    def waits(ctx: ToolContext) -> None:
        slow.set()
        assert failed.wait(PATIENCE)

    steps.does.update(a=fails, b=waits)
    declare(scene, "[steps.a]\n[steps.b]\n")
    assert scene.statuses(scene.build(jobs=2)) == {"//:a": "failed", "//:b": "built"}


def test_keep_going_builds_all_that_does_not_need_what_failed(scene: Scene) -> None:
    steps.does["a"] = fail
    declare(
        scene,
        '[steps.a]\n[steps.b]\n[steps.c]\nneeds=[":b"]\n[steps.d]\nneeds=[":a",":b"]\n'
        '[steps.e]\nneeds=[":d"]\n',
    )
    report = scene.build(jobs=1, keep_going=True)
    assert report.exit_code == ExitCode.BUILD_FAILED
    assert scene.statuses(report) == {
        "//:a": "failed",
        "//:b": "built",
        "//:c": "built",
        "//:d": "skipped",
        "//:e": "skipped",
    }


def test_keep_going_tells_every_failure(scene: Scene) -> None:
    steps.does.update(a=fail, b=fail)
    declare(scene, "[steps.a]\n[steps.b]\n")
    assert {p.label for p in scene.build(keep_going=True).problems} == {"//:a", "//:b"}


def test_a_failure_is_not_remembered(scene: Scene) -> None:
    steps.does["a"] = fail
    declare(scene, "[steps.a]\n")
    assert scene.build().exit_code == ExitCode.BUILD_FAILED
    del steps.does["a"]
    assert scene.statuses(scene.build()) == {"//:a": "built"}


def test_a_failure_below_what_is_wanted_is_told_as_its_own_target(scene: Scene) -> None:
    steps.does["b"] = fail
    declare(scene, '[steps.a]\nneeds=[":b"]\n[steps.b]\n')
    assert scene.statuses(scene.build("//:a")) == {"//:b": "failed", "//:a": "skipped"}


def test_what_did_not_change_is_not_run_again(scene: Scene) -> None:
    declare(scene, '[steps.a]\nneeds=[":b"]\n[steps.b]\nfiles=["f"]\n', {"f": "1"})
    assert scene.build().metrics.executed == 2
    report = scene.build()
    assert report.metrics.executed == 0
    assert set(scene.statuses(report).values()) == {"cached"}
    scene.write({"f": "2"})
    assert scene.build().metrics.executed == 2
    scene.write({"f": "1"})
    assert scene.build().metrics.executed == 0


def test_an_output_that_comes_out_the_same_stops_the_rebuild_above_it(scene: Scene) -> None:
    declare(
        scene,
        """
        [commands.strip]
        argv = ["sh", "-c", "grep -v '^#' in > out"]
        inputs = ["in"]
        outputs = ["out"]
        [commands.copy]
        argv = ["cp", "out", "copy"]
        inputs = [":strip"]
        outputs = ["copy"]
        """,
        {"in": "# comment\ntext\n"},
    )
    assert scene.build().metrics.executed == 2
    scene.write({"in": "# another comment\ntext\n"})
    report = scene.build()
    assert report.metrics.executed == 1
    assert scene.statuses(report) == {"//:strip": "built", "//:copy": "cached"}
    scene.write({"in": "# another comment\nother text\n"})
    assert scene.build().metrics.executed == 2


def test_a_part_of_an_output_that_is_the_same_stops_the_rebuild_above_it(scene: Scene) -> None:
    text = '[steps.a]\nfiles=["f"]\nsays="x"\npart="said"\n[steps.b]\nneeds=[":a"]\n'
    declare(scene, text, {"f": "1"})
    assert scene.build().metrics.executed == 2
    scene.write({"f": "2"})
    assert scene.build().metrics.executed == 1


def changing(scene: Scene, times: int, path: str = "f") -> list[str]:
    """A step that changes its own input while it runs, so often; what it saw each time."""
    saw: list[str] = []

    def change(ctx: ToolContext) -> None:
        saw.append(ctx.read(path).decode())
        if len(saw) <= times:
            scene.write({path: f"changed {len(saw)} times"})

    steps.does["a"] = change
    return saw


@pytest.mark.parametrize(("files", "path"), [('["f"]', "f"), ('["d"]', "d/f")])
def test_an_input_that_changes_meanwhile_is_used_once_more(
    scene: Scene, files: str, path: str
) -> None:
    saw = changing(scene, 1, path)
    declare(scene, f"[steps.a]\nfiles={files}\n", {path: "at first"})
    report = scene.build()
    assert scene.statuses(report) == {"//:a": "built"}
    assert saw == ["at first", "changed 1 times"]
    made = scene.root / "tritonbuild-out/_/a/out/inputs" / path
    assert made.read_text() == "changed 1 times"


def test_an_input_that_changes_twice_is_an_error(scene: Scene) -> None:
    saw = changing(scene, 2)
    declare(scene, '[steps.a]\nfiles=["f"]\n', {"f": "at first"})
    report = scene.build()
    assert report.exit_code == ExitCode.BUILD_FAILED
    (problem,) = report.problems
    assert problem.found == "f changed while it was used, twice"
    assert problem.remedy
    assert len(saw) == 2


def test_a_result_of_an_input_that_changed_is_thrown_away(scene: Scene) -> None:
    changing(scene, 1)
    declare(scene, '[steps.a]\nfiles=["f"]\n', {"f": "at first"})
    scene.build()
    saw = changing(scene, 0)
    scene.write({"f": "at first"})
    scene.build()
    assert saw == ["at first"]
    made = scene.root / "tritonbuild-out/_/a/out/inputs/f"
    assert made.read_text() == "at first"


def test_a_failure_whose_input_changed_is_tried_once_more(scene: Scene) -> None:
    runs: list[int] = []

    def fails_at_first(ctx: ToolContext) -> None:
        runs.append(1)
        if len(runs) == 1:
            scene.write({"f": "changed"})
            raise ActionError("broken")

    steps.does["a"] = fails_at_first
    declare(scene, '[steps.a]\nfiles=["f"]\n', {"f": ""})
    assert scene.statuses(scene.build()) == {"//:a": "built"}
    assert len(runs) == 2


def test_an_input_that_goes_away_meanwhile_is_told(scene: Scene) -> None:
    steps.does["a"] = lambda ctx: (scene.root / "f").unlink()
    declare(scene, '[steps.a]\nfiles=["f"]\n', {"f": ""})
    (problem,) = scene.build().problems
    assert (problem.found, problem.label) == ("f does not exist", "//:a")


def test_a_link_that_leads_out_of_the_workspace_fails_its_target(scene: Scene) -> None:
    declare(scene, '[steps.a]\nfiles=["f*"]\n', {"f1": ""})
    (scene.root / "f2").symlink_to("/etc/hostname")
    report = scene.build()
    (problem,) = report.problems
    assert problem.found == "'f2' leaves the workspace (a link to /etc/hostname)"
    assert (problem.label, report.exit_code) == ("//:a", ExitCode.ANALYSIS_FAILED)


def test_two_inputs_in_one_place_fail(scene: Scene) -> None:
    text = '[steps.a]\nfiles=["needs/b/said"]\nneeds=[":b"]\n[steps.b]\nsays="!"\n'
    declare(scene, text, {"needs/b/said": "?"})
    (problem,) = scene.build().problems
    assert problem.found == "two different things at 'work/needs/b/said' in its inputs"
    scene.write({"needs/b/said": "!"})
    assert scene.build().exit_code == ExitCode.OK


def test_a_part_that_was_not_made_fails(scene: Scene) -> None:
    declare(
        scene,
        """
        [commands.make]
        argv = ["sh", "-c", "mkdir d; touch d/x"]
        outputs = ["d"]
        [commands.take]
        argv = ["true"]
        inputs = [":make/d/y"]
        outputs = ["out"]
        """,
    )
    (problem,) = scene.build().problems
    assert problem.found == "//:make (run) did not make d/y"
    assert problem.label == "//:take"


SHOWS = """
from tritonbuild.rule import Files, Literal, Rule, SourceRef

class Shows(Rule):
    table = "shows"

    class Attributes(Rule.Attributes):
        file: SourceRef
        folder: SourceRef

    def analyze(self, ctx):
        file, folder = ctx.source(ctx.attributes.file), ctx.source(ctx.attributes.folder)
        said = Literal(b"said", "shows.a")
        yield Files({"file": file, "deep/folder": folder, "said": said})
"""


def test_what_no_action_makes_is_placed_too(scene: Scene) -> None:
    text = '[shows.a]\nfile = "f"\nfolder = "d"\n'
    declare(scene, text, {"rules.py": SHOWS, "f": "1", "d/x": "2"})
    report = scene.build()
    assert scene.statuses(report) == {"//:a": "cached"}
    folder = scene.root / "tritonbuild-out/_/a"
    made = [(folder / path).read_text() for path in ("file", "deep/folder/x", "said")]
    assert made == ["1", "2", "said"]
    scene.write({"f": "changed"})
    scene.build()
    assert (folder / "file").read_text() == "changed"


def test_a_stopped_build_begins_nothing_more(scene: Scene) -> None:
    def stop(ctx: ToolContext) -> None:
        scene.cancellation.set()

    steps.does["a"] = stop
    declare(scene, '[steps.a]\n[steps.b]\nneeds=[":a"]\n[steps.c]\n')
    with pytest.raises(Interrupted):
        scene.build(jobs=1)
    assert scene.started == ["//:a"]


def test_a_stopped_step_is_not_remembered(scene: Scene) -> None:
    steps.does["a"] = lambda ctx: scene.cancellation.set()
    declare(scene, "[steps.a]\n")
    with pytest.raises(Interrupted):
        scene.build()
    scene.cancellation = Cancellation()
    del steps.does["a"]
    assert scene.statuses(scene.build()) == {"//:a": "built"}


def test_each_action_ends_in_a_named_state(scene: Scene) -> None:
    declare(scene, '[steps.a]\nneeds=[":b"]\n[steps.b]\n')
    label = Label("", "a")
    with Session(scene.root, scene.events.append, scene.cancellation) as session:
        plan = session.plan([label])
        jobs = jobs_of(plan)
        assert {job.state.name for job in jobs.values()} == {"WAITING"}
        session.scheduler(jobs).run(plan.wanted(plan.targets[label], test=False), lambda job: None)
    assert {job.state.name for job in jobs.values()} == {"BUILT"}


def test_content_that_was_damaged_is_said_and_made_again(scene: Scene) -> None:
    declare(scene, '[steps.a]\nsays="precious"\n')
    scene.build()
    cache = scene.root.parent / "cache"
    (blob,) = [p for p in (cache / "blobs").glob("??/*") if p.read_bytes() == b"precious"]
    blob.chmod(0o644)
    blob.write_bytes(b"PRECIOUS")
    report = scene.build()
    assert report.metrics.executed == 1
    notes = [event.text for event in scene.events if hasattr(event, "text")]
    assert [text for text in notes if blob.name in text]
    assert blob.read_bytes() == b"precious"
