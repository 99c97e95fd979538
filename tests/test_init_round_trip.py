"""Model repositories of many shapes → `init` → `build`: the same files, the same configs, and the
real server loads them alike.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Outcome, WorkspaceFolder
from parts import repositories
from parts.repositories import Shape
from tritonbuild.rules.model_config import message as model_config
from tritonbuild.rules.model_config.environment import KEY as ENVIRONMENT_KEY
from tritonbuild.rules.server.launch import FromLayout
from tritonbuild.rules.server.layout import lay_out
from tritonbuild.rules.server.process import Server, server

from tritonbuild.cancel import Cancellation
from tritonbuild.label import Label
from tritonbuild.rule import ToolContext, tool
from tritonbuild.serve import serve
from tritonbuild.session import Session

SERVED, UNSERVED = repositories.served(), repositories.unserved()
CONFIG = "config.pbtxt"
QUICKSTART = ROOT / "examples" / "quickstart"

Files = dict[str, tuple[bytes, bool]]
"""Path → content, and whether it is executable."""


@dataclass
class Brought:
    """A repository that was brought over and built."""

    original: Path
    workspace: WorkspaceFolder
    outcome: Outcome

    @property
    def built(self) -> Path:
        return self.workspace.output("models/_/models")


def bring(folder: Path, cache: Path, shapes: Mapping[str, Shape], verb: str) -> Brought:
    """The repository lies in `models` of a workspace, with a backend for ONNX beside it."""
    repositories.write(folder / "original", shapes)
    shutil.copytree(folder / "original", folder / "workspace" / "models")
    shutil.copytree(QUICKSTART / "backends", folder / "workspace" / "backends")
    shutil.copy(QUICKSTART / "triton.lock", folder / "workspace")
    workspace = WorkspaceFolder(folder / "workspace", cache)
    started = workspace.run("init", "models")
    assert started.exit_code == 0, started.text
    return Brought(folder / "original", workspace, workspace.run(verb, "//...", timeout=550))


@pytest.fixture(scope="module")
def loadable(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Brought:
    return bring(tmp_path_factory.mktemp("served"), shared_cache, SERVED, "test")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Brought:
    return bring(tmp_path_factory.mktemp("unserved"), shared_cache, UNSERVED, "build")


@pytest.fixture(params=[*SERVED, *UNSERVED])
def shape(request: pytest.FixtureRequest) -> tuple[Brought, str]:
    """A shape's model: where it was brought over, and its name."""
    which, shapes = ("loadable", SERVED) if request.param in SERVED else ("others", UNSERVED)
    return request.getfixturevalue(which), next(iter(shapes[request.param])).partition("/")[0]


def files(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes(),
            bool(path.stat().st_mode & stat.S_IXUSR),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CONFIG
    }


def config(folder: Path) -> Any:
    path = folder / CONFIG
    said, problems = model_config.parse(path.read_bytes() if path.exists() else b"", CONFIG)
    assert not problems
    return said


def test_files_are_the_same_byte_for_byte(shape: tuple[Brought, str]) -> None:
    brought, name = shape
    assert files(brought.built / name) == files(brought.original / name), brought.outcome.text


def test_configs_say_the_same(shape: tuple[Brought, str]) -> None:
    """But that name and backend, which Triton finds out, are said."""
    brought, name = shape
    original, built = config(brought.original / name), config(brought.built / name)
    assert built.name == name
    for field in ("name", "backend"):
        if not getattr(original, field):
            built.ClearField(field)
    assert built == original


def test_verifications_pass_without_an_edit(loadable: Brought) -> None:
    assert loadable.outcome.exit_code == 0, loadable.outcome.text
    statuses = loadable.outcome.targets
    passed = {label for label, status in statuses.items() if status == "passed"}
    assert len(passed) == len(SERVED)
    assert passed == {label for label in statuses if label.endswith("_loads")}


def test_what_cannot_be_served_here_builds_all_the_same(others: Brought) -> None:
    assert others.outcome.exit_code == 0, others.outcome.text


@dataclass
class Told:
    """What a server says of its models."""

    index: list[dict[str, str]]
    configs: dict[str, Any]


def told(running: Server) -> Told:
    index = sorted(running.models(), key=lambda model: (model["name"], model.get("version", "")))
    names = {model["name"] for model in index}
    configs = {name: running.ask("GET", f"/v2/models/{name}/config")[1] for name in names}
    return Told(index, configs)


@pytest.fixture(scope="module")
def both_told(loadable: Brought) -> tuple[Told, Told]:
    """Of the repository as it was, and as it was built; on the same server."""
    answers: list[Told] = []

    def one_after_the_other(ctx: ToolContext) -> None:
        layout = lay_out(ctx, ctx.scratch / "server")
        with server(ctx, FromLayout(layout), ctx.scratch / "log", timeout=120) as running:
            answers.append(told(running))
        environments = {
            model.name: config(model).parameters[ENVIRONMENT_KEY].string_value
            for model in layout.repository.iterdir()
            if ENVIRONMENT_KEY in config(model).parameters
        }
        shutil.rmtree(layout.repository)
        shutil.copytree(loadable.original, layout.repository)
        (layout.repository / "chain_of_chains" / "1").mkdir()  # as it was before git dropped it
        for name, path in environments.items():
            with (layout.repository / name / CONFIG).open("a") as file:
                value = json.dumps(path)
                file.write(
                    f'\nparameters {{ key: "{ENVIRONMENT_KEY}" value {{ string_value: {value} }} }}'
                )
        with server(ctx, FromLayout(layout), ctx.scratch / "log", timeout=120) as running:
            answers.append(told(running))

    module = import_module("tritonbuild.rules.server.serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "serve", tool("serve", version=1)(one_after_the_other))
        patch.setenv("TRITONBUILD_CACHE_DIR", str(loadable.workspace.cache))
        with Session(loadable.workspace.root, lambda event: None, Cancellation()) as session:
            report = serve(session, Label("models", "models"), {})
    assert not report.exit_code, report.problems
    built, original = answers
    return original, built


def test_the_server_loads_the_same_models(both_told: tuple[Told, Told]) -> None:
    original, built = both_told
    assert built.index == original.index
    assert {model["state"] for model in built.index} == {"READY"}


@pytest.mark.parametrize("shape", SERVED)
def test_the_server_completes_configs_to_the_same(both_told: tuple[Told, Told], shape: str) -> None:
    original, built = both_told
    name = next(iter(SERVED[shape])).partition("/")[0]
    assert built.configs[name] == original.configs[name]
