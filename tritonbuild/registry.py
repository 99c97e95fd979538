"""Which rules and resolvers there are: the built-in ones and installed plug-ins (both found by
the entry point `tritonbuild.rules`), and those of a workspace's own files.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from tritonbuild.digest import Digest
from tritonbuild.errors import EnvironmentFailure, Problem, UsageError, of_code
from tritonbuild.rule import Importer, Inspector, Resolver, Rule
from tritonbuild.tools import Tool
from tritonbuild.tools.tool import REVISION
from tritonbuild.workspace import Workspace

ENTRY_POINT = "tritonbuild.rules"
PARTS: Mapping[type, tuple[str, str]] = {
    Tool: ("tool", "name"),
    Resolver: ("resolver", "kind"),
    Importer: ("importer", "kind"),
    Inspector: ("inspector", "kind"),
}
"""What people call it, and the attribute that names it."""


@dataclass(frozen=True)
class Registry:
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """By table."""
    _modules: Sequence[tuple[ModuleType, str]] = ()
    """Where parts are looked for, and what people call it."""

    @property
    def tools(self) -> Mapping[str, Tool]:
        return self._parts[Tool]

    @property
    def resolvers(self) -> Mapping[str, Resolver]:
        """By kind."""
        return self._parts[Resolver]

    @property
    def importers(self) -> Mapping[str, Importer]:
        """By kind."""
        return self._parts[Importer]

    @property
    def inspectors(self) -> Mapping[str, Inspector]:
        """By kind."""
        return self._parts[Inspector]

    @cached_property
    def _parts(self) -> Mapping[type, Mapping[str, Any]]:
        """All but rules, found when something is first asked for by its name: most builds have what
        they need from their rules. Raises UsageError when a name has an owner already."""
        found: dict[type, dict[str, Any]] = {kind: {} for kind in PARTS}
        for module, called in self._modules:
            for value in [value for room in _rooms(module) for value in vars(room).values()]:
                if isinstance(value, tuple(PARTS)):
                    what, key = PARTS[type(value)]
                    name = getattr(value, key)
                    if found[type(value)].setdefault(name, value) is not value:
                        raise _taken(what, name, called)
        return found

    def with_module(self, module: ModuleType, file: str = "") -> Registry:
        """Adds all rules that are attributes of a module, and the tools, resolvers, importers and
        inspectors that are, or that are those of its `parts`. Raises UsageError when a table, or
        what the module has already, has an owner."""
        rules, called = dict(self.rules), file or module.__name__
        values = list(vars(module).values())
        for value in values:
            if isinstance(value, type) and issubclass(value, Rule) and hasattr(value, "table"):
                owner = rules.setdefault(value.table, value())
                if type(owner) is not value:
                    raise _taken("table", value.table, called)
        registry = Registry(rules, (*self._modules, (module, called)))
        if any(isinstance(value, tuple(PARTS)) for value in values):
            registry._parts  # noqa: B018  # raises
        return registry

    def with_files(self, workspace: Workspace, paths: Iterable[str]) -> Registry:
        """Adds a workspace's own rule files."""
        registry = self
        for path in paths:
            registry = registry.with_module(_load(workspace, path), path)
        return registry


def installed() -> Registry:
    """The built-in rules and those of plug-ins. Raises EnvironmentFailure when one is broken."""
    registry = Registry()
    for point in sorted(entry_points(group=ENTRY_POINT), key=lambda point: point.name):
        try:
            module = point.load()
        except Exception as error:
            distribution = point.dist.name if point.dist else point.value
            raise EnvironmentFailure(
                Problem(
                    f"the rules of {distribution} cannot be imported: "
                    f"{type(error).__name__}: {error}",
                    "a module with rules",
                    f"install it again, or remove it: pip uninstall {distribution}",
                )
            ) from error
        registry = registry.with_module(module)
    return registry


def _load(workspace: Workspace, path: str) -> ModuleType:
    """Imports a rule file. Its tools' versions hold the digest of the file."""
    content = workspace.read(path)
    assert content is not None, "globbed a moment ago"
    name = f"tritonbuild_workspace_rules.{Digest.of_bytes(path.encode()).hash[:12]}"
    spec = importlib.util.spec_from_file_location(name, workspace.absolute(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, REVISION, Digest.of_bytes(content).hash[:12])
    sys.modules[name] = module
    try:
        code = compile(content, path, "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  # a rule file is code
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Rule):
                value.Attributes.model_rebuild()  # types that stand nowhere are found now
    except Exception as error:
        told = of_code(error, path)
        expected = "Python that defines rules with tritonbuild.rule"
        raise UsageError(replace(told, expected=expected)) from error
    return module


def _rooms(module: ModuleType) -> Iterator[ModuleType]:
    """A module; and of a package its module `parts`, which is imported now."""
    yield module
    name = f"{module.__name__}.parts"
    if hasattr(module, "__path__") and importlib.util.find_spec(name):
        yield importlib.import_module(name)


def _taken(what: str, name: str, file: str) -> UsageError:
    return UsageError(
        Problem(f"the {what} {name!r} is defined twice", f"a {what} of its own", file=file)
    )
