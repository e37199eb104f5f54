"""A blob of a registry as a stream: asked for when it is read, from where it is read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator


class BlobStream(io.RawIOBase):
    """`size` bytes that `begin(offset)` gives, from there on; after a `seek` they are asked for from the new place.

    It verifies nothing: `content.blob.Blob` and the store do.
    """

    def __init__(self, begin: Callable[[int], Iterator[bytes]], size: int) -> None:
        self._begin = begin
        self._size = size
        self._blocks: Iterator[bytes] | None = None
        self._rest = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (0, self._at, self._size)[whence]
        if place < 0:
            raise ValueError(f"a negative place in a stream: {place}")
        if place != self._at:
            self._end()
            self._at = place
        return place

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        while not self._rest:
            block = next(self._following(), None)
            if block is None:
                return b""
            self._rest = memoryview(block)
        found, self._rest = bytes(self._rest[:size]), self._rest[size:]
        self._at += len(found)
        return found

    def readall(self) -> bytes:
        found = b"".join((self._rest, *self._following()))
        self._rest = memoryview(b"")
        self._at += len(found)
        return found

    def close(self) -> None:
        self._end()
        super().close()

    def _following(self) -> Iterator[bytes]:
        if self._blocks is None:
            self._blocks = self._begin(self._at)
        return self._blocks

    def _end(self) -> None:
        """End the request, where one is under way."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()
        self._blocks, self._rest = None, memoryview(b"")
