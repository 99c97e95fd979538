"""The components that models need: where they come from, and which the server at hand lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.rule import ImportRequest, Label, Problem, UsageError

from ..pytriton import COMPONENTS, RELEASES
from . import code
from .listing import Listing
from .toml import block, remark

MANIFEST = "triton.toml"
PYPI = "pypi"
DISTRIBUTION = {"pypi": "nvidia-pytriton==0.7.0"}
TRITON = (
    "The Triton that PyPI carries (2.51): the python backend, ensembles and the local cache. "
    "Where another one is yours, name it here: a folder laid out like /opt/tritonserver "
    "(`path = …`)."
)

Component = tuple[str, str]
"""Table and name: `("backends", "onnxruntime")`."""


@dataclass
class Components:
    request: ImportRequest
    folder: str
    """Of backends of one's own, relative to the root; empty where there is none."""
    own: dict[str, list[str]] = field(default_factory=dict)
    """Backends in it → the Python packages that they need."""
    distribution: str = f"//:{PYPI}"
    """The default of verifications; empty where the root names none."""
    has: Mapping[str, tuple[str, ...]] | None = None
    """What it has, by table; None where that cannot be told."""
    release: str = ""
    """Its Triton's version; empty where that cannot be told."""
    has_manifest: bool = False
    """The folder of backends is a package already."""

    @property
    def is_new(self) -> bool:
        return self.request.manifest is None

    @property
    def named(self) -> str:
        """The distribution, for messages."""
        return self.distribution or f":{PYPI}"

    def reference(self, component: Component) -> str:
        """How a package's manifest names one."""
        table, name = component
        if table == "backends" and name in self.own and not self._in_root(component):
            return f"//{self.folder}:{name}"
        return name

    def lacking(self, needed: Iterable[Component]) -> list[Component]:
        """Those that no server at hand has."""
        return sorted(one for one in set(needed) if not self._is_there(one))

    def in_root(self, needed: Iterable[Component]) -> str:
        """What the new root's manifest says of them."""
        return "\n".join(self._declarations(needed, self.folder))

    def in_package(self, needed: Iterable[Component]) -> str:
        """What a package's manifest says, below a root that stood already."""
        foreign = [c for c in needed if not self._in_root(c) and c[1] not in self._backends(c)]
        blocks = list(self._declarations(foreign, ""))
        if not self.distribution:
            text = remark(TRITON) + block(["distributions", PYPI], DISTRIBUTION)
            blocks.insert(0, text)
        return "\n".join(blocks)

    def own_manifest(self, needed: Iterable[Component]) -> dict[str, str]:
        """The manifest of the folder of backends, below a root that stood already."""
        wanted = [c for c in needed if c[1] in self._backends(c) and not self._in_root(c)]
        if self.is_new or not wanted or self.has_manifest:
            return {}
        return {self.folder: "\n".join(self._declarations(wanted, ""))}

    def _backends(self, component: Component) -> Iterable[str]:
        return self.own if component[0] == "backends" else ()

    def _declarations(self, needed: Iterable[Component], folder: str) -> Iterator[str]:
        for table, name in sorted(set(needed)):
            values: dict[str, Any] = {}
            if table == "backends" and name in self.own:
                values["path"] = f"{folder}/{name}" if folder else name
                if self.own[name]:
                    values["requirements"] = self.own[name]
            text = block([table, name], values)
            if self.lacking([(table, name)]):
                where = f"Of the distribution that serves, or of a model; {self.named} has none."
                text = remark(where) + text
            elif values.get("requirements"):
                text = remark("`requirements` are from its imports: pin the versions.") + text
            yield text

    def _is_there(self, component: Component) -> bool:
        table, name = component
        if self.has is None or name in self.has.get(table, ()):
            return True
        if name not in self._root_table(table):
            return name in self._backends(component)
        declared = self._root_table(table)[name]
        return isinstance(declared, dict) and "path" in declared

    def _in_root(self, component: Component) -> bool:
        """Whether the root declares it, or will."""
        return self.is_new or component[1] in self._root_table(component[0])

    def _root_table(self, table: str) -> Mapping[str, Any]:
        found = (self.request.manifest or {}).get(table, {})
        return found if isinstance(found, dict) else {}


def components(request: ImportRequest, problems: list[Problem]) -> Components:
    """Looks for backends of one's own and for what the default distribution has."""
    found = Components(request, _folder(request, problems))
    if found.folder:
        found.own = _own(request, found.folder)
        if request.manifest is not None:
            _look_at_package(found, problems)
    manifest = request.manifest
    if manifest is not None:
        found.distribution = str(manifest.get("workspace", {}).get("distribution", ""))
    declared = _declared(manifest, found.distribution)
    if declared is not None and "pypi" in declared:
        found.has = COMPONENTS
        found.release = RELEASES.get(str(declared["pypi"]).rpartition("=")[2].strip(), "")
    elif declared is not None and isinstance(declared.get("path"), str):
        found.has = _contents(request, declared["path"])
    return found


def _own(request: ImportRequest, folder: str) -> dict[str, list[str]]:
    listing = Listing(request, folder, "")
    names = (name for name in listing.folders if _is_backend(listing, name))
    return {name: _requirements(listing.below(name)) for name in names}


def _look_at_package(found: Components, problems: list[Problem]) -> None:
    """Below a root that stood already, the folder is a package, or becomes one."""
    import tomli

    try:
        Label.parse(f"//{found.folder}:backend")
    except UsageError as error:
        problems += error.problems
    file = found.request.root / found.folder / MANIFEST
    if file.exists():
        found.has_manifest = True
        try:
            declared = tomli.loads(file.read_text()).get("backends", {})
        except ValueError as error:
            place = f"{found.folder}/{MANIFEST}"
            problems.append(Problem(f"broken TOML: {error}", file=place))
            return
        found.own = {name: needed for name, needed in found.own.items() if name in declared}


def _declared(manifest: Mapping[str, Any] | None, label: str) -> Mapping[str, Any] | None:
    """A distribution of the root's; that of PyPI where the root names none. None: elsewhere."""
    if manifest is None or not label:
        return DISTRIBUTION
    name = label.removeprefix("//").removeprefix(":")
    declared = manifest.get("distributions", {}).get(name)
    return declared if isinstance(declared, dict) else None


def _folder(request: ImportRequest, problems: list[Problem]) -> str:
    if named := request.options.get("backends"):
        from pathlib import Path

        path, root = Path(named).resolve(), request.root
        if not path.is_dir():
            problems.append(Problem(f"--backends: {named} is not a folder", "a folder"))
        elif path == root or root not in path.parents:
            found = f"--backends: {path} does not lie below {root}, where the workspace begins"
            remedy = "let it begin above both: --root FOLDER"
            problems.append(Problem(found, "a folder of the workspace", remedy))
        else:
            return path.relative_to(root).as_posix()
        return ""
    places = [package.rpartition("/")[0] for package in request.packages if package]
    for above in (*places, ""):
        folder = f"{above}/backends" if above else "backends"
        if is_folder_of_backends(request, folder):
            return folder
    return ""


def is_folder_of_backends(request: ImportRequest, folder: str) -> bool:
    if folder in request.packages or not (request.root / folder).is_dir():
        return False
    listing = Listing(request, folder, "")
    try:
        return any(_is_backend(listing, name) for name in listing.folders)
    except UsageError:
        return False


def _is_backend(listing: Listing, name: str) -> bool:
    files = listing.below(name).files
    is_version = re.match(r"\d", name) is not None
    return not is_version and (f"libtriton_{name}.so" in files or "model.py" in files)


def _requirements(listing: Listing) -> list[str]:
    """Of a backend in Python; none of a library."""
    if any(name.startswith("libtriton_") for name in listing.files):
        return []
    names = [name for name in listing.files if name.endswith(".py")]
    read = code.read({name: (listing.absolute / name).read_bytes() for name in names})
    own = {name.removesuffix(".py") for name, _ in listing.names}
    return code.third_party(read.imports, own)[0]


def _contents(request: ImportRequest, path: str) -> Mapping[str, tuple[str, ...]]:
    """What a folder laid out like /opt/tritonserver has."""
    found: dict[str, tuple[str, ...]] = {}
    for table in COMPONENTS:
        folder = request.root / path / table
        inside = folder.iterdir() if folder.is_dir() else ()
        found[table] = tuple(sorted(entry.name for entry in inside if entry.is_dir()))
    return found
