"""Golden cases: requests with the answers that a model must give, read from files and written.

A case is one request, or a sequence of them. `NAME.json` holds tensors as KServe v2 JSON does:

    {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
     "outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [3]}]}

A decoupled model gives any number of responses, and they must come in this order:

    {"inputs": [tensor, …], "responses": [[tensor, …], [tensor, …], …]}

A stateful model is asked these one after another, as one sequence; the build sets the correlation
id and the flags of the first and the last:

    {"sequence": [{"inputs": [tensor, …], "outputs": [tensor, …]}, …]}

Beside them stand `"model"`, and `"version"` if need be, where the target has several models; each
request may have `"parameters"`, such as `{"priority": 1}`.

`NAME.npz`, as `numpy.savez` writes it, holds the same in arrays: `inputs/x`, `outputs/y`,
`responses/0/y`, `sequence/0/inputs/x`, `sequence/0/responses/0/y`, `parameters/priority`, `model`
and `version`; and `responses`, their number, where there are none, or the last have no tensors.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from . import case_json, case_npz
from .case import Case, CaseError, Request, checked, is_large

__all__ = ["Case", "CaseError", "Request", "read", "write"]


def read(file: Path, name: str) -> Case:
    """A case of a file; its name says of which format. Raises CaseError, a ValueError."""
    if name.endswith(".json"):
        return case_json.read(file.read_bytes())
    if name.endswith(".npz"):
        return case_npz.read(file)
    raise CaseError("not a golden case", "a file that ends in .json or .npz")


def write(case: Case) -> tuple[str, bytes]:
    """The suffix and content of a file that `read` turns into the same case, to the bit: `.json`,
    or `.npz` where JSON cannot hold it (bytes that are not UTF-8, not-a-numbers other than the
    usual one) or nobody would read it (tensors of more than `LARGE` values). The same case always
    gives the same bytes.

    To record what a model answers, see `record.recorded`; a case made by hand is
    `Case((Request(inputs, (outputs,)),), model="name")`, with tensors of `tensors.from_array`.
    """
    if not is_large(checked(case)):
        with suppress(ValueError):
            return ".json", case_json.write(case)
    return ".npz", case_npz.write(case)
