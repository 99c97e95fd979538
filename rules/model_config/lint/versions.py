"""Versions: their folders and which of them the policy loads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tritonbuild.rule import Folder

from ..policy import NOT_VERSIONS, leading_number, loaded, present
from .subject import Finding, Subject

HERE = "version_policy"


def versions(subject: Subject) -> Iterator[Finding]:
    config, folder = subject.config, subject.folder
    yield from _names(folder)
    there = present(folder)
    policy = config.version_policy
    if policy.HasField("specific"):
        for index, version in enumerate(policy.specific.versions):
            if version not in there:
                found = f"the model has no version {version}"
                expected = f"one of {', '.join(map(str, there))}" if there else ""
                key = (HERE, "specific", "versions", index)
                yield Finding(key, found, expected, fatal=False)
    if not loaded(folder, policy):
        found = "no version is loaded" if there else "the model has no version folder"
        yield Finding((HERE,), found, "at least one version that the policy loads")


def _names(folder: Folder) -> Iterator[Finding]:
    names = sorted(name for name, entry in folder.entries.items() if isinstance(entry, Folder))
    for name in names:
        if name in NOT_VERSIONS or re.fullmatch(r"0|[1-9][0-9]*", name):
            continue
        if re.fullmatch(r"0[0-9]+", name):
            found = f"Triton leaves out the folder {name!r}, for its leading zero"
            remedy = f"call it {name.lstrip('0') or '0'}"
            yield Finding((HERE,), found, "", remedy, fatal=False)
        elif (number := leading_number(name)) is not None:
            # Unless that version has its own folder, every backend that opens a file fails.
            found = f"Triton takes the folder {name!r} for version {number}"
            is_there = number >= 0 and str(number) in folder.entries
            remedy = "call it by a number only, or by another word"
            yield Finding((HERE,), found, "a whole number", remedy, fatal=not is_there)
        elif name == names[0]:
            found = f"the folder {name!r} stands before the versions"
            remedy = "take it away: Triton looks for the model's file in the first folder"
            yield Finding((HERE,), found, "", remedy, fatal=False)
