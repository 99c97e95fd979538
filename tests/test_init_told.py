"""`tritonbuild init`: what it says of models, and what waits in comments."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise

from conftest import COMMAND, MINIMAL, ROOT
from parts.brought import (
    CIRCLE,
    PLAIN,
    Contents,
    Here,
    brought,
    findings,
    manifest,
    snapshot,
    uncommented,
)
from parts.repositories import ENSEMBLE, ONE, PYTHON, model, onnx


def test_a_dry_run_prints_and_writes_nothing(here: Here) -> None:
    folder = here(PLAIN)
    before = snapshot(folder.root)
    done = subprocess.run(
        [*COMMAND, "init", "--dry-run"], cwd=folder.root, env=folder.env, capture_output=True
    )
    assert done.returncode == 0
    assert "would write triton.toml, " in done.stdout.decode()
    assert "[models.plain]" in done.stdout.decode()
    assert snapshot(folder.root) == before


def test_json_tells_each_file(here: Here) -> None:
    folder = here({f"models/{path}": content for path, content in PLAIN.items()})
    planned = [e for e in brought(folder, "models", "--dry-run").events if e["event"] == "file"]
    written = [e for e in brought(folder, "models").events if e["event"] == "file"]
    assert [event["path"] for event in written] == ["models/triton.toml", "triton.toml"]
    assert {event["status"] for event in planned} == {"planned"}
    assert {event["status"] for event in written} == {"written"}
    for plan, event in zip(planned, written, strict=True):
        text = (folder.root / event["path"]).read_text()
        assert (plan["text"], len(text.encode())) == (text, event["size"])


def test_a_model_whose_backend_is_not_at_hand_waits_with_its_verification(here: Here) -> None:
    folder = here({"x/1/model.onnx": onnx(), **PLAIN})
    outcome = brought(folder)
    assert set(manifest(folder)["models"]) == {"x", "plain"}
    assert set(manifest(folder)["verifications"]) == {"plain_loads"}
    assert set(uncommented(folder)["verifications"]) == {"plain_loads", "x_loads"}
    assert "a distribution that has backends.onnxruntime" in outcome.text
    tested = folder.run("test", "//...")
    assert tested.exit_code == 0, tested.text
    assert tested.targets["//:x"] in ("built", "cached")


def test_a_model_on_a_gpu_waits_with_its_verification(here: Here) -> None:
    config = f"{PYTHON}instance_group {{ kind: KIND_GPU }}\n"
    folder = here({"x/config.pbtxt": config, "x/1/model.py": model()})
    outcome = brought(folder)
    assert "verifications" not in manifest(folder)
    assert "when verifications run on a GPU" in outcome.text


def test_torchscript_without_a_config_waits_for_its_inputs(here: Here) -> None:
    folder = here({"x/1/model.pt": b"PK\3\4 weights", **PLAIN})
    outcome = brought(folder)
    assert "its inputs and outputs are not known" in findings(outcome)["x"]
    assert set(manifest(folder)["models"]) == {"plain"}
    waiting = uncommented(folder)["models"]["x"]
    assert waiting["backend"] == "pytorch"
    assert set(waiting["config"]) == {"max_batch_size", "input", "output"}
    assert "pytorch" in manifest(folder)["backends"]


def test_python_that_completes_no_config_waits_for_its_inputs(here: Here) -> None:
    folder = here({"x/1/model.py": model(), **PLAIN})
    assert "auto_complete_config" in findings(brought(folder))["x"]
    assert set(manifest(folder)["models"]) == {"plain"}


def test_python_with_a_base_class_may_complete_its_config(here: Here) -> None:
    code = model().replace("class TritonPythonModel:", "class TritonPythonModel(object):")
    assert "(object)" in code
    folder = here({"x/1/model.py": code, **PLAIN})
    assert "auto_complete_config" not in findings(brought(folder)).get("x", "")
    assert set(manifest(folder)["models"]) == {"plain", "x"}


def test_an_ensemble_waits_for_a_member_that_waits(here: Here) -> None:
    folder = here(
        {"x/1/model.py": model(), **PLAIN, "e/config.pbtxt": ENSEMBLE.format("plain", "x")}
    )
    assert "its member 'x' is not declared yet" in findings(brought(folder))["e"]
    folder.build()


def test_an_ensemble_without_a_member_is_told(here: Here) -> None:
    folder = here({**PLAIN, "e/config.pbtxt": ENSEMBLE.format("plain", "gone")})
    assert "its member 'gone' is not here" in findings(brought(folder))["e"]
    assert "gone" in uncommented(folder)["models"]["e"]["steps"][1]["model"]


def test_ensembles_that_share_all_their_members_are_followed_once(here: Here) -> None:
    """Of thirty layers of two each there are 2**30 ways through."""
    layers = [("plain", "plain"), *((f"a{layer}", f"b{layer}") for layer in range(30))]
    files = {
        f"{name}/config.pbtxt": ENSEMBLE.format(*below)
        for below, names in pairwise(layers)
        for name in names
    }
    folder = here({**PLAIN, **files})
    brought(folder)
    assert len(manifest(folder)["models"]) == 61


def test_ensembles_in_a_circle_are_told(here: Here) -> None:
    folder = here(
        {
            "one/config.pbtxt": ENSEMBLE.format("two", "plain"),
            "two/config.pbtxt": ENSEMBLE.format("plain", "one"),
            **PLAIN,
        }
    )
    assert CIRCLE in findings(brought(folder))["one"]
    folder.build()


def test_models_that_call_one_another_are_told(here: Here) -> None:
    call = "\npb_utils.InferenceRequest(model_name='{}')\n"
    folder = here(
        {
            "a/config.pbtxt": PYTHON,
            "a/1/model.py": model() + call.format("b"),
            "b/config.pbtxt": PYTHON,
            "b/1/model.py": model() + call.format("a"),
        }
    )
    assert "needs it in turn" in findings(brought(folder))["a"]
    assert manifest(folder)["models"]["b"]["bls"] == [":a"]
    folder.build()


def test_a_model_that_calls_who_knows_whom_is_told(here: Here) -> None:
    code = f"{model()}\npb_utils.InferenceRequest(model_name=choose())\n"
    folder = here({"a/config.pbtxt": PYTHON, "a/1/model.py": code})
    assert "add them to `bls`" in findings(brought(folder))["a"]


def test_a_name_that_differs_from_the_folders_is_told(here: Here) -> None:
    folder = here({"x/config.pbtxt": f'name: "y"\n{PYTHON}', "x/1/model.py": model(), **PLAIN})
    told = findings(brought(folder))["x"]
    assert "its config.pbtxt calls it 'y', its folder 'x'" in told
    assert set(manifest(folder)["models"]) == {"plain"}


def test_a_python_model_with_a_space_in_its_name_is_told(here: Here) -> None:
    folder = here({"two words/config.pbtxt": PYTHON, "two words/1/model.py": model(), **PLAIN})
    assert "rename its folder" in findings(brought(folder))["two words"]
    assert uncommented(folder)["models"]["two_words"]["name"] == "two words"


def test_a_name_that_a_backend_in_python_cannot_take_is_told(here: Here) -> None:
    folder = here({"two words/1/model.onnx": onnx(), **PLAIN})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    told = findings(brought(folder))["two words"]
    assert "the onnxruntime backend cannot start a model of this name" in told
    assert told.endswith("; rename its folder: two_words")
    assert set(manifest(folder)["models"]) == {"plain"}


def test_another_backend_takes_any_name(here: Here) -> None:
    folder = here({"two words/1/model.onnx": onnx()})
    brought(folder)
    assert manifest(folder)["models"]["two_words"]["name"] == "two words"
    folder.build()


def test_what_no_build_takes_along_is_told_once(here: Here) -> None:
    beside: Contents = {
        "notes.txt": "",
        "plain/1/__pycache__/model.pyc": b"",
        "plain/.DS_Store": "",
    }
    folder = here({**PLAIN, "plain/1/.keep": "", **beside})
    told = findings(brought(folder))
    assert told[""].startswith(
        "left out of what is built: notes.txt, plain/.DS_Store, plain/1/__pycache__/; "
    )
    assert "plain" not in told
    folder.build()
    built = folder.output("_/here/plain")
    files = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    assert files == {"config.pbtxt", "1/model.py", "1/.keep"}


def test_versions_that_are_none_are_told(here: Here) -> None:
    none = {f"{name}/model.py": model() for name in ("plain/1abc", "y/02", "y/0")}
    folder = here({**PLAIN, **none, "x/config.pbtxt": PYTHON, "y/config.pbtxt": PYTHON})
    told = findings(brought(folder))
    assert "Not taken along is '1abc': Triton takes it for version 1" in told["plain"]
    assert "Not taken along is '02': Triton takes a name that begins with 0" in told["y"]
    assert "it has no version folder" in told["x"]
    assert set(manifest(folder)["models"]) == {"plain"}
    folder.build()


def test_a_file_under_another_name_than_triton_looks_for_is_told(here: Here) -> None:
    folder = here({"x/config.pbtxt": 'backend: "onnxruntime"\n', "x/1/net.onnx": onnx(), **PLAIN})
    told = findings(brought(folder))["x"]
    assert "version 1 holds net.onnx; the onnxruntime backend looks for model.onnx" in told


def test_a_field_that_the_release_does_not_know_waits_for_a_newer_one(here: Here) -> None:
    config = f"{PYTHON}model_metrics {{ metric_control [ ] }}\n"
    folder = here({"x/config.pbtxt": config, "x/1/model.py": model(), **PLAIN})
    assert "does not know model_metrics" in findings(brought(folder))["x"]


def test_a_folder_s_own_release_counts(here: Here) -> None:
    root = f'{MINIMAL}distribution = "//:own"\n[distributions.own]\npath = "server"\n'
    config = f"{PYTHON}model_metrics {{ metric_control [ ] }}\n"
    models = {"models/x/config.pbtxt": config, "models/x/1/model.py": model()}
    server = {"server/bin/tritonserver": "", "server/backends/python/libtriton_python.so": ""}
    folder = here({"triton.toml": root, **server, "server/TRITON_VERSION": "2.51.0\n", **models})
    told = findings(brought(folder, "models"))
    assert any(
        "Triton 2.51.0 of //:own does not know model_metrics" in each for each in told.values()
    )
    folder.build()


def test_what_is_no_model_is_told_and_left_alone(here: Here) -> None:
    folder = here({**PLAIN, "scripts/train.py": "print()", ".git/config": ""})
    assert "no model" in findings(brought(folder))["scripts"]
    assert set(manifest(folder)["models"]) == {"plain"}


def test_imports_become_requirements(here: Here) -> None:
    imports = (
        "import json, yaml\nfrom sklearn.svm import SVC\nimport helper\nimport google.cloud.x\n"
    )
    imports += "try:\n    import torch\nexcept ImportError:\n    pass\n"
    files = {"x/config.pbtxt": PYTHON, "x/1/model.py": imports + model(), "x/1/helper.py": ""}
    folder = here(files)
    outcome = brought(folder)
    assert manifest(folder)["models"]["x"]["requirements"] == ["PyYAML", "scikit-learn"]
    assert "what brings google.cloud.x" in findings(outcome)["x"]


def test_requirements_txt_wins_over_imports(here: Here) -> None:
    requirements = (
        "# pinned\nPyYAML==6.0.2  # for configs\n-r more.txt\nx @ https://s3cret@example.org/x\n"
        "--extra-index-url https://user:s3cret@example.org/simple\n"
    )
    files = {"x/config.pbtxt": PYTHON, "x/1/model.py": f"import yaml, zmq\n{model()}"}
    folder = here({**files, "x/requirements.txt": requirements})
    outcome = brought(folder)
    assert manifest(folder)["models"]["x"]["requirements"] == ["PyYAML==6.0.2"]
    assert (
        "Left out of them, since not by a package's name: line 3, 4, 5." in findings(outcome)["x"]
    )
    assert "s3cret" not in outcome.text + (folder.root / "triton.toml").read_text()


def test_files_that_git_ignores_are_named_one_by_one(here: Here) -> None:
    files: Contents = {
        ".gitignore": "*.onnx\n",
        "x/1/model.onnx": onnx("weights.bin"),
        "x/1/weights.bin": ONE,
    }
    folder = here(files)
    brought(folder)
    named = {"model.onnx": "x/1/model.onnx", "weights.bin": "x/1/weights.bin"}
    assert manifest(folder)["models"]["x"]["versions"] == {"1": named}
    folder.build()
    assert folder.output("_/x/x/1/model.onnx").read_bytes() == onnx("weights.bin")


def test_targets_keep_clear_of_one_another(here: Here) -> None:
    folder = here(
        {
            f"{name}/{path.partition('/')[2]}": content
            for name in ("all", "pypi", "python", "here", "x", "x_loads")
            for path, content in PLAIN.items()
        }
    )
    brought(folder)
    folder.build()
    assert len(manifest(folder)["models"]) == len(manifest(folder)["verifications"]) == 6


def test_cases_that_were_recorded_before_are_verified(here: Here) -> None:
    folder = here({**PLAIN, "plain/golden/random.json": "{}"})
    brought(folder)
    assert "files" not in manifest(folder)["models"]["plain"]
    verification = manifest(folder)["verifications"]["plain_answers"]
    assert verification["cases"] == "plain/golden/random.json"


def test_what_an_ensembles_version_is_built_without_is_told(here: Here) -> None:
    chain = {"e/config.pbtxt": ENSEMBLE.format("plain", "plain"), "e/2/.gitkeep": ""}
    outcome = brought(folder := here({**PLAIN, **chain}))
    assert "An ensemble is built as version 1; it was 2 here." in outcome.text
    assert "Not taken along from 2/: .gitkeep." in outcome.text
    folder.build()


def test_an_ensemble_without_steps_is_told(here: Here) -> None:
    folder = here({**PLAIN, "e/config.pbtxt": 'platform: "ensemble"\n'})
    assert "an ensemble without steps" in findings(brought(folder))["e"]
    folder.build()
