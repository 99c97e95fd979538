"""Releases of Triton as NVIDIA's are shaped, made of Debian's packages, the real Triton of PyPI and
backends compiled here over real libraries; none of NVIDIA's own images can be had where tests run.

`build.release` makes `min` and `full` of 23.10, 24.03 or 24.10, `shelf.ngc` a registry that has
them, `tiny.tiny` small ones with faults, `large.large` one of gigabytes, and `compose.dockerfile`
what compose.py would have Docker do with them."""
