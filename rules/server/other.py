"""A config from elsewhere, to compare with: a file's, or a running server's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tritonbuild.rule import EnvironmentFailure, Problem, UsageError

TIMEOUT = 30.0
"""Seconds for a server to answer."""
EXPECTED = "a config.pbtxt, JSON as /v2/models/NAME/config gives it, or a server's http://HOST:PORT"


@dataclass(frozen=True)
class Other:
    config: Any
    is_full: bool
    """It is what a server completed; else what a file leaves to Triton is not known from it."""


def other_config(place: str, model: str) -> Other:
    """Of a file, or of the model of that name on a server. Raises UsageError for what is no
    config, and where a server has none; EnvironmentFailure when no server answers."""
    if is_server(place):
        return Other(_from_server(place, model), is_full=True)
    try:
        content = Path(place).read_bytes()
    except OSError as error:
        found = f"{place} cannot be read: {error.strerror}"
        raise UsageError(Problem(found, EXPECTED)) from None
    if content.lstrip()[:1] == b"{":
        return Other(_from_json(content, place), is_full=True)
    from ..model_config.message import parse

    config, problems = parse(content, place)
    if problems:
        raise UsageError(*problems)
    return Other(config, is_full=False)


def is_server(place: str) -> bool:
    """Whether it is a URL rather than a file."""
    return urlsplit(place).scheme in ("http", "https")


def _from_server(url: str, model: str) -> Any:
    import requests

    address = f"{url.rstrip('/')}/v2/models/{quote(model, safe='')}/config"
    try:
        answer = requests.get(address, timeout=TIMEOUT)
    except requests.RequestException as error:
        reason = _reason(error)
        remedy = "is the server running there, and is it its HTTP port?"
        raise EnvironmentFailure(
            Problem(f"{url} does not answer: {reason}", remedy=remedy)
        ) from None
    if answer.status_code != 200:
        found = f"{url} has no config of {model!r} (status {answer.status_code}{_told(answer)})"
        remedy = "name the server's model with --model, if it has another name there"
        raise UsageError(Problem(found, remedy=remedy))
    return _from_json(answer.content, address)


def _told(answer: Any) -> str:
    """The server's own words."""
    try:
        return f": {answer.json()['error']}"
    except (ValueError, KeyError, TypeError):
        return ""


def _reason(error: Exception) -> str:
    """The innermost cause, which says it in the operating system's words."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause)


def _from_json(content: bytes, place: str) -> Any:
    from google.protobuf import json_format

    from ..model_config.message import empty

    try:
        return json_format.ParseDict(json.loads(content), empty())
    except (ValueError, json_format.ParseError) as error:
        found = f"{place} holds no ModelConfig: {error}"
        raise UsageError(Problem(found, EXPECTED)) from None
