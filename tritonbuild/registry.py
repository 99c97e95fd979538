"""Which rules and resolvers there are: the built-in ones and installed plug-ins (both found by
the entry point `tritonbuild.rules`), and those of a workspace's own files.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from types import ModuleType

from tritonbuild.digest import Digest
from tritonbuild.errors import EnvironmentFailure, Problem, UsageError, of_code
from tritonbuild.rule import Importer, Resolver, Rule
from tritonbuild.tools import Tool
from tritonbuild.tools.tool import REVISION
from tritonbuild.workspace import Workspace

ENTRY_POINT = "tritonbuild.rules"


@dataclass(frozen=True)
class Registry:
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """By table."""
    tools: Mapping[str, Tool] = field(default_factory=dict)
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)
    """By kind."""
    importers: Mapping[str, Importer] = field(default_factory=dict)
    """By kind."""

    def with_module(self, module: ModuleType, file: str = "") -> Registry:
        """Adds all rules, tools, resolvers and importers that are attributes of a module. Raises
        UsageError when a table, a tool or a kind of request has an owner already."""
        rules, tools, resolvers = dict(self.rules), dict(self.tools), dict(self.resolvers)
        importers = dict(self.importers)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Rule) and hasattr(value, "table"):
                owner = rules.setdefault(value.table, value())
                if type(owner) is not value:
                    raise _taken("table", value.table, file or module.__name__)
            elif isinstance(value, Tool) and tools.setdefault(value.name, value) is not value:
                raise _taken("tool", value.name, file or module.__name__)
            elif (
                isinstance(value, Resolver) and resolvers.setdefault(value.kind, value) is not value
            ):
                raise _taken("resolver", value.kind, file or module.__name__)
            elif (
                isinstance(value, Importer) and importers.setdefault(value.kind, value) is not value
            ):
                raise _taken("importer", value.kind, file or module.__name__)
        return Registry(rules, tools, resolvers, importers)

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


def _taken(what: str, name: str, file: str) -> UsageError:
    return UsageError(
        Problem(f"the {what} {name!r} is defined twice", f"a {what} of its own", file=file)
    )
