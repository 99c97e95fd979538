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
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_REMEDY = (
    "credentials as for Google's own tools: `gcloud auth application-default login`, or "
    "GOOGLE_APPLICATION_CREDENTIALS"
)


def check(url: str) -> str:
    return "" if _URL.fullmatch(url) else "it is not gs://BUCKET/OBJECT"


def name(url: str) -> str:
    bucket, object, _ = _parts(url)
    return object.rstrip("/").rpartition("/")[2] or bucket


def direct(wanted: Wanted) -> str:
    _, object, _ = _parts(wanted.url)
    return "" if not object or object.endswith("/") else wanted.url


def files(wanted: Wanted) -> list[Remote]:
    bucket, object, generation = _parts(wanted.url)
    with _session() as session:
        if not object or object.endswith("/"):
            return list(_below(session, bucket, object, name(wanted.url)))
        which = {"generation": generation} if generation else {}
        answer = ask(session, _address(bucket, object), _REMEDY, params=which)
        return [_remote(bucket, name(wanted.url), answer)]


def opening(url: str) -> Web:
    bucket, object, generation = _parts(url)
    which = f"&generation={generation}" if generation else ""
    return Web(_session(), f"{_address(bucket, object)}?alt=media{which}", _REMEDY)


def _parts(url: str) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return match["bucket"], match["object"], match["generation"] or ""


def _address(bucket: str, object: str) -> str:
    return f"{_objects(bucket)}/{quote(object, safe='')}"


def _objects(bucket: str) -> str:
    """Where Google's own tools look for another endpoint than Google's, we do too."""
    endpoint = (
        os.environ.get("STORAGE_EMULATOR_HOST")
        or os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE")
        or _ENDPOINT
    )
    if "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    return f"{endpoint.rstrip('/')}/storage/v1/b/{quote(bucket, safe='')}/o"


def _session() -> requests.Session:
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
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except DefaultCredentialsError:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            found = "GOOGLE_APPLICATION_CREDENTIALS names no file with credentials"
            raise Refused(found, _REMEDY) from None
        return plain()
    try:
        credentials.refresh(Request())
    except GoogleAuthError as error:
        said = public(str(error.args[0]) if error.args else type(error).__name__)
        raise Refused(f"Google does not take these credentials: {said}", _REMEDY) from None
    made: requests.Session = AuthorizedSession(credentials)
    prepare(made)
    return made


def _below(session: requests.Session, bucket: str, prefix: str, folder: str) -> Iterator[Remote]:
    asked: dict[str, str] = {"prefix": prefix}
    while True:
        page = ask(session, _objects(bucket), _REMEDY, params=asked)
        for item in page.each("items"):
            object = item.text("name")
            if not object.endswith("/"):  # how consoles mark a folder
                yield _remote(bucket, f"{folder}/{object.removeprefix(prefix)}", item)
        if not (following := page.text("nextPageToken", default="")):
            return
        asked["pageToken"] = following


def _remote(bucket: str, name: str, item: Answer) -> Remote:
    url = f"gs://{bucket}/{item.text('name')}#{item.number('generation')}"
    return Remote(name, url, size=item.number("size"))
