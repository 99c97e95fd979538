"""The components that models need: where they come from, and which the server at hand lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonbuild.rule import ImportRequest, Label, Problem, UsageError

from ..model_config.releases import FILE as RELEASE_FILE
from ..model_config.releases import release_in
from ..pytriton import COMPONENTS, RELEASES
from ..server.shell import SHELL_WORD, shell_word
from . import code
from .found import FoundModel
from .listing import DVC, Listing, try_to_read
from .toml import block, remark

MANIFEST = "triton.toml"
MODEL = "model.py"
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

    def is_python(self, backend: str) -> bool:
        """Whether a backend is known to run in the python backend."""
        if backend == "python":
            return True
        declared = self._root_table("backends").get(backend, {})
        path = declared.get("path") if isinstance(declared, dict) else None
        if path is None and backend in self.own:
            path = f"{self.folder}/{backend}"
        if not isinstance(path, str):
            return False
        folder = self.request.root / path
        return (folder / MODEL).exists() and not (folder / _library(backend)).exists()

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
        with try_to_read(problems):
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
        found.release = _release(request, declared["path"])
    return found


def not_startable(model: FoundModel, components: Components) -> Iterator[Problem]:
    """A backend in Python starts a model by its name, unquoted."""
    if SHELL_WORD.fullmatch(model.name) or not components.is_python(model.backend):
        return
    found = f"the {model.backend} backend cannot start a model of this name"
    remedy = f"rename its folder: {shell_word(model.name)}"
    yield Problem(found, remedy=remedy)


def _own(request: ImportRequest, folder: str) -> dict[str, list[str]]:
    """Raises UsageError for what cannot be part of a workspace."""
    listing = Listing(request, folder, "")
    found = {name: listing.below(name) for name in _backends_in(request.root / folder)}
    for backend in found.values():
        list(backend.walk())
    return {name: _requirements(backend) for name, backend in found.items()}


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
        path, root = Path(named).resolve(), request.root
        expected = "a folder of backends: NAME with libtriton_NAME.so or model.py, for each"
        if not path.is_dir():
            problems.append(Problem(f"--backends: {named} is not a folder", expected))
        elif path == root or root not in path.parents:
            found = f"--backends: {path} does not lie below {root}, where the workspace begins"
            remedy = "let it begin above both: --root FOLDER"
            problems.append(Problem(found, "a folder of the workspace", remedy))
        elif not _backends_in(path):
            found = f"--backends: there is no backend in {path}"
            is_one = path.name in _backends_in(path.parent)
            remedy = f"did you mean {path.parent}?" if is_one else ""
            problems.append(Problem(found, expected, remedy))
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
    return folder not in request.packages and bool(_backends_in(request.root / folder))


def _backends_in(folder: Path) -> list[str]:
    """The names of backends in a folder; none of one that cannot be read."""
    try:
        return sorted(path.name for path in folder.iterdir() if _is_backend(path))
    except OSError:
        return []


def _is_backend(folder: Path) -> bool:
    """Whether it holds one, or DVC knows of one there."""
    files = (_library(folder.name), MODEL)
    return re.match(r"\d", folder.name) is None and any(
        (folder / f"{file}{suffix}").exists() for file in files for suffix in ("", DVC)
    )


def _library(backend: str) -> str:
    return f"libtriton_{backend}.so"


def _requirements(listing: Listing) -> list[str]:
    """Of a backend in Python; none of a library."""
    if any(name.startswith("libtriton_") for name in listing.files):
        return []
    names = [name for name in listing.files if name.endswith(".py")]
    read = code.read({name: (listing.absolute / name).read_bytes() for name in names})
    own = {name.removesuffix(".py") for name, _ in listing.names}
    return code.third_party(read.imports, own)[0]


def _release(request: ImportRequest, path: str) -> str:
    """Of a folder laid out like /opt/tritonserver; empty when it does not tell."""
    file = request.root / path / RELEASE_FILE
    return release_in(file.read_bytes()) if file.is_file() else ""


def _contents(request: ImportRequest, path: str) -> Mapping[str, tuple[str, ...]]:
    """What a folder laid out like /opt/tritonserver has."""
    found: dict[str, tuple[str, ...]] = {}
    for table in COMPONENTS:
        folder = request.root / path / table
        inside = folder.iterdir() if folder.is_dir() else ()
        found[table] = tuple(sorted(entry.name for entry in inside if entry.is_dir()))
    return found
