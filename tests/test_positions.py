"""Lines of keys in manifests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.positions import line_of

DOCUMENT = b"""\
# a comment
name = "x"
dotted.key = 1

[models.densenet]
backend = "onnxruntime"
versions = { 1 = "a.onnx", 3 = { "b.plan" = "c" } }
steps = [
  "one",
  # a comment between
  { model = "m" },
  [
    1,
    2],
]
text = \"\"\"
[models.fake]
\"\"\"

[models.densenet.config]
max_batch_size = 8

[[models.densenet.config.input]]
name = "first"

[[models.densenet.config.input]]
name = "second"
dims = [1]

["models"."with a space"]
'single.quoted' = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("dotted",), 3),
        (("dotted", "key"), 3),
        (("models",), 5),
        (("models", "densenet"), 5),
        (("models", "densenet", "backend"), 6),
        (("models", "densenet", "versions", "1"), 7),
        (("models", "densenet", "versions", 3, "b.plan"), 7),
        (("models", "densenet", "steps"), 8),
        (("models", "densenet", "steps", 0), 9),
        (("models", "densenet", "steps", 1), 11),
        (("models", "densenet", "steps", 1, "model"), 11),
        (("models", "densenet", "steps", 2, 0), 13),
        (("models", "densenet", "steps", 2, 1), 14),
        (("models", "densenet", "text"), 16),
        (("models", "densenet", "config"), 20),
        (("models", "densenet", "config", "max_batch_size"), 21),
        (("models", "densenet", "config", "input"), 23),
        (("models", "densenet", "config", "input", 0, "name"), 24),
        (("models", "densenet", "config", "input", 1), 26),
        (("models", "densenet", "config", "input", 1, "name"), 27),
        (("models", "densenet", "config", "input", 1, "dims", 0), 28),
        (("models", "with a space"), 30),
        (("models", "with a space", "single.quoted"), 31),
    ],
)
def test_a_key_has_the_line_where_it_stands(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(DOCUMENT, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("models", "densenet", "missing"), 5),
        (("models", "densenet", "config", "input", 1, "missing", 3), 26),
        (("models", "densenet", "steps", 9), 8),
        (("models", "other"), 5),
    ],
)
def test_what_is_not_there_has_the_line_of_the_nearest_above(
    path: tuple[str | int, ...], line: int
) -> None:
    assert line_of(DOCUMENT, path) == line


@pytest.mark.parametrize("path", [(), ("nothing",), ("nothing", "at", "all")])
def test_what_is_nowhere_has_no_line(path: tuple[str, ...]) -> None:
    assert line_of(DOCUMENT, path) is None
    assert line_of(b"", path) is None


def test_lines_end_as_windows_ends_them_too() -> None:
    assert line_of(DOCUMENT.replace(b"\n", b"\r\n"), ("models", "densenet", "text")) == 16


keys = st.from_regex(r"[a-z]{1,4}", fullmatch=True)


@given(st.dictionaries(keys, st.dictionaries(keys, st.integers()), min_size=1))
def test_every_key_of_any_document_is_found(tables: dict[str, dict[str, int]]) -> None:
    lines = ["# begin"]
    expected: dict[tuple[str, ...], int] = {}
    for table, pairs in tables.items():
        lines.append(f"[{table}]")
        expected[(table,)] = len(lines)
        for key, value in pairs.items():
            lines.append(f"{key} = {value}")
            expected[(table, key)] = len(lines)
    content = "\n".join(lines).encode()
    assert {path: line_of(content, path) for path in expected} == expected
