"""The house: what may import what, what an idle build does not import, and how it is installed."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from parts.imported import imported
from parts.registry import registry
from parts.serving import IMAGE, small

ROOT = Path(__file__).parents[1]
HEAVY = ("docker", "google.protobuf", "grpc", "networkx", "numpy", "onnx", "pydantic", "rich")
"""What takes tenths of seconds to import; a build with nothing to do needs none of it."""
NO_WORK = {*HEAVY, "cyclonedx", "debian", "lxml", "pysequoia", "spdx_tools", "tritonclient",
           "zstandard"} - {"google.protobuf", "pydantic"}  # fmt: skip
"""What only actions that run need, and not even those that are looked up."""
PIP = (sys.executable, "-m", "pip", "--quiet")


def run(argv: Sequence[Path | str], cwd: Path) -> str:
    finished = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def imports(file: Path) -> Iterator[str]:
    """The absolute names that a module's import statements mention."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_import_runs_upwards() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    run([lint, "--no-cache"], ROOT)


@pytest.mark.parametrize("folder", ["tritonbuild", "rules"])
def test_nobody_imports_rules_by_their_installed_name(folder: str) -> None:
    """The import linter sees a checkout, where rules have another name than installed ones: the
    engine finds them by their entry point, and they name one another relatively."""
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / folder).rglob("*.py")
        for name in imports(file)
        if f"{name}.".startswith("tritonbuild.rules.")
    }
    assert not found


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import json, sys, tritonbuild.cli.main; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(run([sys.executable, "-c", code], ROOT))
    assert not set(HEAVY) & set(loaded)


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[tuple[WorkspaceFolder, list[str]]]:
    """A workspace, and a push that has been done."""
    workspace = small(tmp_path / "workspace", IMAGE)
    with registry(tmp_path / "registry") as host:
        push = ["push", "//serving:server", "--to", f"{host}/acme/server:v1"]
        assert workspace.run(*push).exit_code == 0
        yield workspace, push


def test_a_push_of_what_is_built_imports_no_work(
    pushed: tuple[WorkspaceFolder, list[str]],
) -> None:
    workspace, push = pushed
    modules = imported(workspace, *push)
    assert "requests" in modules
    assert not modules & NO_WORK
    room = "tritonbuild.rules"
    assert not modules & {f"{room}.parts", f"{room}.model_config.making", f"{room}.images.bill"}


def checkout(folder: Path) -> Path:
    """A copy of what is installed, so that building leaves nothing in this checkout."""
    copy = folder / "checkout"
    for part in ("tritonbuild", "rules"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


def install(package: Sequence[Path | str], folder: Path) -> Path:
    """Installs a package and its dependencies into a fresh environment; its `bin` folder."""
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    run([*PIP, "--python", programs / "python", "install", *package], folder)
    return programs


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs of an installed wheel are."""
    folder = tmp_path_factory.mktemp("installed")
    run([*PIP, "wheel", "--no-deps", "--wheel-dir", folder / "wheels", checkout(folder)], folder)
    shutil.rmtree(folder / "checkout")
    return install(list((folder / "wheels").iterdir()), folder)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "triton.toml").write_text('[workspace]\nname = "empty"\n')
    return tmp_path


def test_a_wheel_has_no_top_level_rules(installed: Path) -> None:
    code = "from importlib.util import find_spec as f; print(f('rules'), f('tritonbuild.rules'))"
    top_level, below = run([installed / "python", "-c", code], installed).split(maxsplit=1)
    assert top_level == "None"
    assert "site-packages/tritonbuild/rules/" in below


def test_an_installed_wheel_works_outside_the_checkout(installed: Path, empty: Path) -> None:
    run([installed / "tritonbuild", "info"], empty)


def test_an_installed_wheel_has_the_rules_of_the_checkout(installed: Path, empty: Path) -> None:
    here = Path(sys.executable).parent
    schemas = {
        run([programs / "tritonbuild", "info", "--schema"], empty) for programs in (here, installed)
    }
    assert len(schemas) == 1


def test_an_editable_install_works(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> None:
    folder = tmp_path_factory.mktemp("editable")
    programs = install(["--editable", checkout(folder)], folder)
    run([programs / "tritonbuild", "info"], empty)
