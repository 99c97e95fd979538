"""A registry behind a proxy that does wrong: what passes is overcome, what does not is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.faulty import Fault, Proxy, What, faulty
from parts.images import Memory, file
from parts.registry import CHUNK, HTPASSWD, LARGE, at, log_in, put, registry

from tritonbuild.oci import Absent, Image, Invalid, OciError, Passing, Refused, Unreachable
from tritonbuild.oci.content import read, verified
from tritonbuild.oci.registry import Mirrored, Reference, push
from tritonbuild.oci.registry.upload import SMALL


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder of configuration, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"acme/t{abs(hash(request.node.nodeid))}"


@pytest.fixture
def image() -> Image:
    return Memory().image([[file("small", "x")], [file("large", LARGE)]])


def sent(proxy: Proxy, method: str) -> int:
    """Bytes of blobs that the registry took."""
    return sum(
        seen.sent for seen in proxy.asked(method, "uploads") if seen.status in (201, 202)
    )  # fmt: skip


PARTS = (("HEAD", "blobs"), ("POST", ""), ("PUT", "uploads"), ("PUT", "manifests"))
PASSES = [
    *(Fault("answer", *part, status=status) for part in PARTS for status in (429, 503)),
    *(Fault("reset", *part) for part in PARTS),
    *(Fault("answer", "PATCH", status=status, after=1) for status in (429, 500, 502)),
    Fault("answer", "PATCH", status=429, headers={"Retry-After": "1"}),
    Fault("reset", "PATCH", after=1),
]


@pytest.mark.parametrize(
    "fault", PASSES, ids=lambda fault: f"{fault.method}-{fault.status or fault.what}"
)
def test_what_passes_ends_no_push_and_sends_nothing_twice(
    host: str, name: str, image: Image, fault: Fault
) -> None:
    with faulty(host, fault) as proxy, at(proxy.host, name) as repository:
        assert {each.outcome for each in put(repository, image)} == {"moved"}
        assert fault.times == 0
    with at(host, name) as repository:
        assert repository.resolve("v1").digest == image.descriptor.digest
        assert all(read(repository, layer, 1 << 30) for layer in image.manifest.layers)
    large = image.manifest.layers[1].size
    assert sent(proxy, "PATCH") == large
    assert sent(proxy, "PUT") < SMALL


@pytest.mark.parametrize("what", ["lose answer", "cut upload"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_upload_that_was_cut_is_made_again(
    host: str, name: str, image: Image, what: What, method: str
) -> None:
    with (
        faulty(host, Fault(what, method, "uploads", after=1)) as proxy,
        at(proxy.host, name) as repository,
    ):
        assert {each.outcome for each in put(repository, image)} == {"moved"}
        assert all(read(repository, layer, 1 << 30) for layer in image.manifest.layers)


def test_an_upload_whose_end_nobody_heard_of_is_not_made_again(
    host: str, name: str, image: Image
) -> None:
    lost = Fault("lose answer", "PUT", "uploads", times=9)
    with faulty(host, lost) as proxy, at(proxy.host, name) as repository:
        put(repository, image)
        assert sent(proxy, "PATCH") == image.manifest.layers[1].size
        assert {each.outcome for each in put(repository, image)} == {"there"}


def test_what_was_complete_before_a_crash_is_not_sent_again(
    host: str, name: str, image: Image
) -> None:
    broken = Fault("answer", "PUT", "manifests", status=503, times=9)
    with faulty(host, broken) as proxy, at(proxy.host, name) as repository:
        with pytest.raises(Passing, match="503"):
            put(repository, image)
        before = len(proxy.asked("POST"))
        broken.times = 0
        outcomes = [each.outcome for each in put(repository, image)]
        assert outcomes == ["there", "there", "there", "moved"]
        assert len(proxy.asked("POST")) == before == 3


@pytest.mark.parametrize("status", [405, 413])
def test_a_registry_that_takes_no_chunks_gets_all_at_once(
    host: str, name: str, image: Image, status: int
) -> None:
    refused = Fault("answer", "PATCH", status=status, times=9)
    with faulty(host, refused) as proxy, at(proxy.host, name) as repository:
        put(repository, image)
        assert len(proxy.asked("PATCH")) == 1
        assert read(repository, image.manifest.layers[1], 1 << 30)


@pytest.mark.parametrize(("method", "chunk"), [("PATCH", 4 << 20), ("PUT", 16 << 20)])
def test_a_proxy_that_takes_nothing_so_large_gets_smaller_chunks(
    host: str, name: str, image: Image, method: str, chunk: int
) -> None:
    refused = Fault("answer", method, "uploads", status=413)
    layer = image.manifest.layers[1]
    with faulty(host, refused) as proxy, at(proxy.host, name) as repository:
        push(image.source, image.descriptor, repository, chunk=chunk, parallel=1)
        sizes = [seen.sent for seen in proxy.asked("PATCH") if seen.status == 202]
        assert (max(sizes) < 2 << 20, sum(sizes)) == (True, layer.size)
        assert read(repository, layer, 1 << 30)


def test_a_registry_says_how_small_a_chunk_may_be(host: str, name: str) -> None:
    image = Memory().image([[file("large", LARGE)]])
    layer = image.manifest.layers[0]
    with faulty(host) as proxy, at(proxy.host, name) as repository:
        begun = repository.ask("POST", "blobs/uploads/", repository.pushing)
        headers = {"Location": begun.headers["Location"], "OCI-Chunk-Min-Length": str(5 << 20)}
        proxy.faults.append(Fault("answer", "POST", status=202, headers=headers))
        push(image.source, image.descriptor, repository, chunk=CHUNK, parallel=1)
        assert [seen.sent for seen in proxy.asked("PATCH")] == [5 << 20, layer.size - (5 << 20)]


@pytest.mark.parametrize(
    ("status", "kind", "found"),
    [
        (401, Refused, r"unknown kind \(none\)"),
        (403, Refused, r"it refuses access \(403\): DENIED: ask somebody"),
        (404, Absent, r"it is not there \(404\)"),
        (400, Refused, "it answers 400"),
        (302, Refused, "it is redirected in a circle|does not say"),
        (429, Passing, "429"),
        (503, Passing, "503"),
    ],
)
def test_what_does_not_pass_is_told(
    host: str, name: str, image: Image, status: int, kind: type[OciError], found: str
) -> None:
    said = b'{"errors": [{"code": "DENIED", "message": "ask somebody"}]}'
    fault = Fault("answer", "POST", status=status, times=99, body=said)
    small = Memory().image([[file("small")]])
    if status == 302:
        fault.headers = {"Location": "/v2/"}
        found = "sends us elsewhere"
    with (
        faulty(host, fault) as proxy,
        at(proxy.host, name) as repository,
        pytest.raises(kind, match=found) as error,
    ):
        put(repository, small)
    assert proxy.host in str(error.value) or status == 401


def test_a_registry_that_says_no_is_asked_once(host: str, name: str, image: Image) -> None:
    no = Fault("answer", "POST", status=403, times=99)
    with faulty(host, no) as proxy, at(proxy.host, name) as repository:
        with pytest.raises(Refused):
            push(image.source, image.descriptor, repository, parallel=1)
        assert len(proxy.asked("POST")) == 1


@pytest.mark.parametrize("what", ["reset", "cut body", "stall body"])
def test_a_pull_goes_on_where_it_broke_off(host: str, name: str, image: Image, what: What) -> None:
    large = image.manifest.layers[1]
    with faulty(host) as proxy, at(proxy.host, name, silence=2) as repository:
        put(repository, image)
        proxy.faults.append(Fault(what, path="blobs", times=2))
        content = read(repository, large, 1 << 30)
        assert content == image.source.open(large).read()
        ranges = [seen.range for seen in proxy.asked("GET", "blobs")]
    assert len(ranges) == 3
    assert [bool(asked) for asked in ranges] == [False, what != "reset", what != "reset"]


def test_a_registry_that_knows_no_ranges_is_read_from_the_beginning(
    host: str, name: str, image: Image
) -> None:
    small = image.manifest.layers[0]
    whole = image.source.open(small).read()
    with faulty(host) as proxy, at(proxy.host, name) as repository:
        proxy.faults.append(Fault("answer", path="blobs", status=200, body=whole, times=9))
        with repository.open(small, start=100) as stream:
            assert stream.read() == whole[100:]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up sooner."""
    for module in ("repository", "upload"):
        monkeypatch.setattr(f"tritonbuild.oci.registry.{module}.ATTEMPTS", 2)


@pytest.mark.usefixtures("impatient")
def test_a_pull_that_breaks_off_again_and_again_ends(host: str, name: str, image: Image) -> None:
    with faulty(host) as proxy, at(proxy.host, name) as repository:
        put(repository, image)
        with repository.open(image.manifest.layers[1]) as stream:
            proxy.faults.append(Fault("answer", path="blobs", status=503, times=99))
            stream.seek(SMALL)
            with pytest.raises(Passing, match="503"):
                stream.read()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("method", "path"), [("HEAD", "manifests"), ("GET", "manifests"),
    ("POST", "uploads"), ("PATCH", "uploads"), ("PUT", "manifests")])  # fmt: skip
def test_a_stall_times_out(host: str, name: str, image: Image, method: str, path: str) -> None:
    if method == "GET":
        with at(host, name) as repository:
            put(repository, image)
    with faulty(host) as proxy, at(proxy.host, name, silence=0.5) as repository:
        stall = Fault("stall", method, path, times=99)
        proxy.faults.append(stall)
        with pytest.raises(Passing, match=r"no byte came for 0.5 s|timed out"):
            repository.resolve("v1") if method == "GET" else put(repository, image)
        assert stall.times < 99


def test_credentials_are_not_sent_to_where_blobs_are_kept(
    docker: Path, tmp_path: Path, image: Image, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with registry(tmp_path / "guarded", HTPASSWD) as guarded, faulty(guarded) as proxy:
        log_in(docker, proxy.host)
        with at(proxy.host, name) as repository, faulty(guarded) as store:
            put(repository, image)
            assert any(seen.authorization for seen in proxy.seen)
            small = image.manifest.layers[0]
            content = image.source.open(small).read()
            store.faults.append(Fault("answer", path="", status=200, body=content))
            elsewhere = store.host.replace("127.0.0.1", "localhost")
            there = {"Location": f"http://{elsewhere}/blob"}
            proxy.faults.append(Fault("answer", path="blobs", status=307, headers=there))
            assert read(repository, small) == content
            uploads = {"Location": f"http://{elsewhere}/upload"}
            proxy.faults.append(Fault("answer", "POST", status=202, headers=uploads))
            store.faults.append(Fault("answer", "PUT", status=403))
            with pytest.raises(Refused, match="403"):
                push(
                    (other := Memory().image([[file("other")]])).source, other.descriptor,
                    repository, parallel=1,
                )  # fmt: skip
        assert len(store.seen) == 2
        assert {seen.authorization for seen in store.seen} == {""}


def test_uploads_go_nowhere_without_tls(host: str, name: str, image: Image) -> None:
    away = {"Location": "http://registry.example/upload"}
    with (
        faulty(host, Fault("answer", "POST", status=202, headers=away, times=9)) as proxy,
        at(proxy.host, name) as repository,
        pytest.raises(Refused, match="without TLS"),
    ):
        put(repository, image)


def test_a_mirror_is_asked_first_and_not_missed(
    host: str, name: str, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Reference.parse(f"{host}/{name}:v1")
    with (
        at(host, name) as origin, at(host, f"cached/{name}") as cached, faulty(host) as proxy
    ):  # fmt: skip
        put(origin, image)
        monkeypatch.setenv(
            "TRITONBUILD_REGISTRY_MIRRORS",
            f"docker.io=https://elsewhere.example, {host}=http://{proxy.host}/cached",
        )
        with Mirrored.of(reference) as source:
            assert source.resolve("v1").digest == image.descriptor.digest
            assert proxy.asked("HEAD")[-1].status == 404
        put(cached, image)
        with Mirrored.of(reference) as source:
            found = source.resolve(source.resolve("v1").digest)
            assert found.digest == image.descriptor.digest
            layer = image.manifest.layers[0]
            with verified(source, layer) as stream:
                assert stream.read()
        assert proxy.asked("GET", "blobs")[-1].status == 200
        proxy.faults += [
            Fault("change body", path="manifests", times=9),
            Fault("answer", path="blobs", status=404, times=9),
        ]
        with Mirrored.of(reference) as source:
            assert source.resolve(found.digest) == found
            assert read(source, layer)


@pytest.mark.parametrize("value", ["x", "docker.io=mirror.example", "=https://x", "a=ftp://b"])
def test_a_mirror_that_is_none_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITONBUILD_REGISTRY_MIRRORS", value)
    with pytest.raises(Refused, match="TRITONBUILD_REGISTRY_MIRRORS has the entry"):
        Mirrored.of(Reference.parse("debian"))


def test_a_mirror_takes_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = "docker.io=https://user:secret@mirror.example"
    monkeypatch.setenv("TRITONBUILD_REGISTRY_MIRRORS", mirror)
    with pytest.raises(Refused, match="has credentials in") as error:
        Mirrored.of(Reference.parse("debian"))
    assert "secret" not in str(error.value.problem)
    assert "docker login mirror.example" in error.value.problem.remedy


def test_a_mirror_needs_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITONBUILD_REGISTRY_MIRRORS", "a=http://user:secret@mirror.example")
    with pytest.raises(Refused, match="has no TLS") as error:
        Mirrored.of(Reference.parse("debian"))
    assert "secret" not in str(error.value)


def test_a_registry_that_is_not_there_may_be_there_later(host: str) -> None:
    with faulty(host) as proxy:
        gone = proxy.host
    with at(gone, "acme/net") as repository, pytest.raises(Unreachable) as error:
        repository.resolve("v1")
    assert str(error.value) == f"{gone}: Connection refused"


def test_a_host_that_nobody_knows_is_told() -> None:
    with at("registry.invalid", "acme/net") as repository, pytest.raises(Unreachable) as error:
        repository.resolve("v1")
    assert str(error.value).startswith("registry.invalid: ")
    assert "does it run there" in error.value.problem.remedy


def test_a_wrong_blob_is_invalid(host: str, name: str, image: Image) -> None:
    with faulty(host) as proxy, at(proxy.host, name) as repository:
        put(repository, image)
        proxy.faults.append(Fault("change body", path="blobs", times=9))
        with pytest.raises(Invalid, match="content has the digest"):
            read(repository, image.manifest.config)
