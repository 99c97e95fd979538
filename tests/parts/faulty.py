"""A proxy in front of a real server that does wrong what it is told to do wrong."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

What = Literal[
    "answer",  # itself, with `status`, `headers` and `body`
    "reset",  # before anything is asked or answered
    "lose answer",  # does as it was asked, and tells nobody
    "cut upload",  # passes half of it on
    "cut body",  # hands half of it out, and ends the connection in order: all of that half arrives
    "stall",  # says nothing more
    "stall body",
    "change body",  # other bytes
    "authorize",  # with `headers`' in the place of the client's
]
_PIECE = 1 << 16
_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Fault:
    """Of requests whose method and path match."""

    what: What
    method: str = "GET"
    path: str = ".*"
    times: int = 1
    after: int = 0
    """So many that match go well first."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Seen:
    method: str
    path: str
    authorization: str
    range: str
    status: int = 0
    sent: int = 0
    """Bytes of content that were passed on."""
    given: int = 0
    """Bytes of the answer that were handed out."""
    over: bool = False
    """Nothing of it is on its way any more."""


@dataclass
class Proxy:
    port: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def asked(self, method: str, path: str = "") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and path in seen.path]

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.method == method and re.search(fault.path, path) and fault.times:
                    if fault.after:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def faulty(upstream: str, *faults: Fault) -> Iterator[Proxy]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            seen = Seen(
                self.command, self.path, self.headers.get("Authorization", ""),
                self.headers.get("Range", ""),
            )  # fmt: skip
            proxy.seen.append(seen)
            try:
                self.pass_or_fail(seen)
            finally:
                seen.over = True

        def pass_or_fail(self, seen: Seen) -> None:
            fault = proxy.fault(self.command, self.path)
            what = fault.what if fault else None
            length = int(self.headers.get("Content-Length") or 0)
            if what == "reset":
                self.reset()
                return
            if what == "stall":
                over.wait(60)
                self.close_connection = True
                return
            if fault and what == "answer":
                self.rfile.read(length)
                seen.status = fault.status
                self.send_response(fault.status)
                for name, value in fault.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(fault.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(fault.body)
                return
            headers = {n: v for n, v in self.headers.items() if n.lower() not in _HOP}
            if fault and what == "authorize":
                headers |= fault.headers
            connection = http.client.HTTPConnection(upstream, timeout=60)
            try:
                connection.putrequest(self.command, self.path, True, True)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders()
                self.pass_on(connection, length // 2 if what == "cut upload" else length, seen)
                if what == "cut upload":
                    self.reset()
                    return
                answer = connection.getresponse()
                seen.status = answer.status
                if what == "lose answer":
                    answer.read()
                    self.reset()
                    return
                self.hand_out(answer, what, seen)
            finally:
                connection.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815

        def pass_on(self, connection: http.client.HTTPConnection, left: int, seen: Seen) -> None:
            while left:
                piece = self.rfile.read(min(left, _PIECE))
                if not piece:
                    raise ConnectionResetError("the client has gone")
                with suppress(OSError):  # it answers before it has read all
                    connection.send(piece)
                left -= len(piece)
                seen.sent += len(piece)

        def hand_out(self, answer: http.client.HTTPResponse, what: What | None, seen: Seen) -> None:
            self.send_response(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {*_HOP, "date", "server"}:
                    self.send_header(name, value)
            left = int(answer.headers.get("Content-Length") or 0)
            if answer.headers.get("Content-Length") is None:
                self.send_header("Connection", "close")
                left = 1 << 62
            self.end_headers()
            if self.command == "HEAD":
                return
            if what in ("cut body", "stall body"):
                left //= 2
            while left and (piece := answer.read(min(left, _PIECE))):
                if what == "change body":
                    piece = bytes(byte ^ 1 for byte in piece)
                self.wfile.write(piece)
                left -= len(piece)
                seen.given += len(piece)
            if what == "stall body":
                self.wfile.flush()
                over.wait(60)
            if what == "cut body":
                self.close_connection = True
            if what == "stall body":
                self.reset()

        def reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
            self.close_request(request)  # with what SO_LINGER says

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has gone is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(server.server_port, list(faults))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            over.set()
            server.shutdown()
            thread.join()
