"""triton.toml → declarations: what each package says, checked against the rules' attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import tomli
from pydantic import BaseModel, Field, ValidationError, create_model

from tritonbuild.errors import Problem, TritonbuildError, UsageError, did_you_mean
from tritonbuild.globs import expand
from tritonbuild.keys import KeyPath, key_path
from tritonbuild.label import Label, check_name, check_package
from tritonbuild.manifest_errors import explain, problem_at, type_name
from tritonbuild.matrix import MATRIX, SIGN, Variant, Wrong, template_schema, variants
from tritonbuild.registry import Registry
from tritonbuild.rule import Attributes, Dep, Rule, SourceRef, Strict
from tritonbuild.workspace import MANIFEST, Workspace, declares_workspace
from tritonbuild.workspace_settings import (
    WORKSPACE,
    Settings,
    absolute,
    check_version,
    is_default,
    settings_model,
)


@dataclass(frozen=True)
class Declaration:
    """One target as its manifest declares it."""

    label: Label
    rule: Rule
    attributes: Attributes
    package: Package
    defaults: frozenset[str] = frozenset()
    """Attributes that `[workspace]` says for it."""
    written: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    """Of a variant, where its manifest writes keys that a matrix fills in."""

    @property
    def key(self) -> KeyPath:
        return (self.rule.table, self.label.base)

    def problem(self, found: str, key: KeyPath = (), **rest: str) -> Problem:
        """A problem of this target, placed at a key below it."""
        for length in range(len(key), 0, -1) if self.written else ():
            if above := self.written.get(key[:length]):
                key = (*above, *key[length:])
                break
        return self.package.problem(found, (*self.key, *key), label=str(self.label), **rest)

    def place(self, problem: Problem) -> Problem:
        """A problem that came up below this target, told at its key (one of this target's, in any
        spelling) or else at the target itself. A file that it names stays."""
        key = () if problem.file else self.key_below(problem.key)
        where = self.problem("", key)
        if not problem.file:
            problem = replace(problem, key="")
        return problem.at(label=where.label, file=where.file, line=where.line, key=where.key)

    def key_below(self, text: str) -> KeyPath:
        """A key path below this target from its text; `steps.0` is `steps[0]` where steps are an
        array."""
        path: list[str | int] = []
        value: Any = self.attributes
        for part in key_path(text):
            if isinstance(value, (list, tuple)):
                index = int(part) if str(part).isdecimal() else len(value)
                path.append(index if index < len(value) else part)
                value = value[index] if index < len(value) else None
            else:
                path.append(part)
                held = value if isinstance(value, dict) else getattr(value, "__dict__", {})
                value = held.get(part)
        return tuple(path)

    @cached_property
    def references(self) -> Mapping[Dep[Any] | SourceRef, KeyPath]:
        """Every reference among its attributes and where it stands below the target."""
        return {ref: key for key, ref in _references(self.attributes, ())}


@dataclass(frozen=True)
class Package:
    path: str
    root: str
    """The package that `//` means in this manifest."""
    declarations: Mapping[str, Declaration]
    """By name; a target with a matrix stands here as its variants only."""
    content: bytes
    variants: Mapping[str, Sequence[Declaration]] = field(default_factory=dict)
    """Of each target with a matrix, by its name in the manifest."""

    @property
    def file(self) -> str:
        return f"{self.path}/{MANIFEST}" if self.path else MANIFEST

    def named(self, name: str) -> Sequence[Declaration]:
        """What a name means: a target, or all variants that agree with it. Empty if nothing."""
        if found := self.declarations.get(name):
            return [found]
        meant = Label(self.path, name)
        return [d for d in self.variants.get(meant.base, ()) if meant.includes(d.label)]

    def problem(self, found: str, key: KeyPath, **rest: str) -> Problem:
        return problem_at(self.file, self.content, key, found, **rest)


class Manifests:
    """The packages of a workspace, each read when it is first asked for."""

    def __init__(self, workspace: Workspace, registry: Registry):
        self.workspace = workspace
        self._packages: dict[str, Package | None] = {}
        self._roots: dict[str, tuple[Registry, Mapping[str, Any]]] = {}
        self._base = registry
        self._root("")

    @property
    def registry(self) -> Registry:
        """The rules that the topmost manifest may use."""
        return self._roots[""][0]

    def package(self, path: str) -> Package | None:
        """None where the folder has no manifest. Raises UsageError with every problem in it."""
        if path not in self._packages:
            self._packages[path] = self._read(path)
        return self._packages[path]

    def below(self, path: str) -> Iterator[Package]:
        """Every package at or below a folder."""
        for found in self.workspace.packages(path):
            package = self.package(found)
            assert package is not None
            yield package

    def schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of a manifest with the rules known here."""
        registry = self.registry
        tables: dict[str, Any] = {
            rule.table: (dict[str, rule.Attributes], Field(default={}, description=rule.__doc__))  # type: ignore[name-defined]
            for rule in registry.rules.values()
        }
        tables[WORKSPACE] = (settings_model(registry) | None, None)
        manifest = create_model("Manifest", __base__=Strict, **tables)
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": MANIFEST,
            **template_schema(manifest.model_json_schema()),
        }

    def _read(self, path: str) -> Package | None:
        file = f"{path}/{MANIFEST}" if path else MANIFEST
        content = self.workspace.read(file)
        if content is None:
            return None
        try:
            check_package(path)
        except UsageError as error:
            remedy = "rename the folder, or name it in `ignore` of [workspace]"
            raise UsageError(replace(error.problems[0], remedy=remedy), file=file) from None
        root = self._root_of(path, content)
        registry, defaults = self._root(root)
        tables = parse(file, content)
        tables.pop(WORKSPACE, None)
        declarations: dict[str, Declaration] = {}
        matrices: dict[str, Sequence[Declaration]] = {}
        package = Package(path, root, declarations, content, matrices)
        tables_of: dict[str, str] = {}
        problems: list[Problem] = []
        for table, targets in tables.items():
            rule = registry.rules.get(table)
            if rule is None:
                remedy = did_you_mean(table, [*registry.rules, WORKSPACE])
                problems.append(
                    package.problem(f"unknown table {table!r}", (table,), remedy=remedy)
                )
                continue
            if not isinstance(targets, dict):
                wrong = f"{table} is {type_name(targets)}"
                problems.append(package.problem(wrong, (table,), expected=f"[{table}.NAME] tables"))
                continue
            for name, raw in targets.items():
                try:
                    declared = self._declare(package, rule, name, raw, defaults)
                except TritonbuildError as error:
                    problems.extend(error.problems)
                    continue
                if tables_of.setdefault(name, table) != table:
                    problems.append(
                        declared[0].problem(
                            f"the name {name!r} is taken by [{tables_of[name]}.{name}]",
                            expected="a name that no other target of the package has",
                            remedy="rename one of them",
                        )
                    )
                    continue
                declarations.update(
                    (declaration.label.name, declaration) for declaration in declared
                )
                if declared[0].label.name != name:
                    matrices[name] = declared
        if problems:
            raise UsageError(*problems)
        return package

    def _declare(
        self, package: Package, rule: Rule, name: str, raw: Any, defaults: Mapping[str, Any]
    ) -> list[Declaration]:
        """One target, or the variants of one. Raises UsageError."""
        label = Label(package.path, name)
        key = (rule.table, name)
        try:
            check_name(name)
        except UsageError as error:
            found = error.problems[0]
            raise UsageError(package.problem(found.found, key, expected=found.expected)) from None
        if not isinstance(raw, dict):
            wrong = f"{'.'.join(key)} is {type_name(raw)}"
            raise UsageError(package.problem(wrong, key, label=str(label), expected="a table"))
        if MATRIX not in raw and SIGN not in package.content:
            return [self._validated(package, rule, Variant(name, raw), defaults)]
        declared: list[Declaration] = []
        problems: dict[Problem, Problem] = {}
        try:
            for variant in variants(name, raw):
                try:
                    declared.append(self._validated(package, rule, variant, defaults))
                except UsageError as error:  # what all variants have in common is told once
                    for problem in error.problems:
                        problems.setdefault(replace(problem, label=""), problem)
        except Wrong as error:
            raise UsageError(
                *(
                    package.problem(
                        found, (*key, *where), label=str(label), expected=expected, remedy=remedy
                    )
                    for where, found, expected, remedy in error.faults
                )
            ) from None
        if problems:
            raise UsageError(*problems.values())
        return declared

    def _validated(
        self, package: Package, rule: Rule, variant: Variant, defaults: Mapping[str, Any]
    ) -> Declaration:
        raw, fields = variant.raw, rule.Attributes.model_fields
        taken = {name for name in defaults if name in fields and is_default(fields[name])}
        taken -= raw.keys()
        raw |= {name: defaults[name] for name in taken}
        declared = partial(
            Declaration,
            Label(package.path, variant.name),
            rule,
            package=package,
            defaults=frozenset(taken),
            written=variant.written,
        )
        try:
            return declared(attributes=_attributes(rule, variant))
        except ValidationError as error:
            place = declared(attributes=Attributes())
            problems = [
                place.problem(found, where, expected=expected, remedy=remedy)
                for where, found, expected, remedy in explain(error, raw, rule.Attributes)
            ]
            raise UsageError(*problems) from None

    def _root_of(self, path: str, content: bytes) -> str:
        """The nearest package at or above one that begins a workspace."""
        while path:
            if declares_workspace(content):
                return path
            path = path.rpartition("/")[0]
            content = self.workspace.read(f"{path}/{MANIFEST}" if path else MANIFEST) or b""
        return ""

    def _root(self, root: str) -> tuple[Registry, Mapping[str, Any]]:
        """The rules and attribute defaults of a workspace."""
        if root not in self._roots:
            file = f"{root}/{MANIFEST}" if root else MANIFEST
            content = self.workspace.read(file) or b""
            raw = parse(file, content).get(WORKSPACE, {})
            if not isinstance(raw, dict):
                wrong = f"workspace is {type_name(raw)}"
                raise UsageError(problem_at(file, content, (WORKSPACE,), wrong, expected="a table"))
            patterns = raw.get("rules", [])
            registry = self._base
            if isinstance(patterns, list):
                registry = registry.with_files(
                    self.workspace, self._rule_files(root, file, content, patterns)
                )
            model = settings_model(registry)
            try:
                settings = model.model_validate(raw)
            except ValidationError as error:
                problems = [
                    problem_at(
                        file, content, (WORKSPACE, *where), found, expected=expected, remedy=remedy
                    )
                    for where, found, expected, remedy in explain(error, raw, model)
                ]
                raise UsageError(*problems) from None
            check_version(file, content, settings.requires)
            if not root:
                self.workspace.ignore(tuple(settings.ignore))
            defaults = {
                name: absolute(value)
                for name, value in raw.items()
                if name not in Settings.model_fields
            }
            self._roots[root] = (registry, defaults)
        return self._roots[root]

    def _rule_files(
        self, root: str, file: str, content: bytes, patterns: list[Any]
    ) -> Iterator[str]:
        for index, pattern in enumerate(patterns):
            key = (WORKSPACE, "rules", index)
            try:
                found = list(expand(self.workspace, root, str(pattern)))
            except UsageError as error:
                place = problem_at(file, content, key, "")
                raise UsageError(
                    *error.problems, file=place.file, line=place.line, key=place.key
                ) from None
            if not found:
                wrong = f"no file matches {pattern!r}"
                raise UsageError(problem_at(file, content, key, wrong, expected="rule files"))
            yield from found


def parse(file: str, content: bytes) -> dict[str, Any]:
    """Raises UsageError with the line of what is broken."""
    try:
        return tomli.loads(content.decode())
    except UnicodeDecodeError as error:
        raise UsageError(
            Problem(
                f"not UTF-8: {error.reason}",
                "TOML",
                file=file,
                line=content.count(b"\n", 0, error.start) + 1,
            )
        ) from None
    except tomli.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        line = int(at[1]) if at else content.count(b"\n") + 1
        message = str(error).partition(" (at ")[0]
        raise UsageError(Problem(f"broken TOML: {message}", file=file, line=line)) from None


def _attributes(rule: Rule, variant: Variant) -> Attributes:
    """Raises ValidationError."""
    try:
        return rule.Attributes.model_validate(variant.raw)
    except ValidationError as error:
        texts = variant.as_texts(error)
        if texts is None:
            raise
        return rule.Attributes.model_validate(texts)


def _references(value: Any, key: KeyPath) -> Iterator[tuple[KeyPath, Dep[Any] | SourceRef]]:
    match value:
        case Dep() | SourceRef():
            yield key, value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _references(getattr(value, name), (*key, name))
        case dict():
            for name, item in value.items():
                yield from _references(item, (*key, name))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _references(item, (*key, index))
