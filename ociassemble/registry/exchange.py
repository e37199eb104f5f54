"""One HTTP exchange of the small registry: bodies in, answers and the specification's error documents out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

_BLOCK = 1 << 20  # bytes
_LINGER = 64 << 20  # bytes of a refused body that are read all the same
_STATUSES = {
    "BLOB_UNKNOWN": 404, "BLOB_UPLOAD_UNKNOWN": 404, "BLOB_UPLOAD_INVALID": 416, "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 400, "MANIFEST_INVALID": 400, "MANIFEST_UNKNOWN": 404, "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404, "SIZE_INVALID": 400, "UNSUPPORTED": 405,
}  # fmt: skip


class Refused(Exception):
    """A request that gets one of the specification's error codes as answer."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or _STATUSES[code]


class Exchange(BaseHTTPRequestHandler):
    """Reads and answers; which answer is the subclass's business. `_left` counts the unread bytes of the body."""

    protocol_version = "HTTP/1.1"
    server_version = "ociassemble-registry"
    sys_version = ""
    timeout = 300  # seconds without a byte
    wbufsize = 64 << 10
    disable_nagle_algorithm = True
    _left: int | None = 0

    def _announced(self) -> int | None:
        """Bytes of the request's body, -1 where it comes in chunks, None where that is nonsense."""
        if (self.headers.get("Transfer-Encoding") or "").lower() == "chunked":
            return -1
        text = self.headers.get("Content-Length") or "0"
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

    def _body(self) -> Iterator[bytes]:
        """The blocks of the request's body; one that breaks off is an error."""
        if self._left == -1:
            yield from self._chunks()
            return
        while self._left:
            block = self.rfile.read(min(_BLOCK, self._left))
            if not block:
                self.close_connection = True
                raise Refused("SIZE_INVALID", "the body broke off")
            self._left -= len(block)
            yield block

    def _linger(self) -> None:
        """Let a client that is still sending come to the answer: closing on it at once would throw the answer away."""
        self.wfile.flush()
        budget = _LINGER
        while self._left and self._left > 0 and budget > 0:
            block = self.rfile.read(min(_BLOCK, self._left))
            if not block:
                return
            self._left -= len(block)
            budget -= len(block)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self.rfile.readline(100).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", line):
                self.close_connection = True
                raise Refused("SIZE_INVALID", "the body broke off")
            left = int(line, 16)
            if left == 0:
                while self.rfile.readline(1000).strip():
                    pass
                self._left = 0
                return
            while left:
                block = self.rfile.read(min(_BLOCK, left))
                if not block:
                    self.close_connection = True
                    raise Refused("SIZE_INVALID", "the body broke off")
                left -= len(block)
                yield block
            self.rfile.readline(10)

    def _range(self, size: int) -> tuple[int, int]:
        """The part asked for, end exclusive; whatever is no single range means all."""
        found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (self.headers.get("Range") or "").strip())
        if not found or not (found[1] or found[2]):
            return 0, size
        if not found[1]:
            return max(0, size - int(found[2])), size
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if start >= size or end <= start:
            raise Refused("SIZE_INVALID", "no such range", status=416)
        return start, end

    def _json(self, document: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(document).encode()
        self._answer(status, raw, {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, refused: Refused) -> None:
        document = {"errors": [{"code": refused.code, "message": str(refused), "detail": None}]}
        self._json(document, status=refused.status)

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        if self._left:  # what was not read would be taken for the next request
            self.close_connection = True
        self.send_response(status)
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        for name, value in headers.items():
            if status != 204 or name != "Content-Length":
                self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
