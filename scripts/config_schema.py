"""Renews rules/model_config/schema.toml: the releases that brought fields of ModelConfig.

    python scripts/config_schema.py WHEEL...

Reads model_config.proto as it is compiled into tritonclient's wheels; get them with

    pip download --no-deps --only-binary=:all: --platform any -d wheels tritonclient==2.NN.0

A client's version is that of the Triton it belongs to. PyPI lacks a few; a field of such a release
is told as the next one's.
"""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import tomli_w
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

SCHEMA = Path(__file__).parents[1] / "rules/model_config/schema.toml"
MODULE = "/grpc/model_config_pb2.py"
HEADER = """\
# What releases of Triton know of ModelConfig: all that is not named here, all of them know.
# Made by scripts/config_schema.py out of tritonclient's wheels on PyPI.
"""


def main() -> None:
    known = dict(sorted(_read(Path(path)) for path in sys.argv[1:]))
    releases = list(known)
    since: dict[str, str] = {}
    for name in sorted(set().union(*known.values())):
        having = [release for release in releases if name in known[release]]
        if having[0] != releases[0]:
            since[name] = _text(having[0])
        assert having[-1] == releases[-1], f"{name} was taken out: schema.py has to learn that"
    content = {"first": _text(releases[0]), "newest": _text(releases[-1]), "since": since}
    SCHEMA.write_text(HEADER + tomli_w.dumps(content))


def _text(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


def _read(wheel: Path) -> tuple[tuple[int, int], set[str]]:
    version = re.match(r"tritonclient-(\d+)\.(\d+)", wheel.name)
    assert version, wheel
    with zipfile.ZipFile(wheel) as archive:
        (module,) = (name for name in archive.namelist() if name.endswith(MODULE))
        tree = ast.parse(archive.read(module))
    # The longest constant is the compiled file, however the generated code hands it on.
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    content = max((item for item in constants if isinstance(item, bytes)), key=len)
    file = FileDescriptorProto.FromString(content)
    names = {name for message in file.message_type for name in _names(message, "")}
    names |= {name for enum in file.enum_type for name in _values(enum, "")}
    return (int(version[1]), int(version[2])), names


def _names(message: DescriptorProto, above: str) -> Iterator[str]:
    here = f"{above}{message.name}."
    for field in message.field:
        yield f"{here}{field.name}"
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from _names(nested, here)
    for enum in message.enum_type:
        yield from _values(enum, here)


def _values(enum: EnumDescriptorProto, above: str) -> Iterator[str]:
    for value in enum.value:
        yield f"{above}{enum.name}.{value.name}"


if __name__ == "__main__":
    main()
