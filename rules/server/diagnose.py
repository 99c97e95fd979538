"""What a server says when something fails, in one line if one line says it.

Paths below its private folder are shown as those of the workspace, where the files came from there.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tritonbuild.rule import ActionError, Problem

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
_BAD, _UNKNOWN = "bad option", "unrecognized option"
_OPTION = re.compile(
    rf"^(?:Bad option: \"(?P<option>.*?)\"\.\n(?P<why>.*)|.*: (?P<unknown>{_UNKNOWN} .*))$",
    re.MULTILINE,
)
_ERROR = re.compile(r"^E\d{4} ")
_RECORD = re.compile(r"^[IWEF]\d{4} [\d:.]+\s+\d+ [\w.]+:\d+\] (?P<text>.*)$")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?P<module>[^']+)'")
_NO_GPU = re.compile(r"has kind KIND_GPU but |no CUDA-capable device")
_FRAME = re.compile(r"^\s+(?P<file>.+)\((?P<line>\d+)\): (?P<function>.*)$")


class ServerError(ActionError):
    """The server did not come up; the first problem says why."""


@dataclass(frozen=True)
class Places:
    """Where the files that a server works with came from."""

    root: str
    """The server's private folder, whose `models` is its repository."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Path below it → path in the workspace. Those of folders end in `/`; a folder that is made
    of one file may stand for that file."""

    def shown(self, path: str) -> str:
        """A path below the root, for people."""
        path = path.removeprefix(f"{self.root}/")
        for length in range(len(path), 0, -1):
            if (source := self.sources.get(path[:length])) is not None:
                return f"{source}{path[length:]}" if source.endswith("/") else source
        return path.removeprefix("models/")

    def in_text(self, text: str) -> str:
        pattern = rf"{re.escape(self.root)}/[^\s'\",;:()]+"
        return re.sub(pattern, lambda found: self.shown(found[0]), text)


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


def reasons(log: str, places: Places) -> list[Problem]:
    """What the log gives as reasons, most telling first; none if it gives none."""
    told = dict.fromkeys(_reasons(log, places))
    if not told:
        told = dict.fromkeys([*(found["why"] for found in _find(_FATAL, log)), *_options(log)])
    return [Problem(text, remedy=_remedy(text)) for text in told]


def last_error(log: str) -> str:
    """What it logged last as an error; empty: nothing."""
    return next((_text(x) for x in reversed(log.splitlines()) if _ERROR.match(x)), "")


def without_gpu(problems: Iterable[Problem], remedy: str) -> Iterator[Problem]:
    """Those of a server that saw no GPU, with the remedy where that is why a model did not load."""
    for problem in problems:
        yield replace(problem, remedy=remedy) if _NO_GPU.search(problem.found) else problem


def refusal(answer: str, places: Places) -> str:
    """Why a request failed, of the server's answer."""
    return _exception(_REQUEST.sub("", answer), places)


def _reasons(log: str, places: Places) -> Iterator[str]:
    config = [found["why"] for found in _find(_CONFIG, log)]
    for found in _find(_POLL, log):
        why = found["why"]
        if "failed to read text proto" in why and config:
            why = f"config.pbtxt:{config.pop(0)}"
        yield f"model {found['model']!r}: {places.in_text(why)}"
    for found in _find(_FAILED, log):
        version = f" version {found['version']}" if found["version"] else ""
        why = _exception(_STATUS.sub("", found["why"]), places)
        yield f"model {found['model']!r}{version}: {why}"
    for found in _find(_STUB, log):
        yield places.in_text(found["why"])
    for found in _find(_LIBRARY, log):
        yield f"a library is missing: {found['why']}"


def _options(log: str) -> Iterator[str]:
    for found in _OPTION.finditer(log):
        yield found["unknown"] or f"{_BAD} {found['option']}: {found['why']}"


def _remedy(why: str) -> str:
    if why.startswith((_BAD, _UNKNOWN)):
        log = "the server's log (a verification's server.log)"
        return f"`server` of the image says it; {log} has what it may say"
    found = _MISSING.search(why)
    if found is None:
        return ""
    package = found["module"].partition(".")[0]
    return f"add the package that has {package!r} to `requirements` of the model, or of its backend"


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


def _exception(why: str, places: Places) -> str:
    """A Python exception with the innermost of its places that lies below the root."""
    what, at, frames = why.partition("\n\nAt:\n")
    for frame in frames.splitlines() if at else ():
        if (found := _FRAME.match(frame)) and found["file"].startswith(f"{places.root}/"):
            file = places.shown(found["file"])
            return f"{what} ({file}, line {found['line']}, in {found['function']})"
    return places.in_text(what.rstrip())
