"""Where rules come from: this distribution, plug-ins, and a workspace's own files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import ROOT, Outcome, WorkspaceFolder

from tritonbuild.errors import Problem, UsageError
from tritonbuild.registry import Registry, installed
from tritonbuild.workspace import Workspace

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
FILE = "tools/rules/labels.py"
OUTPUT = "tritonbuild-out/digits/_/digits/labels.txt"
RULE = """\
from tritonbuild.rule import Files, Rule, tool

@tool("{tool}", version=1)
def step(ctx):
    ctx.write("x", b"")

class Own(Rule):
    table = "{table}"

    def analyze(self, ctx):
        yield Files(ctx.tool(step, outputs=["x"]))
"""


@pytest.fixture
def own_rule(tmp_path: Path) -> WorkspaceFolder:
    """A copy of workspaces/own-rule."""
    shutil.copytree(
        ROOT / "tests/workspaces/own-rule",
        tmp_path / "workspace",
        ignore=shutil.ignore_patterns("tritonbuild-out", "__pycache__"),
    )
    return WorkspaceFolder(tmp_path / "workspace", tmp_path / "cache")


def edit(folder: WorkspaceFolder, old: str, new: str) -> None:
    path = folder.root / FILE
    assert old in path.read_text()
    folder.write({FILE: path.read_text().replace(old, new)})


def refused(folder: WorkspaceFolder) -> dict[str, object]:
    """The one error of a build that cannot begin."""
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 2
    assert "Traceback" not in outcome.text
    return outcome.error


def own(root: Path, files: Mapping[str, str]) -> Registry:
    """The registry with these rule files alone."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Registry().with_files(Workspace(root), sorted(files))


def problem(root: Path, files: Mapping[str, str]) -> Problem:
    with pytest.raises(UsageError) as caught:
        own(root, files)
    (only,) = caught.value.problems
    return only


def test_a_rule_of_the_workspaces_own_builds(own_rule: WorkspaceFolder) -> None:
    outcome = own_rule.build()
    assert outcome.targets == {"//digits:digits": "built"}
    assert (own_rule.root / OUTPUT).read_text() == "zero\none\ntwo\n"
    assert own_rule.build().executed == 0


def test_a_rule_of_the_workspaces_own_fails_as_others_do(own_rule: WorkspaceFolder) -> None:
    own_rule.write({"digits/words.txt": "zero\n"})
    outcome = own_rule.run("build", "//...")
    assert outcome.exit_code == 1
    assert outcome.error["found"] == "1 words"
    assert outcome.error["expected"] == "count = 3"
    assert outcome.error["label"] == "//digits:digits"


def test_a_rule_of_the_workspaces_own_judges_manifests(own_rule: WorkspaceFolder) -> None:
    own_rule.write({"digits/triton.toml": '[labels.digits]\nwords = "words.txt"\ncount = 0\n'})
    outcome = own_rule.run("build", "//...")
    assert outcome.exit_code == 7
    assert (outcome.error["key"], outcome.error["line"]) == ("labels.digits.count", 3)


def test_its_attributes_are_checked_as_others_are(own_rule: WorkspaceFolder) -> None:
    own_rule.write({"digits/triton.toml": '[labels.digits]\nword = "words.txt"\ncount = 3\n'})
    outcome = own_rule.run("build", "//...")
    assert {error["key"] for error in outcome.errors} == {
        "labels.digits.word",
        "labels.digits.words",
    }


def test_a_changed_rule_file_is_another_version_of_its_tools(own_rule: WorkspaceFolder) -> None:
    own_rule.build()
    edit(own_rule, '{word}\\n"', '<{word}>\\n"')
    assert own_rule.build().executed == 1
    assert (own_rule.root / OUTPUT).read_text() == "<zero>\n<one>\n<two>\n"
    why = own_rule.run("why", "//digits:digits")
    (story,) = [event for event in why.events if event["event"] == "why"]
    (reason,) = story["reasons"]
    assert reason.startswith("tool labels changed: 1+")


def test_a_rule_file_whose_steps_make_the_same_leaves_what_is_above_alone(
    own_rule: WorkspaceFolder,
) -> None:
    own_rule.write(
        {
            "digits/triton.toml": '[labels.digits]\nwords = ":more/words.txt"\ncount = 3\n'
            '[commands.more]\nargv = ["cp", "in.txt", "words.txt"]\n'
            'inputs = ["in.txt"]\noutputs = ["words.txt"]\n',
            "digits/in.txt": "zero\none\ntwo\n",
        }
    )
    own_rule.build()
    edit(own_rule, '"""A class a line."""', '"""One class a line."""')
    assert own_rule.build().executed == 1


@pytest.mark.parametrize(
    ("old", "new", "line", "found"),
    [
        ("table = ", "table = = ", 35, "SyntaxError"),
        ('FILE = "labels.txt"', "FILE = nothing", 19, "nothing"),
        ("    Context,\n", "    Kontext,\n", 7, "Kontext"),
        ("words: SourceRef", "words: Nowhere", 39, "Nowhere"),
        ('@tool("labels", version=1)', '@tool("labels")', 22, "version"),
    ],
)
def test_a_broken_rule_file_is_told_with_its_line(
    own_rule: WorkspaceFolder, old: str, new: str, line: int, found: str
) -> None:
    edit(own_rule, old, new)
    error = refused(own_rule)
    assert (error["file"], error["line"]) == (FILE, line)
    assert found in str(error["found"])
    assert error["expected"]


def test_an_attribute_of_an_unknown_type_is_told(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, "words: SourceRef", 'words: "Nowhere"')
    error = refused(own_rule)
    assert error["file"] == FILE
    assert "Nowhere" in str(error["found"])


def test_what_a_rule_raises_is_told_with_its_line(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, "if ctx.attributes.count < 1:", "if ctx.attributes.kount < 1:")
    outcome = own_rule.run("build", "//...")
    assert outcome.exit_code == 7
    assert "Traceback" not in outcome.text
    assert (outcome.error["file"], outcome.error["line"]) == (FILE, 45)
    assert outcome.error["label"] == "//digits:digits"
    assert "AttributeError" in outcome.error["found"]


def test_what_a_step_raises_is_told_with_its_line(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, 'ctx.parameters["count"]:', 'ctx.parameters["kount"]:')
    outcome = own_rule.run("build", "//...")
    assert outcome.exit_code == 1
    assert "Traceback" not in outcome.text
    assert (outcome.error["file"], outcome.error["line"]) == (FILE, 27)
    assert outcome.error["label"] == "//digits:digits"
    assert outcome.error["found"] == "KeyError: 'kount'"


def test_a_library_that_is_not_installed_is_told_at_the_rule(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, "version=1)", 'version=1, libraries=("nothing-like-this",))')
    outcome = own_rule.run("build", "//...")
    assert outcome.exit_code == 7
    assert outcome.error["file"] == FILE
    assert "nothing-like-this" in outcome.error["found"]


def test_a_table_that_has_an_owner_is_refused(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, 'table = "labels"', 'table = "models"')
    error = refused(own_rule)
    assert error["found"] == "the table 'models' is defined twice"
    assert error["file"] == FILE


def test_a_tool_that_has_an_owner_is_refused(own_rule: WorkspaceFolder) -> None:
    edit(own_rule, '@tool("labels"', '@tool("model"')
    error = refused(own_rule)
    assert error["found"] == "the tool 'model' is defined twice"
    assert error["file"] == FILE


def test_two_rule_files_may_not_own_one_table(tmp_path: Path) -> None:
    files = {
        "a.py": RULE.format(tool="one", table="things"),
        "b.py": RULE.format(tool="two", table="things"),
    }
    found = problem(tmp_path, files)
    assert (found.file, found.found) == ("b.py", "the table 'things' is defined twice")


def test_a_rule_file_may_use_what_built_in_rules_are_made_of(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "from tritonbuild.rules import Models\nfrom tritonbuild.rules.parts import make_model\n"
    )
    registry = installed().with_files(Workspace(tmp_path), ["a.py"])
    assert registry.tools == installed().tools
    assert set(registry.rules) == set(installed().rules)


def test_a_rule_files_tools_are_versioned_by_its_content(tmp_path: Path) -> None:
    first = own(tmp_path, {"a.py": RULE.format(tool="step", table="things")})
    same = own(tmp_path, {"a.py": RULE.format(tool="step", table="things")})
    other = own(tmp_path, {"a.py": "# more\n" + RULE.format(tool="step", table="things")})
    assert first.tools["step"].version.startswith("1+")
    assert first.tools["step"].version == same.tools["step"].version
    assert first.tools["step"].version != other.tools["step"].version


def test_a_tool_is_versioned_wherever_the_rule_file_keeps_it(tmp_path: Path) -> None:
    rule = RULE.format(tool="step", table="things") + "    which = (step,)\n"
    registry = own(tmp_path, {"a.py": rule})
    (kept,) = vars(type(registry.rules["things"]))["which"]
    assert kept.version == registry.tools["step"].version
    assert kept.version.startswith("1+")


def test_a_kind_of_lock_request_that_has_a_resolver_is_refused(tmp_path: Path) -> None:
    text = """\
from tritonbuild.rule import resolver

@resolver("pypi")
def mine(request, desk):
    return []
"""
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(UsageError, match="the resolver 'pypi' is defined twice"):
        installed().with_files(Workspace(tmp_path), ["a.py"])


def test_a_registry_is_never_changed(tmp_path: Path) -> None:
    base = Registry()
    (tmp_path / "a.py").write_text(RULE.format(tool="step", table="things"))
    assert set(base.with_files(Workspace(tmp_path), ["a.py"]).rules) == {"things"}
    assert not base.rules


def test_the_built_in_rules_are_installed() -> None:
    tables = set(installed().rules)
    assert tables >= {"backends", "commands", "distributions", "models", "repositories"}
    assert "pypi" in installed().resolvers


def test_every_built_in_attribute_is_described() -> None:
    unsaid = [
        f"{table}.{name}"
        for table, rule in installed().rules.items()
        for name, field in rule.Attributes.model_fields.items()
        if not field.description
    ]
    assert unsaid == []
    assert all(rule.__doc__ for rule in installed().rules.values())


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which a distribution with a rule is installed."""
    folder = tmp_path / "site"
    info = folder / "acme_rules-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "acme_rules.py").write_text(RULE.format(tool="acme", table="acmes"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tritonbuild.rules]\nacme = acme_rules\n")
    return folder


def with_plug_in(make: MakeWorkspace, plug_in: Path) -> WorkspaceFolder:
    folder = make({"p/triton.toml": "[acmes.a]\n"})
    folder.environment["PYTHONPATH"] = str(plug_in)
    return folder


def test_a_plug_in_brings_its_rules(workspace: MakeWorkspace, plug_in: Path) -> None:
    folder = with_plug_in(workspace, plug_in)
    assert folder.build().targets == {"//p:a": "built"}
    (info, _) = folder.run("info").events
    assert "acmes" in info["rules"]


def test_without_the_plug_in_its_table_is_unknown(workspace: MakeWorkspace, plug_in: Path) -> None:
    folder = with_plug_in(workspace, plug_in)
    del folder.environment["PYTHONPATH"]
    assert refused(folder)["found"] == "unknown table 'acmes'"


def test_a_plug_in_that_takes_a_built_in_table_is_refused(
    workspace: MakeWorkspace, plug_in: Path
) -> None:
    folder = with_plug_in(workspace, plug_in)
    (plug_in / "acme_rules.py").write_text(RULE.format(tool="acme", table="models"))
    found = str(refused(folder)["found"])
    assert found == "the table 'models' is defined twice"


def test_a_plug_in_that_cannot_be_imported_is_told(workspace: MakeWorkspace, plug_in: Path) -> None:
    folder = with_plug_in(workspace, plug_in)
    (plug_in / "acme_rules.py").write_text("import nothing_like_this\n")
    outcome: Outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    assert "acme" in outcome.error["found"]
    assert "nothing_like_this" in outcome.error["found"]
    assert outcome.error["remedy"]
