"""The `commands` rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.tree import Tree

from tritonbuild.action import Action, ActionId, Program
from tritonbuild.errors import ExitCode, Problem
from tritonbuild.label import Label

ROOT = '[workspace]\nname = "test"\n'
PYPI = '[distributions.pypi]\npypi = "nvidia-pytriton==0.7.0"\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write({"triton.toml": ROOT, "p/a.txt": "a", "p/sub/b.txt": "b"})
    return tree


def declare(tree: Tree, text: str) -> None:
    """The package `p`, with the command `c`."""
    tree.write({"p/triton.toml": f"[commands.c]\n{text}\n"})


def made(tree: Tree, text: str) -> dict[str, bytes]:
    """What a build makes of the command `c`."""
    declare(tree, text)
    tree.build("//p:c")
    return tree.made("//p:c")


def action(tree: Tree, text: str) -> tuple[Action, Program]:
    """What the command `c` runs."""
    declare(tree, text)
    label = Label("p", "c")
    found = tree.plan("//p:c").targets[label].actions[ActionId(label, "run")]
    assert isinstance(found.step, Program)
    return found, found.step


def wrong(tree: Tree, text: str, exit_code: ExitCode = ExitCode.ANALYSIS_FAILED) -> Problem:
    """The one problem of the command `c`."""
    declare(tree, text)
    code, (problem,) = tree.problems("//p:c")
    assert code == exit_code
    assert problem.label == "//p:c"
    return problem


def test_it_makes_its_outputs_from_its_inputs(tree: Tree) -> None:
    text = """
    argv = ["sh", "-c", "mkdir d; cat a.txt sub/b.txt > d/ab.txt; ls -R > list.txt"]
    inputs = ["a.txt", "sub/*.txt"]
    outputs = ["d", "list.txt"]
    """
    files = made(tree, text)
    assert files["d/ab.txt"] == b"ab"
    assert b"triton.toml" not in files["list.txt"]


def test_outputs_of_others_are_inputs(tree: Tree) -> None:
    text = """
    argv = ["sh", "-c", "cat x/y > z"]
    inputs = [":other"]
    outputs = ["z"]
    [commands.other]
    argv = ["sh", "-c", "echo y > x/y"]
    outputs = ["x/y"]
    """
    assert made(tree, text) == {"z": b"y\n"}


def test_its_arguments_are_read_by_no_shell(tree: Tree) -> None:
    text = """
    argv = ["sh", "-c", 'printf %s "$1" > x', "sh", "$HOME `a` * '"]
    outputs = ["x"]
    """
    assert made(tree, text) == {"x": b"$HOME `a` * '"}


def test_its_environment_is_fixed_but_for_what_it_says(tree: Tree) -> None:
    text = """
    argv = ["sh", "-c", "env | sort > env"]
    outputs = ["env"]
    cpu = 2.5
    env = { GREETING = "hello", OPENBLAS_NUM_THREADS = "7" }
    """
    lines = made(tree, text)["env"].decode().splitlines()
    assert set(lines) >= {
        "GREETING=hello",
        "MKL_NUM_THREADS=2",
        "NUMEXPR_NUM_THREADS=2",
        "OMP_NUM_THREADS=2",
        "OPENBLAS_NUM_THREADS=7",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONHASHSEED=0",
    }


def test_one_thread_is_the_default(tree: Tree) -> None:
    _, program = action(tree, 'argv = ["true"]\noutputs = ["x"]')
    assert program.environment["OMP_NUM_THREADS"] == "1"


def test_its_needs_are_handed_on(tree: Tree) -> None:
    text = 'argv = ["true"]\noutputs = ["x"]\ncpu = 2\nmemory = "2GiB"\ntimeout = 5\nnetwork = true'
    declared, program = action(tree, text)
    assert (declared.needs.cpu, declared.needs.memory, declared.timeout) == (2, 2 << 30, 5)
    assert program.network


def test_memory_and_timeout_hold_while_it_runs(tree: Tree) -> None:
    text = 'argv = ["sh", "-c", "echo > x"]\noutputs = ["x"]\nmemory = "100MiB"\ntimeout = 60'
    assert made(tree, text) == {"x": b"\n"}


def test_without_a_distribution_it_gets_no_python(tree: Tree) -> None:
    declared, program = action(tree, 'argv = ["true"]\noutputs = ["x"]')
    assert program.argv == ("true",)
    assert "/env" not in declared.inputs


def test_a_distribution_s_python_and_the_requirements_come_first(
    tree: Tree, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(shared_cache))
    tree.write({"triton.toml": f'{ROOT}distribution = "//:pypi"\n{PYPI}'})
    tree.write({"p/look.py": "import six, sys\nopen('x', 'w').write(f'{sys.prefix} {six}')\n"})
    text = """
    argv = ["python3", "look.py"]
    inputs = ["look.py"]
    outputs = ["x"]
    requirements = ["six"]
    """
    prefix, six = made(tree, text)["x"].decode().split(" ", 1)
    assert prefix.endswith("/env")
    assert f"{prefix}/lib" in six


def test_requirements_without_a_distribution_are_refused(tree: Tree) -> None:
    problem = wrong(tree, 'argv = ["true"]\noutputs = ["x"]\nrequirements = []')
    assert problem.key == "commands.c.requirements"
    assert problem.found == "requirements without a distribution"


@pytest.mark.parametrize("output", ["../x", "/x", "a/../b", "./x", "", "a/"])
def test_an_output_outside_the_working_folder_is_refused(tree: Tree, output: str) -> None:
    problem = wrong(tree, f'argv = ["true"]\noutputs = ["{output}"]')
    assert problem.found == f"{output!r} is not a path below the working folder"


@pytest.mark.parametrize(
    ("outputs", "inputs", "found"),
    [
        ('["x", "x"]', "[]", "'x' is given twice"),
        ('["x/y", "x"]', "[]", "'x/y' lies inside 'x'"),
        ('["a.txt"]', '["a.txt"]', "output and input lie at one path: 'a.txt' and 'a.txt'"),
        ('["sub/x"]', '["sub"]', "output and input lie at one path: 'sub' and 'sub/x'"),
        ('["sub"]', '["sub/*"]', "output and input lie at one path: 'sub' and 'sub/b.txt'"),
    ],
)
def test_outputs_in_the_way_of_others_are_refused(
    tree: Tree, outputs: str, inputs: str, found: str
) -> None:
    problem = wrong(tree, f'argv = ["true"]\noutputs = {outputs}\ninputs = {inputs}')
    assert (problem.key, problem.found) == ("commands.c.outputs", found)


def test_a_wrong_variable_is_refused(tree: Tree) -> None:
    problem = wrong(tree, 'argv = ["true"]\noutputs = ["x"]\nenv = { "A=B" = "c" }')
    assert problem.found == "'A=B' names no variable"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("argv", "[]"),
        ("argv", '"true"'),
        ("outputs", "[]"),
        ("cpu", "0"),
        ("cpu", "inf"),
        ("timeout", "-1"),
        ("timeout", "nan"),
        ("memory", '"2 potatoes"'),
        ("network", '"yes"'),
        ("env", "{ A = 1 }"),
    ],
)
def test_a_wrong_value_is_refused(tree: Tree, key: str, value: str) -> None:
    attributes = {"argv": '["true"]', "outputs": '["x"]', key: value}
    text = "\n".join(f"{name} = {said}" for name, said in attributes.items())
    assert wrong(tree, text, ExitCode.USAGE).key.startswith(f"commands.c.{key}")


def test_an_output_that_it_did_not_make_is_told(tree: Tree) -> None:
    problem = wrong(tree, 'argv = ["true"]\noutputs = ["x"]', ExitCode.BUILD_FAILED)
    assert problem.found == "did not make x"


def test_a_program_that_fails_is_told_with_what_it_said(tree: Tree) -> None:
    text = 'argv = ["sh", "-c", "echo no such luck; exit 3"]\noutputs = ["x"]'
    found = wrong(tree, text, ExitCode.BUILD_FAILED).found
    assert "exit code 3" in found
    assert "no such luck" in found


@pytest.mark.parametrize(
    ("script", "remedy"),
    [
        ("cat a.txt", 'it sees declared files only: inputs = ["a.txt"]'),
        ('cat "$PWD/sub/b.txt"', 'it sees declared files only: inputs = ["sub/b.txt"]'),
        ("cat nowhere.txt", ""),
        ("echo a.txt; exit 1", ""),
        (
            "echo x: Temporary failure in name resolution; exit 1",
            "if it needs the network: network = true",
        ),
    ],
)
def test_what_a_program_lacked_is_told_where_it_shows(tree: Tree, script: str, remedy: str) -> None:
    text = f"argv = ['sh', '-c', '{script}']\noutputs = ['x']\n"
    assert wrong(tree, text, ExitCode.BUILD_FAILED).remedy == remedy


def test_what_a_program_has_is_not_told_as_what_it_lacked(tree: Tree) -> None:
    text = """
    argv = ["sh", "-c", "cat sub/b.txt; echo sub/b.txt not found; echo getaddrinfo; exit 1"]
    inputs = ["sub"]
    outputs = ["x"]
    network = true
    """
    assert wrong(tree, text, ExitCode.BUILD_FAILED).remedy == ""
