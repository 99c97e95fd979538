"""What the code of Python models tells."""

from __future__ import annotations

import pytest
from tritonbuild.rules.init.code import Code, read, third_party

MODEL = "class TritonPythonModel:\n    def execute(self, requests): ...\n"


def of(text: str) -> Code:
    return read({"model.py": text.encode()})


@pytest.mark.parametrize("text", ["x = 1" + " + 1" * 5000, "x = " + "-" * 200_000 + "1", "x ="])
def test_what_cannot_be_read_is_told(text: str) -> None:
    assert of(text).broken.startswith("model.py, ")


@pytest.mark.parametrize(
    "call",
    [
        'pb_utils.InferenceRequest(model_name="callee")',
        'InferenceRequest(inputs=[], model_name="callee")',
        'NAME = "callee"\npb_utils.InferenceRequest(model_name=NAME)',
    ],
)
def test_callees_are_named(call: str) -> None:
    assert of(call).callees == {"callee"}
    assert not of(call).calls_others


@pytest.mark.parametrize(
    "call",
    [
        "pb_utils.InferenceRequest(model_name=self.name)",
        'name = "a"\nname = "b"\npb_utils.InferenceRequest(model_name=name)',
        "name = choose()\npb_utils.InferenceRequest(model_name=name)",
    ],
)
def test_callees_that_only_it_knows_are_not_guessed(call: str) -> None:
    assert not of(call).callees
    assert of(call).calls_others


def test_imports_that_it_can_do_without_are_left_out() -> None:
    text = "import a\ntry:\n    import b\nexcept ImportError: ...\nif x:\n    import c\n"
    assert of(text).imports == {"a"}


def test_imports_in_functions_count() -> None:
    assert of("def f():\n    with g():\n        from a.b import c\n").imports == {"a.b"}


def test_projects_have_their_own_names() -> None:
    found = frozenset({"json", "numpy", "yaml", "torch", "mine", "google.protobuf", "google.cloud"})
    assert third_party(found, {"mine"}) == (["PyYAML", "protobuf", "torch"], ["google.cloud"])


@pytest.mark.parametrize("text", ["def f(:\n", "\0"])
def test_what_is_no_python_is_told(text: str) -> None:
    assert of(text).broken.startswith("model.py")
