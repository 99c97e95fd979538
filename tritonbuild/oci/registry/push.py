"""Puts an image, or an index of images, into a repository: what it consists of first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tritonbuild.errors import Interrupted
from tritonbuild.oci.content import Content, read
from tritonbuild.oci.documents import INDEXES, Descriptor, Index, Manifest
from tritonbuild.oci.errors import Absent, Invalid, OciError, Refused
from tritonbuild.oci.registry.referrers import note
from tritonbuild.oci.registry.repository import Repository
from tritonbuild.oci.registry.upload import CHUNKS, Outcome, Upload

PARALLEL = 4
"""Blobs at a time."""
_DEEPEST = 4
Progress = Callable[[Descriptor, int], None]
"""(what, bytes of it that are there); called by several threads."""


@dataclass(frozen=True)
class Pushed:
    descriptor: Descriptor
    outcome: Outcome

    @property
    def moved(self) -> int:
        """Bytes."""
        return self.descriptor.size if self.outcome == "moved" else 0


@dataclass(frozen=True)
class _Document:
    descriptor: Descriptor
    content: bytes
    parts: Sequence[Descriptor]
    """Its blobs."""
    subject: Descriptor | None


def push(
    source: Content,
    root: Descriptor,
    repository: Repository,
    tags: Sequence[str] = (),
    *,
    mounts: Sequence[str] = (),
    parallel: int = PARALLEL,
    progress: Progress = lambda what, done: None,
    cancelled: Callable[[], bool] = lambda: False,
    chunk: int = CHUNKS,
) -> list[Pushed]:
    """Moves what is not there; of the whole, each content once, in the order in which it has to be
    there. `mounts`: repositories of the same registry that may have some of it. An image that names
    a subject is found by `referrers` afterwards. Raises Absent, Refused, Passing, Invalid, and
    Interrupted once `cancelled`: all that was complete stays, and is not sent again."""
    documents = {document.descriptor.digest: document for document in _documents(source, root)}
    blobs = {blob.digest: blob for document in documents.values() for blob in document.parts}
    run = _Run(repository, source, mounts, progress, cancelled, chunk)
    named = _named(repository, tags) & blobs.keys()
    outcomes = run.all([blob for digest, blob in blobs.items() if digest not in named], parallel)
    for digest in named:
        outcomes[digest] = "there"
        progress(blobs[digest], blobs[digest].size)

    def put() -> list[Pushed]:
        done = []
        for digest, document in documents.items():
            run.check()
            names = (tags if digest == root.digest else ()) or (digest,)
            done.append(Pushed(document.descriptor, _put(repository, document, names)))
            progress(document.descriptor, document.descriptor.size)
        return done

    try:
        above = put()
    except (Absent, Refused):
        # It may have lost what its manifests name; or does not see yet what somebody else sent
        # at the same moment.
        looked_at = run.all([blobs[digest] for digest in named or blobs], parallel)
        outcomes |= looked_at if named else {}
        above = put()
    return [*(Pushed(blob, outcomes[digest]) for digest, blob in blobs.items()), *above]


def _named(repository: Repository, tags: Sequence[str]) -> set[str]:
    """Blobs of what the first tag has meant until now: a registry keeps what its manifests name, so
    that none of them has to be asked for."""
    for tag in tags[:1]:
        with suppress(OciError):
            found = repository.resolve(tag)
            return {b.digest for known in _documents(repository, found) for b in known.parts}
    return set()


def _documents(source: Content, root: Descriptor, depth: int = 0) -> Iterator[_Document]:
    """What an index names before the index."""
    content, what = read(source, root), f"{root.media_type} {root.digest}"
    if root.media_type not in INDEXES:
        manifest = Manifest.parse(content, what)
        yield _Document(root, content, [manifest.config, *manifest.layers], manifest.subject)
        return
    if depth == _DEEPEST:
        raise Invalid(f"index {root.digest} lies in {depth} others", expected="fewer")
    index = Index.parse(content, what)
    for below in index.manifests:
        yield from _documents(source, below, depth + 1)
    yield _Document(root, content, (), index.subject)


def _put(repository: Repository, document: _Document, names: Sequence[str]) -> Outcome:
    outcome: Outcome = "there"
    for name in names:
        if document.subject is None:
            with suppress(Absent):
                if repository.digest(name) == document.descriptor.digest:
                    continue
        outcome = "moved"
        kept = repository.put(document.content, document.descriptor.media_type, name)
        if document.subject is not None and not kept:
            note(repository, document.descriptor, document.content, document.subject)
    return outcome


class _Run:
    """Blobs, several at a time; the first that fails ends the others."""

    def __init__(
        self,
        repository: Repository,
        source: Content,
        mounts: Sequence[str],
        progress: Progress,
        cancelled: Callable[[], bool],
        chunk: int,
    ):
        self._repository = repository
        self._source = source
        self._mounts = mounts
        self._progress = progress
        self._cancelled = cancelled
        self._chunk = chunk
        self._ended = threading.Event()

    def all(self, blobs: Sequence[Descriptor], parallel: int) -> dict[str, Outcome]:
        self._ended.clear()
        pool = ThreadPoolExecutor(parallel)
        largest = sorted(blobs, key=lambda blob: -blob.size)
        futures = {blob.digest: pool.submit(self._one, blob) for blob in largest}
        try:
            done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
            failed = [error for future in done if (error := future.exception())]
            if failed:
                raise next((e for e in failed if not isinstance(e, Interrupted)), failed[0])
        finally:
            self._ended.set()  # of Ctrl-C here, too, which does not wait for a silent registry
            pool.shutdown(wait=False, cancel_futures=True)
        return {digest: future.result() for digest, future in futures.items()}

    def check(self) -> None:
        if self._cancelled():
            raise Interrupted()

    def _one(self, blob: Descriptor) -> Outcome:
        self._pause(0)
        upload = Upload(
            self._repository, self._source, blob, partial(self._told, blob), self._pause,
            self._chunk,
        )  # fmt: skip
        try:
            return upload.run(self._mounts)
        except BaseException:
            self._ended.set()
            raise

    def _told(self, blob: Descriptor, done: int) -> None:
        self._progress(blob, done)
        self._pause(0)

    def _pause(self, seconds: float) -> None:
        if self._ended.wait(seconds) if seconds else self._ended.is_set():
            raise Interrupted()
        self.check()
