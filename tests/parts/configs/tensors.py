"""Inputs and outputs."""

from __future__ import annotations

from .case import Cases, model


def _input(more: str, *, batch: int = 8) -> str:
    return f'input {{ name: "x" data_type: TYPE_FP32 {more} }}\n'


def _reshape(dims: str, shape: str) -> str:
    return _input(f"dims: [ {dims} ] reshape: {{ shape: [ {shape} ] }}")


TENSORS: Cases = {
    "plain": model(),
    "no_batch": model(batch=0),
    "negative_batch": model(batch=-1),
    "no_tensors": model(x="", y=""),
    "only_inputs": model(y=""),
    "dims_vary": model(x=_input("dims: [ -1, 3, -1 ]")),
    "dims_zero": model(x=_input("dims: [ 0 ]")),
    "dims_minus_two": model(x=_input("dims: [ 4, -2 ]")),
    "dims_none": model(x=_input("")),
    "dims_overflow_later": model(x=_input("dims: [ 4611686018427387904, 4 ]")),
    "output_dims_zero": model(y='output { name: "y" data_type: TYPE_FP32 dims: [ 0 ] }'),
    "output_dims_none": model(y='output { name: "y" data_type: TYPE_FP32 }'),
    "no_name": model(x="input { data_type: TYPE_FP32 dims: [ 4 ] }"),
    "no_output_name": model(y="output { data_type: TYPE_FP32 dims: [ 4 ] }"),
    "no_type": model(x='input { name: "x" dims: [ 4 ] }'),
    "no_output_type": model(y='output { name: "y" dims: [ 4 ] }'),
    "same_name_twice": model(x=_input("dims: [ 4 ]") * 2),
    "same_name_on_both_sides": model(y='output { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'),
    "strings": model(x='input { name: "x" data_type: TYPE_STRING dims: [ -1 ] }'),
    "bf16": model(x='input { name: "x" data_type: TYPE_BF16 dims: [ -1 ] }'),
    "optional_input": model(x=_input("dims: [ 4 ] optional: true")),
    "ragged_input": model(x=_input("dims: [ -1 ] allow_ragged_batch: true")),
    "reshape": model(x=_reshape("2, 6", "3, 4")),
    "reshape_to_scalar": model(x=_reshape("1", "")),
    "reshape_to_scalar_of_many": model(x=_reshape("2", "")),
    "reshape_to_scalar_without_batch": model(x=_reshape("1", ""), batch=0),
    "reshape_of_other_size": model(x=_reshape("2, 6", "3, 5")),
    "reshape_of_zero": model(x=_reshape("2, 6", "12, 0")),
    "reshape_that_varies": model(x=_reshape("2, 4, -1, 6", "8, -1, 1, 6")),
    "reshape_that_varies_wrongly": model(x=_reshape("2, 4, -1, 6", "6, -1, 8")),
    "reshape_with_more_that_vary": model(x=_reshape("4, -1", "4, -1, -1")),
    "reshape_of_fixed_to_varying": model(x=_reshape("4", "-1")),
    "output_reshape_of_other_size": model(
        y='output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] reshape: { shape: [ 5 ] } }'
    ),
    "format_of_image": model(x=_input("dims: [ 3, 8, 8 ] format: FORMAT_NCHW")),
    "format_of_vector": model(x=_input("dims: [ 4 ] format: FORMAT_NHWC")),
    "shape_tensor": model(x=_input("dims: [ 4 ] is_shape_tensor: true")),
    "output_shape_tensor": model(
        y='output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] is_shape_tensor: true }'
    ),
    "non_linear_input": model(x=_input("dims: [ 1, 2, 3 ] is_non_linear_format_io: true")),
    "batch_input": model(
        "batch_input { kind: BATCH_ELEMENT_COUNT target_name: 'n' data_type: TYPE_INT32 "
        "source_input: 'x' }"
    ),
    "batch_input_of_int64": model(
        "batch_input { kind: BATCH_ELEMENT_COUNT target_name: 'n' data_type: TYPE_INT64 "
        "source_input: 'x' }"
    ),
    "batch_input_without_source": model(
        "batch_input { kind: BATCH_ITEM_SHAPE target_name: 'n' data_type: TYPE_FP32 }"
    ),
    "batch_input_of_two_sources": model(
        "batch_input { kind: BATCH_ITEM_SHAPE target_name: 'n' data_type: TYPE_FP32 "
        "source_input: [ 'x', 'x' ] }"
    ),
    "batch_input_of_unknown_source": model(
        "batch_input { kind: BATCH_ITEM_SHAPE target_name: 'n' data_type: TYPE_FP32 "
        "source_input: 'z' }"
    ),
    "batch_output": model(
        "batch_output { target_name: 'y' kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: 'x' }"
    ),
    "batch_output_of_unknown_target": model(
        "batch_output { target_name: 'z' kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: 'x' }"
    ),
    "batch_output_twice": model(
        "batch_output { target_name: [ 'y', 'y' ] kind: BATCH_SCATTER_WITH_INPUT_SHAPE "
        "source_input: 'x' }"
    ),
    "batch_output_without_source": model(
        "batch_output { target_name: 'y' kind: BATCH_SCATTER_WITH_INPUT_SHAPE }"
    ),
}
