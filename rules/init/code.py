"""What Python code tells without running it: what it imports, which models it calls."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..formats.python_model import Unreadable, parse

REQUESTS = "InferenceRequest"
ALWAYS_THERE = {"triton_python_backend_utils", "c_python_backend_utils", "numpy"}
"""What the backend brings, and what every environment has."""
PROJECTS = {
    "Crypto": "pycryptodome",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "google.protobuf": "protobuf",
    "jwt": "PyJWT",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Module → project, where they differ; the others have the name of their module."""


@dataclass(frozen=True)
class Code:
    """One or more files of Python."""

    imports: frozenset[str] = frozenset()
    """What it imports for certain, as `yaml` or `google.protobuf`; what it does without is left
    out (`try`)."""
    callees: frozenset[str] = frozenset()
    """Models that it sends requests to, those that it names as text."""
    calls_others: bool = False
    """It sends requests to models that it does not name as text."""
    broken: str = ""
    """What is wrong with it as Python."""


def read(files: Mapping[str, bytes]) -> Code:
    """Of files by name; what `model.py` is or imports from the others is not looked at."""
    imports: set[str] = set()
    callees: set[str] = set()
    unnamed, broken = False, ""
    for name, content in sorted(files.items()):
        try:
            tree = parse(content)
        except Unreadable as error:
            broken = f"{name}, {error}"
            continue
        imports |= set(_imports(tree.body))
        texts = _constants(tree)
        for value in _callees(tree):
            match value:
                case ast.Constant(value=str(text)):
                    callees.add(text)
                case ast.Name(id=variable) if variable in texts:
                    callees.add(texts[variable])
                case _:
                    unnamed = True
    return Code(frozenset(imports), frozenset(callees), unnamed, broken)


def third_party(imports: frozenset[str], own: set[str]) -> tuple[list[str], list[str]]:
    """The projects that bring these modules, but for Python's own and `own`; and the modules
    that could be any of several projects'. Both sorted."""
    projects: set[str] = set()
    unclear: set[str] = set()
    for module in imports:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in ALWAYS_THERE or top in own:
            continue
        if top in ("google", "nvidia"):  # shared by many projects
            known = [path for path in PROJECTS if f"{module}.".startswith(f"{path}.")]
            (projects if known else unclear).add(PROJECTS[known[0]] if known else module)
        else:
            projects.add(PROJECTS.get(top, top))
    return sorted(projects), sorted(unclear)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                nested = module in ("google", "nvidia")
                yield from (f"{module}.{a.name}" if nested else module for a in names)
            case ast.Try() | ast.If():
                continue  # it may do without
            case _:
                for inner in (getattr(statement, field, []) for field in ("body", "orelse")):
                    yield from _imports(inner)


def _callees(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given as `model_name` of each request that is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == REQUESTS:
                yield from (key.value for key in node.keywords if key.arg == "model_name")


def _constants(tree: ast.AST) -> dict[str, str]:
    """Variables that are given one text and nothing else."""
    given: dict[str, set[str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            text = node.value.value if isinstance(node.value, ast.Constant) else None
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, set()).add(text if isinstance(text, str) else None)
    return {
        name: text for name, texts in given.items() for text in texts
        if len(texts) == 1 and text is not None
    }  # fmt: skip
