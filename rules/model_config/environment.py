"""A model's config with the Python environment that the model runs in."""

from __future__ import annotations

from typing import Any

from tritonbuild.rule import ActionError, Problem

from .message import empty

CONFIG = "config.pbtxt"
KEY = "EXECUTION_ENV_PATH"
"""The parameter that names it."""


def with_environment(text: str, path: str, model: str) -> str:
    """The config, as text, with an environment. Raises ActionError where it names one already."""
    from google.protobuf import text_format

    config: Any = empty()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise ActionError(Problem(f"{model}/{CONFIG}: {error}")) from None
    if KEY in config.parameters:
        raise ActionError(
            Problem(
                f"{model}/{CONFIG} has {KEY} and the model has requirements",
                "one of the two",
                "take the parameter away, and the build makes the environment",
            )
        )
    config.parameters[KEY].string_value = path
    return text_format.MessageToString(config)
