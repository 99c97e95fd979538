"""ModelConfig as protobuf text, and what the build adds to it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from tritonbuild.rules.model_config.folder import make_model
from tritonbuild.rules.model_config.message import complete, empty, parse, to_text

TEXT = """\
max_batch_size: 8
dynamic_batching {
}
parameters {
  key: "a"
  value {
    string_value: "é"
  }
}
parameters {
  key: "b"
  value {
    string_value: "\\""
  }
}
"""


def test_another_schema_is_another_version_of_the_step() -> None:
    """The schema is tritonclient's, the text protobuf's."""
    assert f",tritonclient={version('tritonclient')}" in make_model.version
    assert f",protobuf={version('protobuf')}" in make_model.version


def test_reading_and_writing_changes_nothing() -> None:
    assert to_text(parse(TEXT.encode(), "")[0]).decode() == TEXT


def test_the_text_is_the_same_in_every_process() -> None:
    """Hash seeds and protobuf's debug strings differ between processes."""
    program = (
        "import sys\n"
        "from tritonbuild.rules.model_config.message import parse, to_text\n"
        "config, _ = parse(sys.stdin.buffer.read(), '')\n"
        "sys.stdout.buffer.write(to_text(config))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=TEXT.encode(),
            env={"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {TEXT.encode()}


def test_the_schema_is_loaded_without_grpc() -> None:
    program = (
        "import sys\n"
        "from tritonbuild.rules.model_config.message import empty\n"
        "empty()\n"
        "sys.exit('grpc' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_schema_stands_beside_that_of_tritonclient() -> None:
    from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]

    assert model_config_pb2.ModelConfig.FromString(empty().SerializeToString()) is not None
    assert empty().DESCRIPTOR is model_config_pb2.ModelConfig.DESCRIPTOR


@pytest.mark.parametrize(
    ("text", "line", "found", "remedy"),
    [
        (
            'name: "a"\nmax_batch_sise: 8\n',
            2,
            'column 1: Message type "inference.ModelConfig" has no field named "max_batch_sise".',
            "did you mean 'max_batch_size'?",
        ),
        ("input [ {\n data_type: TYPE_FP33 } ]", 2, "TYPE_FP33", "did you mean 'TYPE_FP32'?"),
        ("\ninput {\n", 2, 'Expected "}"', ""),
        ("max_batch_size: 1\nmax_batch_size: 2", 2, "multiple", ""),
    ],
)
def test_a_broken_config_file_is_told_by_line_and_column(
    text: str, line: int, found: str, remedy: str
) -> None:
    _, (problem,) = parse(text.encode(), "m/config.pbtxt")
    assert (problem.file, problem.line) == ("m/config.pbtxt", line)
    assert found in problem.found
    assert problem.remedy == remedy


def test_a_config_file_that_is_no_text_is_told() -> None:
    _, (problem,) = parse(b"\xff\xfe", "m/config.pbtxt")
    assert problem.found == "it is not text"


def test_name_and_backend_are_filled_in() -> None:
    config = empty()
    assert list(complete(config, "densenet", "onnxruntime")) == []
    assert to_text(config) == b'name: "densenet"\nbackend: "onnxruntime"\n'


@pytest.mark.parametrize(
    ("text", "backend", "key", "expected"),
    [
        ('name: "other"', "python", "name", "'densenet'"),
        ('backend: "pytorch"', "onnxruntime", "backend", "'onnxruntime'"),
        ('platform: "tensorrt_plan"', "onnxruntime", "platform", "'onnxruntime_onnx'"),
        (
            'platform: "libtorch"',
            "pytorch",
            "platform",
            "'pytorch_libtorch' or 'torch_aoti'",
        ),
        ('platform: "ensemble"', "python", "platform", "no platform, or one of the backend's"),
        (
            'default_model_filename: "../model.py"',
            "python",
            "default_model_filename",
            "a relative path such as `a/b.txt`, without `.` and `..`",
        ),
    ],
)
def test_what_contradicts_the_target_is_told(
    text: str, backend: str, key: str, expected: str
) -> None:
    config, _ = parse(text.encode(), "")
    (problem,) = complete(config, "densenet", backend)
    assert (problem.key, problem.expected) == (key, expected)


@pytest.mark.parametrize(
    ("platform", "backend"), [("onnxruntime_onnx", "onnxruntime"), ("mine", "tokenizer")]
)
def test_a_platform_that_fits_the_backend_stays(platform: str, backend: str) -> None:
    config, _ = parse(f'platform: "{platform}"'.encode(), "")
    assert list(complete(config, "densenet", backend)) == []
    assert f'platform: "{platform}"' in to_text(config).decode()
