"""The `models` rule."""

from .rule import Models

__all__ = ["Models"]
