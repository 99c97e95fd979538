"""`[workspace]`: what a workspace says for all of its targets."""

from __future__ import annotations

from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import Field, create_model

from tritonbuild import __version__
from tritonbuild.errors import UsageError
from tritonbuild.manifest_errors import problem_at
from tritonbuild.registry import Registry
from tritonbuild.rule import WORKSPACE_DEFAULT, Strict

WORKSPACE = "workspace"
"""The table."""


class Settings(Strict):
    """`[workspace]`: what holds for the whole tree."""

    name: str = Field(description="The workspace's name, for people.")
    requires: str = Field(default="", description="Versions of tritonbuild, such as `>=0.1`.")
    rules: list[str] = Field(default=[], description="Globs of this monorepo's own rule files.")
    ignore: list[str] = Field(
        default=[], description="What is not looked at, in .gitignore's syntax, after .gitignore."
    )


def settings_model(registry: Registry) -> type[Settings]:
    """Settings, with the defaults that this registry's rules take from the workspace."""
    defaults: dict[str, Any] = {}
    for rule in registry.rules.values():
        for name, info in rule.Attributes.model_fields.items():
            if is_default(info):
                text = f"Default of `{name}` where a target does not say."
                defaults[name] = (str | None, Field(default=None, description=text))
    return create_model("Settings", __base__=Settings, **defaults)


def is_default(info: Any) -> bool:
    """Whether an attribute's default stands in `[workspace]`."""
    return isinstance(info.json_schema_extra, dict) and WORKSPACE_DEFAULT in info.json_schema_extra


def absolute(value: Any) -> Any:
    """A default that is a label, as it means the same in every package."""
    return f"//{value}" if isinstance(value, str) and value.startswith(":") else value


def check_version(file: str, content: bytes, requires: str) -> None:
    """Raises UsageError when this tritonbuild is not one that a workspace takes."""
    key = (WORKSPACE, "requires")
    try:
        fits = SpecifierSet(requires).contains(__version__, prereleases=True)
    except InvalidSpecifier:
        wrong = f"{requires!r} is not a version specifier"
        raise UsageError(problem_at(file, content, key, wrong, expected="such as >=0.1")) from None
    if not fits:
        raise UsageError(
            problem_at(
                file,
                content,
                key,
                f"this is tritonbuild {__version__}",
                expected=requires,
                remedy=f"pip install 'tritonbuild{requires}'",
            )
        )
