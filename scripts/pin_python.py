"""Renews rules/python/pins.toml: the Debian packages that the bundled Python is cut from.

    python scripts/pin_python.py

Takes each package that the file names at the version that the suite has now. What Debian's mirror
says is believed because Debian's archive key signed it: this needs `gpgv` and the keyring of the
package debian-archive-keyring.
"""

from __future__ import annotations

import hashlib
import lzma
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import tomli
import tomli_w
from debian.deb822 import Packages, Release

PINS = Path(__file__).parents[1] / "rules/python/pins.toml"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
INDEX = "main/binary-amd64/Packages.xz"
HEADER = """\
# The Debian packages that the bundled Python is cut from.
# Renewed by scripts/pin_python.py, which checks Debian's signature. Add a package by its name.
"""


def main() -> None:
    pins = tomli.loads(PINS.read_text())
    release = _release(pins["suite"])
    packages = {
        package["Package"]: package
        for package in Packages.iter_paragraphs(
            lzma.decompress(_index(pins["suite"], release)).decode(), use_apt_pkg=False
        )
    }
    pins["snapshot"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    pins["version"] = packages["python3.11"]["Version"].partition("-")[0]
    names = sorted(pin["name"] for pin in pins["packages"])
    pins["packages"] = [_pin(packages[name]) for name in names]
    PINS.write_text(HEADER + tomli_w.dumps(pins))


def _pin(package: Any) -> dict[str, Any]:
    return {
        "name": package["Package"],
        "version": package["Version"],
        "path": package["Filename"],
        "sha256": package["SHA256"],
        "size": int(package["Size"]),
    }


def _release(suite: str) -> Release:
    """The suite's InRelease, after its signature was found good."""
    with tempfile.TemporaryDirectory() as folder:
        signed, plain = Path(folder, "InRelease"), Path(folder, "Release")
        signed.write_bytes(_get(f"dists/{suite}/InRelease"))
        subprocess.run(
            ["gpgv", "--keyring", KEYRING, "--output", str(plain), str(signed)], check=True
        )
        return Release(plain.read_bytes())


def _index(suite: str, release: Release) -> bytes:
    content = _get(f"dists/{suite}/{INDEX}")
    (signed,) = (entry["sha256"] for entry in release["SHA256"] if entry["name"] == INDEX)
    if hashlib.sha256(content).hexdigest() != signed:
        sys.exit(f"{INDEX} is not what {suite}'s release signs: run again")
    return content


def _get(path: str) -> bytes:
    response = requests.get(f"{MIRROR}/{path}", timeout=60)
    response.raise_for_status()
    return response.content


if __name__ == "__main__":
    main()
