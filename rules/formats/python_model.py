"""The source of a Python model, read without running it."""

from __future__ import annotations

import ast

MODEL_CLASS = "TritonPythonModel"
HOOK = "auto_complete_config"


class Unreadable(Exception):
    """No Python, or none that can be read; its text says why."""


def parse(source: bytes) -> ast.Module:
    """Raises Unreadable."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise Unreadable(f"{line}{error.msg}") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except (RecursionError, MemoryError):
        raise Unreadable("it is nested too deep") from None


def is_model(source: bytes) -> bool:
    """Whether it looks like a Python model."""
    return f"class {MODEL_CLASS}".encode() in source


def completes_itself(source: bytes) -> bool:
    """Whether a model.py may complete its config. It does not where its TritonPythonModel stands in
    that very file, has no base class and no `auto_complete_config`, however it came by one."""
    if HOOK.encode() in source:
        return True
    try:
        body = parse(source).body
    except Unreadable:
        return True
    models = [node for node in body if isinstance(node, ast.ClassDef) and node.name == MODEL_CLASS]
    return len(models) != 1 or bool(
        models[0].bases or models[0].keywords or models[0].decorator_list
    )
