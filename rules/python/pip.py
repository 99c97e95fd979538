"""pip, run as a program: indexes, credentials, proxies, certificates and the download cache are as
the user has configured them. Nothing of that configuration leaves this module but pip's own words,
and credentials are cut out of those."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from tritonbuild.rule import public

_FOR_ANOTHER = """
import ctypes, json, os, runpy, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit("the build has ended")
from pip._vendor.packaging import markers
environment = json.loads(sys.argv.pop(1))
markers.default_environment = lambda: dict(environment)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""It ends when the thread that started it ends, even by kill -9.

pip takes wheels for another Python (`--python-version`) but judges markers such as
`python_version < "3.11"` by the Python that runs it: https://github.com/pypa/pip/issues/11664."""

_UNREACHABLE = re.compile(
    r"connection broken by '(?P<retried>.*)': /"
    r"|Could not fetch URL (?P<refused>.*?)(?: - skipping|$)",
    re.MULTILINE,
)


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "pip", *arguments]


def command_for(environment: str, arguments: Sequence[str]) -> list[str]:
    """pip as if it ran in a Python of that marker environment (JSON), started by this process."""
    return [sys.executable, "-P", "-c", _FOR_ANOTHER, str(os.getpid()), environment, *arguments]


def variables() -> dict[str, str]:
    """The environment for pip: the user's, without questions and without what concerns the
    Python that it would install into."""
    fixed = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COLOR": "1",
        "PIP_NO_INPUT": "1",
        "PIP_PROGRESS_BAR": "off",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_USER": "0",
    }
    if os.environ.get("PIP_RETRIES") == "0":
        fixed["PIP_RETRIES"] = "1"  # only when pip retries does it say that an index is unreachable
    return {**os.environ, **fixed}


def errors(output: str) -> list[str]:
    """The messages of severity error in what pip wrote."""
    return [public(found) for found in re.findall(r"^ERROR: (.*)", output, re.MULTILINE)]


def unreachable(output: str) -> str:
    """Why an index did not answer, where pip's failure comes from that; else empty."""
    match = _UNREACHABLE.search(output)
    if match is None or not re.search(
        r"\(from versions: none\)|^ERROR: Could not install", output, re.M
    ):
        return ""
    reason = match["retried"] or match["refused"]
    # NewConnectionError('HTTPSConnection(host=…): Failed to …') and the like: the words matter.
    return public(re.sub(r"^\w+\([\"']?|[\"']?\)$", "", reason))


INDEX_REMEDY = "check the network, and pip's index, proxy and certificate: `pip config list`"
