"""What is kept of an ONNX model's file: all but the weights and the nodes.

The model is one protobuf message that may hold gigabytes of weights; see `wire` for how the rest
of it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .wire import LARGEST, Corrupt, Field, Reader

_NUMBERS_OR_WORDS = (7, 8, 9)
"""Lists in an attribute; a field for each element."""
_EXTERNAL = 1
_DEEPEST = 100
"""Graphs in graphs, as protobuf's parsers allow."""
_MAY_BE_READ = 192
"""A tensor of so many bytes is parsed as a whole, its few numbers with it."""
_BY_LOCATION = b"\x08location"
"""What every reference to external data holds: its key, with its length before it."""


class Model:
    """What of a model is kept. Making one reads the file; raises Corrupt."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self.ir_version = 0
        self.producer = ""
        self.opsets: dict[str, int] = {}
        """By domain; that of ONNX itself is empty."""
        self.has_graph = False
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        """ValueInfoProtos."""
        self.initializers: set[bytes] = set()
        self.external: dict[str, External] = {}
        """Other files that hold data of the model, by their paths from its folder."""
        self._read_model()

    def _read_model(self) -> None:
        from . import onnx_pb2

        name = version = ""
        for part in self._reader.fields(0, self._reader.size):
            if part.number == 1:
                self.ir_version = part.value
            elif part.number == 2:
                name = self._text(part)
            elif part.number == 3:
                version = self._text(part)
            elif part.number == 7:
                self.has_graph = True
                self._read_graph(part)
            elif part.number == 8:
                opset = self._message(onnx_pb2.OperatorSetIdProto, part)
                domain = opset.domain.decode(errors="replace")
                self.opsets["" if domain == "ai.onnx" else domain] = opset.version
        self.producer = f"{name} {version}".strip()

    def _read_graph(self, graph: Field, depth: int = 0) -> None:
        """`depth` is 0 for the model's own; others are attributes of its nodes."""
        from . import onnx_pb2

        if depth > _DEEPEST:
            raise Corrupt(f"graphs in graphs, more than {_DEEPEST} deep")

        run: list[Field] = []
        for part in self._reader.fields(graph.start, graph.end):
            if part.number == 1:  # a node
                if part.end - part.start > LARGEST // 16:
                    self._read_node(part, depth)
                    continue
                if run and part.end - run[0].start > LARGEST // 2:
                    self._read_nodes(run)
                    run = []
                run.append(part)
                continue
            if part.number == 5:
                name = self._read_tensor(part)
                if depth == 0:
                    self.initializers.add(name)
            elif part.number == 15:
                name = self._read_sparse(part)
                if depth == 0:
                    self.initializers.add(name)
            elif part.number in (11, 12) and depth == 0:
                infos = self.inputs if part.number == 11 else self.outputs
                infos.append(self._message(onnx_pb2.ValueInfoProto, part))
            if run:
                self._read_nodes(run)
                run = []
        if run:
            self._read_nodes(run)

    def _read_nodes(self, run: list[Field]) -> None:
        """Small nodes that follow one another. Of interest is only data that they refer to."""
        from . import onnx_pb2

        content = self._reader.read(run[0].start, run[-1].end)
        if _BY_LOCATION not in content:
            return
        for part in run:
            at = part.start - run[0].start
            node = _parsed(onnx_pb2.NodeProto, content[at : at + part.end - part.start])
            for tensor in _tensors_of_node(node):
                self._note_external(tensor)

    def _read_node(self, node: Field, depth: int) -> None:
        """A node that is large: it holds tensors or graphs."""
        for attribute in self._reader.fields(node.start, node.end):
            if attribute.number != 5:
                continue
            for part in self._reader.fields(attribute.start, attribute.end):
                if part.number in (5, 10):
                    self._read_tensor(part)
                elif part.number in (6, 11):
                    self._read_graph(part, depth + 1)
                elif part.number in (22, 23):
                    self._read_sparse(part)
                elif part.number in _NUMBERS_OR_WORDS:
                    break  # an attribute has one kind of value, and trees have many of these

    def _read_tensor(self, tensor: Field) -> bytes:
        """Its name."""
        from . import onnx_pb2

        if tensor.end - tensor.start <= _MAY_BE_READ:
            message = self._message(onnx_pb2.TensorProto, tensor)
            self._note_external(message)
            return bytes(message.name)
        name, is_external = b"", False
        for part in self._reader.fields(tensor.start, tensor.end):
            if part.number == 8:
                name = self._reader.read(part.start, part.end)
            elif part.number == 14:
                is_external = part.value == _EXTERNAL
        if is_external:
            self._note_external(self._message(onnx_pb2.TensorProto, tensor))
        return name

    def _read_sparse(self, tensor: Field) -> bytes:
        """Its name, which is that of its values."""
        name = b""
        for part in self._reader.fields(tensor.start, tensor.end):
            if part.number == 1:
                name = self._read_tensor(part)
            elif part.number == 2:
                self._read_tensor(part)
        return name

    def _note_external(self, tensor: Any) -> None:
        if tensor.data_location != _EXTERNAL:
            return
        said = {entry.key: entry.value.decode(errors="replace") for entry in tensor.external_data}
        name = tensor.name.decode(errors="replace")
        location = said.get(b"location", "")
        end = sum(_number(said.get(key, "")) for key in (b"offset", b"length"))
        known = self.external.setdefault(location, External(name))
        known.end = max(known.end, end)

    def _message(self, kind: Any, part: Field) -> Any:
        return _parsed(kind, self._reader.read(part.start, part.end))

    def _text(self, part: Field) -> str:
        return self._reader.read(part.start, part.end).decode(errors="replace")


@dataclass
class External:
    """A file that tensors refer to."""

    tensor: str
    """One of them."""
    end: int = 0
    """How many bytes of it they need."""


def _number(text: str) -> int:
    """What onnxruntime takes for one, a 64-bit integer; else 0."""
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else 0


def _parsed(kind: Any, content: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(content)
    except DecodeError:
        raise Corrupt(f"a broken {kind.DESCRIPTOR.name}") from None


def _tensors_of_node(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            for inner in graph.node:
                yield from _tensors_of_node(inner)
