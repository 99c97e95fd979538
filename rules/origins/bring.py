"""Brings a file that is known by its digest from wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tritonbuild.rule import ActionError, EnvironmentFailure, Problem, public

from .source import Passing, Refused, source_of
from .transfer import Expected, Progress, WrongFileError, transfer

RELOCK = (
    "if the file was replaced where it comes from: is that right? Then give its new sha256, or let "
    "`tritonbuild lock` take it"
)
NETWORK = "check this machine's network and proxy settings (HTTPS_PROXY, HTTP_PROXY)"


def bring(
    name: str,
    urls: Iterable[str],
    target: Path,
    expected: Expected,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    remedy: str = "",
) -> None:
    """Takes a file from the first of its addresses that has it. Raises ActionError with what each
    of them said, EnvironmentFailure where a library is missing."""
    failures: list[str] = []
    remedies: list[str] = []
    lacking: list[EnvironmentFailure] = []
    for url in urls:
        try:
            source = source_of(url)
            if source is None:
                raise Refused("nothing is known of such addresses")
            transfer(source.opening(url), target, expected, progress, cancelled)
        except Refused as refused:
            failures.append(f"{public(url)}: {refused.found}")
            remedies.append(refused.remedy)
        except Passing as passing:
            failures.append(f"{public(url)}: {passing}")
            remedies.append(NETWORK)
        except WrongFileError as wrong:
            failures.append(f"{public(url)}: {wrong}")
            remedies.append(RELOCK)
        except EnvironmentFailure as lack:
            failures.append(f"{public(url)}: {lack.problems[0].found}")
            lacking.append(lack)
        else:
            return
    if lacking and len(failures) == len(lacking):
        raise lacking[0]
    raise ActionError(
        Problem(
            f"{name} cannot be fetched\n    " + "\n    ".join(failures),
            f"a file with sha256 {expected.sha256}",
            remedy or _first(remedies),
        )
    )


def _first(remedies: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, remedies)))
