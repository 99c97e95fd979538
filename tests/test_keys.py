"""One spelling of key paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.keys import KeyPath, dotted, key_path

PARTS = st.one_of(st.text(), st.integers(min_value=0))
PATHS = st.builds(lambda first, rest: (first, *rest), st.text(), st.lists(PARTS))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("models", "m", "config", "input", 0, "dims"), "models.m.config.input[0].dims"),
        (("versions", "1"), "versions.1"),
        (("cc_model_filenames", "7.5"), 'cc_model_filenames."7.5"'),
        (("labels", 'a"b\\'), 'labels."a\\"b\\\\"'),
        (("matrix", 0, 1), "matrix[0][1]"),
        ((), ""),
    ],
)
def test_a_path_is_spelled_as_toml_writes_it(path: KeyPath, text: str) -> None:
    assert dotted(path) == text


@given(PATHS)
def test_what_is_spelled_is_read_back(path: KeyPath) -> None:
    assert key_path(dotted(path)) == path
