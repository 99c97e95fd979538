"""Blobs in Azure Storage: `az://ACCOUNT/CONTAINER/BLOB` or its `https://…blob.core.windows.net/…`;
with a `/` at the end all below it. Credentials: AZURE_STORAGE_CONNECTION_STRING; or, of
AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN; or what azure-identity has."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

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

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

HOST = ".blob.core.windows.net"
_URL = re.compile(
    r"az://(?P<account>[a-z0-9]+)/(?P<container>[^/]+)/(?P<blob>.*?)"
    r"(?:\?versionid=(?P<version>[^?]+))?",
    re.S,
)
REMEDY = (
    "credentials as for Azure's own tools: AZURE_STORAGE_CONNECTION_STRING, "
    "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or `az login`"
)


def check(url: str) -> str:
    _, query, said = url.partition("?")
    if query and not re.fullmatch(r"versionid=[\w.:-]+", said):
        return "it has a query, which may hold a secret: name credentials in the environment"
    return "" if _URL.fullmatch(_own(url)) else "it is not az://ACCOUNT/CONTAINER/BLOB"


def name(url: str) -> str:
    _, container, blob, _ = parts(url)
    return blob.rstrip("/").rpartition("/")[2] or container


def direct(wanted: Wanted) -> str:
    _, _, blob, _ = parts(wanted.url)
    return "" if not blob or blob.endswith("/") else wanted.url


def files(wanted: Wanted) -> list[Remote]:
    account, container, blob, version = parts(wanted.url)
    with connect(account) as service, told():
        if not blob or blob.endswith("/"):
            folder = name(wanted.url)
            return [
                _remote(account, container, f"{folder}/{item.name.removeprefix(blob)}", item)
                for item in listed(service, container, blob)
            ]
        client = service.get_blob_client(container, blob, version_id=version or None)
        return [_remote(account, container, name(wanted.url), client.get_blob_properties())]


def listed(service: BlobServiceClient, container: str, prefix: str) -> Iterator[Any]:
    """The blobs below a prefix, with their metadata."""
    for item in service.get_container_client(container).list_blobs(prefix, include=["metadata"]):
        if not item.name.endswith("/") and not (item.metadata or {}).get("hdi_isfolder"):
            yield item


def opening(url: str) -> _Blob:
    return _Blob(*parts(url))


class _Blob:
    """Implements Opening."""

    def __init__(self, account: str, container: str, blob: str, version: str):
        self._service = connect(account)
        self._client = self._service.get_blob_client(container, blob, version_id=version or None)

    def open(self, start: int, validator: str) -> Stream:
        from azure.core import MatchConditions

        same: dict[str, Any] = {}
        if start and validator:
            same = {"etag": validator, "match_condition": MatchConditions.IfNotModified}
        try:
            with told():
                stream = self._client.download_blob(offset=start or None, **same)
        except _Changed:
            return self.open(0, "")
        total = start + stream.size
        return Stream(_chunks(stream), start, total, stream.properties.etag or "")

    def close(self) -> None:
        self._service.close()


class _Changed(Exception):
    """Another blob stands there, or no such range can be had."""


def _own(url: str) -> str:
    """az:// for an address that browsers know."""
    match = re.fullmatch(rf"https://([a-z0-9]+){re.escape(HOST)}(/.*)", url, re.S | re.I)
    return f"az://{match[1]}{unquote(match[2])}" if match else url


def parts(url: str) -> tuple[str, str, str, str]:
    match = _URL.fullmatch(_own(url))
    assert match is not None, "checked"
    return match["account"], match["container"], match["blob"], match["version"] or ""


def connect(account: str, **more: Any) -> BlobServiceClient:
    """`more` are options of the client."""
    try:
        from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
        from azure.storage.blob import BlobServiceClient
    except ImportError as error:
        raise lacks("az", "az:// URLs", error) from None
    options: dict[str, Any] = {
        "connection_timeout": CONNECT,
        "read_timeout": SILENCE,
        "retry_total": RETRIES,
        "initial_backoff": 0,
        "increment_base": 2,
        "permit_redirects": False,  # credentials would go along
        **more,
    }
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if re.search(rf"(^|;)AccountName={account}(;|$)|//{account}\.", text):
        try:
            return BlobServiceClient.from_connection_string(text, **options)
        except ValueError:
            found = "AZURE_STORAGE_CONNECTION_STRING is not a connection string"
            raise Refused(found, REMEDY) from None
    address = f"https://{account}{HOST}"
    if os.environ.get("AZURE_STORAGE_ACCOUNT") == account:
        if key := os.environ.get("AZURE_STORAGE_KEY"):
            named = AzureNamedKeyCredential(account, key)
            return BlobServiceClient(address, credential=named, **options)
        if signature := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
            signed = AzureSasCredential(signature.removeprefix("?"))
            return BlobServiceClient(address, credential=signed, **options)
    return BlobServiceClient(address, credential=_identity(), **options)


def _identity() -> Any:
    """What azure-identity finds; None (public containers only) when it finds nothing."""
    try:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise lacks("az", "az:// URLs", error) from None
    # It would warn of every kind of credential that there is not.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    credential = DefaultAzureCredential()
    try:
        credential.get_token("https://storage.azure.com/.default")
    except ClientAuthenticationError:
        return None
    return credential


def _remote(account: str, container: str, name: str, item: Any) -> Remote:
    version = getattr(item, "version_id", None)
    url = f"az://{account}/{container}/{item.name}" + (f"?versionid={version}" if version else "")
    return Remote(name, url, size=item.size)


@contextmanager
def told() -> Iterator[None]:
    """What Azure's errors mean. Their own texts may hold a signature: only codes are told."""
    from azure.core import exceptions

    try:
        yield
    except exceptions.ClientAuthenticationError as error:
        raise Refused(f"Azure refuses access ({error.status_code or 401})", REMEDY) from None
    except exceptions.HttpResponseError as error:
        status, code = error.status_code or 0, getattr(error, "error_code", None) or ""
        if status in (412, 416):
            raise _Changed from None
        if status == 429 or status >= 500:
            raise Passing(f"Azure answers {status} {code}; try again later") from None
        if status == 404:
            raise Refused(f"it is not there (404 {code})", REMEDY) from None
        raise Refused(f"Azure refuses access ({status} {code})", REMEDY) from None
    except (exceptions.ServiceResponseTimeoutError, exceptions.ServiceRequestTimeoutError):
        raise Silent(f"no byte came for {SILENCE:g} s") from None
    except exceptions.AzureError as error:
        raise Broken(f"Azure cannot be reached ({type(error).__name__})") from None


def _chunks(stream: Any) -> Iterator[bytes]:
    try:
        with told():
            yield from stream.chunks()
    except _Changed:
        raise Broken("it was replaced meanwhile") from None
