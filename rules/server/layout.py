"""The private folder that a server works in: what it may write to is there, the rest links to
shared folders that nobody may change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonbuild.rule import ActionError, EnvironmentFailure, Folder, Problem, ToolContext

from ..component import SECRETS
from .diagnose import Places, ServerError
from .shell import SHELL_WORD


@dataclass(frozen=True)
class Layout:
    root: Path
    distribution: Path
    environments: tuple[Path, ...]
    """Folders with `bin/python3` and its libraries in `lib`."""
    variables: Mapping[str, str]
    """The process environment of the server."""
    places: Places
    """Of what lies in it."""
    cache: str = ""
    """What `--cache-config` says; empty without a response cache."""

    @property
    def server(self) -> Path:
        return self.distribution / "bin" / "tritonserver"

    @property
    def stub(self) -> Path:
        return self.backends / "python" / "triton_python_backend_stub"

    @property
    def backends(self) -> Path:
        return self.root / "backends"

    @property
    def repoagents(self) -> Path:
        return self.root / "repoagents"

    @property
    def caches(self) -> Path:
        return self.root / "caches"

    @property
    def repository(self) -> Path:
        return self.root / "models"


def lay_out(ctx: ToolContext, root: Path, *, all_gpus: bool = False) -> Layout:
    """Makes the folder from a tool's inputs and parameters as `served` gives them. The server
    sees the GPUs that the step has to itself, or all of this machine."""
    if not SHELL_WORD.fullmatch(str(root)):
        raise EnvironmentFailure(
            Problem(
                f"the cache folder has a path that Triton's python backend cannot take: {root}",
                "letters, digits and _ . + = , @ : % ^ ~ - only",
                "choose another with --cache-dir or TRITONBUILD_CACHE_DIR",
            )
        )
    distribution = ctx.path("distribution")
    environments, variables = _environments(ctx, root, distribution)
    cache, secrets = cache_flag(ctx.parameters.get("cache"))
    places = Places(str(root), ctx.parameters.get("sources", {}))
    if not all_gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(ctx.gpus)
    layout = Layout(root, distribution, environments, variables | secrets, places, cache)
    for folder in (layout.backends, layout.repoagents, layout.caches):
        _components(ctx, distribution / folder.name, folder)
    if layout.stub.exists():  # the server changes the mode of a stub that does not start
        shared = layout.stub.parent.readlink()
        layout.stub.parent.unlink()
        shutil.copytree(shared, layout.stub.parent, symlinks=True, copy_function=_copy)
    layout.repository.mkdir()
    for name in _names(ctx, "models"):
        _mirror(ctx.path(f"models/{name}"), layout.repository / name)
    for model, name in ctx.parameters["environments"].items():
        _use_environment(layout.repository / model, ctx.path(f"environments/{name}"))
    return layout


def _components(ctx: ToolContext, theirs: Path, folder: Path) -> None:
    """A folder with the distribution's components and, before them, those that came in."""
    folder.mkdir()
    for component in theirs.iterdir() if theirs.is_dir() else ():
        (folder / component.name).symlink_to(component)
    for name in _names(ctx, folder.name):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(ctx.path(f"{folder.name}/{name}"))


def cache_flag(said: Mapping[str, Any] | None) -> tuple[str, dict[str, str]]:
    """The flag for a response cache, and its secrets: they come from the environment of whoever
    starts the build, so they are in no key and no log."""
    if said is None:
        return "", {}
    settings = ",".join(f"{key}={value}" for key, value in sorted(said["config"].items()))
    names = SECRETS.get(said["name"], {}).values()
    return f"{said['name']},{settings}", {
        name: os.environ[name] for name in names if name in os.environ
    }


def _environments(
    ctx: ToolContext, root: Path, distribution: Path
) -> tuple[tuple[Path, ...], dict[str, str]]:
    """Their folders, and the environment variables of the server."""
    names = [f"environments/{name}" for name in _names(ctx, "environments")]
    default = ["environment"] if ctx.inputs.get("environment") else []
    folders = tuple(ctx.path(name) for name in default + names)
    programs = [ctx.path(name) / "bin" for name in default]
    for name in ("home", "tmp"):
        (root / name).mkdir(parents=True)
    return folders, {
        "PATH": ":".join(map(str, [*programs, "/usr/bin", "/bin"])),
        "LD_LIBRARY_PATH": ":".join(
            map(str, [distribution / "lib", *(f / "lib" for f in folders)])
        ),
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "LANG": "C.UTF-8",
    }


def _names(ctx: ToolContext, path: str) -> list[str]:
    folder = ctx.inputs.get(path)
    return sorted(folder.entries) if isinstance(folder, Folder) else []


def _mirror(source: Path, target: Path) -> None:
    """A folder of one's own with links to another's files: a model may write beside them."""
    target.mkdir()
    for entry in os.scandir(source):
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry))
        elif entry.is_dir():
            _mirror(Path(entry), target / entry.name)
        else:
            (target / entry.name).symlink_to(entry)


def _copy(source: str, target: str) -> str:
    """A file that may be changed, executable if it was."""
    shutil.copyfile(source, target)
    os.chmod(target, os.stat(source).st_mode | 0o600)
    return target


def _use_environment(model: Path, environment: Path) -> None:
    """Rewrites a model's config so that it runs in its own environment."""
    from ..model_config.environment import CONFIG, with_environment

    file = model / CONFIG
    text = file.read_text() if file.exists() else ""
    try:
        written = with_environment(text, str(environment), model.name)
    except ActionError as error:
        raise ServerError(*error.problems) from None
    file.unlink(missing_ok=True)
    file.write_text(written)
