"""What is found in an image without its bytes: the operating system, Debian packages, Python
distributions and the files of models, from the listings of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tritonbuild.oci import Listed, View
from tritonbuild.rule import File, Folder, LockedFile

from .bill import Item, utf8

STATUS, STATUS_FOLDER = "var/lib/dpkg/status", "var/lib/dpkg/status.d"
_DIST_INFO = ".dist-info"
_DEBIANS = "/dist-packages/"
"""Python that Debian packages brought; they are listed as such."""


class Inventory:
    """A file system, and which layers its paths come from."""

    def __init__(self, view: View):
        self.root = view.root
        self._view = view

    def layers(self, *paths: str) -> tuple[str, ...]:
        """Of the first of the paths that a layer brings."""
        owners, layers = self._view.owners, self._view.image.layers
        found = (owners[path] for path in paths if path in owners)
        return next(((layers[number].descriptor.digest,) for number in found), ())

    def layers_below(self, path: str) -> tuple[str, ...]:
        """Of all files in a folder."""
        return tuple(
            sorted({layer for file in self.files(path) for layer in self.layers(file.path)})
        )

    def files(self, path: str) -> Iterator[Listed]:
        """At a path or below it."""
        entry = self.root.get(path)
        if entry is not None and entry.kind == "file":
            yield entry
        for name in self.root.names(path):
            yield from self.files(f"{path}/{name}")

    def system(self) -> Iterator[Item]:
        """The operating system, if it says which."""
        release = self._os_release
        if "ID" in release:
            version = release.get("VERSION_ID", "")
            layers = self.layers("usr/lib/os-release", "etc/os-release")
            yield Item(kind="system", name=release["ID"], version=version, layers=layers)

    def packages(self) -> Iterator[Item]:
        """Debian packages, as dpkg has them, in one file or in a file each."""
        paths = [STATUS, *(f"{STATUS_FOLDER}/{name}" for name in self.root.names(STATUS_FOLDER))]
        for path in paths:
            if not path.endswith(".md5sums") and (text := self.root.text(path)):
                yield from self._packages_in(text)

    def _packages_in(self, text: str) -> Iterator[Item]:
        from debian.deb822 import Packages
        from packageurl import PackageURL

        release = self._os_release
        vendor, number = release.get("ID", "debian"), release.get("VERSION_ID", "")
        for package in Packages.iter_paragraphs(utf8(text), use_apt_pkg=False):
            state = package.get("Status", "install ok installed").split()
            name, version = package.get("Package", ""), package.get("Version", "")
            if state[-1:] != ["installed"] or not (name and version):
                continue
            source, _, of_source = package.get("Source", name).partition(" ")
            upstream = f"{source}@{of_source.strip('()') or version}"
            qualifiers = {
                "arch": package.get("Architecture", ""),
                "distro": f"{vendor}-{number}" if number else "",
                "upstream": upstream if upstream != f"{name}@{version}" else "",
            }
            folder = f"usr/share/doc/{name}"
            licence = f"{folder}/copyright"
            yield Item(
                kind="package",
                name=name,
                version=version,
                purl=PackageURL("deb", vendor, name, version, qualifiers).to_string(),
                licence=licence if self.root.find(licence) else "",
                layers=self.layers(
                    licence,
                    folder,
                    f"{STATUS_FOLDER}/{name}",
                    f"var/lib/dpkg/info/{name}.list",
                    f"var/lib/dpkg/info/{name}:{package.get('Architecture')}.list",
                ),
            )

    def wheels(self, locked: Iterable[LockedFile]) -> Iterator[Item]:
        """Python distributions that the image holds, with what the lock says of them; and those
        that it says more."""
        known = {_project(file.name): file for file in locked}
        found: set[tuple[str, str]] = set()
        for entry in self.root.entries:
            folder, _, file = entry.path.rpartition("/")
            if file != "METADATA" or not folder.endswith(_DIST_INFO) or _DEBIANS in entry.path:
                continue
            project = _project(utf8(folder.rpartition("/")[2].removesuffix(_DIST_INFO)))
            if not project[0]:
                continue
            found.add(project)
            yield _wheel(
                project, known.get(project), licence=self._licence(folder),
                layers=self.layers(entry.path),
            )  # fmt: skip
        for project, said in known.items():
            if project not in found:
                yield _wheel(project, said)

    def _licence(self, folder: str) -> str:
        """Of a Python distribution (PEP 639, and before it)."""
        for file in sorted(self.files(folder), key=lambda file: file.path):
            name = file.path.removeprefix(f"{folder}/")
            if name.upper().startswith(("LICEN", "COPYING")):
                return file.path
        return ""

    def model_files(self, path: str, origins: Origins) -> Iterator[Item]:
        """Of a model whose folder lies at a path of the image."""
        here = f"{self.root.canonical(path)}/"
        for file in self.files(path):
            inner = file.path.removeprefix(here)
            yield origins.file(inner, file.digest, file.size, self.layers(file.path))

    @property
    def _os_release(self) -> Mapping[str, str]:
        text = self.root.text("etc/os-release") or self.root.text("usr/lib/os-release") or ""
        lines = (line for line in utf8(text).splitlines() if not line.startswith("#"))
        pairs = (line.partition("=") for line in lines)
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs if value}


@dataclass(frozen=True)
class Origins:
    """Where the files of a model came from."""

    model: str
    sources: Mapping[str, str]
    """As `ModelInfo.sources` has them."""
    locked: Mapping[str, str]
    """SHA-256 → URL, of what was downloaded."""

    def file(self, path: str, sha256: str, size: int, layers: tuple[str, ...] = ()) -> Item:
        """One at a path of the model's folder."""
        return Item(
            kind="file", name=f"{self.model}/{path}", sha256=sha256, size=size, layers=layers,
            source=self.locked.get(sha256) or self._source(path),
        )  # fmt: skip

    def _source(self, path: str) -> str:
        ends = (len(path), *(at for at in range(len(path), 0, -1) if path[at - 1] == "/"))
        for end in ends:
            if (source := self.sources.get(path[:end])) is not None:
                return f"{source}{path[end:]}" if source.endswith("/") else source
        return ""


def files_of(folder: Folder, above: str = "") -> Iterator[tuple[str, File]]:
    """By their paths."""
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder):
            yield from files_of(entry, f"{above}{name}/")
        elif isinstance(entry, File):
            yield f"{above}{name}", entry


def _project(name: str) -> tuple[str, str]:
    """Canonical name and version, of a wheel or of a distribution's folder."""
    from packaging.utils import canonicalize_name

    project, version, *_ = (*name.removesuffix(".whl").split("-"), "")
    return canonicalize_name(project), version


def _wheel(project: tuple[str, str], said: LockedFile | None, **more: Any) -> Item:
    from packageurl import PackageURL

    name, version = project
    of_file = {"file_name": said.name} if said else {}
    return Item(
        kind="wheel", name=name, version=version,
        purl=PackageURL("pypi", None, name, version, of_file).to_string(),
        sha256=said.sha256 if said else "", source=said.url if said else "", **more,
    )  # fmt: skip
