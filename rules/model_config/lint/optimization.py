"""Optimisations that only some backends know."""

from __future__ import annotations

from collections.abc import Iterator

from .subject import Finding, Subject

HERE = "optimization"
CUDA = ("tensorrt", "onnxruntime", "tensorflow")
ACCELERATED = ("onnxruntime", "tensorflow")


def optimization(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    said = config.optimization
    if said.HasField("cuda"):
        specs = said.cuda.graph_spec
        if specs and not said.cuda.graphs:
            found = "graph_spec without graphs"
            remedy = "set cuda.graphs = true"
            yield Finding((HERE, "cuda", "graph_spec"), found, "", remedy, fatal=False)
        if config.backend not in CUDA:
            yield _unused((HERE, "cuda"), config.backend)
    if said.HasField("execution_accelerators") and config.backend not in ACCELERATED:
        yield _unused((HERE, "execution_accelerators"), config.backend)
    if said.HasField("graph") and config.backend not in ACCELERATED:
        yield _unused((HERE, "graph"), config.backend)


def _unused(key: tuple[str, str], backend: str) -> Finding:
    found = f"{key[-1]} with backend {backend!r}, which does not look at it"
    return Finding(key, found, "", "take it away", fatal=False)
