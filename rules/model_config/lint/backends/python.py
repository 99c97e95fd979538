"""The python backend."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ..subject import Finding, Subject
from .common import choice

ENVIRONMENT = "EXECUTION_ENV_PATH"
MODEL_FOLDER = "$$TRITON_MODEL_DIRECTORY"


def python(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    yield from choice(config, "FORCE_CPU_ONLY_INPUT_TENSORS", ("no", "yes"))
    path = config.parameters[ENVIRONMENT].string_value if ENVIRONMENT in config.parameters else ""
    key = ("parameters", ENVIRONMENT)
    if not path:
        return
    inside = _inside(path)
    if inside is None:
        yield Finding(
            key,
            f"{path!r} is a path of the server's own machine, not of the model",
            f"{MODEL_FOLDER}/…, or the target's requirements",
            fatal=False,
        )
    elif inside != "." and subject.folder.get(inside) is None:
        remedy = f'add it to the model: files = {{ "{inside}" = … }}'
        yield Finding(key, f"the model has no file {inside!r}", "", remedy)


def _inside(path: str) -> str | None:
    """The path from the model's folder, `.` for that itself; None for one that leaves it."""
    below = path.removeprefix(MODEL_FOLDER)
    if below == path or not f"{below}/".startswith("/"):
        return None
    inside = posixpath.normpath(below.lstrip("/"))
    return None if f"{inside}/".startswith("../") else inside
