"""Objects in S3, from moto's server."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest
from conftest import WorkspaceFolder
from parts.clouds import SECRET, moto
from parts.clouds import aws_variables as variables
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import first, ranged, redirect, serve
from tritonbuild.rules.origins import s3
from tritonbuild.rules.origins.source import Refused, Remote, Wanted
from tritonbuild.rules.origins.transfer import Expected, transfer

BODY = b"an object\n" * 50_000
SHA256 = hashlib.sha256(BODY).hexdigest()
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def client(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of an account of its own, by environment variables alone."""
    for name, value in variables(endpoint, tmp_path).items():
        monkeypatch.setenv(name, value)
    return boto3.client("s3", region_name="us-east-1")


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    client.create_bucket(Bucket=name)
    return name


def test_an_object_is_found_and_fetched(client: Any, bucket: str, tmp_path: Path) -> None:
    client.put_object(Bucket=bucket, Key="models/a model é.onnx", Body=BODY)
    url = f"s3://{bucket}/models/a model é.onnx"
    (remote,) = s3.files(Wanted(url))
    assert (remote.name, remote.url, remote.size) == ("a model é.onnx", url, len(BODY))
    got = transfer(s3.opening(remote.url), tmp_path / "file", Expected())
    assert got.sha256 == SHA256


def test_a_digest_that_s3_knows_is_taken_from_it(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="a", Body=BODY, ChecksumAlgorithm="SHA256")
    assert s3.files(Wanted(f"s3://{bucket}/a")) == [
        Remote("a", f"s3://{bucket}/a", SHA256, len(BODY))
    ]


def test_a_version_is_pinned_where_there_are_versions(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket=bucket, Key="a", Body=BODY)["VersionId"]
    (remote,) = s3.files(Wanted(f"s3://{bucket}/a"))
    assert remote.url == f"s3://{bucket}/a?versionId={version}"
    client.put_object(Bucket=bucket, Key="a", Body=b"newer")
    assert transfer(s3.opening(remote.url), tmp_path / "file", Expected()).sha256 == SHA256
    client.delete_object(Bucket=bucket, Key="a")
    assert transfer(s3.opening(remote.url), tmp_path / "file", Expected()).sha256 == SHA256


def test_a_prefix_is_a_folder(client: Any, bucket: str) -> None:
    for key in ("m/1/model.onnx", "m/config.pbtxt", "m/sub/", "other"):
        client.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else BODY)
    names = [remote.name for remote in s3.files(Wanted(f"s3://{bucket}/m/"))]
    assert names == ["m/1/model.onnx", "m/config.pbtxt"]


@pytest.mark.parametrize("versions", [False, True])
def test_the_objects_of_a_folder_are_told_by_lists_alone(
    client: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, versions: bool
) -> None:
    if versions:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="m/a", Body=b"older")
    said = client.put_object(Bucket=bucket, Key="m/a", Body=BODY)
    client.put_object(Bucket=bucket, Key="m/gone", Body=BODY)
    client.delete_object(Bucket=bucket, Key="m/gone")
    asked: list[str] = []
    make = s3.connect

    def counted() -> Any:
        made = make()
        made.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
        return made

    monkeypatch.setattr(s3, "connect", counted)
    url = f"s3://{bucket}/m/a" + (f"?versionId={said['VersionId']}" if versions else "")
    assert s3.files(Wanted(f"s3://{bucket}/m/")) == [Remote("m/a", url, size=len(BODY))]
    assert asked == ["ListObjectVersions"]


@pytest.mark.usefixtures("client")
def test_who_may_not_list_versions_lists_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = b64encode(hashlib.sha256(BODY).digest()).decode()

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if "versions" in handler.path:
            return 403, b""
        if handler.command == "GET":
            item = f"<Contents><Key>m/a</Key><Size>{len(BODY)}</Size></Contents>"
            return 200, f"<ListBucketResult>{item}</ListBucketResult>".encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.send_header("x-amz-checksum-sha256", digest)
        handler.end_headers()
        return 0, b""

    with serve(answer) as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.url(""))
        found = s3.files(Wanted("s3://bucket/m/"))
    assert found == [Remote("m/a", "s3://bucket/m/a", SHA256, len(BODY))]


def test_an_object_that_was_replaced_meanwhile_is_begun_anew(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    client.put_object(Bucket=bucket, Key="a", Body=b"old")
    opening = s3.opening(f"s3://{bucket}/a")
    old = opening.open(0, "")
    client.put_object(Bucket=bucket, Key="a", Body=BODY)
    new = opening.open(1, old.validator)
    assert (new.start, b"".join(new.chunks)) == (0, BODY)


def test_an_object_is_had_from_a_byte_on(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="a", Body=BODY)
    opening = s3.opening(f"s3://{bucket}/a")
    whole = opening.open(0, "")
    part = opening.open(100, whole.validator)
    assert (part.start, part.total, part.validator) == (100, len(BODY), whole.validator)
    assert b"".join(part.chunks) == BODY[100:]


def test_a_transfer_that_breaks_off_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of our own speaks just enough of S3 to break off."""
    with serve(first(ranged(BODY, sends=300_000), ranged(BODY))) as web:
        for name, value in variables(web.url(""), tmp_path).items():
            monkeypatch.setenv(name, value)
        got = transfer(s3.opening("s3://bucket/a"), tmp_path / "file", Expected())
    assert got.sha256 == SHA256
    assert web.ranges[0] == ""
    assert 0 < int(web.ranges[1].removeprefix("bytes=").removesuffix("-")) <= 300_000


def test_nothing_there_is_told(client: Any, bucket: str) -> None:
    with pytest.raises(Refused, match="it is not there"):
        s3.files(Wanted(f"s3://{bucket}/none"))
    with pytest.raises(Refused, match="it is not there"):
        s3.files(Wanted(f"s3://{bucket}-none/x/"))


@pytest.mark.usefixtures("client")
def test_an_account_that_may_not_is_told_how_to_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda _: (403, b"")) as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.url(""))
        with pytest.raises(Refused, match=r"refuses access \(403") as refused:
            s3.files(Wanted("s3://bucket/a"))
    assert "AWS_PROFILE" in refused.value.remedy
    assert SECRET not in str(web.requests)


def test_without_credentials_a_public_bucket_is_asked_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(ranged(BODY)) as web:
        for name, value in variables(web.url(""), tmp_path).items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        got = transfer(s3.opening("s3://bucket/a"), tmp_path / "file", Expected())
    assert got.sha256 == SHA256
    assert {authorization for _, authorization in web.requests} == {""}


def test_a_profile_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(Refused, match="no-such-profile"):
        s3.opening("s3://bucket/a")


def test_a_redirect_to_another_host_gets_no_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(ranged(BODY)) as other, serve(redirect(other.url("a"))) as web:
        for name, value in variables(web.url(""), tmp_path).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Refused):
            transfer(s3.opening("s3://bucket/a"), tmp_path / "file", Expected())
    assert other.requests == []


def test_a_folder_is_pinned_and_built(
    client: Any, bucket: str, endpoint: str, workspace: Make, tmp_path: Path
) -> None:
    for key in ("m/1/model.onnx", "m/a file é.txt"):
        client.put_object(Bucket=bucket, Key=key, Body=BODY)
    folder = workspace(manifest(f"s3://{bucket}/m/"))
    folder.environment |= variables(endpoint, tmp_path)
    outcome = folder.build()
    assert folder.output("_/x/m/1/model.onnx").read_bytes() == BODY
    assert folder.output("_/x/m/a file é.txt").read_bytes() == BODY
    assert [file["name"] for file in locked(folder)] == ["m/1/model.onnx", "m/a file é.txt"]
    assert_stands_nowhere(SECRET, folder, outcome.text, str(outcome.events))


def test_hostile_names_are_refused(
    client: Any, bucket: str, endpoint: str, workspace: Make, tmp_path: Path
) -> None:
    client.put_object(Bucket=bucket, Key="m/../../evil", Body=BODY)
    folder = workspace(manifest(f"s3://{bucket}/m/"))
    folder.environment |= variables(endpoint, tmp_path)
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 2
    assert "'m/../../evil', which is not a relative path" in outcome.error["found"]


def test_without_boto3_the_extra_is_named(workspace: Make, tmp_path: Path) -> None:
    (tmp_path / "hides").mkdir()
    (tmp_path / "hides/boto3.py").write_text(
        'raise ModuleNotFoundError("No module named boto3", name="boto3")\n'
    )
    folder = workspace(manifest("s3://bucket/a"))
    folder.environment["PYTHONPATH"] = str(tmp_path / "hides")
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    assert outcome.error["remedy"] == "pip install 'tritonbuild[s3]'"
