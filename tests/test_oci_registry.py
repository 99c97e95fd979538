"""The client of registries, with Debian's docker-registry."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from parts.faulty import Fault, faulty
from parts.images import Memory, file
from parts.missing import missing
from parts.registry import CHUNK, LARGE, at, put, registry

from tritonbuild.errors import Interrupted
from tritonbuild.oci import Absent, Descriptor, Image, Index, Invalid, Manifest, Platform, image_in
from tritonbuild.oci.content import read, verified
from tritonbuild.oci.documents import CONFIG, EMPTY, INDEX, LAYER, MANIFEST
from tritonbuild.oci.registry import Repository, push, referrers

KIND = {"Content-Type": INDEX}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def memory() -> Memory:
    return Memory()


def image(memory: Memory, large: bytes = LARGE) -> Image:
    return memory.image([[file("small", "x")], [file("large", large)]])


def outcomes(
    repository: Repository, source: Image, tags: Sequence[str] = ("v1",), mounts: Sequence[str] = ()
) -> dict[str, list[int]]:
    """What became of it → how large each was."""
    kinds: dict[str, list[int]] = {}
    for each in put(repository, source, tags, mounts):
        kinds.setdefault(each.outcome, []).append(each.descriptor.size)
    return kinds


def test_what_was_pushed_is_what_is_pulled(host: str, memory: Memory) -> None:
    pushed = image(memory)
    with at(host, "acme/round") as repository:
        assert list(outcomes(repository, pushed)) == ["moved"]
    with at(host, "acme/round") as repository:
        found = repository.resolve("v1")
        assert found.digest == pushed.descriptor.digest
        pulled = image_in(repository, found, Platform.of("linux/amd64"))
        assert pulled.config_bytes == pushed.config_bytes
        for layer in pulled.layers:
            with layer.open() as stream:
                assert stream.read() == memory.blobs[layer.descriptor.digest]


def test_skopeo_reads_what_was_pushed(host: str, memory: Memory, tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        missing("skopeo is not installed", "apt-get install skopeo")
    with at(host, "acme/skopeo") as repository:
        outcomes(repository, image(memory))
    subprocess.run(
        [
            "skopeo", "copy", "--preserve-digests", "--src-tls-verify=false",
            f"docker://{host}/acme/skopeo:v1", f"oci:{tmp_path}/layout",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    blobs = {file.name for file in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert blobs == {digest.removeprefix("sha256:") for digest in memory.blobs}


def test_what_is_there_or_in_another_repository_is_not_moved(host: str, memory: Memory) -> None:
    with at(host, "acme/one") as one:
        sizes = sorted(outcomes(one, image(memory))["moved"])
        assert sorted(outcomes(one, image(memory))["there"]) == sizes
        other = Repository(one.registry, "acme/other")
        got = outcomes(other, image(memory), mounts=("acme/none", "acme/one"))
    assert len(got["mounted"]) == 3
    assert got["moved"] == [image(memory).descriptor.size]


def test_of_a_changed_image_only_the_change_is_moved(host: str, memory: Memory) -> None:
    with at(host, "acme/changed") as repository:
        outcomes(repository, image(memory))
        changed = memory.image([[file("small", "y")], [file("large", LARGE)]])
        moved = outcomes(repository, changed, ("v2",))
        assert repository.resolve("v2").digest == changed.descriptor.digest
    assert len(moved["there"]) == 1
    assert sum(moved["moved"]) < 100_000


def test_what_the_tag_has_meant_is_not_asked_for(host: str, memory: Memory) -> None:
    changed = memory.image([[file("small", "y")], [file("large", LARGE)]])
    with faulty(host) as proxy, at(proxy.host, "acme/known") as repository:
        outcomes(repository, image(memory))
        before = len(proxy.asked("HEAD", "blobs"))
        got = outcomes(repository, changed)
        asked = proxy.asked("HEAD", "blobs")[before:]
    assert got["there"] == [changed.manifest.layers[1].size]
    new = {changed.manifest.config.digest, changed.manifest.layers[0].digest}
    assert {seen.path.rpartition("/")[2] for seen in asked} == new


def test_a_push_mends_a_registry_that_has_lost_a_blob(memory: Memory, tmp_path: Path) -> None:
    pushed = image(memory)
    changed = memory.image([[file("small", "y")], [file("large", LARGE)]])
    large = changed.layers[1]
    with registry(tmp_path) as host, at(host, "acme/lost") as repository:
        outcomes(repository, pushed)
        links = tmp_path.rglob(f"_layers/sha256/{large.descriptor.digest.removeprefix('sha256:')}")
        shutil.rmtree(next(links))
        moved = outcomes(repository, changed)["moved"]
        assert large.descriptor.size in moved
        found = image_in(repository, repository.resolve("v1"), Platform.of("linux/amd64"))
        with found.layers[1].open() as stream:
            assert stream.read() == memory.blobs[large.descriptor.digest]


def test_an_index_comes_after_its_images(host: str, memory: Memory) -> None:
    images = [memory.image([[file("a", text)], [file("same")]]) for text in ("1", "2")]
    index = Index(manifests=[each.descriptor for each in images])
    root = memory.put(INDEX, index.encoded)
    with at(host, "acme/index") as repository:
        pushed = push(memory, root, repository, ["v1", "latest"])
        assert [each.descriptor.digest for each in pushed][-1] == root.digest
        assert len(pushed) == 2 * 3 + 1 + 1  # the same layer once
        assert repository.resolve("latest") == repository.resolve("v1")
        found = image_in(repository, repository.resolve("v1"), Platform.of("linux/amd64"))
    assert found.descriptor.digest == images[0].descriptor.digest


def test_a_blob_is_read_from_where_it_is_wanted(host: str, memory: Memory) -> None:
    pushed = image(memory)
    blob = pushed.manifest.layers[1]
    with at(host, "acme/seek") as repository:
        outcomes(repository, pushed)
        content = memory.blobs[blob.digest]
        with repository.open(blob, start=5_000_000) as stream:
            assert stream.read(10) == content[5_000_000:5_000_010]
            stream.seek(7)
            assert stream.read() == content[7:]
            assert stream.read() == b""
            stream.seek(0, io.SEEK_END)
            assert stream.read() == b""


def test_what_is_not_there_is_absent(host: str) -> None:
    nothing = Descriptor(media_type=LAYER, digest=f"sha256:{'0' * 64}", size=1)
    with at(host, "acme/nothing") as repository:
        with pytest.raises(
            Absent, match=f"^there is no tag 'none' in {host}/acme/nothing$"
        ) as error:
            repository.resolve("none")
        assert f"`skopeo list-tags docker://{host}/acme/nothing`" in error.value.problem.remedy
        with pytest.raises(Absent, match=f"^there is no manifest {nothing.digest} in {host}"):
            repository.resolve(nothing.digest)
        with pytest.raises(Absent, match="BLOB_UNKNOWN"):
            repository.open(nothing)
        assert not repository.holds(nothing)


class Pipe(Memory):
    """What it hands out cannot be sought in."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        stream = super().open(descriptor)
        stream.seekable = lambda: False  # type: ignore[method-assign]
        return stream


def test_a_source_need_not_be_able_to_go_back(host: str) -> None:
    memory = Pipe()
    pushed = image(memory)
    patches = Fault("answer", "PATCH", after=1, status=503)
    with faulty(host, patches) as proxy, at(proxy.host, "acme/pipe") as repository:
        outcomes(repository, pushed)
    with at(host, "acme/pipe") as repository:
        blob = pushed.manifest.layers[1]
        assert read(repository, blob, 1 << 30) == memory.blobs[blob.digest]


@pytest.mark.parametrize("large", [b"small", LARGE])
def test_a_source_that_gives_other_bytes_is_found_out(
    host: str, memory: Memory, large: bytes
) -> None:
    pushed = image(memory, large)
    (digest,) = (pushed.manifest.layers[1].digest,)
    content = memory.blobs[digest]
    memory.blobs[digest] = content[:-1] + b"!"
    with at(host, "acme/wrong") as repository:
        with pytest.raises(Invalid, match=f"{digest} has another digest"):
            outcomes(repository, pushed)
        memory.blobs[digest] = content[:-1]
        with pytest.raises(Invalid, match=f"{digest} ends after"):
            outcomes(repository, pushed)
        with pytest.raises(Absent):
            repository.resolve("v1")


def test_a_push_that_is_cancelled_ends_and_goes_on_later(host: str, memory: Memory) -> None:
    pushed = image(memory)
    with faulty(host) as proxy, at(proxy.host, "acme/cancel") as repository:
        with pytest.raises(Interrupted):
            push(
                memory, pushed.descriptor, repository, ["v1"], chunk=CHUNK, parallel=1,
                cancelled=lambda: bool(proxy.asked("PUT")),
            )  # fmt: skip
        assert len(proxy.asked("PUT")) == 1
        moved = outcomes(repository, pushed)
    assert moved["there"] == [pushed.manifest.layers[1].size]


def test_progress_is_told_to_the_end(host: str, memory: Memory) -> None:
    pushed, told = image(memory), dict[str, int]()
    with at(host, "acme/progress") as repository:
        push(
            memory, pushed.descriptor, repository,
            progress=lambda what, done: told.update({what.digest: done}),
        )  # fmt: skip
    assert told == {digest: len(content) for digest, content in memory.blobs.items()}


def attachment(memory: Memory, subject: Descriptor, kind: str, text: str) -> Descriptor:
    manifest = Manifest(
        artifact_type=kind, config=memory.put(EMPTY, b"{}"), subject=subject,
        layers=[memory.put(kind, text.encode())], annotations={"about": text},
    )  # fmt: skip
    return memory.put(MANIFEST, manifest.encoded)


def test_referrers_are_found_where_the_registry_knows_of_none(host: str, memory: Memory) -> None:
    pushed = image(memory)
    with at(host, "acme/referred") as repository:
        assert referrers(repository, pushed.descriptor.digest) == []
        outcomes(repository, pushed)
        bills = [attachment(memory, pushed.descriptor, "x/bill", text) for text in ("1", "2")]
        proof = attachment(memory, pushed.descriptor, "x/proof", "3")
        for each in (*bills, proof, proof):
            push(memory, each, repository)
        found = referrers(repository, pushed.descriptor.digest)
        assert [entry.digest for entry in found] == [each.digest for each in (*bills, proof)]
        (one,) = referrers(repository, pushed.descriptor.digest, "x/proof")
        assert (one.artifact_type, one.annotations) == ("x/proof", {"about": "3"})
        assert read(repository, one) == memory.blobs[proof.digest]


@pytest.mark.parametrize("status", [200, 400, 405, 406, 501])
def test_a_registry_that_does_not_know_the_question_has_a_tag(
    host: str, memory: Memory, status: int
) -> None:
    pushed = image(memory)
    name = f"acme/unknown{status}"
    strange = Fault("answer", path="referrers/", status=status, times=99, body=b"<html>")
    with faulty(host, strange) as proxy, at(proxy.host, name) as repository:
        outcomes(repository, pushed)
        push(memory, attachment(memory, pushed.descriptor, "x/bill", "1"), repository)
        assert len(referrers(repository, pushed.descriptor.digest)) == 1
        assert proxy.asked("GET", "referrers/")


def test_referrers_are_the_registrys_own_where_it_keeps_track(host: str, memory: Memory) -> None:
    pushed = image(memory)
    digest = pushed.descriptor.digest
    entries = [
        Descriptor(media_type=MANIFEST, digest=f"sha256:{c * 64}", size=1, artifact_type=kind)
        for c, kind in (("1", "x/a"), ("2", "x/b"))
    ]
    first, second = (
        Fault(
            "answer", path=f"referrers/{digest}{query}", status=200, times=9, headers=headers,
            body=Index(manifests=[entry]).encoded,
        )
        for entry, query, headers in zip(
            entries, ("$", r"\?more"),
            (
                {**KIND, "Link": f'</v2/acme/api/referrers/{digest}?more>; rel="next"'}, KIND,
            ), strict=True,
        )
    )  # fmt: skip
    kept = Fault(
        "answer", "PUT", "manifests/", status=201, times=9, headers={"OCI-Subject": digest}
    )
    with faulty(host, first, second) as proxy, at(proxy.host, "acme/api") as repository:
        outcomes(repository, pushed)
        assert referrers(repository, digest) == entries
        assert referrers(repository, digest, "x/b") == [entries[1]]
        proxy.faults.append(kept)
        push(memory, attachment(memory, pushed.descriptor, "x/a", "1"), repository)
        assert not proxy.asked("PUT", "manifests/sha256-")


@pytest.mark.parametrize(
    ("content", "kind", "found"),
    [
        (b"<html>", "text/html", "is no manifest: 6 bytes, text/html"),
        (b"[]", MANIFEST, "is no manifest"),
        (b"[" * 100_000, MANIFEST, "is no manifest"),
        (b"{}", "application/json", "is of media type 'application/json'"),
        (b'{"mediaType":"x/y"}', MANIFEST, "'x/y' by itself"),
        (b'{"mediaType":7}', MANIFEST, "7 by itself"),
        (b'{"manifests":[],"layers":[]}', INDEX, "a manifest and an index at once"),
        (b" " * (10 << 20), MANIFEST, "10485760 bytes"),
    ],
)
def test_what_is_no_manifest_is_refused(host: str, content: bytes, kind: str, found: str) -> None:
    answers = [
        Fault("answer", method, status=200, headers={"Content-Type": kind}, body=content)
        for method in ("HEAD", "GET")
    ]
    with (
        faulty(host, Fault("answer", path="/v2/$", status=200), *answers) as proxy,
        at(proxy.host) as repository,
        pytest.raises(Invalid, match=found),
    ):
        repository.resolve("v1")


def test_a_manifest_that_goes_on_for_ever_is_refused(host: str, memory: Memory) -> None:
    endless = Fault("answer", path="manifests", status=200, body=b" " * (10 << 20))
    with (
        faulty(host, Fault("answer", "HEAD", status=405), endless) as proxy,
        at(proxy.host) as repository,
        pytest.raises(Invalid, match="answers more than 4096 KiB"),
    ):
        repository.resolve("v1")


def test_wrong_bytes_are_found_out(host: str, memory: Memory) -> None:
    pushed = image(memory)
    with faulty(host) as proxy, at(proxy.host, "acme/bytes") as repository:
        outcomes(repository, pushed)
        proxy.faults += [Fault("change body", path=path) for path in ("manifests", "blobs")]
        with pytest.raises(Invalid, match="its manifest has the digest sha256:"):
            repository.resolve(pushed.descriptor.digest)
        with (
            verified(repository, pushed.manifest.layers[0]) as stream,
            pytest.raises(Invalid, match="content has the digest"),
        ):
            stream.read()


def test_a_config_is_json_that_others_may_have_written(host: str, memory: Memory) -> None:
    """Docker's own media types are pushed and pulled as they are."""
    config = memory.put("application/vnd.docker.container.image.v1+json", b'{"os":"linux"}')
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    document = {
        "schemaVersion": 2, "mediaType": docker, "layers": [],
        "config": json.loads(Descriptor.model_dump_json(config, by_alias=True, exclude_none=True)),
    }  # fmt: skip
    root = memory.put(docker, json.dumps(document).encode())
    with at(host, "acme/docker") as repository:
        push(memory, root, repository, ["v1"])
        assert repository.resolve("v1") == root
    assert config.media_type != CONFIG
