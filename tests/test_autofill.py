"""What backends complete from their files and what they refuse. No such backend can be had here:
what is expected was read in their sources, release r24.10."""

from __future__ import annotations

from typing import Any

import pytest
from tritonbuild.rules.formats import Signature, TensorInfo
from tritonbuild.rules.model_config.autofill import autofill, too_new, unknown
from tritonbuild.rules.model_config.message import parse, to_text

Shape = tuple[int, ...] | None
FP32 = "TYPE_FP32"


def tensor(name: str, shape: Shape, datatype: str = FP32, **more: Any) -> TensorInfo:
    return TensorInfo(name, datatype, shape, **more)


def signature(inputs: list[TensorInfo], outputs: list[TensorInfo]) -> Signature:
    return Signature(tuple(inputs), tuple(outputs))


def one(x: Shape, y: Shape, **more: Any) -> Signature:
    return signature([tensor("x", x, **more)], [tensor("y", y, **more)])


def config_of(text: str, backend: str = "onnxruntime") -> Any:
    config, problems = parse(f'backend: "{backend}"\n{text}'.encode(), "")
    assert not problems
    return config


def filled(text: str, model: Signature, backend: str = "onnxruntime") -> str:
    """A config after completion that finds nothing wrong, without its backend."""
    config = config_of(text, backend)
    assert not list(autofill(config, model))
    config.backend = config.platform = ""
    return " ".join(to_text(config).decode().split())


def wrong(text: str, model: Signature, backend: str = "onnxruntime", release: str = "") -> str:
    """The one problem, as `key: found`."""
    config = config_of(text, backend)
    problems = list(autofill(config, model, release))
    assert len(problems) == 1, problems
    return f"{problems[0].key}: {problems[0].found}"


def io(name: str, dims: str, more: str = "") -> str:
    return f'{{ name: "{name}" data_type: TYPE_FP32 dims: [{dims}] {more} }}'


def shown(field: str, name: str, dims: list[int], more: str = "") -> str:
    """As protobuf prints it."""
    text = " ".join(f"dims: {size}" for size in dims)
    return f'{field} {{ name: "{name}" data_type: TYPE_FP32 {text} {more}'.rstrip() + " }"


def both(inputs: list[int], outputs: list[int]) -> str:
    return f"{shown('input', 'x', inputs)} {shown('output', 'y', outputs)}"


# onnxruntime: completion


def test_a_model_that_batches_gets_the_default_batch_size_and_a_batcher() -> None:
    text = filled("", one((-1, 3), (-1, 4)))
    assert text == f"max_batch_size: 4 {both([3], [4])} dynamic_batching {{ }}"


def test_a_batch_size_of_ones_own_stays() -> None:
    text = filled("max_batch_size: 16", one((-1, 3), (-1, 4)))
    assert text == f"max_batch_size: 16 {both([3], [4])} dynamic_batching {{ }}"


def test_a_batch_size_of_1_gets_no_batcher() -> None:
    assert filled("max_batch_size: 1", one((-1, 3), (-1, 4))) == (
        f"max_batch_size: 1 {both([3], [4])}"
    )


def test_a_sequence_batcher_stays_alone() -> None:
    text = filled("sequence_batching { }", one((-1, 3), (-1, 4)))
    assert "dynamic_batching" not in text
    assert "max_batch_size: 4" in text


def test_a_model_with_one_fixed_first_dimension_cannot_batch() -> None:
    model = signature([tensor("x", (-1, 3)), tensor("z", (1,))], [tensor("y", (-1, 4))])
    inputs = f"{shown('input', 'x', [-1, 3])} {shown('input', 'z', [1])}"
    assert filled("", model) == f"{inputs} {shown('output', 'y', [-1, 4])}"


def test_batching_what_cannot_batch_is_refused() -> None:
    text = wrong("max_batch_size: 8", one((1, 3), (-1, 4)))
    assert text == "max_batch_size: max_batch_size is 8, but the model cannot batch"


def test_a_scalar_gets_a_dimension_of_1() -> None:
    assert filled("", one((), ())) == both([1], [1])


def test_a_tensor_of_the_batch_alone_is_reshaped() -> None:
    text = filled("", one((-1,), (-1, 4)))
    assert shown("input", "x", [1], "reshape { }") in text


def test_an_input_without_a_shape_is_a_scalar_to_the_backend() -> None:
    assert filled("", one(None, (2,))) == both([1], [2])


def test_where_both_are_given_nothing_is_completed() -> None:
    text = f"input {io('x', '-1, 3')} output {io('y', '-1, 4')}"
    assert filled(text, one((-1, 3), (-1, 4))) == both([-1, 3], [-1, 4])


def test_where_outputs_are_missing_batching_is_decided_all_the_same() -> None:
    text = filled(f"input {io('x', '3')}", one((-1, 3), (-1, 4)))
    assert text == f"max_batch_size: 4 {both([3], [4])} dynamic_batching {{ }}"


def test_inputs_given_whole_contradict_the_batch_size_that_is_completed() -> None:
    text = wrong(f"input {io('x', '-1, 3')}", one((-1, 3), (-1, 4)))
    assert text.startswith("input[0].dims: input 'x' has shape [-1,-1,3], the first for the batch")


def test_batch_inputs_count_as_inputs() -> None:
    batch = "{ kind: BATCH_ELEMENT_COUNT target_name: 'x' data_type: TYPE_FP32 source_input: 'a' }"
    config = config_of(f"batch_input {batch}")
    assert not list(autofill(config, one((-1, 3), (-1, 4))))
    assert not config.input
    assert config.output[0].name == "y"


def test_a_data_type_that_no_config_has_is_refused() -> None:
    model = signature([tensor("x", (1,), "TYPE_INVALID")], [tensor("y", (1,))])
    assert "data type" in wrong("", model)


def test_bf16_is_taken_from_26_03_on() -> None:
    model = one((1,), (1,), datatype="TYPE_BF16")
    text = "input { name: 'x' data_type: TYPE_BF16 dims: 1 } "
    text += "output { name: 'y' data_type: TYPE_BF16 dims: 1 }"
    assert not list(autofill(config_of(text), model, "2.67.0"))
    assert len(list(autofill(config_of(text), model, "2.66.0"))) == 2


def test_a_model_whose_output_is_no_tensor_is_refused() -> None:
    model = signature([tensor("x", (1,))], [TensorInfo("y", "", None, kind="sequence")])
    given = f"input {io('x', '1')} output {io('y', '1')}"
    for text in ("", given):
        assert wrong(text, model) == "backend: output 'y' of the model is a sequence"


# onnxruntime: what it alone knows


def test_a_shape_that_is_only_inferred_is_said_to_be_unknown() -> None:
    model = signature([tensor("x", (-1, 3))], [tensor("y", None, is_inferred=True)])
    config = config_of("")
    (why,) = unknown(config, model)
    assert why.startswith("output 'y': the model's file does not state its shape")
    assert not list(autofill(config, model))
    assert not config.input
    assert config.max_batch_size == 0


def test_it_does_not_matter_where_an_input_decides() -> None:
    model = signature([tensor("x", (2, 3))], [tensor("y", None, is_inferred=True)])
    assert filled("", model) == shown("input", "x", [2, 3])


def test_a_dimension_that_may_be_fixed_is_said_to_be_unknown() -> None:
    model = signature([tensor("x", (-1, 3))], [tensor("y", (-1, -1), is_inferred=True)])
    (why,) = unknown(config_of(""), model)
    assert "may find that a dimension of [-1,-1] is fixed" in why


@pytest.mark.parametrize("shape", [None, (-1, -1)])
def test_where_both_are_given_nothing_is_unknown(shape: Shape) -> None:
    model = signature([tensor("x", (-1, 3))], [tensor("y", shape, is_inferred=True)])
    config = config_of(f"max_batch_size: 2 input {io('x', '3')} output {io('y', '4')}")
    assert not unknown(config, model)
    assert not list(autofill(config, model))


# onnxruntime: what it refuses


GIVEN = f"input {io('x', '-1, 3')} output {io('y', '-1, 4')}"
MODEL = one((-1, 3), (-1, 4))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"input {io('X', '-1, 3')} output {io('y', '-1, 4')}",
            "input[0].name: the model has no input 'X'",
        ),
        (
            f"input {io('x', '-1, 3')} output {io('z', '-1, 4')}",
            "output[0].name: the model has no output 'z'",
        ),
        (
            GIVEN.replace("TYPE_FP32", "TYPE_INT64", 1),
            "input[0].data_type: input 'x' is TYPE_INT64",
        ),
        (
            f"input {io('x', '-1, 4')} output {io('y', '-1, 4')}",
            "input[0].dims: input 'x' has shape [-1,4]",
        ),
        (
            f"input {io('x', '3')} output {io('y', '-1, 4')}",
            "input[0].dims: input 'x' has shape [3]",
        ),
        (
            f"input {io('x', '-1, 3')} output {io('y', '5, 4')}",
            "output[0].dims: output 'y' has shape [5,4]",
        ),
    ],
)
def test_a_config_that_contradicts_the_model_is_refused(text: str, told: str) -> None:
    assert wrong(text, MODEL) == told


def test_an_input_may_be_fixed_where_the_models_varies_an_output_may_not() -> None:
    text = f"input {io('x', '5, 3')} output {io('y', '-1, 4')}"
    assert not list(autofill(config_of(text), MODEL))


def test_a_reshape_stands_for_what_the_model_gets() -> None:
    text = f"input {io('x', '9', 'reshape { shape: [3, 3] }')} output {io('y', '-1, 4')}"
    assert not list(autofill(config_of(text), MODEL))
    text = text.replace("[3, 3]", "[9, 1]")
    assert wrong(text, MODEL) == "input[0].reshape.shape: input 'x' has shape [9,1]"


def test_what_is_of_no_rank_without_its_batch_is_to_be_reshaped() -> None:
    config = config_of(f"max_batch_size: 2 input {io('x', '3')} output {io('y', '1')}")
    (problem,) = autofill(config, one((-1, 3), (-1,)))
    assert problem.remedy.startswith("say dims = [1], reshape = { shape = [] }")
    config = config_of(
        f"max_batch_size: 2 input {io('x', '3')} output {io('y', '1', 'reshape { shape: [] }')}"
    )
    assert not list(autofill(config, one((-1, 3), (-1,))))


def test_a_missing_input_is_told_by_its_name() -> None:
    model = signature([tensor("x", (1,)), tensor("z", (1,))], [tensor("y", (1,))])
    config = config_of(f"input {io('x', '1')} output {io('y', '1')}")
    (problem,) = autofill(config, model)
    assert problem.key == "input"
    assert "it lacks z" in problem.expected


def test_a_missing_output_is_nothing() -> None:
    model = signature([tensor("x", (1,))], [tensor("y", (1,)), tensor("z", (1,))])
    assert not list(autofill(config_of(f"input {io('x', '1')} output {io('y', '1')}"), model))


def test_optional_inputs_do_not_count_and_do_not_batch() -> None:
    optional = f"input {io('w', '3', 'optional: true')}"
    model = signature([*MODEL.inputs, tensor("w", (3,), optional=True)], [*MODEL.outputs])
    assert not list(autofill(config_of(GIVEN), model))
    assert not list(autofill(config_of(f"{GIVEN} {optional}"), model))
    assert wrong(f"{GIVEN} {optional}", MODEL) == "input[1].name: the model has no input 'w'"
    batched = f"max_batch_size: 2 input {io('x', '3')} output {io('y', '4')} {optional}"
    assert wrong(batched, model).startswith("input[1].optional: input 'w' is optional")


def test_a_config_that_batches_needs_a_first_dimension_that_varies() -> None:
    text = f"max_batch_size: 2 input {io('x', '3')} output {io('y', '4')}"
    told = wrong(text, one((-1, 3), (2, 4)))
    assert told == "output[0].dims: output 'y' has shape [2,4] in the model"


def test_dims_with_the_batch_in_them_are_told_as_such() -> None:
    config = config_of(f"max_batch_size: 2 input {io('x', '-1, 3')} output {io('y', '4')}")
    (problem,) = autofill(config, MODEL)
    assert "max_batch_size = 0 if they hold the batch already" in problem.remedy


def test_a_scalar_takes_ones_only() -> None:
    text = f"input {io('x', '1, 1')} output {io('y', '2')}"
    told = wrong(text, one((), ()))
    assert told == "output[0].dims: output 'y' has shape [2], but is a scalar in the model"


def test_a_ragged_input_is_flat_in_the_model() -> None:
    ragged = io("x", "-1", "allow_ragged_batch: true")
    text = f"max_batch_size: 2 input {ragged} output {io('y', '4')}"
    assert not list(autofill(config_of(text), one((-1,), (-1, 4))))
    assert wrong(text, MODEL).startswith("input[0].allow_ragged_batch")


def test_the_output_of_a_batch_output_is_not_compared() -> None:
    batch = "{ kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: 'y' source_input: 'x' }"
    text = f"input {io('x', '-1, 3')} output {io('y', '7')} batch_output {batch}"
    assert not list(autofill(config_of(text), MODEL))


START = "{ name: 'START' control { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } }"
CORRID = "{ name: 'ID' control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }"


def sequence(start: Shape, datatype: str = "TYPE_INT32") -> Signature:
    controls = [tensor("START", start, datatype), tensor("ID", (-1, 1), "TYPE_UINT64")]
    return signature([tensor("x", (-1, 3)), *controls], [tensor("y", (-1, 4))])


SEQUENCE = (
    f"max_batch_size: 2 input {io('x', '3')} output {io('y', '4')} "
    f"sequence_batching {{ control_input {START} control_input {CORRID} }}"
)


def test_control_inputs_count() -> None:
    assert not list(autofill(config_of(SEQUENCE), sequence((-1, 1))))


def test_control_inputs_are_compared() -> None:
    assert "has shape [2] in the model" in wrong(SEQUENCE, sequence((-1, 2)))
    assert "'START' is TYPE_INT32" in wrong(SEQUENCE, sequence((-1, 1), FP32))


def test_states_are_inputs_and_outputs_of_the_model() -> None:
    state = "{ input_name: 'in' output_name: 'out' data_type: TYPE_FP32 dims: 1 }"
    text = f"max_batch_size: 2 input {io('x', '3')} output {io('y', '4')} "
    text += f"sequence_batching {{ state {state} }}"
    inputs = [tensor("x", (-1, 3)), tensor("in", (-1, 1))]
    outputs = [tensor("y", (-1, 4)), tensor("out", (-1, 1))]
    assert not list(autofill(config_of(text), signature(inputs, outputs)))
    told = wrong(text, signature(inputs, outputs[:1]))
    assert told == "sequence_batching.state[0].output_name: the model has no output 'out'"


@pytest.mark.parametrize(
    ("release", "ir_version", "opset", "told"),
    [
        ("2.51.0", 10, 21, []),
        ("2.51.0", 11, 22, ["IR version 11", "opset 22"]),
        ("2.60.0", 11, 23, []),
        ("2.67.0", 13, 26, ["opset 26"]),
        ("2.44.0", 99, 99, []),
        ("2.99.0", 99, 99, []),
        ("", 99, 99, []),
    ],
)
def test_a_model_that_is_too_new_for_the_release_is_refused(
    release: str, ir_version: int, opset: int, told: list[str]
) -> None:
    model = Signature((), (), {"ir_version": str(ir_version), "opset": str(opset)})
    problems = list(too_new(config_of(""), model, release))
    assert [problem.found for problem in problems] == [f"the model has {what}" for what in told]


# OpenVINO


def openvino(x: Shape, y: Shape, layout: str = "") -> Signature:
    return one(x, y, layout=layout)


def test_openvino_completes_each_of_inputs_and_outputs() -> None:
    text = filled(f"input {io('x', '1, 3')}", openvino((1, 3), (1, 4)), "openvino")
    assert text == both([1, 3], [1, 4])


def test_openvino_states_no_size_of_a_shape_that_varies_anywhere() -> None:
    """And then refuses its own completion."""
    told = wrong("", openvino((1, -1, 3), (1, 4)), "openvino")
    assert told == "input[0].dims: input 'x' has shape [-1,-1,-1]"
    assert filled("", openvino((-1, -1), (-1, -1)), "openvino") == both([-1, -1], [-1, -1])


def test_openvino_batches_where_all_layouts_say_so() -> None:
    text = filled("", openvino((1, 3), (1, 4), "[N,C]"), "openvino")
    assert text == f"max_batch_size: 4 {both([3], [4])} dynamic_batching {{ }}"


def test_openvino_may_be_told_to_batch_without_layouts() -> None:
    assert filled("max_batch_size: 8", openvino((1, 3), (1, 4)), "openvino") == (
        f"max_batch_size: 8 {both([3], [4])}"
    )


def test_openvino_takes_no_doubles() -> None:
    model = one((1, 3), (1, 4), datatype="TYPE_FP64")
    problems = list(autofill(config_of("", "openvino"), model))
    assert [problem.key for problem in problems] == ["input[0].data_type", "output[0].data_type"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"input {io('x', '1, 4')}", "input[0].dims: input 'x' has shape [1,4]"),
        (f"input {io('x', '-1, 3')}", "input[0].dims: input 'x' has shape [-1,3]"),
        (f"input {io('X', '1, 3')}", "input[0].name: the model has no input 'X'"),
        (f"output {io('y', '4')}", "output[0].dims: output 'y' has shape [4]"),
        (
            f"max_batch_size: 2 output {io('y', '-1')}",
            "output[0].dims: output 'y' has shape [-1,-1], the first for the batch since "
            "max_batch_size is above 0",
        ),
    ],
)
def test_openvino_refuses_what_contradicts_the_model(text: str, told: str) -> None:
    assert wrong(text, openvino((1, 3), (1, 4)), "openvino") == told


def test_openvino_lets_the_inputs_of_a_model_that_batches_vary() -> None:
    text = f"max_batch_size: 2 input {io('x', '-1')}"
    assert not list(autofill(config_of(text, "openvino"), openvino((1, 3), (1, 4))))


def test_openvino_compares_nothing_where_it_reshapes() -> None:
    text = f"input {io('x', '1, 9')} parameters {{ key: 'RESHAPE_IO_LAYERS' "
    text += "value { string_value: 'YES' } }"
    assert not list(autofill(config_of(text, "openvino"), openvino((1, 3), (1, 4))))


# TensorFlow's SavedModel


def tensorflow(text: str, model: Signature) -> str:
    return filled(f'platform: "tensorflow_savedmodel" {text}', model, "tensorflow")


def tensorflow_refuses(text: str, model: Signature) -> str:
    return wrong(f'platform: "tensorflow_savedmodel" {text}', model, "tensorflow")


def test_tensorflow_completes_all() -> None:
    assert tensorflow("", one((-1, 3), (-1, 4))) == (
        f"max_batch_size: 4 {both([3], [4])} dynamic_batching {{ }}"
    )
    assert tensorflow("", one((1, 3), (-1, 4))) == both([1, 3], [-1, 4])


def test_tensorflow_takes_a_hint_from_dims_that_are_given() -> None:
    assert tensorflow(f"input {io('x', '-1, 3')}", one((-1, 3), (-1, 4))) == both([-1, 3], [-1, 4])
    assert "max_batch_size: 4" in tensorflow(f"input {io('x', '3')}", one((-1, 3), (-1, 4)))


def test_tensorflow_completes_single_fields_and_inputs() -> None:
    model = signature([tensor("x", (1, 3)), tensor("z", (1, 2))], [tensor("y", (1, 4))])
    text = tensorflow("input { name: 'x' }", model)
    inputs = f"{shown('input', 'x', [1, 3])} {shown('input', 'z', [1, 2])}"
    assert text == f"{inputs} {shown('output', 'y', [1, 4])}"


@pytest.mark.parametrize(
    ("text", "model", "told"),
    [
        ("max_batch_size: 2", one((1, 3), (1, 4)), "max_batch_size: max_batch_size is 2"),
        ("", one((), (1, 4)), "input: input 'x' of the model has shape []"),
        ("", one((1, 3), None), "output: output 'y' of the model has shape unknown"),
        (
            f"input {io('x', '3')} output {io('y', '-1, 4')}",
            one((-1, 3), (-1, 4)),
            "max_batch_size: the dims of 'y'",
        ),
        (
            f"output {io('z', '4')}",
            one((1, 3), (1, 4)),
            "output[0].name: the model has no output 'z'",
        ),
        (f"input {io('x', '1, 5')}", one((1, 3), (1, 4)), "input[0].dims: input 'x' has shape"),
    ],
)
def test_tensorflow_refuses(text: str, model: Signature, told: str) -> None:
    assert tensorflow_refuses(text, model).startswith(told)


# Others


def test_other_backends_complete_nothing() -> None:
    assert filled("", one((-1, 3), (-1, 4)), "fil") == ""
