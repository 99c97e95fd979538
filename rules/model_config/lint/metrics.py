"""The metrics that a model sets for itself."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.rule import KeyPath

from .subject import Finding, Subject


def metrics(subject: Subject) -> Iterator[Finding]:
    for index, control in enumerate(subject.config.model_metrics.metric_control):
        key: KeyPath = ("model_metrics", "metric_control", index)
        if not control.metric_identifier.family:
            yield Finding((*key, "metric_identifier", "family"), "no family", "a metric's name")
        if not control.histogram_options.buckets:
            found = "no buckets"
            yield Finding((*key, "histogram_options", "buckets"), found, "their upper bounds")
