"""A web server on this machine whose answers a test chooses."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@dataclass
class Web:
    port: int
    scheme: str = "http"
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of each."""
    ranges: list[str] = field(default_factory=list)
    """The Range header of each."""

    def url(self, path: str, credentials: str = "", host: str = "127.0.0.1") -> str:
        at = "@" if credentials else ""
        return f"{self.scheme}://{credentials}{at}{host}:{self.port}/{path}"


Answer = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]
"""Status and body; 0 where it has written its answer itself."""


def cut(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
    """Announces a body and breaks off in its middle."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True
    return 0, b""


def first(*answers: Answer) -> Answer:
    """One answer after the other; the last for ever."""
    waiting = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return answer


def ranged(
    body: bytes,
    tag: str = '"1"',
    sends: int | None = None,
    then: Callable[[], object] = lambda: None,
) -> Answer:
    """As web servers do: parts on demand, if it is still the same. Of what it announces it sends
    `sends` bytes at most, does what `then` says, and breaks off."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if handler.headers.get("If-Range", tag) != tag:
            start = 0
        if start >= len(body):
            return 416, b""
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if tag:
            handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        part = body[start:]
        handler.wfile.write(part if sends is None else part[:sends])
        if sends is not None and sends < len(part):
            handler.wfile.flush()
            then()
            handler.close_connection = True
        return 0, b""

    return answer


def redirect(url: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return 0, b""

    return answer


@cache
def authority() -> trustme.CA:
    """Signs the certificates of our servers."""
    return trustme.CA()


def authority_file(folder: Path) -> Path:
    """For REQUESTS_CA_BUNDLE and the like."""
    file = folder / "authority.pem"
    authority().cert_pem.write_to_path(str(file))
    return file


@contextmanager
def serve(answer: Answer, *, tls: bool = False, chosen: int = 0) -> Iterator[Web]:
    """On a port that is free, or a chosen one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.requests.append((self.path, self.headers.get("Authorization", "")))
            web.ranges.append(self.headers.get("Range", ""))
            status, body = answer(self)
            if status:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "text/html")
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_HEAD = do_POST = do_GET  # noqa: N815  # names of the standard library

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has gone is no news."""

    with Server(("127.0.0.1", chosen), Handler) as server:
        web = Web(server.server_port, "https" if tls else "http")
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority().issue_cert("127.0.0.1", "localhost").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
