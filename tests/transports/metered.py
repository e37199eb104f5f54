"""A line to a registry that counts: every request, and the bytes in both directions."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

_ANSWER = re.compile(rb"(?:^|\n)HTTP/1\.1 ([0-9]{3})")
_REQUEST = re.compile(rb"(?:^|\n)(GET|HEAD|POST|PUT|PATCH|DELETE) (/v2/[^ ]*) HTTP/1\.1\r\n")


class Meter:
    """Passes connections on to `host`; what goes through it is counted. `name` is its own host and port."""

    def __init__(self, host: str) -> None:
        address, _, port = host.rpartition(":")
        self._there = (address, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.name = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.clear()
        threading.Thread(target=self._accept, daemon=True).start()

    def clear(self) -> None:
        """Begin to count anew."""
        self.up = self.down = 0
        self.requests: list[str] = []
        self.answers: list[str] = []  # statuses: what is asked twice was refused once

    def methods(self) -> dict[str, int]:
        """How often each method was used."""
        names = [line.split(" ")[0] for line in self.requests]
        return {name: names.count(name) for name in sorted(set(names))}

    def close(self) -> None:
        for item in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._there)
            for item in (client, server):
                item.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open += (client, server)
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    if up:
                        self.up += len(data)
                        self.requests += [f"{m[1].decode()} {m[2].decode()}" for m in _REQUEST.finditer(data)]
                    else:
                        self.down += len(data)
                        self.answers += [m[1].decode() for m in _ANSWER.finditer(data)]
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
