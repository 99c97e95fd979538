"""Sequence batching."""

from __future__ import annotations

from .case import ONE, Case, Cases, files, model


def _batcher(said: str, *, batch: int = 8) -> Case:
    return model(f"sequence_batching {{ {said} }}", batch=batch)


def _control(name: str, *controls: str) -> str:
    said = " ".join(f"control {{ {control} }}" for control in controls)
    return f'control_input {{ name: "{name}" {said} }} '


START = "kind: CONTROL_SEQUENCE_START"
END = "kind: CONTROL_SEQUENCE_END"
READY = "kind: CONTROL_SEQUENCE_READY"
ID = "kind: CONTROL_SEQUENCE_CORRID"


def _state(more: str, dims: str = "2") -> str:
    names = 'input_name: "i" output_name: "o"'
    return f"state {{ {names} data_type: TYPE_FP32 dims: [ {dims} ] {more} }} "


def _initial(more: str, *, datatype: str = "TYPE_FP32", dims: str = "2", name: str = "n") -> str:
    return f'initial_state {{ name: "{name}" data_type: {datatype} dims: [ {dims} ] {more} }}'


ZERO = "zero_data: true"
FROM_FILE = "sequence_batching { " + _state(_initial('data_file: "h0"')) + "}"

SEQUENCES: Cases = {
    "sequences": _batcher(""),
    "sequences_without_batches": _batcher("", batch=0),
    "controls": _batcher(
        _control("start", f"{START} fp32_false_true: [ 0, 1 ]")
        + _control("end", f"{END} bool_false_true: [ false, true ]")
        + _control("ready", f"{READY} int32_false_true: [ 0, 1 ]")
        + _control("id", f"{ID} data_type: TYPE_UINT64")
    ),
    "two_controls_of_one_tensor": _batcher(
        _control("c", f"{START} int32_false_true: [ 0, 1 ]", f"{END} int32_false_true: [ 0, 1 ]")
    ),
    "control_without_name": _batcher(_control("", f"{START} int32_false_true: [ 0, 1 ]")),
    "control_tensor_twice": _batcher(
        _control("c", f"{START} int32_false_true: [ 0, 1 ]")
        + _control("c", f"{END} int32_false_true: [ 0, 1 ]")
    ),
    "control_kind_twice": _batcher(
        _control("c", f"{START} int32_false_true: [ 0, 1 ]")
        + _control("d", f"{START} int32_false_true: [ 0, 1 ]")
    ),
    "control_without_values": _batcher(_control("c", START)),
    "control_with_two_kinds_of_values": _batcher(
        _control("c", f"{START} int32_false_true: [ 0, 1 ] fp32_false_true: [ 0, 1 ]")
    ),
    "control_with_one_value": _batcher(_control("c", f"{START} int32_false_true: [ 1 ]")),
    "control_with_three_values": _batcher(_control("c", f"{END} bool_false_true: [ 1, 0, 1 ]")),
    "control_that_is_an_input": _batcher(_control("x", f"{START} fp32_false_true: [ 0, 1 ]")),
    "control_of_no_kind_said": _batcher(_control("c")),
    "id_without_type": _batcher(_control("c", ID)),
    "id_of_strings": _batcher(_control("c", f"{ID} data_type: TYPE_STRING")),
    "id_of_floats": _batcher(_control("c", f"{ID} data_type: TYPE_FP32")),
    "id_with_values": _batcher(
        _control("c", f"{ID} data_type: TYPE_UINT64 int32_false_true: [ 0, 1 ]")
    ),
    "id_twice": _batcher(
        _control("c", f"{ID} data_type: TYPE_UINT64") + _control("d", f"{ID} data_type: TYPE_INT32")
    ),
    "idle": _batcher("max_sequence_idle_microseconds: 5000"),
    "direct": _batcher("direct { minimum_slot_utilization: 0.5 max_queue_delay_microseconds: 9 }"),
    "direct_above_one": _batcher("direct { minimum_slot_utilization: 1.5 }"),
    "direct_below_zero": _batcher("direct { minimum_slot_utilization: -0.5 }"),
    "direct_of_no_number": _batcher("direct { minimum_slot_utilization: nan }"),
    "oldest": _batcher("oldest { max_candidate_sequences: 4 }"),
    "oldest_preferred": _batcher("oldest { preferred_batch_size: [ 4 ] }"),
    "oldest_preferred_too_large": _batcher("oldest { preferred_batch_size: [ 9 ] }"),
    "oldest_preferred_zero": _batcher("oldest { preferred_batch_size: [ 0 ] }"),
    "oldest_without_batches": _batcher("oldest { }", batch=0),
    "both_strategies": _batcher("oldest { } direct { }"),
    "iterative": _batcher("iterative_sequence: true"),
    "state": _batcher(_state("")),
    "state_twice": _batcher(_state("") * 2),
    "state_with_zeros": _batcher(_state(_initial(ZERO))),
    "state_of_strings": _batcher(
        'state { input_name: "i" output_name: "o" data_type: TYPE_STRING dims: [ 1 ] '
        f"{_initial(ZERO, datatype='TYPE_STRING', dims='1')} }}"
    ),
    "state_that_varies": _batcher(_state(_initial(ZERO), dims="-1")),
    "initial_state_from_file": files(FROM_FILE, {**ONE, "initial_state/h0": bytes(8)}),
    "initial_state_from_long_file": files(FROM_FILE, {**ONE, "initial_state/h0": bytes(9)}),
    "state_in_growing_memory": _batcher(_state("use_growable_memory: true")),
    "sequences_with_cache": model("sequence_batching { } response_cache { enable: true }"),
    "sequences_with_strategy": model(
        'sequence_batching { } parameters { key: "TRITON_BATCH_STRATEGY_PATH" value { } }'
    ),
    "two_initial_states": _batcher(_state(_initial(ZERO) + _initial(ZERO))),
    "initial_state_of_two_states": _batcher(_state(_initial(ZERO)) * 2),
    "initial_state_of_other_type": _batcher(_state(_initial(ZERO, datatype="TYPE_INT32"))),
    "initial_state_of_other_shape": _batcher(_state(_initial(ZERO, dims="3"))),
    "initial_state_of_other_rank": _batcher(_state(_initial(ZERO, dims="2, 1"))),
    "initial_state_that_varies": _batcher(_state(_initial(ZERO, dims="-1"), dims="-1")),
    "initial_state_without_name": _batcher(_state(_initial(ZERO, name=""))),
    "initial_state_without_data": _batcher(_state(_initial(""))),
    "initial_state_from_short_file": files(FROM_FILE, {**ONE, "initial_state/h0": bytes(7)}),
    "initial_state_from_no_file": files(FROM_FILE, ONE),
}
