"""The command line: help, what is refused, exit codes, flags and where their defaults come from,
and the verbs that have no subject of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli
from conftest import COMMAND, MINIMAL, ROOT, Outcome, WorkspaceFolder
from parts.around import around, ordinary

from tritonbuild import __version__
from tritonbuild.cli.build import command
from tritonbuild.cli.verbs import VERBS
from tritonbuild.outputs import locked

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

TOUCH = '[commands.{name}]\nargv = ["touch", "out"]\noutputs = ["out"]\ntags = ["{tag}"]\n'
TAGS = ("flag", "environment", "user", "workspace", "verb")
TAGGED = "".join(TOUCH.format(name=tag, tag=tag) for tag in TAGS)


@pytest.fixture
def folder(workspace: MakeWorkspace, tmp_path: Path) -> WorkspaceFolder:
    """A target a tag, and no settings of whoever runs the tests."""
    made = workspace({"p/triton.toml": TAGGED})
    made.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return made


def plain(folder: WorkspaceFolder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb as people call it."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder.root, env=folder.env, capture_output=True, text=True
    )


def built(outcome: Outcome) -> set[str]:
    """The names of the targets that were built."""
    return {label.partition(":")[2] for label in outcome.targets}


def test_help_names_every_verb(tmp_path: Path) -> None:
    done = plain(WorkspaceFolder(tmp_path, tmp_path), "--help")
    assert done.returncode == 0
    for verb, sentence in VERBS.items():
        assert f"{verb} " in done.stdout
        assert sentence in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_without_a_workspace(tmp_path: Path, verb: str) -> None:
    done = plain(WorkspaceFolder(tmp_path, tmp_path), verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: tritonbuild {verb}")


def test_the_version_is_told(tmp_path: Path) -> None:
    done = plain(WorkspaceFolder(tmp_path, tmp_path), "--version")
    assert done.stdout == f"tritonbuild {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("biuld", "//..."), "did you mean 'build'?"),
        (("build", "--jbos", "3", "//..."), "--jbos"),
        (("build",), "PATTERN"),
        (("build", "--jobs", "0", "//..."), "--jobs"),
        (("build", "--jobs", "many", "//..."), "--jobs"),
        (("build", "nonsense", "//..."), "'nonsense' is not a label"),
        (("build", "//p:flag", "--rule", "modles"), "there is no rule 'modles'"),
        (("why",), "LABEL"),
        (("why", "//p:all"), "//p:all is a pattern"),
        (("why", "//..."), "'//...' is a pattern"),
        (("run", "//p/..."), "'//p/...' is a pattern"),
        (("config", "//..."), "'//...' is a pattern"),
        (("build", "//pp:flag"), "did you mean '//p:flag'?"),
        (("run", "//p:flag", "--set", "port"), "--set port"),
        (("cache", "gc", "--max-age", "old"), "--max-age"),
        (("cache", "eat"), "eat"),
    ],
)
def test_a_wrong_command_line_ends_with_two(
    folder: WorkspaceFolder, arguments: tuple[str, ...], found: str
) -> None:
    done = plain(folder, *arguments, "--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    *_, last = (json.loads(line) for line in done.stdout.splitlines())
    assert (last["event"], last["exit_code"]) == ("finished", 2)
    (error,) = last["errors"]
    assert found in " ".join((error["found"], error["expected"], error["remedy"]))
    assert found in done.stderr


def test_a_pattern_in_a_package_is_relative_to_it(folder: WorkspaceFolder) -> None:
    folder.root = folder.root / "p"
    assert folder.run("build", ":flag").targets == {"//p:flag": "built"}
    assert len(folder.run("build", "...").targets) == len(TAGS)


def test_outside_a_workspace_nothing_works(tmp_path: Path) -> None:
    outcome = WorkspaceFolder(tmp_path, tmp_path / "cache").run("build", "//...")
    assert outcome.exit_code == 2
    assert "[workspace]" in outcome.error["remedy"]


def test_people_read_standard_error_and_programs_standard_output(folder: WorkspaceFolder) -> None:
    done = plain(folder, "build", "//p:flag")
    assert done.stdout == ""
    assert "built       //p:flag  tritonbuild-out/p/_/flag/out\n" in done.stderr
    assert "1 actions: 1 executed, 0 cached; " in done.stderr
    outcome = folder.run("build", "//p:flag")
    assert [event["event"] for event in outcome.events] == ["target", "finished"]
    assert "cached      //p:flag" in outcome.text


def test_errors_are_told_to_people_in_full(workspace: MakeWorkspace) -> None:
    folder = workspace({"p/triton.toml": "[comands.x]\n"})
    done = plain(folder, "build", "//...")
    assert done.returncode == 2
    assert done.stderr == (
        "error: p/triton.toml:1: comands: unknown table 'comands'\n"
        "  remedy:   did you mean 'commands'?\n"
    )


def test_a_dry_run_runs_nothing(folder: WorkspaceFolder) -> None:
    outcome = folder.run("build", "//p:flag", "--dry-run")
    assert outcome.exit_code == 0
    assert outcome.targets == {}
    notes = [event["text"] for event in outcome.events if event["event"] == "note"]
    assert notes == ["would run: //p:flag (run)"]
    assert folder.build("//p:flag").executed == 1


def test_a_dry_run_tells_what_is_cached(workspace: MakeWorkspace) -> None:
    above = (
        '[commands.above]\nargv = ["cp", "low", "high"]\ninputs = [":low"]\noutputs = ["high"]\n'
    )
    low = '[commands.low]\nargv = ["cp", "a", "low"]\ninputs = ["a"]\noutputs = ["low"]\n'
    folder = workspace({"p/triton.toml": low + above, "p/a": "1"})

    def foreseen() -> list[str]:
        outcome = folder.run("build", "//p:above", "--dry-run")
        return [event["text"] for event in outcome.events if event["event"] == "note"]

    assert foreseen() == ["would run: //p:low (run)", "may run: //p:above (run)"]
    folder.build("//p:above")
    assert foreseen() == ["cached: //p:low (run)", "cached: //p:above (run)"]
    folder.write({"p/a": "2"})
    assert foreseen() == ["would run: //p:low (run)", "may run: //p:above (run)"]
    assert folder.build("//p:above").executed == 2


def test_a_dry_run_resolves_nothing(numbers: WorkspaceFolder) -> None:
    numbers.build("//p:one")
    before = (numbers.root / "triton.lock").read_bytes()
    outcome = numbers.run("build", "//...", "--dry-run")
    assert outcome.exit_code == 0, outcome.text
    notes = [event["text"] for event in outcome.events if event["event"] == "note"]
    assert notes == [
        "would resolve number two; what that leads to is not known yet",
        "cached: //p:one (say)",
    ]
    assert (numbers.root / "triton.lock").read_bytes() == before
    assert numbers.run("build", "//...", "--dry-run", "--locked").exit_code == 2


def test_rules_and_tags_select_targets(folder: WorkspaceFolder) -> None:
    assert built(folder.run("build", "//...", "--tag", "user", "--tag", "verb")) == {"user", "verb"}
    assert built(folder.run("build", "//...", "--rule", "commands")) == set(TAGS)
    assert built(folder.run("build", "//...", "--rule", "models")) == set()


def test_while_another_build_holds_the_outputs_one_waits_or_ends_with_nine(
    folder: WorkspaceFolder,
) -> None:
    with locked(folder.root, wait=True):
        outcome = folder.run("build", "//p:flag", "--no-wait")
        assert outcome.exit_code == 9
        assert outcome.error["remedy"]
        waiting = folder.start("build", "//p:flag")
    assert waiting.wait(60) == 0
    waiting.communicate()


def test_a_test_without_verifications_ends_with_four(folder: WorkspaceFolder) -> None:
    outcome = folder.run("test", "//p:flag")
    assert outcome.exit_code == 4
    assert outcome.targets == {"//p:flag": "built"}


@pytest.fixture
def settings(folder: WorkspaceFolder, tmp_path: Path) -> Callable[[str, str], None]:
    """Writes the user's or the workspace's settings file."""

    def write(whose: str, text: str) -> None:
        user = tmp_path / "config/tritonbuild/config.toml"
        path = user if whose == "user" else folder.root / ".tritonbuild.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_a_flag_beats_the_environment_beats_the_user_beats_the_workspace(
    folder: WorkspaceFolder, settings: Callable[[str, str], None]
) -> None:
    assert built(folder.run("build", "//...")) == set(TAGS)
    settings("workspace", 'tag = ["workspace"]\n')
    assert built(folder.run("build", "//...")) == {"workspace"}
    settings("user", 'tag = ["user"]\n')
    assert built(folder.run("build", "//...")) == {"user"}
    folder.environment["TRITONBUILD_TAG"] = "environment"
    assert built(folder.run("build", "//...")) == {"environment"}
    assert built(folder.run("build", "//...", "--tag", "flag")) == {"flag"}


def test_settings_of_a_verb_are_its_own(
    folder: WorkspaceFolder, settings: Callable[[str, str], None]
) -> None:
    settings("workspace", 'tag = ["workspace"]\n[build]\ntag = ["verb"]\n')
    assert built(folder.run("build", "//...")) == {"verb"}
    assert built(folder.run("test", "//...")) == {"workspace"}


def test_the_workspaces_settings_are_found_from_below(
    folder: WorkspaceFolder, settings: Callable[[str, str], None]
) -> None:
    settings("workspace", 'tag = ["workspace"]\n')
    folder.root = folder.root / "p"
    assert built(folder.run("build", "//...")) == {"workspace"}


def test_every_flag_can_be_a_setting(
    folder: WorkspaceFolder, settings: Callable[[str, str], None], tmp_path: Path
) -> None:
    settings("user", f'json = true\njobs = 1\ncache_dir = "{tmp_path / "own"}"\n')
    folder.environment["TRITONBUILD_CACHE_DIR"] = ""  # else it would win
    done = plain(folder, "build", "//p:flag")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events == ["target", "finished"]
    assert (tmp_path / "own/blobs").is_dir()
    (stat, _) = map(json.loads, plain(folder, "cache", "stat").stdout.splitlines())
    assert stat["actions"]["count"] == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("jobs = = 1\n", "config.toml cannot be read"),
        ("build = 3\n", "build = 3"),
        ('jobs = "many"\n', "'many' is not a valid integer"),
    ],
)
def test_wrong_settings_are_told(
    folder: WorkspaceFolder, settings: Callable[[str, str], None], text: str, found: str
) -> None:
    settings("user", text)
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 2
    assert found in outcome.error["found"]
    assert "Traceback" not in outcome.text


def test_the_environment_says_how_many_run_at_once(folder: WorkspaceFolder) -> None:
    folder.environment["TRITONBUILD_JOBS"] = "1"
    assert folder.run("build", "//p:flag").exit_code == 0
    folder.environment["TRITONBUILD_JOBS"] = "none"
    outcome = folder.run("build", "//p:flag")
    assert outcome.exit_code == 2
    assert "'none' is not a valid integer" in outcome.error["found"]
    assert folder.run("build", "//p:flag", "--jobs", "1").exit_code == 0


def test_what_needs_no_workspace_works_without_one(tmp_path: Path) -> None:
    folder = WorkspaceFolder(tmp_path, tmp_path / "cache")
    for verb in ("stat", "gc", "verify"):
        done = plain(folder, "cache", verb)
        assert done.returncode == 0, done.stderr
    assert plain(folder, "cache", "verify", "--sources").returncode == 2


def test_a_current_folder_that_is_gone_is_told(folder: WorkspaceFolder) -> None:
    gone = folder.root / "gone"
    gone.mkdir()
    outcome = around(folder, ["sh", "-c", f'cd gone && rmdir "{gone}" && exec "$@"', "-"], "info")
    assert outcome.exit_code == 36, outcome.text
    assert outcome.error["found"].startswith("the current folder cannot be used: ")
    assert "Traceback" not in outcome.text


def test_a_cache_that_may_not_be_written_ends_with_36(folder: WorkspaceFolder) -> None:
    for name in ("blobs", "actions", "trees", "tmp"):
        (folder.cache / name).mkdir(parents=True)
    folder.cache.chmod(0o555)
    outcome = around(folder, ordinary(), "build", "//p:flag")
    folder.cache.chmod(0o755)
    assert outcome.exit_code == 36, outcome.text
    assert str(folder.cache) in outcome.error["found"]
    assert "Traceback" not in outcome.text


@pytest.mark.parametrize("arguments", [("build", "//...", "--json"), ("info",)])
def test_that_nobody_reads_on_is_no_error(
    folder: WorkspaceFolder, arguments: tuple[str, ...]
) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder.root, env=folder.env, stdout=theirs, stderr=-1
    )
    os.close(theirs)
    assert done.returncode == 0
    assert b"BrokenPipe" not in done.stderr
    if arguments[0] == "build":
        assert len(built(folder.run("build", "//..."))) == len(TAGS)
        assert (folder.output("p/_/flag") / "out").exists()


def test_info_tells_where_things_are(folder: WorkspaceFolder) -> None:
    (info, _) = folder.run("info").events
    assert info["version"] == __version__
    assert info["workspace"] == str(folder.root)
    assert info["outputs"] == str(folder.root / "tritonbuild-out")
    assert info["cache"] == str(folder.cache)
    assert "models" in info["rules"]
    text = plain(folder, "info").stdout
    assert f"workspace  {folder.root}\n" in text


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("schema")
    folder = WorkspaceFolder(root, root / "cache")
    folder.write({"triton.toml": MINIMAL})
    found: dict[str, Any] = json.loads(plain(folder, "info", "--schema").stdout)
    return found


def test_the_schema_is_one_line_for_programs(folder: WorkspaceFolder) -> None:
    (told, finished) = folder.run("info", "--schema").events
    assert (told["event"], finished["event"]) == ("schema", "finished")
    assert "commands" in told["schema"]["properties"]


def test_the_schema_is_a_json_schema(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "manifest", sorted((ROOT / "examples").rglob("triton.toml")), ids=lambda path: path.parent.name
)
def test_the_schema_accepts_the_examples(schema: dict[str, Any], manifest: Path) -> None:
    jsonschema.validate(tomli.loads(manifest.read_text()), schema)


@pytest.mark.parametrize(
    "text",
    [
        "[modles.x]\n",
        '[models.x]\nbackend = "python"\nverison = {}\n',
        "[models.x]\nbackend = 3\n",
        "[models.x]\nsteps = [{ inputs = {}, outputs = {} }]\n",
        '[workspace]\nname = "x"\nrule = []\n',
        '[commands.x]\nargv = "true"\noutputs = ["x"]\n',
        "models = 3\n",
    ],
)
def test_the_schema_refuses_what_a_build_refuses(schema: dict[str, Any], text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomli.loads(text), schema)


def test_every_key_of_the_schema_is_described(schema: dict[str, Any]) -> None:
    unsaid = [
        f"{name}.{key}"
        for name, table in schema["$defs"].items()
        for key, value in table.get("properties", {}).items()
        if "description" not in value
    ]
    assert unsaid == []


def test_the_schema_has_the_workspaces_own_rules(workspace: MakeWorkspace) -> None:
    rule = "from tritonbuild.rule import Rule\nclass Own(Rule):\n    table = 'owns'\n"
    folder = workspace({"triton.toml": f'{MINIMAL}rules = ["own.py"]\n', "own.py": rule})
    assert "owns" in json.loads(plain(folder, "info", "--schema").stdout)["properties"]


def test_cleaning_removes_the_outputs_and_keeps_the_cache(folder: WorkspaceFolder) -> None:
    folder.build("//p:flag")
    assert folder.run("clean").exit_code == 0
    assert not folder.output("p").exists()
    assert folder.build("//p:flag").executed == 0


def test_cleaning_the_cache_empties_it(folder: WorkspaceFolder) -> None:
    folder.build("//p:flag")
    assert folder.run("clean", "--cache").exit_code == 0
    assert folder.build("//p:flag").executed == 1


def test_cleaning_what_was_never_built_is_fine(folder: WorkspaceFolder) -> None:
    assert folder.run("clean", "--state").exit_code == 0


def test_the_cache_tells_how_much_it_holds(folder: WorkspaceFolder) -> None:
    folder.build("//p:flag")
    (stat, _) = map(json.loads, plain(folder, "cache", "stat", "--json").stdout.splitlines())
    assert stat["actions"]["count"] == 1
    assert set(stat) == {"event", "blobs", "actions", "trees"}


def test_verifying_the_cache_ends_with_one_where_something_is_damaged(
    folder: WorkspaceFolder,
) -> None:
    folder.build("//p:flag")
    assert plain(folder, "cache", "verify", "--json").returncode == 0
    (path,) = (folder.cache / "actions").glob("??/*")
    path.write_bytes(b"damaged")
    done = plain(folder, "cache", "verify", "--json")
    assert done.returncode == 1
    (error,) = json.loads(done.stdout)["errors"]
    assert path.name in error["found"]
    assert plain(folder, "cache", "verify").returncode == 0


def test_collecting_tells_what_it_removed(folder: WorkspaceFolder) -> None:
    folder.build("//p:flag")
    done = plain(folder, "cache", "gc", "--max-age", "0", "--json")
    assert done.returncode == 0
    note, finished = map(json.loads, done.stdout.splitlines())
    assert note["text"].startswith("removed ")
    assert finished["exit_code"] == 0
    assert not list((folder.cache / "actions").glob("??/*"))


RESOLVED = """
from tritonbuild.rule import Files, LockedFile, Request, Rule, resolver, tool

@resolver("number")
def number(request, desk):
    (name,) = request.request
    return [LockedFile(name, f"https://example.org/{name}", "ab" * 32, 1)]

@tool("say", version=1)
def say(ctx):
    ctx.write("url", ctx.parameters["url"].encode())

class Numbers(Rule):
    table = "numbers"

    def analyze(self, ctx):
        (file,) = ctx.locked(Request("number", (ctx.label.name,)))
        yield Files(ctx.tool(say, parameters={"url": file.url}, outputs=["url"]))
"""


@pytest.fixture
def numbers(workspace: MakeWorkspace) -> WorkspaceFolder:
    """Targets that need an entry of triton.lock."""
    return workspace(
        {
            "triton.toml": f'{MINIMAL}rules = ["rules.py"]\n',
            "rules.py": RESOLVED,
            "p/triton.toml": "[numbers.one]\n[numbers.two]\n",
        }
    )


def resolutions(folder: WorkspaceFolder) -> list[str]:
    document = tomli.loads((folder.root / "triton.lock").read_text())
    return [entry["request"][0] for entry in document["resolution"]]


def urls(folder: WorkspaceFolder) -> list[str]:
    document = tomli.loads((folder.root / "triton.lock").read_text())
    return [file["url"] for entry in document["resolution"] for file in entry["files"]]


def test_a_build_writes_what_the_lock_lacks(numbers: WorkspaceFolder) -> None:
    outcome = numbers.build("//p:one")
    assert resolutions(numbers) == ["one"]
    notes = [event["text"] for event in outcome.events if event["event"] == "note"]
    assert notes == ["resolving number one", "triton.lock has new entries; commit it"]
    numbers.build()
    assert resolutions(numbers) == ["one", "two"]


def test_a_locked_build_refuses_what_the_lock_lacks(numbers: WorkspaceFolder) -> None:
    numbers.build("//p:one")
    assert numbers.run("build", "//p:one", "--locked").exit_code == 0
    outcome = numbers.run("build", "//...", "--locked")
    assert outcome.exit_code == 2
    assert outcome.error["label"] == "//p:two"
    assert outcome.error["remedy"] == "tritonbuild lock"
    assert resolutions(numbers) == ["one"]


def test_locking_resolves_anew_and_forgets_what_is_not_needed(numbers: WorkspaceFolder) -> None:
    numbers.build()
    numbers.write({"p/triton.toml": "[numbers.two]\n[numbers.three]\n"})
    assert numbers.run("lock").exit_code == 0
    assert resolutions(numbers) == ["three", "two"]


def test_locking_some_targets_keeps_the_entries_of_others(numbers: WorkspaceFolder) -> None:
    numbers.build("//p:one")
    assert numbers.run("lock", "//p:two").exit_code == 0
    assert resolutions(numbers) == ["one", "two"]


def test_locking_some_targets_resolves_them_anew(numbers: WorkspaceFolder) -> None:
    numbers.build()
    path = numbers.root / "triton.lock"
    path.write_text(path.read_text().replace("example.org", "example.com"))
    assert numbers.run("lock", "//p:two").exit_code == 0
    assert urls(numbers) == ["https://example.com/one", "https://example.org/two"]
    assert numbers.run("lock", "--keep", "//p:one").exit_code == 0
    assert urls(numbers) == ["https://example.com/one", "https://example.org/two"]


def test_locking_brings_what_only_running_needs(numbers: WorkspaceFolder) -> None:
    run = """
    def run(self, ctx):
        if ctx.label.name == "two":
            raise ctx.error("it cannot be run here")
        (file,) = ctx.locked(Request("number", (f"run-{ctx.label.name}",)))
        return ctx.interactive(say, parameters={"url": file.url}, inputs={})
"""
    numbers.write({"rules.py": RESOLVED + run})
    numbers.build()
    assert resolutions(numbers) == ["one", "two"]
    assert numbers.run("lock").exit_code == 0
    assert resolutions(numbers) == ["one", "run-one", "two"]


def test_a_lock_that_cannot_be_read_ends_with_two(numbers: WorkspaceFolder) -> None:
    numbers.write({"triton.lock": "version = 2\n"})
    outcome = numbers.run("build", "//...")
    assert outcome.exit_code == 2
    assert outcome.error["file"] == "triton.lock"


@pytest.mark.parametrize("negative", ["-//p:flag", "-:flag"])
def test_a_pattern_with_a_minus_is_no_flag(folder: WorkspaceFolder, negative: str) -> None:
    folder.root = folder.root / "p"
    outcome = folder.run("build", "//...", negative, "--jobs", "1")
    assert outcome.exit_code == 0, outcome.text
    assert built(outcome) == {*TAGS} - {"flag"}


def test_a_pattern_with_a_minus_is_completed(
    folder: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.root)
    with command.make_context("build", ["//..."]) as context:
        assert [each.value for each in command.shell_complete(context, "-//p:f")] == ["-//p:flag"]
        assert "--json" in [each.value for each in command.shell_complete(context, "--j")]
