"""What is known of the repository's commit, in the place of words such as `{git.short}`. It never
reaches a layer: tags and annotations may hold it."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from tritonbuild.errors import Problem, UsageError, did_you_mean

_WORD = re.compile(r"\{git\.([^{}]*)\}")
_COMMANDS = {
    "commit": ("rev-parse", "HEAD"),
    "short": ("rev-parse", "--short=12", "HEAD"),
    "branch": ("rev-parse", "--abbrev-ref", "HEAD"),
    "tag": ("describe", "--tags", "--exact-match"),
    "describe": ("describe", "--tags", "--always", "--dirty"),
    "date": ("show", "--no-patch", "--format=%cI", "HEAD"),
}


def replace(text: str, root: Path) -> str:
    """Raises UsageError for an unknown word, and where git does not know."""
    check(text)
    return _WORD.sub(lambda match: _value(match[1], root), text)


def check(text: str) -> None:
    """Raises UsageError for an unknown word."""
    for name in _WORD.findall(text):
        if name not in _COMMANDS:
            known = did_you_mean(f"git.{name}", (f"git.{word}" for word in _COMMANDS))
            raise UsageError(Problem(f"{{git.{name}}} means nothing", remedy=known))


@cache
def _value(name: str, root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", root, *_COMMANDS[name]], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise UsageError(
            Problem(
                f"{{git.{name}}} needs git", "git on PATH", "install it, or take the stamp away"
            )
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().partition("\n")[0]
        found = f"{{git.{name}}} is not known: {said}"
        raise UsageError(Problem(found, "a repository with a commit (and a tag)")) from None
    return done.stdout.strip()
