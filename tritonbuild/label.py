"""Labels name targets (`//models/vision:densenet`); patterns name many (`//models/...`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from tritonbuild.errors import Problem, UsageError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=,@~-]*\Z")
RECURSIVE = re.compile(r"(//|\./)?(?:(.+)/)?\.\.\.")
EXPECTED_NAME = "letters, digits and _ . + = , @ ~ -, not starting with a sign"


def check_name(name: str) -> str:
    """The name of a target. Raises UsageError."""
    if not NAME.match(name):
        raise UsageError(Problem(f"{name!r} is not a target name", EXPECTED_NAME))
    return name


def check_package(package: str) -> str:
    """The path of a package, relative to the root; empty for the root. Raises UsageError."""
    for segment in package.split("/") if package else ():
        if segment in ("", ".", "..") or not NAME.match(segment):
            raise UsageError(
                Problem(
                    f"{package!r} is not a package path",
                    f"folder names below the workspace root, each of {EXPECTED_NAME}",
                )
            )
    return package


@total_ordering
@dataclass(frozen=True, slots=True)
class Label:
    package: str
    """Relative to the root, `/` between folders; empty for the root package."""
    name: str

    def __str__(self) -> str:
        return f"//{self.package}:{self.name}"

    def __lt__(self, other: Label) -> bool:
        return (self.package, self.name) < (other.package, other.name)

    @classmethod
    def parse(cls, text: str, package: str = "", root: str = "") -> Label:
        """`//pkg:name`, `//pkg` (the last folder's name) or `:name`.

        `package` is where a relative label stands; `root` is the package that `//` means, which
        is not the topmost in a workspace that lies inside another. Raises UsageError.
        """
        if text.startswith("//"):
            below, colon, name = text[2:].partition(":")
            if not colon:
                name = below.rpartition("/")[2]
            check_package(below)
            return cls("/".join(part for part in (root, below) if part), check_name(name))
        if text.startswith(":"):
            return cls(package, check_name(text[1:]))
        raise UsageError(
            Problem(
                f"{text!r} is not a label",
                "//package:name, //package or :name",
                f"did you mean ':{text}'?" if NAME.match(text) else "",
            )
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which targets are meant: one, all of a package, or all below a folder."""

    package: str
    name: str | None
    """None: all targets."""
    recursive: bool = False
    negative: bool = False

    def __str__(self) -> str:
        sign = "-" if self.negative else ""
        if self.recursive:
            return f"{sign}//{self.package}/..." if self.package else f"{sign}//..."
        return f"{sign}//{self.package}:{self.name or 'all'}"

    @classmethod
    def parse(cls, text: str, package: str = "", root: str = "") -> Pattern:
        """A label, `//pkg:all`, `//pkg/...`, `//...`, `:all`, `...`; a leading `-` takes away."""
        negative, body = text.startswith("-"), text.removeprefix("-")
        if recursive := RECURSIVE.fullmatch(body):
            above = root if recursive[1] == "//" else package
            below = check_package(recursive[2] or "")
            return cls("/".join(part for part in (above, below) if part), None, True, negative)
        label = Label.parse(body, package, root)
        return cls(label.package, None if label.name == "all" else label.name, False, negative)

    @property
    def is_label(self) -> bool:
        return self.name is not None and not self.negative

    def covers(self, package: str) -> bool:
        """Whether targets of that package can match."""
        if not self.recursive or package == self.package:
            return package == self.package
        return not self.package or package.startswith(self.package + "/")

    def matches(self, label: Label) -> bool:
        return self.covers(label.package) and self.name in (None, label.name)
