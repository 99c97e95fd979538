"""Inference requests to a server, over gRPC."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..server.diagnose import Places, refusal
from .case import Request
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

Response = dict[str, Tensor]
"""Outputs by name, those that came."""


class InferenceError(Exception):
    """The server gave no answer that can be read; the text says why, in its words where it has."""


class Silence(InferenceError):
    """It gave none in time."""


@dataclass(frozen=True)
class Turn:
    """A request's place in a sequence."""

    id: int | str
    """The correlation id."""
    first: bool
    last: bool


class Client:
    def __init__(self, stub: Any, timeout: float, places: Places, unwanted: Callable[[], str]):
        self._stub = stub
        self._timeout = timeout
        self._places = places
        self._unwanted = unwanted

    def ask(
        self, request: Request, model: str, version: str = "", turn: Turn | None = None
    ) -> Generator[Response, None, None]:
        """Sends it when the first response is wanted. Each may take as long as a request may; one
        that does not stream has just one. Closed, it takes no more. Raises InferenceError, perhaps
        after responses."""
        message = _message(request, model, version, turn)
        return self._stream(message) if request.streams else self._answer(message)

    def config(self, model: str) -> Any:
        """The ModelConfig that the server serves it with. Raises InferenceError."""
        from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

        message = service_pb2.ModelConfigRequest(name=model)
        with self._told():
            call = self._stub.ModelConfig.future(message, timeout=self._timeout)
            return self._wait(call).config

    def _answer(self, message: Any) -> Generator[Response, None, None]:
        with self._told():
            response = self._wait(self._stub.ModelInfer.future(message, timeout=self._timeout))
        yield _read(response)

    def _stream(self, message: Any) -> Generator[Response, None, None]:
        """A stream a request: that the server ends it says that no response follows."""
        call = self._stub.ModelStreamInfer(iter([message]))
        came: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_receive, args=(call, came), daemon=True).start()
        try:
            while True:
                with self._told():
                    item = self._next(came)
                    if isinstance(item, Exception):
                        raise item
                if item is None:
                    return
                if item.error_message:
                    raise InferenceError(refusal(item.error_message, self._places))
                yield _read(item.infer_response)
        finally:
            call.cancel()

    def _next(self, came: queue.SimpleQueue[Any]) -> Any:
        began = time.monotonic()
        while True:
            if why := self._unwanted():
                raise InferenceError(why)
            if time.monotonic() - began > self._timeout:
                raise self._silence()
            try:
                return came.get(timeout=GLANCE)
            except queue.Empty:
                continue

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
    def _told(self) -> Iterator[None]:
        """Says a failure of gRPC's as InferenceError."""
        import grpc

        try:
            yield
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._silence() from None
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._give_up()
            raise InferenceError(
                refusal(error.details() or str(error.code()), self._places)
            ) from None

    def _silence(self) -> Silence:
        return Silence(f"no answer within {self._timeout:g} s")

    def _give_up(self) -> None:
        """Raises InferenceError if the server has ended, which may show after its connections."""
        for _ in range(10):
            if why := self._unwanted():
                raise InferenceError(why)
            time.sleep(GLANCE)


def _message(request: Request, model: str, version: str, turn: Turn | None) -> Any:
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for tensor in request.inputs:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.values.shape)
        message.raw_input_contents.append(to_bytes(tensor))
    for name in dict.fromkeys(tensor.name for tensor in request.outputs):
        message.outputs.add(name=name)
    parameters = dict(request.parameters)
    if turn:
        parameters |= {"sequence_id": turn.id}
        parameters |= {"sequence_start": turn.first, "sequence_end": turn.last}
    fields = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    for key, value in parameters.items():
        setattr(message.parameters[key], fields[type(value)], value)
    return message


def _read(response: Any) -> Response:
    """Raises InferenceError."""
    try:
        return {
            output.name: from_bytes(output.name, output.datatype, list(output.shape), raw)
            for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }
    except ValueError as error:
        raise InferenceError(f"the answer cannot be read: {error}") from None


def _receive(call: Any, came: queue.SimpleQueue[Any]) -> None:
    """Messages of a stream, then None or the exception that ended it."""
    import grpc

    try:
        for message in call:
            came.put(message)
        came.put(None)
    except grpc.RpcError as error:
        came.put(error)


@contextmanager
def client(
    address: str, timeout: float, places: Places, unwanted: Callable[[], str]
) -> Iterator[Client]:
    """A connection to a server whose files are of these places; `timeout` is seconds a request may
    take, and `unwanted` says why requests should be given up, if they should."""
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        yield Client(service_pb2_grpc.GRPCInferenceServiceStub(channel), timeout, places, unwanted)
