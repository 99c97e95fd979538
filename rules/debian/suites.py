"""The releases of Debian that are known."""

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Release → its Python."""
