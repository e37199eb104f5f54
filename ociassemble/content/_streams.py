"""Decompression as streams: bounded memory, all members or frames, nothing cut short and nothing after the end.

The decoders themselves come from content/compress.py, the only place that knows the libraries.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable
from typing import BinaryIO, Protocol

from ociassemble.errors import FormatError

_FEED = 64 << 10  # compressed bytes read at once
_SIP = 4 << 10  # ... and given to a fresh decoder, so that millions of tiny members cost no more than they weigh
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class CompressionError(FormatError):
    """A compressed stream is damaged, cut short, followed by other data, or wants too much memory."""

    code = "integrity.format.compression"


def skippable(magic: bytes) -> bool:
    """Whether a zstd frame that begins like this has no content (RFC 8878 3.1.2)."""
    return magic[1:4] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50


class Reader(io.RawIOBase):
    """Hands out what `_next` yields, and counts it."""

    def __init__(self, stream: BinaryIO, codec: str, limit: int | None) -> None:
        self._stream = stream
        self._codec = codec
        self._limit = limit
        self._count = 0
        self._rest = memoryview(b"")

    @abstractmethod
    def _next(self, wanted: int) -> bytes:
        """More decompressed bytes, empty only at the end; about `wanted` of them."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(self._next(len(buffer)))
            self._count += len(self._rest)
            if self._limit is not None and self._count > self._limit:
                raise CompressionError(f"the {self._codec} stream holds more than the {self._limit} bytes it may")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _cut(self) -> CompressionError:
        return CompressionError(f"the {self._codec} stream is cut short")


class PlainReader(Reader):
    def _next(self, wanted: int) -> bytes:
        return self._stream.read(wanted)


class Decoder(Protocol):
    """One member's decoder: the interface that lzma's and bz2's have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class MembersReader(Reader):
    """A sequence of one or more members (gzip), streams (xz, bzip2), each with its own header and trailer.

    With `padded`, zeros may follow the last one.
    """

    def __init__(
        self,
        stream: BinaryIO,
        codec: str,
        fresh: Callable[[], Decoder],
        errors: tuple[type[Exception], ...],
        magic: bytes,
        limit: int | None,
        *,
        padded: bool = False,
    ) -> None:
        super().__init__(stream, codec, limit)
        self._fresh = fresh
        self._magic = magic
        self._padded = padded
        self._decoder: Decoder | None = None
        self._errors: tuple[type[Exception], ...] = (*errors, MemoryError)
        self._input = b""
        self._feed = _SIP
        self._first = True

    def _next(self, wanted: int) -> bytes:
        while True:
            if self._decoder is None and not self._begin():
                return b""
            decoder = self._decoder
            assert decoder is not None
            data = b""
            if decoder.needs_input:
                if not self._input:
                    self._input = self._stream.read(_FEED)
                    if not self._input:
                        raise self._cut()
                data, self._input = self._input[: self._feed], self._input[self._feed :]
                self._feed = _FEED
            try:
                found = decoder.decompress(data, wanted)
            except self._errors as error:
                raise CompressionError(f"the {self._codec} stream is damaged: {error}") from error
            if decoder.eof:
                self._input = decoder.unused_data + self._input
                self._decoder = None
            if found:
                return found

    def _begin(self) -> bool:
        """Start the next member; False at the end."""
        while len(self._input) < len(self._magic):
            more = self._stream.read(_FEED)
            if not more:
                break
            self._input += more
        if not self._input and not self._first:
            return False
        if not self._input:
            raise CompressionError(f"the {self._codec} stream is empty")
        if self._padded and not self._first and self._only_zeros():
            return False
        if not self._input.startswith(self._magic):
            what = "does not begin as one" if self._first else "is followed by other data"
            raise CompressionError(f"the {self._codec} stream {what}")
        self._decoder = self._fresh()
        self._first = False
        self._feed = _SIP
        return True

    def _only_zeros(self) -> bool:
        """Whether nothing but zeros is left; if so, it has been read."""
        while not self._input.strip(b"\0"):
            self._input = self._stream.read(_FEED)
            if not self._input:
                return True
        return False


class Frame(Protocol):
    """The decoder of one zstd frame."""

    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class ZstandardReader(Reader):
    """zstd frames (RFC 8878), given to the library block by block: it has no limit on what it makes of its input.

    A block holds 128 KiB at most, so memory stays bounded; and the end of a frame is seen, which the library's own
    stream reader does not report.
    """

    _MAX_BLOCK = 128 << 10

    def __init__(
        self, stream: BinaryIO, fresh: Callable[[], Frame], errors: tuple[type[Exception], ...], limit: int | None
    ) -> None:
        super().__init__(stream, "zstd", limit)
        self._fresh = fresh
        self._errors: tuple[type[Exception], ...] = (*errors, MemoryError)
        self._frame: Frame | None = None
        self._checksum = False
        self._first = True

    def _next(self, wanted: int) -> bytes:
        while self._frame is not None or self._begin():
            if found := self._block():
                return found
        return b""

    def _begin(self) -> bool:
        """Read the header of the next frame; False at the end."""
        while magic := self._upto(4):
            if magic != ZSTD_MAGIC and not (len(magic) == 4 and skippable(magic)):
                what = "does not begin as one" if self._first else "is followed by other data"
                raise CompressionError(f"the zstd stream {what}")
            self._first = False
            if magic == ZSTD_MAGIC:
                break
            left = int.from_bytes(self._need(4), "little")
            while left:  # a skippable frame
                left -= len(self._need(min(left, _FEED)))
        else:
            if self._first:
                raise CompressionError("the zstd stream is empty")
            return False
        descriptor = self._need(1)
        flags = descriptor[0]
        size = (0, 1, 2, 4)[flags & 3] + (0, 2, 4, 8)[flags >> 6]
        if flags & 0x20:  # a single segment has no window descriptor, and at least one byte of content size
            size += flags < 0x40
        else:
            size += 1
        self._checksum = bool(flags & 4)
        self._frame = self._fresh()
        self._give(magic + descriptor + self._need(size))
        return True

    def _block(self) -> bytes:
        header = self._need(3)
        value = int.from_bytes(header, "little")
        last, kind, size = value & 1, value >> 1 & 3, value >> 3
        if kind == 3 or size > self._MAX_BLOCK:
            raise CompressionError("the zstd stream is damaged: a block of a kind or size that there is not")
        data = header + self._need(1 if kind == 1 else size)
        if last and self._checksum:
            data += self._need(4)
        found = self._give(data)
        if last:
            if self._frame is None or not self._frame.eof:
                raise CompressionError("the zstd stream is damaged: a frame does not end where it says")
            self._frame = None
        return found

    def _give(self, data: bytes) -> bytes:
        assert self._frame is not None
        try:
            return self._frame.decompress(data)
        except self._errors as error:
            raise CompressionError(f"the zstd stream is damaged: {error}") from error

    def _upto(self, size: int) -> bytes:
        data = self._stream.read(size)
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        return data

    def _need(self, size: int) -> bytes:
        data = self._upto(size)
        if len(data) != size:
            raise self._cut()
        return data
