"""Forests of trees that the fil backend runs, told apart by their first bytes:
https://github.com/triton-inference-server/fil_backend/blob/main/docs/model_config.md.
None of them tells a server its inputs and outputs.
"""

from __future__ import annotations

import re

_JSON = re.compile(rb'\s*\{\s*"(learner|version)"\s*:\s*[\[{]')
# UBJSON: an object whose first key has a length of one of these types.
_UBJ = re.compile(rb"\{(L.{8}|l.{4}|I.{2}|[Ui].)(learner|version)", re.DOTALL)
_LIGHTGBM = re.compile(rb"tree\r?\nversion=v\d")
_LEGACY = (b"binf", b"bs64")


def model_type(head: bytes, name: str = "") -> str:
    """What a file is to fil (its `parameters.model_type`), from its first bytes and, for formats
    without a mark of their own, its name; empty for anything else."""
    if _LIGHTGBM.match(head):
        return "lightgbm"
    if _JSON.match(head):
        return "xgboost_json"
    if _UBJ.match(head):
        return "xgboost_ubj"
    if head.startswith(_LEGACY) or name == "xgboost.model":
        return "xgboost"
    if name.endswith(".tl"):
        return "treelite_checkpoint"
    return ""
