"""Renews rules/python/pins.toml: the Debian packages that the bundled Python is cut from.

    python scripts/pin_python.py

Takes each package that the file names at the version that the suite has now.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tomli
import tomli_w
from tritonbuild.rules.debian.archive import indexes
from tritonbuild.rules.debian.pool import Package, Pool

PINS = Path(__file__).parents[1] / "rules/python/pins.toml"
HEADER = """\
# The Debian packages that the bundled Python is cut from.
# Renewed by scripts/pin_python.py, which checks Debian's signature. Add a package by its name.
"""


def main() -> None:
    pins = tomli.loads(PINS.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        suite, *_ = indexes(pins["suite"], "amd64", Path(scratch))
    packages = Pool([suite])
    pins["snapshot"] = suite.snapshot
    pins["version"] = _named(packages, "python3.11").version.partition("-")[0]
    names = sorted(pin["name"] for pin in pins["packages"])
    pins["packages"] = [_pin(_named(packages, name)) for name in names]
    PINS.write_text(HEADER + tomli_w.dumps(pins))


def _named(packages: Pool, name: str) -> Package:
    package = packages.get(name)
    if package is None:
        raise SystemExit(f"the suite has no {name}")
    return package


def _pin(package: Package) -> dict[str, Any]:
    return {
        "name": package.name,
        "version": package.version,
        "path": package.fields["Filename"],
        "sha256": package.fields["SHA256"],
        "size": int(package.fields["Size"]),
    }


if __name__ == "__main__":
    main()
