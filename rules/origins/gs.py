"""Objects in Google Cloud Storage: `gs://BUCKET/OBJECT`, or `gs://BUCKET/PREFIX/` for all below a
prefix. Credentials are Google's application default ones. Its JSON API is spoken to directly:
https://cloud.google.com/storage/docs/json_api/v1/objects"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from tritonbuild.rule import public

from .answers import Answer, ask
from .https import Web, prepare
from .https import session as plain
from .source import Refused, Remote, Wanted, lacks

if TYPE_CHECKING:
    import requests

_URL = re.compile(r"gs://(?P<bucket>[\w.-]+)/(?P<object>.*?)(?:#(?P<generation>\d+))?", re.S)
_ENDPOINT = "https://storage.googleapis.com"
_READ = "https://www.googleapis.com/auth/devstorage.read_only"
REMEDY = (
    "credentials as for Google's own tools: `gcloud auth application-default login`, or "
    "GOOGLE_APPLICATION_CREDENTIALS"
)


def check(url: str) -> str:
    return "" if _URL.fullmatch(url) else "it is not gs://BUCKET/OBJECT"


def name(url: str) -> str:
    bucket, object, _ = parts(url)
    return object.rstrip("/").rpartition("/")[2] or bucket


def direct(wanted: Wanted) -> str:
    _, object, _ = parts(wanted.url)
    return "" if not object or object.endswith("/") else wanted.url


def files(wanted: Wanted) -> list[Remote]:
    bucket, object, generation = parts(wanted.url)
    with connect() as session:
        if not object or object.endswith("/"):
            return list(_below(session, bucket, object, name(wanted.url)))
        which = {"generation": generation} if generation else {}
        answer = ask(session, address(bucket, object), REMEDY, params=which)
        return [_remote(bucket, name(wanted.url), answer)]


def opening(url: str) -> Web:
    bucket, object, generation = parts(url)
    which = f"&generation={generation}" if generation else ""
    return Web(connect(), f"{address(bucket, object)}?alt=media{which}", REMEDY)


def parts(url: str) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return match["bucket"], match["object"], match["generation"] or ""


def address(bucket: str, object: str) -> str:
    return f"{_objects(bucket)}/{quote(object, safe='')}"


def _objects(bucket: str) -> str:
    return f"{endpoint()}/storage/v1/b/{quote(bucket, safe='')}/o"


def endpoint() -> str:
    """Where Google's own tools look for another than Google's, we do too."""
    said = (
        os.environ.get("STORAGE_EMULATOR_HOST")
        or os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE")
        or _ENDPOINT
    )
    if "://" not in said:
        said = f"http://{said}"
    return said.rstrip("/")


def connect(scope: str = _READ) -> requests.Session:
    """With credentials where there are any; an emulator wants none."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return plain()
    try:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession, Request
    except ImportError as error:
        raise lacks("gs", "gs:// URLs", error) from None
    try:
        credentials, _ = google.auth.default(scopes=[scope])
    except DefaultCredentialsError:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            found = "GOOGLE_APPLICATION_CREDENTIALS names no file with credentials"
            raise Refused(found, REMEDY) from None
        return plain()
    try:
        credentials.refresh(Request())
    except GoogleAuthError as error:
        said = public(str(error.args[0]) if error.args else type(error).__name__)
        raise Refused(f"Google does not take these credentials: {said}", REMEDY) from None
    made: requests.Session = AuthorizedSession(credentials)
    prepare(made)
    return made


def _below(session: requests.Session, bucket: str, prefix: str, folder: str) -> Iterator[Remote]:
    for item in listed(session, bucket, prefix):
        yield _remote(bucket, f"{folder}/{item.text('name').removeprefix(prefix)}", item)


def listed(session: requests.Session, bucket: str, prefix: str) -> Iterator[Answer]:
    """The objects below a prefix."""
    asked: dict[str, str] = {"prefix": prefix}
    while True:
        page = ask(session, _objects(bucket), REMEDY, params=asked)
        for item in page.each("items"):
            if not item.text("name").endswith("/"):  # how consoles mark a folder
                yield item
        if not (following := page.text("nextPageToken", default="")):
            return
        asked["pageToken"] = following


def _remote(bucket: str, name: str, item: Answer) -> Remote:
    url = f"gs://{bucket}/{item.text('name')}#{item.number('generation')}"
    return Remote(name, url, size=item.number("size"))
