"""Parameters that Triton itself reads."""

from __future__ import annotations

from collections.abc import Iterator

from .subject import Finding, Subject

STRATEGY = "TRITON_BATCH_STRATEGY_PATH"


def parameters(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if STRATEGY not in config.parameters or not config.backend:
        return
    key = ("parameters", STRATEGY)
    if config.HasField("sequence_batching"):
        yield Finding(key, f"{STRATEGY} with sequence_batching", "one of the two")
        return
    path = config.parameters[STRATEGY].string_value
    remedy = "call the library batchstrategy.so and put it into the model's folder"
    yield Finding(
        key,
        f"{path!r} is a path of the server's own machine",
        "a model that loads anywhere",
        remedy,
        fatal=False,
    )
