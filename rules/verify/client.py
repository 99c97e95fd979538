"""Inference requests to a server, over gRPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..server.diagnose import refusal
from .cases import Case
from .tensors import Tensor, from_bytes, to_bytes

LARGEST = -1
"""Bytes of a message: no limit but protobuf's 2 GiB."""
OPTIONS = (
    ("grpc.max_send_message_length", LARGEST),
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.enable_http_proxy", 0),  # a proxy of the user's knows no server on this machine
)
GLANCE = 0.1
"""Seconds between looks at whether a request is still wanted."""


class InferenceError(Exception):
    """The server gave no answer that can be read; the text says why, in its words where it has."""


class Client:
    def __init__(self, stub: Any, timeout: float, repository: str, unwanted: Callable[[], str]):
        self._stub = stub
        self._timeout = timeout
        self._repository = repository
        self._unwanted = unwanted

    def infer(self, case: Case, model: str) -> dict[str, Tensor]:
        """The case's outputs by name, those that came. Raises InferenceError."""
        import grpc
        from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

        request = service_pb2.ModelInferRequest(model_name=model, model_version=case.version)
        for tensor in case.inputs:
            request.inputs.add(
                name=tensor.name, datatype=tensor.datatype, shape=tensor.values.shape
            )
            request.raw_input_contents.append(to_bytes(tensor))
        for tensor in case.outputs:
            request.outputs.add(name=tensor.name)
        call = self._stub.ModelInfer.future(request, timeout=self._timeout)
        try:
            response = self._wait(call)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise InferenceError(f"no answer within {self._timeout:g} s") from None
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._give_up()
            raise InferenceError(
                refusal(error.details() or str(error.code()), self._repository)
            ) from None
        try:
            return {
                output.name: from_bytes(output.name, output.datatype, list(output.shape), raw)
                for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
            }
        except ValueError as error:
            raise InferenceError(f"the answer cannot be read: {error}") from None

    def _give_up(self) -> None:
        """Raises InferenceError if the server has ended, which may show after its connections."""
        for _ in range(10):
            if why := self._unwanted():
                raise InferenceError(why)
            time.sleep(GLANCE)

    def _wait(self, call: Any) -> Any:
        import grpc

        while True:
            if why := self._unwanted():
                call.cancel()
                raise InferenceError(why)
            try:
                return call.result(timeout=GLANCE)
            except grpc.FutureTimeoutError:
                continue


@contextmanager
def client(
    address: str, timeout: float, repository: str, unwanted: Callable[[], str]
) -> Iterator[Client]:
    """A connection to a server that was given that repository; `timeout` is seconds a request may
    take, and `unwanted` says why requests should be given up, if they should."""
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        yield Client(
            service_pb2_grpc.GRPCInferenceServiceStub(channel), timeout, repository, unwanted
        )
