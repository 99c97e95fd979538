"""`tritonbuild compose` on images that do not go together, or are not there."""

from __future__ import annotations

import pytest
from conftest import WorkspaceFolder
from parts.composing import (
    Flags,
    Shelf,
    composed,
    image_of,
    refused,
)
from parts.ngc.build import Pair
from parts.ngc.tiny import (
    tiny,
)


def test_a_min_of_another_system(shelved: Shelf, place: WorkspaceFolder) -> None:
    other = tiny(shelved.store, system="11").min
    full = tiny(shelved.store, apart=True).full
    told = refused(place, *shelved.put(Pair(other, full)).all)
    assert "org.opencontainers.image.version=11" in told
    assert "org.opencontainers.image.version=12" in told


def test_a_min_of_another_system_that_says_nothing_in_labels(
    shelved: Shelf, place: WorkspaceFolder
) -> None:
    pair = tiny(
        shelved.store, below={"etc/os-release": b'ID=ubuntu\nVERSION_ID="22.04"\n'}, apart=True
    )
    told = refused(place, *shelved.put(pair).all)
    assert "the base is ubuntu 22.04, and `full` debian 12" in told


def test_a_min_of_another_cuda(shelved: Shelf, place: WorkspaceFolder) -> None:
    other = tiny(shelved.store, cuda="11.8.0").min
    told = refused(place, *shelved.put(Pair(other, tiny(shelved.store, apart=True).full)).all)
    assert "CUDA_VERSION=11.8.0" in told


def test_a_min_of_another_architecture(shelved: Shelf, place: WorkspaceFolder) -> None:
    other = tiny(shelved.store, architecture="arm64").min
    flags = shelved.put(Pair(other, tiny(shelved.store, apart=True).full))
    told = refused(place, *flags.all, code=2)
    assert flags.min in told
    assert "linux/arm64" in told
    assert "linux/amd64" in told


def test_images_for_another_platform(shelved: Shelf, place: WorkspaceFolder) -> None:
    """Whatever machine this is."""
    pair = tiny(shelved.store, architecture="arm64")
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    refused(place, *flags, code=2)
    outcome = place.run("compose", *flags, "--platform", "linux/arm64", "--dry-run")
    assert outcome.exit_code == 0, outcome.text


def test_images_for_cpus_alone(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store, gpu=False)).all
    told = refused(place, *flags)
    assert "for CPUs only" in told
    composed(place, *flags, "--enable-gpu=false", "--layout", "out")
    config = image_of(place.root / "out").config.config
    assert config is not None
    assert "TRITON_SERVER_GPU_ENABLED=0" in (config.env or [])


def test_images_for_gpus_where_none_are_wanted(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store)).all
    assert "built for GPUs" in refused(place, *flags, "--enable-gpu=false")


def test_a_min_without_cuda(shelved: Shelf, place: WorkspaceFolder) -> None:
    below_ = tiny(shelved.store, gpu=False).min
    flags = shelved.put(Pair(below_, tiny(shelved.store, apart=True).full))
    assert "has no CUDA" in refused(place, *flags.all)


def test_min_and_full_taken_for_each_other(shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store))
    told = refused(place, *Flags(min=flags.full, full=flags.min).all)
    assert "is it `full`? The smaller one is `min`" in told


@pytest.mark.parametrize("which", ["min", "full"])
def test_a_tag_that_does_not_exist(which: str, shelved: Shelf, place: WorkspaceFolder) -> None:
    flags = shelved.put(tiny(shelved.store))._replace(**{which: f"{shelved.host}/acme/none:v1"})
    told = refused(place, *flags.all, code=2)
    assert f"{shelved.host}/acme/none:v1" in told
    assert "its tag?" in told


def test_a_registry_that_is_not_there(place: WorkspaceFolder) -> None:
    told = refused(place, *Flags("127.0.0.1:1/min:v1", "127.0.0.1:1/full:v1").all, code=36)
    assert "127.0.0.1:1" in told
