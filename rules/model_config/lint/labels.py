"""Label files of outputs."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from tritonbuild.rule import File, KeyPath

from .subject import Finding, Subject


def labels(subject: Subject) -> Iterator[Finding]:
    for index, output in enumerate(subject.config.output):
        if not output.label_filename:
            continue
        key: KeyPath = ("output", index, "label_filename")
        path = normpath(output.label_filename)
        if path.startswith(("../", "/")) or path == "..":
            # Older releases read it, wherever it is; nothing outside the model's folder is known.
            found = f"{output.label_filename!r} lies outside the model's folder"
            yield Finding(key, found, "a path in it", fatal=subject.is_from("2.66"))
        elif not isinstance(subject.folder.get(path), File):
            remedy = f'add it to the model: labels = {{ {output.name} = "labels.txt" }}'
            yield Finding(key, f"the model has no file {path!r}", "", remedy)
