"""The `downloads` rule, from a manifest to what lies in tritonbuild-out."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MINIMAL, WorkspaceFolder
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import authority_file, first, ranged, serve
from tritonbuild.rules.origins.source import wrong

from tritonbuild.lock import FILE

BODY = b"a model\n" * 100_000
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


def test_a_file_with_its_digest_needs_no_lock(workspace: Make) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("a/model%201.onnx"), f'sha256 = "{SHA256}"'))
        folder.build()
    assert folder.output("_/x/model 1.onnx").read_bytes() == BODY
    assert not (folder.root / FILE).exists()
    assert len(web.requests) == 1


def test_a_file_without_one_is_pinned_and_fetched_once(workspace: Make) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("model.onnx"), 'file = "here.onnx"'))
        folder.build()
        assert len(web.requests) == 1
        assert folder.build().targets == {"//:x": "cached"}
        assert len(web.requests) == 1
    url = web.url("model.onnx")
    assert locked(folder) == [
        {"name": "model.onnx", "url": url, "sha256": SHA256, "size": len(BODY)}
    ]
    assert folder.output("_/x/here.onnx").read_bytes() == BODY


def test_what_is_pinned_and_was_replaced_is_refused(workspace: Make, tmp_path: Path) -> None:
    with serve(first(ranged(BODY), ranged(b"other"))) as web:
        folder = workspace(manifest(web.url("model.onnx")))
        folder.build()
        folder.cache = tmp_path / "another"
        outcome = folder.run("build", "//...")
    assert outcome.exit_code == 1
    assert f"expected {len(BODY)} bytes, got 5" in outcome.error["found"]
    assert "tritonbuild lock" in outcome.error["remedy"]
    assert outcome.error["label"] == "//:x"


def test_a_wrong_digest_names_both(workspace: Make) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("model.onnx"), f'sha256 = "{OTHER}"'))
        outcome = folder.run("build", "//...")
    assert outcome.exit_code == 1
    assert f"expected sha256 {OTHER}, got {SHA256}" in outcome.error["found"]
    assert not folder.output("_/x").exists()


def test_another_address_of_the_same_file_is_not_asked(workspace: Make) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("one.onnx"), f'sha256 = "{SHA256}"'))
        folder.build()
        folder.write(manifest(web.url("another/one.onnx"), f'sha256 = "{SHA256}"'))
        assert folder.build().executed == 0
    assert len(web.requests) == 1


def test_a_mirror_may_serve_it(workspace: Make) -> None:
    with serve(ranged(BODY)) as mirror, serve(lambda _: (404, b"")) as web:
        mirrors = f'mirrors = ["{web.url("old")}", "{mirror.url("model")}"]'
        folder = workspace(manifest(web.url("model.onnx"), f'sha256 = "{SHA256}"', mirrors))
        folder.build()
    assert folder.output("_/x/model.onnx").read_bytes() == BODY


def test_a_lock_that_may_not_change_is_not_resolved(workspace: Make) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("model.onnx")))
        outcome = folder.run("build", "--locked", "//...")
    assert outcome.exit_code == 2
    assert outcome.error["remedy"] == "tritonbuild lock"
    assert web.requests == []


@pytest.mark.parametrize("digest", ["", f'sha256 = "{SHA256}"'])
def test_a_dry_run_fetches_nothing(workspace: Make, digest: str) -> None:
    with serve(ranged(BODY)) as web:
        folder = workspace(manifest(web.url("model.onnx"), digest))
        assert folder.run("build", "--dry-run", "//...").exit_code == 0
    assert web.requests == []


def test_it_comes_by_tls_from_an_authority_of_ones_own(workspace: Make, tmp_path: Path) -> None:
    with serve(first(ranged(BODY, sends=300_000), ranged(BODY)), tls=True) as web:
        folder = workspace(manifest(web.url("model.onnx"), f'sha256 = "{SHA256}"'))
        folder.environment["REQUESTS_CA_BUNDLE"] = str(authority_file(tmp_path))
        folder.build()
    assert folder.output("_/x/model.onnx").read_bytes() == BODY
    assert web.ranges[1].startswith("bytes=")


@pytest.mark.parametrize(
    ("answer", "code", "found"),
    [
        (lambda _: (403, b""), 2, "it refuses access (403)"),
        (lambda _: (404, b""), 2, "it is not there (404)"),
        (lambda _: (503, b""), 36, "try again later"),
    ],
)
def test_what_cannot_be_pinned_is_told(
    workspace: Make,
    answer: Callable[[BaseHTTPRequestHandler], tuple[int, bytes]],
    code: int,
    found: str,
) -> None:
    with serve(answer) as web:
        folder = workspace(manifest(web.url("model.onnx")))
        outcome = folder.run("build", "//...")
    assert outcome.exit_code == code
    assert found in outcome.error["found"]
    assert outcome.error["label"] == "//:x"
    assert not (folder.root / FILE).exists()


@pytest.mark.parametrize(
    ("lines", "key", "found"),
    [
        (['url = "ftp://user:secret@host/file"'], "url", "no address that is known"),
        (['url = "https:///file"'], "url", "it has no host"),
        (['url = "https://host:port/file"'], "url", "cannot be used"),
        (['url = "https://user:secret@host/file"'], "url", "credentials"),
        (['url = "https://host/file?X-Amz-Signature=secret"'], "url", "secret (X-Amz-Signature=…)"),
        (['url = "https://host/file?access_token=secret"'], "url", "secret (access_token=…)"),
        (['url = "https://host/file?subscription-key=secret"'], "url", "a secret"),
        (['url = "https://host/file?access_key=secret"'], "url", "a secret"),
        (['url = "https://host/file?auth=secret"'], "url", "a secret"),
        (['url = "https://host/file?x-api-key=secret"'], "url", "a secret"),
        (['url = "https://host/file?jwt=secret"'], "url", "a secret"),
        (['url = "https://host/file?passphrase=secret"'], "url", "a secret"),
        (['url = "https://host/file?Policy=secret"'], "url", "a secret"),
        (['url = "https://host/file?Key-Pair-Id=secret"'], "url", "a secret"),
        (['url = "https://host/file?AWSAccessKeyId=secret"'], "url", "a secret"),
        (['url = "https://host/file?a=1;private%5Ftoken=secret"'], "url", "a secret"),
        (['url = "https://host/file#access_token=secret"'], "url", "a secret"),
        (['url = "https://user:secret/x@host/file"'], "url", "credentials"),
        (['url = "s3://AKIAKEY:secret@bucket/key"'], "url", "credentials"),
        (['url = "s3://AKIAKEY:secret/x@bucket/key"'], "url", "credentials"),
        (['url = "s3://bucket/key?versionId=1&X-Amz-Signature=secret"'], "url", "a secret"),
        (['url = "gs://user:secret@bucket/object"'], "url", "credentials"),
        (['url = "gs://bucket/object?X-Goog-Signature=secret"'], "url", "a secret"),
        (['url = "az://user:secret@account/c/b"'], "url", "credentials"),
        (['url = "az://account/c/b?versionid=1&sig=secret"'], "url", "a secret"),
        (['url = "oci://user:secret@registry/repo:tag"'], "url", "credentials"),
        (['url = "hf://user:secret@org/repo"'], "url", "it is not hf://ORG/REPO"),
        (['url = "hf://hf_abcdefghijklmnopqrstuvwxyz@org/repo"'], "url", "it holds a token"),
        (['url = "models://user:secret@host/name/1"'], "url", "credentials"),
        (['url = "https://host/a"', 'mirrors = ["s3://k:secret@b/a"]'], "mirrors.0", "credentials"),
        (['url = "https://host/"'], "url", "no name of a file"),
        (['url = "https://host/a/%2e%2e"'], "url", "no name of a file"),
        (['url = "https://host/a%2fb"'], "url", "no name of a file"),
        (['url = "https://host/a"', 'file = "../b"'], "file", "'../b' is no path"),
        (['url = "https://host/a"', 'sha256 = "ABC"'], "sha256", "'ABC' is not a sha256"),
        (['url = "https://host/a"', 'revision = "main"'], "revision", "knows no `revision`"),
        (['url = "https://host/a"', "strip = 1"], "strip", "`strip` without `extract`"),
        (['url = "hf://org/repo"', 'mirrors = ["https://h/a"]'], "mirrors", "is not one file"),
        (['url = "https://host/a"', 'mirrors = ["x://h/a"]'], "mirrors.0", "no address"),
        (['url = "s3://bucket"'], "url", "it is not s3://BUCKET/KEY"),
        (['url = "gs://"'], "url", "it is not gs://BUCKET/OBJECT"),
        (['url = "az://account/x"'], "url", "it is not az://ACCOUNT/CONTAINER/BLOB"),
        (['url = "az://account/c/b?sig=secret"'], "url", "a secret (sig=…)"),
        (['url = "az://account/c/b?se"'], "url", "may hold a secret"),
        (['url = "hf://"'], "url", "it is not hf://ORG/REPO"),
        (['url = "models:/name"'], "url", "it is not models:/NAME/VERSION"),
        (['url = "mlflow-artifacts:/a"'], "url", "it is not models:/NAME/VERSION"),
        (['url = "oci://registry/repo"'], "url", "it is not oci://REGISTRY/REPOSITORY:TAG"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(
    workspace: Make, lines: list[str], key: str, found: str
) -> None:
    folder = workspace({"triton.toml": "\n".join([MINIMAL, "[downloads.x]", *lines, ""])})
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 7
    assert found in outcome.error["found"]
    assert outcome.error["line"]
    assert key.partition(".")[0] in outcome.error["key"]
    assert "=secret" not in outcome.text
    assert ":secret" not in outcome.text
    assert "hf_abc" not in outcome.text


@pytest.mark.parametrize(
    "url",
    [
        "https://host:8080/@scope/a?author=me&keyword=x&v=1&raw=true&path=a",
        "s3://my.bucket/a@b?versionId=a.b_c",
        "gs://bucket_1/a:b@c#7",
        "az://account/c/b?versionid=2024-01-01T00:00:00.0000000Z",
        "https://account.blob.core.windows.net/c/b",
        "hf://datasets/org/repo@main/a",
        "hf://gpt2@main/a",
        "oci://localhost:5000/repo:tag",
        "models:/a model@champion",
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_taken(url: str) -> None:
    assert wrong(url) == ""


def archive(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return written.getvalue()


def test_an_archive_becomes_a_folder(workspace: Make) -> None:
    body = archive({"top/1/model.onnx": BODY, "top/README": b"read"})
    with serve(ranged(body)) as web:
        folder = workspace(manifest(web.url("models.zip"), "extract = true", "strip = 1"))
        folder.build()
    assert folder.output("_/x/models/1/model.onnx").read_bytes() == BODY
    assert folder.output("_/x/models/README").read_bytes() == b"read"


def test_a_hostile_archive_is_refused(workspace: Make) -> None:
    with serve(ranged(archive({"../../evil": b""}))) as web:
        folder = workspace(manifest(web.url("models.zip"), "extract = true"))
        outcome = folder.run("build", "//...")
    assert outcome.exit_code == 1
    assert "models.zip is refused: it holds '../../evil'" in outcome.error["found"]


def test_credentials_are_used_and_stand_nowhere_afterwards(workspace: Make, tmp_path: Path) -> None:
    secret = "a-secret-that-nobody-should-see"
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {secret}\n")
    netrc.chmod(0o600)

    def guarded(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if "Authorization" not in handler.headers or handler.path == "/refused":
            return 401, b""
        return ranged(BODY)(handler)

    with serve(guarded) as web:
        text = manifest(web.url("model.onnx"))["triton.toml"]
        refused = f'[downloads.refused]\nurl = "{web.url("refused")}"\nsha256 = "{OTHER}"\n'
        folder = workspace({"triton.toml": f"{text!s}{refused}"})
        folder.environment["NETRC"] = str(netrc)
        outcome = folder.run("build", "--keep-going", "//...")
        assert outcome.targets == {"//:x": "built", "//:refused": "failed"}
        why = folder.run("why", "//:x")
    assert_stands_nowhere(secret, folder, outcome.text + why.text)
    assert secret not in str(outcome.events) + str(why.events)


def test_ctrl_c_ends_a_download_that_pins(workspace: Make) -> None:
    begun, done = threading.Event(), threading.Event()

    def stalls() -> None:
        begun.set()
        done.wait()

    with serve(ranged(BODY, sends=1000, then=stalls)) as web:
        folder = workspace(manifest(web.url("model.onnx")))
        process = folder.start("build", "//...")
        assert begun.wait(60)
        process.send_signal(2)
        assert process.wait(30) == 8
        done.set()
        process.communicate()
    assert not (folder.root / FILE).exists()
