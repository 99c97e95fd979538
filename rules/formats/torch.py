"""PyTorch's files, told apart by the names in their zip archives: TorchScript, compiled packages
(AOTInductor's `.pt2`), exported programs, and weights without a program. None of them tells its
inputs and outputs: https://github.com/triton-inference-server/pytorch_backend asks the config for
them, by the names of arguments or by place (`INPUT__0`, `OUTPUT__0`).
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from tritonbuild.rule import Problem

from .pointer import HEAD, refuse_archive, refuse_stand_in
from .signature import FormatError

TORCHSCRIPT, COMPILED, EXPORTED, WEIGHTS = "TorchScript", "AOTInductor", "exported", "weights"
KINDS = {"pytorch_libtorch": "a TorchScript model", "torch_aoti": "an AOTInductor package (.pt2)"}
"""By platform."""
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ZIP = b"PK\x03\x04"


def kind(path: Path) -> str:
    """Which of PyTorch's files it is; empty when it is none. Reads the archive's list of names."""
    with open(path, "rb") as file:
        head = file.read(4)
        if head.startswith(_PICKLES):
            return WEIGHTS
        if head != _ZIP:
            return ""
        try:
            with zipfile.ZipFile(file) as archive:
                # All lies below one folder, named as the file was when it was saved.
                names = [name.partition("/")[2] or name for name in archive.namelist()]
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            found = "the file is a damaged zip archive"
            problem = Problem(found, "a whole one", "fetch or export it again")
            raise FormatError(problem) from None
    if any("aotinductor/" in name for name in names):
        return COMPILED
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return TORCHSCRIPT
    exported = ("archive_format", "models/model.json", "serialized_exported_program.json")
    if any(name in exported for name in names):
        return EXPORTED
    return WEIGHTS if "data.pkl" in names else ""


def check(path: Path, platform: str) -> None:
    """Raises FormatError when PyTorch's backend cannot run the file."""
    expected = KINDS.get(platform, KINDS["pytorch_libtorch"])
    with open(path, "rb") as file:
        head = file.read(HEAD)
    refuse_stand_in(head, path.name, expected)
    found = kind(path)
    if found == (COMPILED if platform == "torch_aoti" else TORCHSCRIPT):
        return
    if not found:
        refuse_archive(head, expected)
        raise FormatError(Problem("the file is none of PyTorch's", expected))
    raise FormatError(Problem(f"the file is {_WORDS[found]}", expected, _remedy(found)))


_WORDS = {
    TORCHSCRIPT: "a TorchScript model",
    COMPILED: "an AOTInductor package",
    EXPORTED: "an exported program that was not compiled",
    WEIGHTS: "weights without a program (a state dict or a pickled module)",
}


def _remedy(found: str) -> str:
    return {
        TORCHSCRIPT: "say config.platform = 'pytorch_libtorch', or leave the platform out",
        COMPILED: "say config.platform = 'torch_aoti'",
        EXPORTED: "compile it with torch._inductor.aoti_compile_and_package",
        WEIGHTS: "save the model with torch.jit.script(model).save(…), or load these weights in a "
        "model of the python backend",
    }[found]
