"""What Triton's core finds out before it asks any backend: name, backend, platform and file name,
from one another and from the names in the model's first folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Folder, Problem

from .releases import before

SAVEDMODEL, GRAPHDEF = "tensorflow_savedmodel", "tensorflow_graphdef"
LIBTORCH, AOTI = "pytorch_libtorch", "torch_aoti"
AOTI_SINCE = "2.67"
PLATFORM_SINCE = "2.68"
"""From here on the platform of PyTorch's files is found with them, and where a platform is said
the file name of TorchScript is left to the backend."""


def complete_backend_fields(
    config: Any, folder: Folder, release: str, name: str
) -> Iterator[Problem]:
    """Fills them in; the order decides, as in the core. `folder` is the model's."""
    if not config.name:
        config.name = name
    # The first by its bytes, whatever it is: `.ipynb_checkpoints` comes before `1`.
    folders = sorted(path for path, entry in folder.entries.items() if isinstance(entry, Folder))
    first = folder.entries[folders[0]] if folders else Folder()
    assert isinstance(first, Folder)
    silent = not config.platform and not config.default_model_filename
    if _tensorflow(config, first):
        return
    if not config.backend:
        config.backend = _backend(config, first, release, silent=silent)
    match config.backend:
        case "tensorrt":
            _fill(config, "tensorrt_plan", "model.plan")
        case "onnxruntime":
            _fill(config, "onnxruntime_onnx", "model.onnx")
        case "openvino":
            _fill(config, "", "model.xml")
        case "pytorch":
            _pytorch(config, release)
        case "python":
            _fill(config, "", "model.py")
        case "" if not config.platform and not config.default_model_filename:
            _, dot, backend = config.name.partition(".")
            if not dot:
                yield Problem(
                    "nothing says which backend runs it",
                    "backend or platform, a file that Triton knows, or a name such as "
                    "model.BACKEND",
                    key="backend",
                )
                return
            config.backend, config.default_model_filename = backend, f"model.{backend}"


def _tensorflow(config: Any, first: Folder) -> bool:
    """Whether it is TensorFlow's."""
    if not config.platform and config.backend in ("", "tensorflow"):
        file = config.default_model_filename
        saved, graph = first.entries.get("model.savedmodel"), first.entries.get("model.graphdef")
        if file == "model.savedmodel" or (not file and isinstance(saved, Folder)):
            config.platform = SAVEDMODEL
        if file == "model.graphdef" or (
            not file and graph is not None and not isinstance(graph, Folder)
        ):
            config.platform = GRAPHDEF
    if config.platform not in (SAVEDMODEL, GRAPHDEF):
        return False
    config.backend = config.backend or "tensorflow"
    suffix = config.platform.removeprefix("tensorflow_")
    config.default_model_filename = config.default_model_filename or f"model.{suffix}"
    return True


def _backend(config: Any, first: Folder, release: str, *, silent: bool) -> str:
    """The backend of a config that names none; empty when nothing tells."""
    platform, file = config.platform, config.default_model_filename

    def there(name: str, *, may_be_folder: bool = True) -> bool:
        entry = first.entries.get(name) if silent else None
        return entry is not None and (may_be_folder or not isinstance(entry, Folder))

    if platform == "tensorrt_plan" or file == "model.plan":
        return "tensorrt"
    if there("model.plan", may_be_folder=False):
        return "tensorrt"
    if platform == "onnxruntime_onnx" or file == "model.onnx" or there("model.onnx"):
        return "onnxruntime"
    if file == "model.xml" or there("model.xml"):
        return "openvino"
    if platform == LIBTORCH or file == "model.pt":
        return "pytorch"
    knows_aoti, says_platform = not before(release, AOTI_SINCE), not before(release, PLATFORM_SINCE)
    if says_platform and platform == "libtorch":
        return "pytorch"
    if knows_aoti and (platform == AOTI or file == "model.pt2"):
        return "pytorch"
    if there("model.pt", may_be_folder=False):
        config.platform = LIBTORCH if says_platform else ""
        return "pytorch"
    if knows_aoti and there("model.pt2", may_be_folder=False):
        config.platform = AOTI if says_platform else ""
        return "pytorch"
    if file == "model.py" or there("model.py"):
        return "python"
    return ""


def _pytorch(config: Any, release: str) -> None:
    named = config.platform
    config.platform = named or LIBTORCH
    if before(release, PLATFORM_SINCE):
        file = "" if config.runtime == "model.py" and not before(release, "2.42") else "model.pt"
    else:
        file = {"": "model.pt", AOTI: "model.pt2"}.get(named, "")
    config.default_model_filename = config.default_model_filename or file


def _fill(config: Any, platform: str, file: str) -> None:
    config.platform = config.platform or platform
    config.default_model_filename = config.default_model_filename or file
