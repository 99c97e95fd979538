"""The python backend."""

from __future__ import annotations

from collections.abc import Iterator

from ..subject import Finding, Subject
from .common import choice

ENVIRONMENT = "EXECUTION_ENV_PATH"
MODEL_FOLDER = "$$TRITON_MODEL_DIRECTORY/"


def python(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    yield from choice(config, "FORCE_CPU_ONLY_INPUT_TENSORS", ("no", "yes"))
    path = config.parameters[ENVIRONMENT].string_value if ENVIRONMENT in config.parameters else ""
    key = ("parameters", ENVIRONMENT)
    if path.startswith(MODEL_FOLDER):
        inside = path.removeprefix(MODEL_FOLDER)
        if subject.folder.get(inside) is None:
            remedy = f'add it to the model: files = {{ "{inside}" = … }}'
            yield Finding(key, f"the model has no file {inside!r}", "", remedy)
    elif path:
        yield Finding(
            key,
            f"{path!r} is a path of the server's own machine",
            f"{MODEL_FOLDER}…, or the target's requirements",
            fatal=False,
        )
