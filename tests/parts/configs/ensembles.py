"""Ensembles, and the models that they are made of."""

from __future__ import annotations

from .case import Case, Cases, X, Y, model

TENSOR = '{put} {{ name: "{name}" data_type: TYPE_{datatype} dims: [ {dims} ] }}\n'


def _in(name: str, datatype: str = "FP32", dims: str = "4") -> str:
    return TENSOR.format(put="input", name=name, datatype=datatype, dims=dims)


def _out(name: str, datatype: str = "FP32", dims: str = "4") -> str:
    return TENSOR.format(put="output", name=name, datatype=datatype, dims=dims)


def _step(member: str, inputs: dict[str, str], outputs: dict[str, str], version: str = "-1") -> str:
    maps = [
        f'{put} {{ key: "{key}" value: "{value}" }}'
        for put, mapped in (("input_map", inputs), ("output_map", outputs))
        for key, value in mapped.items()
    ]
    return f'step {{ model_name: "{member}" model_version: {version} {" ".join(maps)} }} '


def _ensemble(steps: str, *, io: str = X + Y, more: str = "", batch: int = 0) -> Case:
    said = f'platform: "ensemble"\nmax_batch_size: {batch}\n{io}{more}'
    return Case(f"{said}\nensemble_scheduling {{ {steps} }}", {"1/": b""})


DECOUPLED = "model_transaction_policy { decoupled: true }"

MEMBERS: Cases = {
    "vector": model(batch=0),
    "batched": model(batch=8),
    "small_batches": model(batch=2),
    "varies": model(batch=0, x=_in("x", dims="-1"), y=_out("y", dims="-1")),
    "matrix": model(batch=0, x=_in("x", dims="2, 2"), y=_out("y", dims="2, 2")),
    "whole": model(batch=0, x=_in("x", dims="-1, 4"), y=_out("y", dims="-1, 4")),
    "counts": model(batch=0, x=_in("x"), y=_out("y", "INT32")),
    "joins": model(batch=0, x=_in("a") + _in("b")),
    "splits": model(batch=0, y=_out("y") + _out("z")),
    "maybe": model(batch=0, x=_in("x") + _in("b").replace(" }", " optional: true }")),
    "streams": model(DECOUPLED, batch=0),
    "streams_two": model(DECOUPLED, batch=0, y=_out("y") + _out("z")),
    "versioned": Case(
        model("version_policy { specific { versions: [ 2 ] } }", batch=0).config,
        {f"{version}/model.py": model().files["1/model.py"] for version in (1, 2, 3)},
    ),
}

ONE_STEP = _step("vector", {"x": "x"}, {"y": "y"})
CHAIN = _step("vector", {"x": "x"}, {"y": "m"}) + _step("vector", {"x": "m"}, {"y": "y"})
JOIN = _step("joins", {"a": "m", "b": "n"}, {"y": "y"})

ENSEMBLES: Cases = {
    **MEMBERS,
    "e_one": _ensemble(ONE_STEP),
    "e_chain": _ensemble(CHAIN),
    "e_of_an_ensemble": _ensemble(_step("e_one", {"x": "x"}, {"y": "y"})),
    "e_no_steps": _ensemble(""),
    "e_no_model": _ensemble(_step("", {"x": "x"}, {"y": "y"})),
    "e_no_inputs": _ensemble(_step("vector", {}, {"y": "y"})),
    "e_no_outputs": _ensemble(_step("vector", {"x": "x"}, {})),
    "e_made_twice": _ensemble(ONE_STEP * 2),
    "e_unused_input": _ensemble(ONE_STEP, io=X + _in("z") + Y),
    "e_unmade_output": _ensemble(ONE_STEP, io=X + Y + _out("z")),
    "e_unused_tensor": _ensemble(_step("splits", {"x": "x"}, {"y": "y", "z": "z"})),
    "e_output_left_out": _ensemble(_step("splits", {"x": "x"}, {"y": "y"})),
    "e_unmade_tensor": _ensemble(_step("joins", {"a": "x", "b": "z"}, {"y": "y"})),
    "e_steps_in_a_circle": _ensemble(
        _step("joins", {"a": "x", "b": "m"}, {"y": "n"})
        + _step("vector", {"x": "n"}, {"y": "m"})
        + _step("vector", {"x": "n"}, {"y": "y"})
    ),
    "e_output_is_input": _ensemble(ONE_STEP, io=X + Y + _out("x")),
    "e_no_io": _ensemble(ONE_STEP, io=""),
    "e_output_taken_too": _ensemble(CHAIN, io=X + Y + _out("m")),
    "e_steps_out_of_order": _ensemble(
        _step("vector", {"x": "m"}, {"y": "y"}) + _step("vector", {"x": "x"}, {"y": "m"})
    ),
    "e_input_twice": _ensemble(_step("joins", {"a": "x", "b": "x"}, {"y": "y"})),
    "e_no_platform": Case(f"{X}{Y}ensemble_scheduling {{ {ONE_STEP} }}", {"1/": b""}),
    "e_no_version": Case(_ensemble(ONE_STEP).config, {"readme": b""}),
    "e_instances": _ensemble(ONE_STEP, more="instance_group { }"),
    "e_optimized": _ensemble(ONE_STEP, more="optimization { }"),
    "e_warm": _ensemble(ONE_STEP, more="model_warmup { }"),
    "e_cached": _ensemble(ONE_STEP, more="response_cache { enable: true }"),
    "e_model_absent": _ensemble(_step("surely_absent", {"x": "x"}, {"y": "y"})),
    "e_version": _ensemble(_step("versioned", {"x": "x"}, {"y": "y"}, "2")),
    "e_newest": _ensemble(_step("versioned", {"x": "x"}, {"y": "y"}, "-1")),
    "e_version_not_loaded": _ensemble(_step("versioned", {"x": "x"}, {"y": "y"}, "3")),
    "e_version_not_said": _ensemble(_step("vector", {"x": "x"}, {"y": "y"}, "0")),
    "e_input_absent": _ensemble(_step("vector", {"x": "x", "z": "x"}, {"y": "y"})),
    "e_output_absent": _ensemble(_step("vector", {"x": "x"}, {"y": "y", "w": "z"})),
    "e_input_not_fed": _ensemble(_step("joins", {"a": "x"}, {"y": "y"})),
    "e_optional_not_fed": _ensemble(_step("maybe", {"x": "x"}, {"y": "y"})),
    "e_other_type": _ensemble(ONE_STEP, io=_in("x", "FP64") + Y),
    "e_other_type_between": _ensemble(
        _step("counts", {"x": "x"}, {"y": "m"}) + _step("vector", {"x": "m"}, {"y": "y"})
    ),
    "e_other_shape": _ensemble(ONE_STEP, io=_in("x", dims="5") + Y),
    "e_other_output_shape": _ensemble(ONE_STEP, io=X + _out("y", dims="2")),
    "e_other_rank_between": _ensemble(
        _step("vector", {"x": "x"}, {"y": "m"}) + _step("matrix", {"x": "m"}, {"y": "y"}),
        io=X + _out("y", dims="2, 2"),
    ),
    "e_varies": _ensemble(ONE_STEP, io=_in("x", dims="-1") + Y),
    "e_varies_between": _ensemble(
        _step("varies", {"x": "x"}, {"y": "m"}) + _step("vector", {"x": "m"}, {"y": "y"})
    ),
    "e_reshaped": _ensemble(
        ONE_STEP,
        io='input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape: { shape: [ 4 ] } }\n'
        + Y,
    ),
    "e_batches": _ensemble(_step("batched", {"x": "x"}, {"y": "y"}), batch=8),
    "e_smaller_batches": _ensemble(_step("batched", {"x": "x"}, {"y": "y"}), batch=4),
    "e_larger_batches": _ensemble(_step("small_batches", {"x": "x"}, {"y": "y"}), batch=8),
    "e_batches_of_unbatched": _ensemble(_step("whole", {"x": "x"}, {"y": "y"}), batch=8),
    "e_batches_of_unbatched_fixed": _ensemble(ONE_STEP, batch=8),
    "e_batches_not": _ensemble(
        _step("batched", {"x": "x"}, {"y": "y"}),
        io=_in("x", dims="-1, 4") + _out("y", dims="-1, 4"),
    ),
    "e_batches_not_nor_shape": _ensemble(_step("batched", {"x": "x"}, {"y": "y"})),
    "e_circle_one": _ensemble(_step("e_circle_two", {"x": "x"}, {"y": "y"})),
    "e_circle_two": _ensemble(_step("e_circle_one", {"x": "x"}, {"y": "y"})),
    "e_of_itself": _ensemble(_step("e_of_itself", {"x": "x"}, {"y": "y"})),
    "e_of_a_refused": _ensemble(_step("e_no_outputs", {"x": "x"}, {"y": "y"})),
    "e_streams": _ensemble(_step("streams", {"x": "x"}, {"y": "y"})),
    "e_streams_and_cached": _ensemble(
        _step("streams", {"x": "x"}, {"y": "y"}), more="response_cache { enable: true }"
    ),
    "e_streams_said": _ensemble(ONE_STEP, more=DECOUPLED),
    "e_streams_joined": _ensemble(
        _step("streams", {"x": "x"}, {"y": "m"}) + _step("streams", {"x": "x"}, {"y": "n"}) + JOIN
    ),
    "e_stream_of_a_stream_joined": _ensemble(
        _step("streams", {"x": "x"}, {"y": "m"}) + _step("streams", {"x": "m"}, {"y": "n"}) + JOIN
    ),
    "e_stream_and_request_joined": _ensemble(
        _step("streams", {"x": "x"}, {"y": "m"}) + _step("joins", {"a": "m", "b": "x"}, {"y": "y"})
    ),
    "e_stream_joins_itself": _ensemble(
        _step("streams_two", {"x": "x"}, {"y": "m", "z": "n"}) + JOIN
    ),
    "e_stream_splits_and_joins": _ensemble(
        _step("streams", {"x": "x"}, {"y": "s"})
        + _step("vector", {"x": "s"}, {"y": "m"})
        + _step("vector", {"x": "s"}, {"y": "n"})
        + JOIN
    ),
    "e_streams_join_as_outputs": _ensemble(
        _step("streams", {"x": "x"}, {"y": "y"}) + _step("streams", {"x": "x"}, {"y": "z"}),
        io=X + Y + _out("z"),
    ),
}
