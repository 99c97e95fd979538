"""Versions, files, labels, parameters, agents, caches and the rest of a model."""

from __future__ import annotations

from .case import MODEL, ONE, Case, Cases, files, model

TWO = {"1/model.py": MODEL, "3/model.py": MODEL}


def _label(name: str) -> str:
    return f'output {{ name: "z" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "{name}" }}'


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }} '


VERSIONS: Cases = {
    "no_version": files("", {"readme": b""}),
    "two_versions": files("", TWO),
    "latest_two": files("version_policy { latest { num_versions: 2 } }", TWO),
    "latest_none": files("version_policy { latest { } }", TWO),
    "all_versions": files("version_policy { all { } }", TWO),
    "empty_policy": files("version_policy { }", TWO),
    "specific": files("version_policy { specific { versions: [ 1 ] } }", TWO),
    "specific_and_absent": files("version_policy { specific { versions: [ 1, 2 ] } }", TWO),
    "specific_all_absent": files("version_policy { specific { versions: [ 2 ] } }", TWO),
    "specific_none": files("version_policy { specific { } }", TWO),
    "leading_zero": files("", {"01/model.py": MODEL}),
    "leading_zero_beside": files("", {**ONE, "02/model.py": MODEL}),
    "version_zero": files("", {"0/model.py": MODEL}),
    "number_and_letters_beside": files("", {**ONE, "1abc/model.py": MODEL}),
    "letters_only": files("", {"abc/model.py": MODEL}),
    "letters_beside": files("", {**ONE, "abc/model.py": MODEL}),
    "configs_beside": files("", {**ONE, "configs/other.pbtxt": b""}),
    "hidden_folder": files("", {**ONE, ".ipynb_checkpoints/model.py": MODEL}),
    "other_file_name": files('default_model_filename: "own.py"', {"1/own.py": MODEL}),
    "capabilities": model('cc_model_filenames { key: "8.9" value: "model.py" }'),
}

FOLDERS: Cases = {
    "labels": files(_label("labels.txt"), {**ONE, "labels.txt": b"a\nb\n"}),
    "labels_below": files(_label("texts/labels.txt"), {**ONE, "texts/labels.txt": b"a"}),
    "labels_absent": files(_label("labels.txt"), ONE),
    "labels_empty": files(_label("labels.txt"), {**ONE, "labels.txt": b""}),
    "labels_of_a_neighbour": files(_label("../labels/labels.txt"), ONE),
    "cpu_tensors_only": model(_parameter("FORCE_CPU_ONLY_INPUT_TENSORS", "no")),
    "cpu_tensors_maybe": model(_parameter("FORCE_CPU_ONLY_INPUT_TENSORS", "maybe")),
    "any_parameter": model(_parameter("own", "1")),
    "environment_absent": model(
        _parameter("EXECUTION_ENV_PATH", "$$TRITON_MODEL_DIRECTORY/env.tar.gz")
    ),
    "other_name": model('name: "surely_another"'),
    "decoupled": model("model_transaction_policy { decoupled: true }"),
    "cached": model("response_cache { enable: true }"),
    "cached_and_decoupled": model(
        "response_cache { enable: true } model_transaction_policy { decoupled: true }"
    ),
    "not_cached_and_decoupled": model(
        "response_cache { enable: false } model_transaction_policy { decoupled: true }"
    ),
    "agent_absent": model('model_repository_agents { agents { name: "surely_absent" } }'),
    "agent_without_name": model("model_repository_agents { agents { } }"),
    "tags": model('metric_tags { key: "team" value: "a" }'),
    "optimized": model(
        "optimization { priority: PRIORITY_MAX input_pinned_memory { enable: false } "
        "gather_kernel_buffer_threshold: 3 eager_batching: true cuda { graphs: true } }"
    ),
    "accelerated": model(
        'optimization { execution_accelerators { gpu_execution_accelerator { name: "x" } } }'
    ),
    "operations": model('model_operations { op_library_filename: "x.so" }'),
    "metrics": model(
        "model_metrics { metric_control { metric_identifier { family: 'f' } "
        "histogram_options { buckets: [ 1 ] } } }"
    ),
    "unknown_field": model("surely_not_a_field: 1"),
    "unknown_value": model("instance_group { kind: KIND_TPU }"),
    "wrong_value": model("max_batch_size: 'four'"),
    "broken_text": model("instance_group {"),
    "nothing_said": Case(""),
    "no_config": Case(None),
    "no_config_and_no_version": Case(None, {"readme": b""}),
}

DEADLY_FOLDERS: Cases = {
    "labels_that_are_a_folder": files(_label("labels"), {**ONE, "labels/a": b""}),
    "number_and_letters": files("", {"1abc/model.py": MODEL}),
    "negative_version": files("", {"-1/model.py": MODEL}),
    "empty_version": files("", {"1/": b""}),
    "other_file_name_absent": files('default_model_filename: "own.py"', ONE),
    "file_of_newest_absent": files("", {**ONE, "2/other.py": MODEL}),
    "file_of_older_absent": files(
        "version_policy { all { } }", {"1/other.py": MODEL, "2/model.py": MODEL}
    ),
    "no_agents": model("model_repository_agents { }"),
}
