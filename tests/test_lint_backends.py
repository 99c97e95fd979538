"""What the backends themselves refuse; those that no server here brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tritonbuild.rules.model_config import message
from tritonbuild.rules.model_config.completion import complete
from tritonbuild.rules.model_config.lint import Finding, Subject, lint

from tritonbuild.digest import Digest
from tritonbuild.merkle import File, Folder, folder_of
from tritonbuild.rule import dotted

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }\n'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }\n'
ANY = File(Digest.of_bytes(b"any"))
FILES = {
    "onnxruntime": "model.onnx",
    "openvino": "model.xml",
    "pytorch": "model.pt",
    "tensorrt": "model.plan",
    "fil": "xgboost.model",
    "identity": "any",
    "python": "model.py",
    "vllm": "model.json",
    "dali": "model.dali",
}


def found(
    text: str,
    *,
    release: str = "2.51.0",
    files: Mapping[str, File] | None = None,
    own_backend: bool = False,
) -> list[Finding]:
    """What the lint finds in a model with one version."""
    written: Any
    written, problems = message.parse(text.encode(), "config.pbtxt")
    assert not problems
    stored = {f"1/{FILES.get(written.backend, 'any')}": ANY} if files is None else files
    folder = folder_of(stored) if stored else Folder()
    full, problems = complete(written, {}, folder=folder, signatures={}, release=release, name="m")
    assert not problems
    return list(lint(Subject(full.config, folder, release, {}, written, own_backend)))


def refused(text: str, **more: Any) -> list[str]:
    """Where it finds what a server would refuse."""
    return [dotted(finding.key) for finding in found(text, **more) if finding.fatal]


def advised(text: str, **more: Any) -> list[str]:
    return [dotted(finding.key) for finding in found(text, **more) if not finding.fatal]


def parameter(name: str, value: str) -> str:
    return f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'


PYTORCH = 'backend: "pytorch"\n'
NUMBERED = X.replace('"x"', '"INPUT__0"') + Y.replace('"y"', '"OUTPUT__0"')
TWO_OUTPUTS = Y.replace('"y"', '"OUTPUT__0"') + Y
ONNX = 'backend: "onnxruntime"\n'
OPENVINO = 'backend: "openvino"\n'
FIL = 'backend: "fil"\n' + X.replace('"x"', '"input__0"') + Y.replace('"y"', '"output__0"')
REGRESSION = parameter("output_class", "false")
IDENTITY = 'backend: "identity"\n'
SAME = X.replace('"x"', '"INPUT0"') + Y.replace('"y"', '"OUTPUT0"')


@pytest.mark.parametrize(
    "text",
    [
        PYTORCH + NUMBERED,
        PYTORCH + NUMBERED + parameter("INFERENCE_MODE", "True"),
        PYTORCH + X + Y,
        PYTORCH + NUMBERED + parameter("INTRA_OP_THREAD_COUNT", "4"),
        ONNX + X + Y,
        ONNX + X + Y + parameter("intra_op_thread_count", "2"),
        ONNX
        + X
        + Y
        + 'optimization { execution_accelerators { gpu_execution_accelerator { name: "cuda" } } }',
        OPENVINO + X + Y,
        OPENVINO + X + Y + parameter("NUM_STREAMS", "AUTO"),
        FIL + REGRESSION,
        FIL + parameter("output_class", "true") + parameter("threshold", "0.5"),
        IDENTITY + SAME,
        'backend: "python"' + X + Y,
        'backend: "vllm"',
        'backend: "dali" max_batch_size: 8\n' + X + Y,
        'backend: "tensorrt"' + X + Y + 'instance_group { profile: "1" }',
    ],
)
def test_what_a_backend_takes_is_left_alone(text: str) -> None:
    assert not found(text)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (PYTORCH, ["input", "output"]),
        (PYTORCH + X, ["output"]),
        (PYTORCH + NUMBERED.replace("FP32", "UINT16", 1), ["input[0].data_type"]),
        (PYTORCH + NUMBERED.replace("FP32", "BF16", 1), ["input[0].data_type"]),
        (PYTORCH + NUMBERED.replace("dims", "optional: true dims", 1), ["input[0].optional"]),
        (
            PYTORCH + "max_batch_size: 4\n" + NUMBERED.replace("FP32", "STRING", 1),
            ["input[0].dims"],
        ),
        (
            PYTORCH + NUMBERED + parameter("INFERENCE_MODE", "yes"),
            ["parameters.INFERENCE_MODE"],
        ),
        (
            PYTORCH + NUMBERED + parameter("INTRA_OP_THREAD_COUNT", "all"),
            ["parameters.INTRA_OP_THREAD_COUNT"],
        ),
        (
            PYTORCH
            + NUMBERED
            + 'sequence_batching { control_input { name: "START" '
            + "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } } }",
            ["sequence_batching.control_input[0].name"],
        ),
        (
            PYTORCH
            + NUMBERED
            + 'sequence_batching { state { input_name: "i" output_name: "o__1" '
            + "data_type: TYPE_FP32 dims: 1 } }",
            ["sequence_batching.state[0].input_name"],
        ),
        (ONNX + X.replace("FP32", "BF16") + Y, ["input[0].data_type"]),
        (ONNX + X + Y + parameter("execution_mode", "2"), ["parameters.execution_mode"]),
        (
            ONNX + X + Y + parameter("inter_op_thread_count", "x"),
            ["parameters.inter_op_thread_count"],
        ),
        (
            ONNX
            + X
            + Y
            + "optimization { execution_accelerators { "
            + 'cpu_execution_accelerator { name: "tpu" } } }',
            ["optimization.execution_accelerators.cpu_execution_accelerator[0].name"],
        ),
        (OPENVINO + X + Y + "instance_group { kind: KIND_MODEL }", ["instance_group[0].kind"]),
        (OPENVINO + X.replace("FP32", "STRING") + Y, ["input[0].data_type"]),
        (OPENVINO + X + Y + parameter("HINT_BF16", "no"), ["parameters.HINT_BF16"]),
        (OPENVINO + X + Y + parameter("NUM_STREAMS", "many"), ["parameters.NUM_STREAMS"]),
        (
            OPENVINO + X + Y + parameter("PERFORMANCE_HINT", "fast"),
            ["parameters.PERFORMANCE_HINT"],
        ),
        (FIL, ["parameters.output_class"]),
        (FIL + parameter("output_class", "true"), ["parameters.threshold"]),
        (FIL + REGRESSION + parameter("algo", "BEST"), ["parameters.algo"]),
        (FIL + REGRESSION + parameter("storage_type", "TAPE"), ["parameters.storage_type"]),
        (IDENTITY + X, ["output"]),
        (IDENTITY + X + Y, ["input[0].name", "output[0].name", "output[0].name"]),
        (IDENTITY + SAME.replace("FP32", "INT8", 1), ["output[0].data_type"]),
        (IDENTITY + SAME.replace("4", "5", 1), ["output[0].dims"]),
        (
            'backend: "tensorrt"' + X + Y + "instance_group { kind: KIND_MODEL }",
            ["instance_group[0].kind"],
        ),
        (
            'backend: "python"' + X + Y + parameter("FORCE_CPU_ONLY_INPUT_TENSORS", "true"),
            ["parameters.FORCE_CPU_ONLY_INPUT_TENSORS"],
        ),
    ],
)
def test_what_a_backend_refuses_is_found_where_it_is_said(text: str, places: list[str]) -> None:
    assert refused(text) == places


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (PYTORCH + X.replace('"x"', '"INPUT__0"') + TWO_OUTPUTS, ["output[1].name"]),
        (FIL.replace("input__0", "x") + REGRESSION, ["input"]),
        (FIL.replace("FP32", "FP64", 1) + REGRESSION, ["input[0].data_type"]),
        (
            'backend: "python"' + X + Y + parameter("EXECUTION_ENV_PATH", "/opt/env.tar.gz"),
            ["parameters.EXECUTION_ENV_PATH"],
        ),
        (
            'backend: "python"' + X + Y + parameter("TRITON_BATCH_STRATEGY_PATH", "/opt/b.so"),
            ["parameters.TRITON_BATCH_STRATEGY_PATH"],
        ),
        (
            'backend: "tensorrt" cc_model_filenames { key: "sm_89" value: "model.plan" }' + X + Y,
            ["cc_model_filenames.sm_89"],
        ),
    ],
)
def test_what_loads_but_is_not_meant_is_advised(text: str, places: list[str]) -> None:
    assert not refused(text)
    assert advised(text) == places


def test_what_depends_on_the_host_s_devices_is_judged_as_it_was_written() -> None:
    growing = (
        'backend: "python" max_batch_size: 4 sequence_batching { state { input_name: "i" '
        'output_name: "o" data_type: TYPE_FP32 dims: 1 use_growable_memory: true '
        "use_same_buffer_for_input_output: true } }"
    )
    place = "sequence_batching.state[0].use_growable_memory"
    for group, places in {"": [], "kind: KIND_GPU": [], "kind: KIND_CPU": [place]}.items():
        text = growing + X + Y + f"instance_group {{ {group} }}"
        assert [said for said in advised(text, release="2.70.0") if said == place] == places
    named = X + Y + 'backend: "python" instance_group { gpus: [ 0 ] }'
    assert refused(named) == []
    assert refused(named.replace("0", "-1")) == ["instance_group[0].gpus"]
    assert refused(named.replace("python", "openvino")) == ["instance_group[0].kind"]
    openvino = X + Y + 'backend: "openvino" instance_group { count: 1 }'
    assert advised(openvino) == ["instance_group[0].kind"]


HERE = "$$TRITON_MODEL_DIRECTORY"
PYTHON = 'backend: "python"' + X + Y


@pytest.mark.parametrize(
    "path", ["/env.tar.gz", "//./1/../env.tar.gz", "/env", "/env/", "/./env", "", "/"]
)
def test_a_python_environment_may_lie_anywhere_in_the_model(path: str) -> None:
    files = {"1/model.py": ANY, "env.tar.gz": ANY, "env/bin/activate": ANY}
    assert not found(PYTHON + parameter("EXECUTION_ENV_PATH", f"{HERE}{path}"), files=files)


@pytest.mark.parametrize("path", ["/../env.tar.gz", "/1/../../env", "s/env.tar.gz"])
def test_a_python_environment_outside_the_model_is_no_part_of_it(path: str) -> None:
    text = PYTHON + parameter("EXECUTION_ENV_PATH", f"{HERE}{path}")
    assert not refused(text)
    assert advised(text) == ["parameters.EXECUTION_ENV_PATH"]


def test_a_python_environment_that_the_model_lacks_is_refused() -> None:
    (one,) = found(PYTHON + parameter("EXECUTION_ENV_PATH", f"{HERE}/./e/../env.tar.gz"))
    assert one.fatal
    assert one.remedy == 'add it to the model: files = { "env.tar.gz" = … }'


ACCELERATORS = "optimization.execution_accelerators"


@pytest.mark.parametrize(
    ("kind", "more", "is_refused"),
    [
        ("gpu", "instance_group { kind: KIND_GPU }", True),
        ("gpu", "instance_group { kind: KIND_CPU }", False),
        ("gpu", "", False),
        ("cpu", "instance_group { kind: KIND_CPU }", True),
        ("cpu", "instance_group { kind: KIND_GPU }", True),
    ],
)
def test_accelerators_of_a_gpu_are_read_for_instances_there(
    kind: str, more: str, is_refused: bool
) -> None:
    field = f"{kind}_execution_accelerator"
    said = f'optimization {{ execution_accelerators {{ {field} {{ name: "x" }} }} }}'
    (one,) = found(ONNX + X + Y + said + more)
    assert dotted(one.key) == f"{ACCELERATORS}.{field}[0].name"
    assert one.fatal is is_refused


@pytest.mark.parametrize("text", [PYTORCH + X, FIL, IDENTITY + X + Y])
def test_a_backend_of_ones_own_has_its_own_rules(text: str) -> None:
    assert refused(text)
    assert not refused(text, own_backend=True)


def test_fil_calls_its_parameter_otherwise_from_25_09_on() -> None:
    text = FIL + parameter("is_classifier", "false")
    assert refused(text, release="2.51.0") == ["parameters.output_class"]
    assert not refused(text, release="2.61.0")
    assert refused(FIL, release="2.61.0") == ["parameters.is_classifier"]
    assert not refused(FIL + REGRESSION, release="2.61.0")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "python", "vllm"])
def test_a_version_needs_the_file_that_its_backend_opens(backend: str) -> None:
    assert refused(f'backend: "{backend}"', files={"1/other": ANY}) == ["default_model_filename"]
    assert not refused(
        f'backend: "{backend}" default_model_filename: "other"', files={"1/other": ANY}
    )


def test_a_plan_of_every_capability_must_be_there() -> None:
    text = (
        'backend: "tensorrt" cc_model_filenames { key: "8.9" value: "a.plan" } '
        'cc_model_filenames { key: "9.0" value: "b.plan" }'
    )
    assert refused(text, files={"1/a.plan": ANY}) == ['cc_model_filenames."9.0"']
    assert not refused(text, files={"1/a.plan": ANY, "1/b.plan": ANY})


def test_labels_must_lie_inside_the_model_from_26_02_on() -> None:
    text = 'backend: "python"' + X + Y.replace("dims", 'label_filename: "../l.txt" dims')
    assert advised(text, release="2.65.0") == ["output[0].label_filename"]
    assert refused(text, release="2.66.0") == ["output[0].label_filename"]
    assert refused(text, release="") == ["output[0].label_filename"]


@pytest.mark.parametrize(
    ("said", "places"),
    [
        ("MD5:1/model.py", []),
        ("md5:1/model.py", []),
        ("MD5:1", ['"MD5:1"']),
        ("MD5:1/x", ['"MD5:1/x"']),
        ("SHA256:1/model.py", ['"SHA256:1/model.py"']),
        ("1/model.py", ['"1/model.py"']),
    ],
)
def test_the_checksum_agent_is_told_files_of_the_model(said: str, places: list[str]) -> None:
    digest = "d41d8cd98f00b204e9800998ecf8427e"
    agent = f'agents {{ name: "checksum" parameters {{ key: "{said}" value: "{digest}" }} }}'
    above = "model_repository_agents.agents[0].parameters."
    found = refused(f'backend: "python" model_repository_agents {{ {agent} }}')
    assert [place.removeprefix(above) for place in found] == places


def test_a_digest_in_capitals_never_matches() -> None:
    agent = 'agents { name: "checksum" parameters { key: "MD5:1/model.py" value: "D41D" } }'
    assert refused(f'backend: "python" model_repository_agents {{ {agent} }}')


@pytest.mark.parametrize(
    ("metric", "places"),
    [
        ("metric_identifier { family: 'f' } histogram_options { buckets: 1 }", []),
        ("histogram_options { buckets: 1 }", ["metric_identifier.family"]),
        ("metric_identifier { family: 'f' }", ["histogram_options.buckets"]),
    ],
)
def test_metrics_need_a_family_and_buckets(metric: str, places: list[str]) -> None:
    text = f'backend: "python" model_metrics {{ metric_control {{ {metric} }} }}'
    above = "model_metrics.metric_control[0]"
    assert refused(text, release="2.60.0") == [f"{above}.{place}" for place in places]


@pytest.mark.parametrize("name", ["..", "a/b", " "])
def test_a_name_is_one_word_of_a_path(name: str) -> None:
    assert refused(f'name: "{name}" backend: "python"') == ["name"]
