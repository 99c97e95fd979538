"""Bases of Debian packages: what the archive has, what needs what, and packages as layers."""
