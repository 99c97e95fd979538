"""What a target says of GPUs that it needs."""

from __future__ import annotations

from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, ByteSize

from tritonbuild.rule import Field, GpuNeed, Strict


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError("compute capabilities, such as `>=8.0` or `==9.0`") from None
    return text


class Gpu(Strict):
    """The GPU that it runs on; any, as far as nothing is said."""

    count: int = Field(default=1, ge=1, description="How many, all of one kind.")
    capability: Annotated[str, AfterValidator(_specifier)] = Field(
        default="", description="Compute capabilities that will do, such as `>=8.0`."
    )
    memory: ByteSize | None = Field(
        default=None, description="Memory that each has at least, such as `16GiB`."
    )
    name: str = Field(default="", description="Words of its name, such as `H100`.")


def gpu_need(gpu: Gpu | bool) -> GpuNeed | None:
    """What an attribute of type `Gpu | bool` asks for; `true` is any one."""
    if gpu is False:
        return None
    said = Gpu() if gpu is True else gpu
    return GpuNeed(said.count, said.capability, int(said.memory or 0), said.name)
