"""An answer: status and headers at hand, the body as raw bytes, bounded and watched while it is read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ociassemble.net.errors import AnswerError, CutError, TimedOutError, translate
from ociassemble.net.url import Origin, redact

if TYPE_CHECKING:
    import urllib3

BLOCK = 1 << 20  # bytes a read at most
WINDOW = 60.0  # seconds in which a body must bring ...
LEAST = 60 << 10  # ... so many bytes, or it counts as stalled
_DRAIN = 64 << 10  # bytes: less is read to the end so that the connection can be used again


class Response:
    """Use as a context manager, or `close` it. `url` is the one that answered, after redirects."""

    def __init__(
        self,
        raw: urllib3.BaseHTTPResponse,
        *,
        method: str,
        url: str,
        origin: Origin,
        redirected: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._raw = raw
        self._clock = clock
        self.method = method
        self.url = url
        self.origin = origin
        self.redirected = redirected  # by another origin than the one that was asked
        self.status = raw.status

    def header(self, name: str, default: str = "") -> str:
        """The header's value, without control characters; several of one name are joined by commas."""
        return self._raw.headers.get(name, default)

    def headers(self, name: str) -> list[str]:
        """Every header of that name, as they came."""
        return list(self._raw.headers.getlist(name))

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """Content-Length in bytes, where it is a number."""
        value = self.header("Content-Length").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None

    @property
    def reason(self) -> str:
        return "".join(c if c.isprintable() else "?" for c in (self._raw.reason or ""))[:100]

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, undecoded. Raises `CutError` or `TimedOutError` when it stops coming."""
        host = self.origin.authority
        began, received = self._clock(), 0
        while True:
            try:
                block = self._raw.read1(BLOCK, decode_content=False)
            except Exception as error:
                self.close(drain=False)
                if isinstance(error, (OSError, ValueError)) or type(error).__module__.startswith("urllib3"):
                    raise translate(error, self.method, redact(self.url), host) from error
                raise
            if not block:
                return
            yield block
            received += len(block)
            if self._clock() - began >= WINDOW:
                if received < LEAST:
                    self.close(drain=False)
                    raise TimedOutError(f"`{host}` sent {received} bytes in {WINDOW:.0f} s: the download stalls")
                began, received = self._clock(), 0

    def read(self, limit: int) -> bytes:
        """All of a small body; more than `limit` bytes is an `AnswerError`."""
        length = self.length
        if length is not None and length > limit and self.method != "HEAD":
            self.close(drain=False)
            raise AnswerError(f"`{redact(self.url)}` announces {length} bytes where at most {limit} are taken")
        data = bytearray()
        for block in self.chunks():
            data += block
            if len(data) > limit:
                self.close(drain=False)
                raise AnswerError(f"`{redact(self.url)}` sends more than {limit} bytes")
        if length is not None and len(data) != length and self.method != "HEAD":
            raise CutError(f"`{redact(self.url)}` ended after {len(data)} of {length} bytes")
        return bytes(data)

    def close(self, *, drain: bool = True) -> None:
        """Give the connection back, or end it where a body is left that nobody wants."""
        length = self.length
        if drain and (self.method == "HEAD" or (length is not None and length <= _DRAIN)):
            with contextlib.suppress(Exception):  # what is thrown away cannot fail any more
                while self._raw.read1(_DRAIN, decode_content=False):
                    pass
        self._raw.close()
        self._raw.release_conn()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.close(drain=kind is None)
