"""A door on loopback in front of a server: it passes everything on, and counts requests and bytes, both ways.

Used for runs that are not timed: passing bytes on costs CPU.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import NamedTuple


class Request(NamedTuple):
    """One HTTP/1.1 request: its method, its target, and the bytes of its body (of its chunks, where it is chunked)."""

    method: str
    target: str
    body: int


class Requests:
    """Reads the requests of one connection out of what a client sends, however the bytes are cut."""

    def __init__(self) -> None:
        self.done: list[Request] = []
        self._buffer = b""
        self._left = 0  # bytes of a body, or of a chunk and its line end, that are still to come
        self._chunked = False
        self._open: Request | None = None

    def feed(self, data: bytes) -> None:
        """Take what came next. Only the lines are looked at, never a body."""
        self._buffer += data
        while self._buffer:
            if self._left:
                passed = min(self._left, len(self._buffer))
                self._left -= passed
                self._buffer = self._buffer[passed:]
                if not self._left and not self._chunked:
                    self._end()
            elif self._chunked:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                if not self._chunk(line, rest):
                    return
            else:
                head, found, rest = self._buffer.partition(b"\r\n\r\n")
                if not found:
                    return
                self._buffer = rest
                self._head(head)

    def _head(self, head: bytes) -> None:
        first, _, fields = head.decode("latin-1").partition("\r\n")
        method, target, _ = (*first.split(" "), "", "")[:3]
        self._chunked = bool(re.search(r"(?im)^transfer-encoding:.*chunked", fields))
        length = re.search(r"(?im)^content-length:\s*(\d+)", fields)
        self._left = 0 if self._chunked or length is None else int(length[1])
        self._open = Request(method, target, self._left)
        if not self._left and not self._chunked:
            self._end()

    def _chunk(self, line: bytes, rest: bytes) -> bool:
        """Take the line before a chunk; False where more bytes are needed first."""
        size = int(line.partition(b";")[0], 16)
        assert self._open is not None
        if size:
            self._open = self._open._replace(body=self._open.body + size)
            self._left, self._buffer = size + 2, rest
        elif b"\r\n" in rest:  # the empty line; nobody sends trailers to a registry
            self._buffer = rest.partition(b"\r\n")[2]
            self._chunked = False
            self._end()
        else:
            return False
        return True

    def _end(self) -> None:
        assert self._open is not None
        self.done.append(self._open)
        self._open = None


class Door:
    """Listens on `port` (0: any), passes on to `behind`. Use it as a context manager."""

    def __init__(self, behind: int, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._up = self._down = self._connections = 0
        self._meters: list[Requests] = []
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def up(self) -> int:
        """All bytes that clients sent: requests, headers, bodies."""
        with self._lock:
            return self._up

    @property
    def down(self) -> int:
        """All bytes that clients got."""
        with self._lock:
            return self._down

    @property
    def connections(self) -> int:
        with self._lock:
            return self._connections

    @property
    def requests(self) -> list[Request]:
        """Every request that was sent to its end, connection by connection."""
        with self._lock:
            return [request for meter in self._meters for request in meter.done]

    @property
    def bodies(self) -> int:
        """The bytes of all bodies sent."""
        return sum(request.body for request in self.requests)

    def forget(self) -> None:
        """Count from nothing again; connections that are open go on."""
        with self._lock:
            self._up = self._down = self._connections = 0
            for meter in self._meters:
                meter.done.clear()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                meter = Requests()
                with self._lock:
                    self._connections += 1
                    self._meters.append(meter)
                server = socket.create_connection(("127.0.0.1", self._behind))
                threading.Thread(target=self._pass, args=(client, server, meter), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, None), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, meter: Requests | None) -> None:
        """From one socket to the other until the end; `meter` reads along on the way up."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                with self._lock:
                    if meter is None:
                        self._down += len(data)
                    else:
                        self._up += len(data)
                        meter.feed(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown wakes the thread that waits in accept; close alone leaves the port taken.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
