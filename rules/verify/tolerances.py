"""Tolerances where nothing is said."""

RTOL, ATOL = 1e-5, 1e-8
