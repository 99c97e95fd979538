"""Golden cases of models that a running server has: it is asked what it would be asked in use,
with inputs by chance, and its answers are kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Problem, UsageError

from .found import FoundModel

if TYPE_CHECKING:
    from ..verify.cases import Case
    from ..verify.client import Client
    from ..verify.tensors import Tensor

PATIENCE = 10.0
"""Seconds to reach a server."""
TIMEOUT = 60.0
"""Seconds that an answer may take."""
VARYING = 2
"""Size of a dimension that varies."""
SEQUENCE = 3
"""Requests of a sequence."""


def record(address: str, models: Mapping[str, FoundModel]) -> Iterator[tuple[str, str, bytes]]:
    """For each model, by Triton's name of it: the name, the case's suffix and its content. One
    that gives no case gets a remark. Raises UsageError when no server answers there."""
    from ..server.diagnose import Places
    from ..verify.client import InferenceError, client

    reached = _checked(address)
    _reach(reached, address)
    with client(reached, TIMEOUT, Places("", {}), lambda: "") as asking:
        for name, model in sorted(models.items()):
            try:
                yield name, *_recorded(asking, name)
            except (InferenceError, ValueError) as error:
                text = f"No golden case: asked with inputs by chance, {address} says: {error}."
                model.remarks.append(text)


def _checked(address: str) -> str:
    plain = address.removeprefix("grpc://")
    if not re.fullmatch(r"(\[[^]/]+\]|[^][:/]+):\d+", plain, re.ASCII):
        found = f"--golden: {address} is not the address of a gRPC service"
        raise UsageError(Problem(found, "HOST:PORT", "the port is 8001 by default"))
    return plain


def _reach(address: str, said: str) -> None:
    """Raises UsageError when no Triton answers there."""
    import grpc
    from tritonclient.grpc import (  # type: ignore[import-untyped]
        service_pb2,
        service_pb2_grpc,
    )

    from ..verify.client import OPTIONS

    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            found = f"--golden: no server answers at {said}: {error.details()}"
            remedy = "start it, and give the port of its gRPC service (8001 by default)"
            raise UsageError(Problem(found, "a running Triton", remedy)) from None


def _recorded(client: Client, name: str) -> tuple[str, bytes]:
    """Raises InferenceError, and ValueError for a model that cannot be asked."""
    from ..verify.cases import write
    from ..verify.record import recorded

    case = _case(name, client.config(name))
    # A correlation id that is unlikely to be in use.
    first, second = (
        write(recorded(client, case, name, zlib.crc32(name.encode()) + again)) for again in (1, 2)
    )
    if first != second:
        raise ValueError("asked twice, it answers differently")
    return first


def _case(name: str, config: Any) -> Case:
    """What it is asked. The same model is always asked the same."""
    import numpy as np

    from ..verify.cases import Case, Request

    chance = np.random.default_rng(zlib.crc32(name.encode()))
    streams = bool(config.model_transaction_policy.decoupled)
    is_sequence = config.HasField("sequence_batching")
    requests = tuple(
        Request(tuple(_tensor(chance, each, config) for each in config.input), (), streams)
        for _ in range(SEQUENCE if is_sequence else 1)
    )
    return Case(requests, is_sequence, name)


def _tensor(chance: Any, given: Any, config: Any) -> Tensor:
    import numpy as np

    from ..verify.tensors import DTYPES, Tensor, round_to

    datatype = type(config).DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name[
        "data_type"
    ].enum_type.values_by_number[given.data_type].name.removeprefix("TYPE_")  # fmt: skip
    datatype = "BYTES" if datatype == "STRING" else datatype
    if datatype not in DTYPES:
        raise ValueError(f"input {given.name!r} has the type {datatype!r}")
    shape = [VARYING if size < 0 else size for size in given.dims]
    if config.max_batch_size and not given.is_shape_tensor:
        shape = [1, *shape]
    dtype = np.dtype(DTYPES[datatype])
    if datatype == "BYTES":
        words = [str(number).encode() for number in chance.integers(0, 100, int(np.prod(shape)))]
        values = np.array(words, object).reshape(shape)
    elif datatype == "BOOL":
        values = chance.integers(0, 2, shape).astype(bool)
    elif dtype.kind in "iu":
        values = chance.integers(0, 10, shape).astype(dtype)
    else:
        values = round_to(datatype, chance.random(shape).astype(dtype))
    return Tensor(given.name, datatype, values)
