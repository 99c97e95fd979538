"""Labels name targets (`//models/vision:densenet`); patterns name many (`//models/...`). The
target of a matrix stands for several, its variants: `:plan[gpu=L4]` is one of those of `:plan`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering

from tritonbuild.errors import Problem, UsageError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=,@~-]*\Z")
RECURSIVE = re.compile(r"(//|\./)?(?:(.+)/)?\.\.\.")
VARIANT = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
VALUE = re.compile(r"[A-Za-z0-9_.+@~-]+")
EXPECTED_LABEL = "//package:name, //package or :name"
EXPECTED_NAME = "letters, digits and _ . + = , @ ~ -, not starting with a sign"
EXPECTED_PARAMETER = "letters, digits and _ -, starting with a letter"
EXPECTED_VALUE = "letters, digits and _ . + @ ~ -"


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


def variant_name(base: str, variant: Mapping[str, str]) -> str:
    """`plan[gpu=L4,precision=fp16]`: how a variant of a target is called."""
    return f"{base}[{','.join(f'{key}={value}' for key, value in variant.items())}]"


def _quoted(text: str, package: str) -> str:
    """The remedy for a label that a shell took apart, or that was not written to its end."""
    name, _, inside = (re.sub(r"[\[\]\s]", "", part) for part in text.partition("["))
    whole = f"{name}[{inside.rstrip(',')}]"
    try:
        Label.parse(whole, package)
    except UsageError:
        whole = ":name[parameter=value]"
    return f"quote the label, and put no space in it: '{whole}'"


def _completed(text: str) -> str:
    """The label that lacks just what it begins with; empty if there is none."""
    for start in (":", "//"):
        label = start + text.lstrip("/")
        try:
            Label.parse(label)
        except UsageError:
            continue
        return label
    return ""


def _check_named(name: str) -> str:
    """The name of a target, or of some of its variants. Raises UsageError."""
    found = VARIANT.fullmatch(name)
    if found is None:
        return check_name(name)
    check_name(found[1])
    pairs = [pair.partition("=") for pair in found[2].split(",")]
    for key, equals, value in pairs:
        if not (equals and PARAMETER.fullmatch(key) and VALUE.fullmatch(value)):
            problem = Problem(f"{name!r} names no variant", f"{found[1]}[parameter=value,…]")
            raise UsageError(problem)
    if len({key for key, _, _ in pairs}) < len(pairs):
        raise UsageError(Problem(f"{name!r} says a parameter twice", "each parameter once"))
    return name


@total_ordering
@dataclass(frozen=True, slots=True)
class Label:
    package: str
    """Relative to the root, `/` between folders; empty for the root package."""
    name: str
    """Unique in the package; of a variant `plan[gpu=L4]`."""

    @property
    def base(self) -> str:
        """The name that stands in the manifest, without what tells a variant from the others."""
        return self.name.partition("[")[0]

    @property
    def variant(self) -> dict[str, str]:
        """What tells a variant from the others: parameter → value. Empty for a target without a
        matrix."""
        inside = self.name.partition("[")[2].removesuffix("]")
        return dict(pair.split("=", 1) for pair in inside.split(",")) if inside else {}

    def includes(self, other: Label) -> bool:
        """Whether this label, which may leave parameters of a matrix open, means the other."""
        if self == other:
            return True
        if "[" not in other.name or (self.package, self.base) != (other.package, other.base):
            return False
        return self.variant.items() <= other.variant.items()

    def __str__(self) -> str:
        return f"//{self.package}:{self.name}"

    def __lt__(self, other: Label) -> bool:
        return (self.package, self.name) < (other.package, other.name)

    @classmethod
    def parse(cls, text: str, package: str = "", root: str = "") -> Label:
        """`//pkg:name`, `//pkg` (the last folder's name) or `:name`; a name may end in
        `[parameter=value,…]`.

        `package` is where a relative label stands; `root` is the package that `//` means, which
        is not the topmost in a workspace that lies inside another. Raises UsageError.
        """
        if RECURSIVE.fullmatch(text):
            raise UsageError(Problem(f"{text!r} is a pattern", f"one label: {EXPECTED_LABEL}"))
        if text.count("[") != text.count("]") or ("[" in text and re.search(r"\s", text)):
            raise UsageError(
                Problem(f"{text!r} is a part of a label", EXPECTED_LABEL, _quoted(text, package))
            )
        if text.startswith("//"):
            below, colon, name = text[2:].partition(":")
            if not colon:
                name = below.rpartition("/")[2]
            check_package(below)
            return cls("/".join(part for part in (root, below) if part), _check_named(name))
        if text.startswith(":"):
            return cls(package, _check_named(text[1:]))
        raise UsageError(
            Problem(
                f"{text!r} is not a label",
                EXPECTED_LABEL,
                f"did you mean {near!r}?" if (near := _completed(text)) else "",
            )
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which targets are meant: one with all its variants, all of a package, or all below a
    folder."""

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

    @property
    def label(self) -> Label:
        """Of a pattern that names a target."""
        assert self.name is not None
        return Label(self.package, self.name)

    def covers(self, package: str) -> bool:
        """Whether targets of that package can match."""
        if not self.recursive or package == self.package:
            return package == self.package
        return not self.package or package.startswith(self.package + "/")

    def matches(self, label: Label) -> bool:
        if self.name is None:
            return self.covers(label.package)
        return self.label.includes(label)
