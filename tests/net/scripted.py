"""An HTTP server that does what a test tells it, right or wrong, and remembers all it was asked."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Answer(NamedTuple):
    """`cut` bytes of the body are sent and then the connection ends; -1 ends it before any answer."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    length: int | None = None  # another Content-Length than the body's
    delay: float = 0.0  # seconds before the status line
    drip: float = 0.0  # seconds between single bytes of the body
    endless: bool = False  # the body again and again, chunked
    reset: bool = False  # end with a RST instead of a FIN


Reply = Answer | Callable[[Request], Answer]


class ScriptedServer(ThreadingHTTPServer):
    """`on(method, path pattern, *replies)`: the replies in turn, the last one for ever. Unknown: 404."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str = "127.0.0.1") -> None:
        if ":" in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, 0), _Handler)
        self.name = f"[{address}]" if ":" in address else address
        self.rules: list[tuple[str, re.Pattern[str], list[Reply]]] = []
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def on(self, method: str, pattern: str, *replies: Reply) -> None:
        """Later rules are asked first."""
        self.rules.insert(0, (method, re.compile(pattern), list(replies)))

    def reply(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            for method, pattern, replies in self.rules:
                if method in (request.method, "*") and pattern.fullmatch(request.path):
                    found = replies.pop(0) if len(replies) > 1 else replies[0]
                    break
            else:
                return Answer(404, b"no such path")
        return found(request) if callable(found) else found

    def asked(self, method: str = "*") -> list[str]:
        """`METHOD path` of every request, or the paths of one method."""
        with self.lock:
            return [
                f"{r.method} {r.path}" if method == "*" else r.path for r in self.requests if method in ("*", r.method)
            ]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that hang up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length < 64 << 20 else self._skip(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.reply(Request(self.command, self.path, headers, body))
        self._send(answer)

    def _skip(self, length: int) -> bytes:
        while length > 0:
            length -= len(self.rfile.read(min(1 << 20, length)) or b"x" * length)
        return b""

    def _send(self, answer: Answer) -> None:
        if answer.delay:
            time.sleep(answer.delay)
        if answer.cut == -1:
            self._end(answer)
            return
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.endless:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(answer.body), answer.body))
        given = {name.lower() for name, _ in answer.headers}
        if "content-length" not in given:
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.drip:
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(answer.drip)
        else:
            self.wfile.write(body)
        if answer.cut is not None:
            self._end(answer)

    def _end(self, answer: Answer) -> None:
        self.wfile.flush()
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR) if not answer.reset else self.connection.close()

    def log_message(self, *args: object) -> None:
        pass


def ranged(data: bytes, *cuts: int) -> Callable[[Request], Answer]:
    """A server of one file that honours Range; its first answers break off after `cuts` bytes each."""
    left = list(cuts)

    def answer(request: Request) -> Answer:
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        cut = left.pop(0) if left else None
        if not found:
            return Answer(200, data, cut=cut)
        start = int(found[1])
        if start >= len(data):
            return Answer(416)
        where = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Answer(206, data[start:], (("Content-Range", where),), cut=cut)

    return answer
