"""The response cache."""

from __future__ import annotations

from collections.abc import Iterator

from .subject import Finding, Subject

HERE = ("response_cache", "enable")


def caches(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not config.response_cache.enable:
        return
    remedy = "take response_cache away"
    if config.HasField("sequence_batching"):
        yield Finding(HERE, "response_cache with sequence_batching", "one of the two", remedy)
    if config.model_transaction_policy.decoupled:
        yield Finding(HERE, "response_cache with a decoupled model", "one of the two", remedy)
