"""Bad input, through the command line: one clear error, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from conftest import MINIMAL, Outcome, WorkspaceFolder

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

MODEL = f"""{MINIMAL}
[backends.python]
[models.m]
backend = "python"
"""
AT_MODEL = {"label": "//:m", "file": "triton.toml"}
COMMAND = '[commands.{name}]\nargv = ["true"]\noutputs = ["{name}"]\n'


@dataclass(frozen=True)
class Bad:
    """A workspace with one thing wrong, and what is said of it."""

    files: Mapping[str, str | bytes]
    exit_code: int
    error: Mapping[str, object]
    """Fields of the error, whole."""
    says: Mapping[str, str] = field(default_factory=dict)
    """Fields of the error, a part of each."""


def of_model(text: str, exit_code: int, line: int, key: str, **says: str) -> Bad:
    """A manifest whose model goes on after its backend, which stands in line 6, with `text`."""
    files = {"triton.toml": MODEL + text, "m/model.py": "", "weights.onnx": ""}
    return Bad(files, exit_code, {**AT_MODEL, "line": line, "key": f"models.m{key}"}, says)


BAD = {
    "broken TOML": Bad(
        {"p/triton.toml": '# one\n[models.m]\nbackend = "python\n'},
        2,
        {"file": "p/triton.toml", "line": 3},
        {"found": "broken TOML: "},
    ),
    "a manifest that is not text": Bad(
        {"p/triton.toml": b"# one\n# \xff\n"},
        2,
        {"file": "p/triton.toml", "line": 2, "expected": "TOML"},
        {"found": "not UTF-8"},
    ),
    "a key twice": Bad(
        {"triton.toml": MODEL + 'backend = "python"\n'},
        2,
        {"file": "triton.toml", "line": 7},
        {"found": "broken TOML: "},
    ),
    "a wrong type": of_model(
        'versions = { 1 = "m" }\nrequirements = "numpy"\n',
        2, 8, ".requirements", found="'numpy' is a string", expected="an array",
    ),
    "a type that is none of several": of_model(
        "versions = { 1 = 3 }\n",
        2, 7, ".versions.1", found="3 is an integer", expected="a string or a table",
    ),
    "a wrong type deep in a table": of_model(
        'versions = { 1 = "m", 2 = { a = 3 } }\n',
        2, 7, ".versions.2.a", found="3 is an integer", expected="a string",
    ),
    "an unknown key": of_model(
        'version = { 1 = "m" }\n', 2, 7, ".version", found="'version'", remedy="'versions'?"
    ),
    "an unknown key of the workspace": Bad(
        {"triton.toml": MINIMAL + 'require = ">=0.1"\n'},
        2,
        {"file": "triton.toml", "line": 3, "key": "workspace.require"},
        {"found": "'require'", "remedy": "'requires'?"},
    ),
    "an unknown table": Bad(
        {"triton.toml": MINIMAL + '[model.m]\nbackend = "python"\n'},
        2,
        {"file": "triton.toml", "line": 3, "key": "model"},
        {"found": "unknown table 'model'", "remedy": "'models'?"},
    ),
    "a target that is no table": Bad(
        {"triton.toml": MINIMAL + '[models]\nm = "m"\n'},
        2,
        {**AT_MODEL, "line": 4, "key": "models.m", "expected": "a table"},
        {"found": "a string"},
    ),
    "a name that is none": Bad(
        {"triton.toml": MINIMAL + '[models."a/b"]\nbackend = "python"\n'},
        2,
        {"file": "triton.toml", "line": 3, "key": 'models."a/b"'},
        {"found": "'a/b' is not a target name", "expected": "letters"},
    ),
    "an unknown target": of_model(
        'versions = { 1 = ":trian/x" }\n' + COMMAND.format(name="train"),
        2, 7, ".versions.1", found="no target 'trian'", remedy="'train'?",
    ),
    "an unknown package": of_model(
        'versions = { 1 = "//q:train/x" }\n', 2, 7, ".versions.1", found="no package //q"
    ),
    "an output that is not made": of_model(
        'versions = { 1 = ":train/x" }\n' + COMMAND.format(name="train"),
        7, 7, ".versions.1", found="does not make 'x'", expected="train",
    ),
    "a target of another rule": Bad(
        {"triton.toml": MINIMAL + '[backends.b]\n[repositories.r]\nmodels = [":b"]\n'},
        2,
        {"label": "//:r", "file": "triton.toml", "line": 5, "key": "repositories.r.models[0]"},
        {"found": "//:b is one of [backends]", "expected": "[models]"},
    ),
    "an unknown backend": Bad(
        {"triton.toml": MODEL.replace('= "python"', '= "pyton"'), "m/model.py": ""},
        2,
        {**AT_MODEL, "line": 6, "key": "models.m.backend", "expected": "[backends.pyton]"},
        {"found": "no 'pyton'", "remedy": "'python'?"},
    ),
    "a missing model file": of_model(
        'versions = { 1 = "m", 2 = "n" }\n', 7, 7, ".versions.2", found="no n", expected="a file"
    ),
    "a file outside": of_model(
        'versions = { 1 = "../m" }\n', 7, 7, ".versions.1", found="leaves", expected="relative"
    ),
    "a glob that matches nothing": Bad(
        {"triton.toml": MINIMAL + COMMAND.format(name="c") + 'inputs = ["*.csv"]\n'},
        7,
        {"label": "//:c", "file": "triton.toml", "line": 6, "key": "commands.c.inputs[0]"},
        {"found": "no file matches '*.csv'", "expected": "at least one"},
    ),
    "a folder without the backend's file": Bad(
        {"triton.toml": MODEL + 'versions = { 1 = "m" }\n', "m/modle.py": ""},
        1,
        {**AT_MODEL, "line": 7, "key": "models.m.versions.1"},
        {"found": "holds modle.py", "expected": "model.py", "remedy": "model.py"},
    ),
    "a Git LFS pointer": Bad(
        {
            "triton.toml": MODEL + 'versions = { 1 = "m" }\n',
            "m/model.py": "version https://git-lfs.github.com/spec/v1\nsize 3\n",
        },
        1,
        {"label": "//:m", "file": "m/model.py"},
        {"found": "a damaged Git LFS pointer", "remedy": "git checkout -- m/model.py"},
    ),
    "a name twice": Bad(
        {"triton.toml": MODEL + 'versions = { 1 = "m" }\n' + COMMAND.format(name="m")},
        2,
        {**AT_MODEL, "line": 8, "key": "commands.m"},
        {"found": "'m' is taken by [models.m]", "expected": "no other", "remedy": "rename"},
    ),
    "a cycle": Bad(
        {
            "triton.toml": MINIMAL + COMMAND.format(name="a") + 'inputs = ["//p:b"]\n',
            "p/triton.toml": COMMAND.format(name="b") + 'inputs = ["//:a"]\n',
        },
        2,
        {},
        {"found": "//p:b → //:a", "expected": "do not need themselves", "key": ".inputs[0]"},
    ),
    "version 01": of_model(
        'versions = { 01 = "m" }\n', 7, 7, ".versions.01",
        found="'01' is not a version", expected="without a leading 0", remedy="write 1",
    ),
    "version 1abc": of_model(
        'versions = { 1abc = "m" }\n', 7, 7, ".versions.1abc",
        found="'1abc' is not a version", expected="a whole number", remedy="write 1",
    ),
    "no version": of_model(
        "", 7, 5, ".versions", found="no version", expected="at least one", remedy="versions = {"
    ),
    "an unknown field of the config": of_model(
        'versions = { 1 = "m" }\n[models.m.config]\nmax_batch = 1\n',
        7, 9, ".config.max_batch", found="'max_batch'", remedy="'max_batch_size'?",
    ),
    "a broken config file": Bad(
        {
            "triton.toml": MODEL + 'versions = { 1 = "m" }\nconfig_file = "c.pbtxt"\n',
            "m/model.py": "",
            "c.pbtxt": "max_batch_size: 1\nmax_btch: 3\n",
        },
        1,
        {"label": "//:m", "file": "c.pbtxt", "line": 2},
        {"found": '"max_btch"', "expected": "ModelConfig", "remedy": "'max_batch_size'?"},
    ),
    "a lock of the future": Bad(
        {"triton.lock": "version = 2\n", "triton.toml": MINIMAL + COMMAND.format(name="c")},
        2,
        {"file": "triton.lock", "found": "version 2", "expected": "version 1"},
        {"remedy": "newer"},
    ),
    "a broken lock": Bad(
        {"triton.lock": "version = \n", "triton.toml": MINIMAL + COMMAND.format(name="c")},
        2,
        {"file": "triton.lock"},
        {"found": "cannot be read", "remedy": "tritonbuild lock"},
    ),
    "a lock that lacks an entry": Bad(
        {"triton.toml": f'{MINIMAL}[distributions.d]\npypi = "nvidia-pytriton==0.7.0"\n'},
        2,
        {"label": "//:d", "file": "triton.toml", "line": 3},
        {"found": "triton.lock has no entry", "remedy": "tritonbuild lock"},
    ),
    "a command that fails": Bad(
        {"triton.toml": MINIMAL + COMMAND.format(name="c").replace("true", "false")},
        1,
        {"label": "//:c", "file": "triton.toml", "line": 3, "expected": "exit code 0"},
        {"found": "exit code 1"},
    ),
    "a command that does not make its output": Bad(
        {"triton.toml": MINIMAL + COMMAND.format(name="c")},
        1,
        {"label": "//:c", "file": "triton.toml", "line": 3},
        {"found": "did not make c", "expected": "every declared output", "remedy": "write it"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error_and_nothing_is_half_written(
    workspace: MakeWorkspace, bad: Bad
) -> None:
    folder = workspace(bad.files)
    before = list(folder.root.glob("*.lock"))
    outcome = folder.run("build", "--locked", "//...")
    is_one_clear_error(outcome, bad)
    assert list(folder.root.glob("*.lock")) == before
    assert written(folder) == []


def written(workspace: WorkspaceFolder) -> list[str]:
    """What lies in the output tree."""
    files = [path.name for path in workspace.output("").rglob("*") if path.is_file()]
    return [name for name in files if name != ".lock"]


def is_one_clear_error(outcome: Outcome, bad: Bad) -> None:
    assert outcome.exit_code == outcome.finished["exit_code"] == bad.exit_code, outcome.text
    error = outcome.error
    assert {name: error[name] for name in bad.error} == bad.error
    for name, part in bad.says.items():
        assert part in error[name]
    assert "Traceback" not in outcome.text
    assert outcome.text.count("error: ") == 1


def test_every_mistake_of_a_manifest_is_told_at_once(workspace: MakeWorkspace) -> None:
    text = 'version = { 1 = "m" }\nrequirements = "numpy"\n[model.n]\n'
    outcome = workspace({"triton.toml": MODEL + text}).run("build", "//...")
    assert outcome.exit_code == 2
    assert sorted(error["line"] for error in outcome.errors) == [7, 8, 9]


def test_what_does_not_need_the_failed_target_is_built_with_keep_going(
    workspace: MakeWorkspace,
) -> None:
    good = '[commands.good]\nargv = ["touch", "x"]\noutputs = ["x"]\n'
    needs = COMMAND.format(name="needs") + 'inputs = [":bad"]\n'
    text = MINIMAL + COMMAND.format(name="bad") + needs + good
    outcome = workspace({"triton.toml": text}).run("build", "--keep-going", "--jobs=1", "//...")
    assert outcome.exit_code == 1
    assert outcome.targets == {"//:bad": "failed", "//:needs": "skipped", "//:good": "built"}
    assert [error["label"] for error in outcome.errors] == ["//:bad"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("build",), "PATTERN"),
        (("build", "models"), "'models' is not a label"),
        (("build", "//nowhere:x"), "no package //nowhere"),
        (("build", "--jobs=none", "//..."), "--jobs"),
        (("biuld", "//..."), "did you mean 'build'?"),
        (("build", "--rule=model", "//..."), "did you mean 'models'?"),
        (("run", "--set=port", "//:c"), "--set port"),
    ],
)
def test_a_wrong_command_line_is_exit_2(
    workspace: MakeWorkspace, arguments: tuple[str, ...], found: str
) -> None:
    folder = workspace({"triton.toml": MINIMAL + COMMAND.format(name="c")})
    outcome = folder.run(*arguments)
    assert outcome.exit_code == outcome.finished["exit_code"] == 2, outcome.text
    assert found in outcome.error["found"] + outcome.error["remedy"]
    assert "Traceback" not in outcome.text
    assert written(folder) == []
