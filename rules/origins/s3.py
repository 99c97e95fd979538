"""Objects in Amazon S3 and what speaks its protocol: `s3://BUCKET/KEY`, or `s3://BUCKET/PREFIX/`
for all below a prefix. Credentials, region and endpoint are found as boto3 finds them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tritonbuild.rule import public

from .https import CHUNK
from .source import (
    CONNECT,
    RETRIES,
    SILENCE,
    Broken,
    Passing,
    Refused,
    Remote,
    Silent,
    Stream,
    Wanted,
    lacks,
)

_URL = re.compile(r"s3://(?P<bucket>[\w.-]+)/(?P<key>.*?)(?:\?versionId=(?P<version>[^?]+))?", re.S)
REMEDY = (
    "credentials as for the AWS command line: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "AWS_PROFILE, or the instance's role"
)


def check(url: str) -> str:
    return "" if _URL.fullmatch(url) else "it is not s3://BUCKET/KEY"


def name(url: str) -> str:
    bucket, key, _ = parts(url)
    return key.rstrip("/").rpartition("/")[2] or bucket


def direct(wanted: Wanted) -> str:
    _, key, _ = parts(wanted.url)
    return "" if not key or key.endswith("/") else wanted.url


def files(wanted: Wanted) -> list[Remote]:
    bucket, key, version = parts(wanted.url)
    client = connect()
    with told():
        if not key or key.endswith("/"):
            return list(_below(client, bucket, key, name(wanted.url)))
        head = client.head_object(
            Bucket=bucket, Key=key, ChecksumMode="ENABLED", **_version(version)
        )
        return [_remote(bucket, key, name(wanted.url), head)]


def opening(url: str) -> _Object:
    return _Object(*parts(url))


class _Object:
    """Implements Opening."""

    def __init__(self, bucket: str, key: str, version: str):
        self._place = {"Bucket": bucket, "Key": key, **_version(version)}
        self._client = connect()

    def open(self, start: int, validator: str) -> Stream:
        arguments = dict(self._place)
        if start:
            arguments["Range"] = f"bytes={start}-"
            if validator:
                arguments["IfMatch"] = validator
        try:
            with told():
                answer = self._client.get_object(**arguments)
        except _Changed:
            return self.open(0, "")
        whole = re.match(r"bytes (\d+)-\d+/(\d+)", answer.get("ContentRange", ""))
        first, total = (int(whole[1]), int(whole[2])) if whole else (0, answer["ContentLength"])
        return Stream(_chunks(answer["Body"]), first, total, answer.get("ETag", ""))

    def close(self) -> None:
        self._client.close()


class _Changed(Exception):
    """Another object stands there, or no such range can be had."""


def parts(url: str) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return match["bucket"], match["key"], match["version"] or ""


def connect(connections: int = 10) -> Any:
    """A client, with as many connections at once as are kept."""
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
    except ImportError as error:
        raise lacks("s3", "s3:// URLs", error) from None
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        public_only = {} if session.get_credentials() else {"signature_version": UNSIGNED}
        config = Config(
            connect_timeout=CONNECT,
            read_timeout=SILENCE,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": RETRIES + 1},
            **public_only,
        )
        # Outside AWS any region will do; inside, the bucket tells its own.
        return session.client("s3", config=config, region_name=session.region_name or "us-east-1")
    except (BotoCoreError, ValueError) as error:
        raise Refused(f"boto3 is not well configured: {public(str(error))}", REMEDY) from None


def _below(client: Any, bucket: str, prefix: str, folder: str) -> Iterator[Remote]:
    """Lists tell sizes and versions; of a digest only that there is one."""
    for item in _listed(client, bucket, prefix):
        key: str = item["Key"]
        if key.endswith("/"):  # how consoles mark a folder
            continue
        if "VersionId" not in item or "SHA256" in item.get("ChecksumAlgorithm", ()):
            version = _version(item.get("VersionId", ""))
            item = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **version)
        yield _remote(bucket, key, f"{folder}/{key.removeprefix(prefix)}", item)


def _listed(client: Any, bucket: str, prefix: str) -> list[Any]:
    """With their versions where that can be had: not everybody may list them, nor every server."""
    from botocore.exceptions import ClientError

    place = {"Bucket": bucket, "Prefix": prefix}
    try:
        pages = client.get_paginator("list_object_versions").paginate(**place)
        found = [item for page in pages for item in page.get("Versions", ()) if item["IsLatest"]]
    except ClientError:
        found = []
    if found:
        return found
    pages = client.get_paginator("list_objects_v2").paginate(**place)
    return [item for page in pages for item in page.get("Contents", ())]


def _version(version: str) -> dict[str, str]:
    """`null` is the one of objects without."""
    return {} if version in ("", "null") else {"VersionId": version}


def _remote(bucket: str, key: str, name: str, said: Any) -> Remote:
    version = _version(said.get("VersionId", ""))
    url = f"s3://{bucket}/{key}" + "".join(f"?versionId={id}" for id in version.values())
    size = said["Size"] if "Size" in said else said["ContentLength"]
    return Remote(name, url, _sha256(said), size)


def _sha256(head: Any) -> str:
    """Empty where S3 does not know it. Of an upload in parts it has a digest of digests, `…-3`."""
    if head.get("ChecksumType") == "COMPOSITE":
        return ""
    try:
        digest = b64decode(head.get("ChecksumSHA256", ""), validate=True)
    except ValueError:
        return ""
    return digest.hex() if len(digest) == 32 else ""


@contextmanager
def told() -> Iterator[None]:
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"].get("Code", "")
        if status in (412, 416):
            raise _Changed from None
        if status == 429 or status >= 500:
            raise Passing(f"S3 answers {status} {code}; try again later") from None
        if status == 404:
            raise Refused(f"it is not there (404 {code})") from None
        raise Refused(f"S3 refuses access ({status} {code})", REMEDY) from None
    except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError):
        raise Silent(f"no byte came for {SILENCE:g} s") from None
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.TokenRetrievalError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise Refused(f"no credentials for S3: {public(str(error))}", REMEDY) from None
    except exceptions.ParamValidationError as error:
        raise Refused(f"it cannot be asked for: {public(str(error))}") from None
    except exceptions.BotoCoreError as error:
        raise Passing(public(str(error))) from None
    except RecursionError:  # botocore follows what may be another region by asking again
        raise Refused("S3 sends us elsewhere, without a region", "check AWS_REGION") from None


def _chunks(body: Any) -> Iterator[bytes]:
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    try:
        yield from body.iter_chunks(CHUNK)
    except exceptions.ReadTimeoutError:
        raise Silent(f"no byte came for {SILENCE:g} s") from None
    except (exceptions.BotoCoreError, HTTPError, OSError) as error:
        raise Broken(f"it broke off: {public(str(error))}") from None
    finally:
        body.close()
