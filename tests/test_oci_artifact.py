"""Documents attached to images: Debian's docker-registry takes them, and skopeo reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import requests
from parts.images import Memory, file
from parts.missing import missing
from parts.ports import free_port, server

from tritonbuild.oci import Absent, Descriptor, Platform
from tritonbuild.oci.artifact import Attachment, attachment
from tritonbuild.oci.content import read
from tritonbuild.oci.documents import EMPTY, MANIFEST

SPDX = "application/spdx+json"
PAYLOAD = b'{"spdxVersion":"SPDX-2.3"}'


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("docker-registry") is None:
        missing("docker-registry is not installed", "apt-get install docker-registry")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with server(["docker-registry", "serve", folder / "config.yml"], port, folder / "log"):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def subject(memory: Memory) -> Descriptor:
    return memory.image([[file("a", "b")]]).descriptor


def push_blob(registry: str, descriptor: Descriptor, content: bytes) -> None:
    begun = requests.post(f"http://{registry}/v2/acme/net/blobs/uploads/", timeout=30)
    begun.raise_for_status()
    requests.put(
        begun.headers["Location"], params={"digest": descriptor.digest}, data=content,
        headers={"Content-Type": "application/octet-stream"}, timeout=30,
    ).raise_for_status()  # fmt: skip


def push(registry: str, made: Attachment) -> requests.Response:
    for descriptor, content in made.blobs:
        push_blob(registry, descriptor, content)
    return requests.put(
        f"http://{registry}/v2/acme/net/manifests/{made.descriptor.digest}",
        data=made.manifest, headers={"Content-Type": MANIFEST}, timeout=30,
    )  # fmt: skip


def test_a_registry_takes_it_under_its_digest(registry: str, subject: Descriptor) -> None:
    made = attachment(subject, SPDX, PAYLOAD, SPDX)
    answer = push(registry, made)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Docker-Content-Digest"] == made.descriptor.digest


def test_skopeo_reads_it(registry: str, subject: Descriptor) -> None:
    if shutil.which("skopeo") is None:
        missing("skopeo is not installed", "apt-get install skopeo")
    made = attachment(subject, SPDX, PAYLOAD, SPDX)
    push(registry, made).raise_for_status()
    place = f"docker://{registry}/acme/net@{made.descriptor.digest}"
    told = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", place],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert told == made.manifest


def test_it_names_its_subject_and_needs_no_config(subject: Descriptor) -> None:
    document = json.loads(attachment(subject, SPDX, PAYLOAD, "text/plain").manifest)
    assert document["artifactType"] == SPDX
    assert document["config"] == {
        "mediaType": EMPTY,
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }
    assert document["subject"] == {
        "mediaType": MANIFEST, "digest": subject.digest, "size": subject.size,
    }  # fmt: skip
    assert [layer["mediaType"] for layer in document["layers"]] == ["text/plain"]


def test_what_else_a_descriptor_says_changes_nothing(subject: Descriptor) -> None:
    more = {"annotations": {"a": "b"}, "platform": Platform.of("linux/arm64")}
    told = subject.model_copy(update=more)
    assert attachment(told, SPDX, PAYLOAD, SPDX) == attachment(subject, SPDX, PAYLOAD, SPDX)


def test_it_is_a_source_of_what_it_names(subject: Descriptor) -> None:
    made = attachment(subject, SPDX, PAYLOAD, SPDX)
    assert read(made, made.descriptor) == made.manifest
    assert [read(made, descriptor) for descriptor, _ in made.blobs] == [b"{}", PAYLOAD]
    with pytest.raises(Absent):
        made.open(subject)
