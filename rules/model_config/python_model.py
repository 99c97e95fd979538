"""What the source of a Python model tells of its config."""

from __future__ import annotations

import ast

HOOK = "auto_complete_config"


def completes_itself(source: bytes) -> bool:
    """Whether a model.py may complete its config. It does not where its TritonPythonModel stands in
    that very file, has no base class and no `auto_complete_config`, however it came by one."""
    if HOOK.encode() in source:
        return True
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return True
    models = [
        node for node in body if isinstance(node, ast.ClassDef) and node.name == "TritonPythonModel"
    ]
    return len(models) != 1 or bool(
        models[0].bases or models[0].keywords or models[0].decorator_list
    )
