"""What a server says when something fails, in one line if one line says it.

Paths in its model repository are shown without the repository's folder.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

from tritonbuild.rule import ActionError

_FAILED = re.compile(
    r"failed to load (?:model )?'(?P<model>.*?)'(?: version (?P<version>-?\d+))?: (?P<why>(?s:.*))"
)
_POLL = re.compile(r"Poll failed for model directory '(?P<model>.*?)': (?P<why>.*)")
_CONFIG = re.compile(r"Error parsing text-format inference\.ModelConfig: (?P<why>.*)")
_STUB = re.compile(r"Failed to preinitialize Python stub: (?P<why>.*)")
_LIBRARY = re.compile(r"error while loading shared libraries: (?P<why>.*)")
_STATUS = re.compile(r"^(?:Internal|Invalid argument|Not found|Unavailable|Unsupported|Unknown): ")
_LOADING = re.compile(r"loading: (?P<model>.+):\d+\"?$")
_LOADED = re.compile(r"successfully loaded '(?P<model>.*?)'")
_TAKEN = re.compile(r"failed to start \w+ service: .*Socket '\S+:(?P<port>\d+)' already in use")
_REQUEST = re.compile(
    r"^(?:\[request id: .*?\] )?(?:Failed to process the request\(s\) .*?message: )?"
)
_FATAL = re.compile(r"^error: (?P<why>.*)")
_RECORD = re.compile(r"^[IWEF]\d{4} [\d:.]+\s+\d+ [\w.]+:\d+\] (?P<text>.*)$")
_FRAME = re.compile(r"^\s+(?P<file>.+)\((?P<line>\d+)\): (?P<function>.*)$")


class ServerError(ActionError):
    """The server did not come up; the first problem says why."""


def outcome(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def taken_port(log: str) -> int | None:
    """The port that someone else had, if that is why the server ended."""
    found = next(_find(_TAKEN, log), None)
    return int(found["port"]) if found else None


def still_loading(log: str) -> list[str]:
    """Models that the server began to load, neither loaded nor failed."""
    loading: dict[str, None] = {}
    for text in map(_text, log.splitlines()):
        if found := _LOADING.search(text):
            loading[found["model"]] = None
        elif found := _LOADED.search(text) or _FAILED.search(text):
            loading.pop(found["model"], None)
    return list(loading)


def reasons(log: str, repository: str) -> list[str]:
    """What the log gives as reasons, a text each, most telling first; none if it gives none."""
    told = dict.fromkeys(_reasons(log, repository))
    if not told:
        told = dict.fromkeys(found["why"] for found in _find(_FATAL, log))
    return list(told)


def refusal(answer: str, repository: str) -> str:
    """Why a request failed, of the server's answer."""
    return _exception(_REQUEST.sub("", answer), repository)


def _reasons(log: str, repository: str) -> Iterator[str]:
    config = [found["why"] for found in _find(_CONFIG, log)]
    for found in _find(_POLL, log):
        why = found["why"]
        if "failed to read text proto" in why and config:
            why = f"config.pbtxt:{config.pop(0)}"
        yield f"model {found['model']!r}: {why.replace(f'{repository}/', '')}"
    for found in _find(_FAILED, log):
        version = f" version {found['version']}" if found["version"] else ""
        why = _exception(_STATUS.sub("", found["why"]), repository)
        yield f"model {found['model']!r}{version}: {why}"
    for found in _find(_STUB, log):
        yield found["why"].replace(f"{repository}/", "")
    for found in _find(_LIBRARY, log):
        yield f"a library is missing: {found['why']}"


def _find(pattern: re.Pattern[str], log: str) -> Iterator[re.Match[str]]:
    for line in log.splitlines():
        if found := pattern.search(_text(line)):
            yield found


def _text(line: str) -> str:
    """Of a log line, what was logged; newer servers write it as a JSON string."""
    record = _RECORD.match(line)
    text = record["text"] if record else line
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text


def _exception(why: str, repository: str) -> str:
    """A Python exception with the innermost of its places that lies in the repository."""
    what, at, places = why.partition("\n\nAt:\n")
    for place in places.splitlines() if at else ():
        if (found := _FRAME.match(place)) and found["file"].startswith(f"{repository}/"):
            file = found["file"].removeprefix(f"{repository}/")
            return f"{what} ({file}, line {found['line']}, in {found['function']})"
    return what.rstrip()
