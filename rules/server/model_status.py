"""What a running server says of one model. Over gRPC: its HTTP service takes a name as it stands in
the URL, without decoding it, so that a name with a space, say, cannot be asked for there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Problem

from ..model_config.message import empty
from .diagnose import ServerError
from .process import Server

if TYPE_CHECKING:
    from google.protobuf.message import Message

TIMEOUT = 30.0
"""Seconds for an answer."""


def config_of(server: Server, name: str) -> Message:
    """The ModelConfig that it serves a model with. Raises ServerError."""
    with _stub(server) as (stub, messages):
        answer = stub.ModelConfig(messages.ModelConfigRequest(name=name), timeout=TIMEOUT)
    config = empty()
    config.MergeFromString(answer.config.SerializeToString())
    return config


def is_ready(server: Server, name: str) -> bool:
    """Raises ServerError."""
    with _stub(server) as (stub, messages):
        answer = stub.ModelReady(messages.ModelReadyRequest(name=name), timeout=TIMEOUT)
    return bool(answer.ready)


@contextmanager
def _stub(server: Server) -> Iterator[tuple[Any, Any]]:
    import grpc
    from tritonclient.grpc import (  # type: ignore[import-untyped]
        service_pb2,
        service_pb2_grpc,
    )

    options = [("grpc.enable_http_proxy", 0)]  # one of the user's knows no server on this machine
    with grpc.insecure_channel(server.grpc, options=options) as channel:
        try:
            yield service_pb2_grpc.GRPCInferenceServiceStub(channel), service_pb2
        except grpc.RpcError as error:
            raise ServerError(Problem(server.gone or str(error.details()))) from None
