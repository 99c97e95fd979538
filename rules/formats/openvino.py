"""An OpenVINO model's signature, from its `model.xml`:
https://docs.openvino.ai/2024/documentation/openvino-ir-format.html.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tritonbuild.rule import Problem

from .pointer import HEAD, refuse_archive, refuse_stand_in
from .signature import FormatError, Signature, TensorInfo

KIND = "an OpenVINO model's .xml"
_SIZE = re.compile("[0-9]{1,18}")
_TYPES = {"BOOL": "BOOL", "STRING": "STRING", "FP16": "FP16", "FP32": "FP32", "FP64": "FP64"}
_TYPES |= {"BF16": "BF16"}
_TYPES |= {f"U{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)}
_TYPES |= {f"I{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)}


def read(path: Path, name: str = "", beside: Mapping[str, int] | None = None) -> Signature:
    """What a model's file says; its weights must stand beside it. `name` and `beside`: see
    `read_signature`. Raises FormatError."""
    from lxml import etree

    with open(path, "rb") as file:
        head = file.read(HEAD)
        refuse_stand_in(head, name or path.name, KIND)
        refuse_archive(head, KIND)
        file.seek(0)
        network = _Network()
        try:
            # What entities stand for is never looked up, and nothing is fetched.
            events = etree.iterparse(
                file, resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
            )
            for _, element in events:
                network.take(element)
        except etree.XMLSyntaxError as error:
            found = f"the file is no XML: {error.msg}"
            raise FormatError(Problem(found, KIND, "fetch or convert it again")) from None
        except ValueError as error:
            raise FormatError(Problem(f"the file is no OpenVINO model: {error}", KIND)) from None
        if not network.has_layers or network.root != "net":
            found = f"the file's root is <{network.root}>"
            raise FormatError(Problem(found, f"{KIND}, whose root is <net> with layers"))
    _check_weights(path, name or path.name, network.weights_end, beside)
    return network.signature()


@dataclass
class _Port:
    names: tuple[str, ...]
    datatype: str
    shape: tuple[int, ...]
    layout: str


@dataclass
class _Layer:
    name: str
    kind: str
    layout: str
    ports: dict[str, _Port] = field(default_factory=dict)
    """Outputs."""

    def tensor(self, port: str) -> TensorInfo:
        of = self.ports.get(port)
        if of is None:
            raise ValueError(f"layer {self.name!r} has no output {port!r}")
        # OpenVINO calls it by the first of its names.
        name = min(of.names, default=self.name)
        return TensorInfo(name, of.datatype, of.shape, layout=of.layout or self.layout)


class _Network:
    """What of a model is kept while it is read, layer by layer."""

    def __init__(self) -> None:
        self.root = ""
        self.has_layers = False
        self.weights_end = 0
        self._facts: dict[str, str] = {}
        self._layers: dict[str, _Layer] = {}
        self._results: list[tuple[str, _Layer]] = []
        self._sources: dict[str, tuple[str, str]] = {}

    def take(self, element: Any) -> None:
        """An element that was read to its end. Raises ValueError."""
        match element.tag:
            case "layer" if element.getparent() is not None and _depth(element) == 2:
                self.has_layers = True
                self._take_layer(element)
                element.clear()
            case "data":
                where = (element.get("offset", ""), element.get("size", ""))
                if all(map(_SIZE.fullmatch, where)):
                    self.weights_end = max(self.weights_end, sum(map(int, where)))
            case "edge" if _depth(element) == 2:
                source = (element.get("from-layer", ""), element.get("from-port", ""))
                self._sources[element.get("to-layer", "")] = source
                element.clear()
            case _ if element.getparent() is None:
                self.root = str(element.tag)
                self._facts["ir_version"] = element.get("version", "")

    def _take_layer(self, element: Any) -> None:
        kind = element.get("type", "")
        layer = _Layer(element.get("name", ""), kind, _layout(element.find("rt_info")))
        for port in element.iterfind("output/port"):
            layer.ports[port.get("id", "")] = _port(port)
        number = element.get("id", "")
        self._layers[number] = layer
        if kind == "Result":
            self._results.append((number, layer))

    def signature(self) -> Signature:
        """Raises FormatError."""
        try:
            inputs = tuple(self._inputs())
            outputs = tuple(self._outputs())
        except ValueError as error:
            raise FormatError(Problem(f"the file is no OpenVINO model: {error}", KIND)) from None
        return Signature(inputs, outputs, dict(self._facts))

    def _inputs(self) -> Iterator[TensorInfo]:
        for layer in self._layers.values():
            if layer.kind == "Parameter":
                yield layer.tensor(next(iter(layer.ports), ""))

    def _outputs(self) -> Iterator[TensorInfo]:
        for number, result in self._results:
            source, port = self._sources.get(number, ("", ""))
            if source not in self._layers:
                raise ValueError(f"nothing leads to result {result.name!r}")
            origin = self._layers[source]
            info = origin.tensor(port)
            name = info.name if origin.ports[port].names else result.name
            yield TensorInfo(name, info.datatype, info.shape, layout=result.layout or info.layout)


def _dim(text: str) -> int:
    """Raises ValueError."""
    if text.strip() == "-1" or _SIZE.fullmatch(text.strip()):
        return int(text)
    raise ValueError(f"{text[:20]!r} is not the size of a dimension")


def _depth(element: Any) -> int:
    return sum(1 for _ in element.iterancestors())


def _port(element: Any) -> _Port:
    names = element.get("names", "")
    kind = _TYPES.get(element.get("precision", "").upper())
    return _Port(
        tuple(name.replace("\\,", ",") for name in re.split(r"(?<!\\),", names) if name),
        f"TYPE_{kind}" if kind else "TYPE_INVALID",
        tuple(_dim(dim.text or "") for dim in element.iterfind("dim")),
        _layout(element.find("rt_info")),
    )


def _layout(rt_info: Any) -> str:
    if rt_info is None:
        return ""
    for attribute in rt_info.iterfind("attribute"):
        if attribute.get("name") == "layout":
            return str(attribute.get("layout", ""))
    return ""


def _check_weights(path: Path, model: str, end: int, beside: Mapping[str, int] | None) -> None:
    if end == 0:
        return
    name = PurePosixPath(model).with_suffix(".bin").name
    try:
        size = os.stat(path.with_name(name)).st_size if beside is None else beside.get(name)
    except OSError:
        size = None
    if size is None:
        found = f"the model's weights, {name}, are not beside {model}"
        remedy = "put both into one folder and declare the folder as the version"
        raise FormatError(Problem(found, "both files of the model", remedy))
    if size < end:
        found = f"{name} has {size:,} bytes; the model refers to {end:,}"
        raise FormatError(Problem(found, "the weights of this model", "convert it again"))
