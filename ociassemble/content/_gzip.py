"""The gzip member that layers are written as: its own module of content/compress.py, which knows the library."""

from __future__ import annotations

from typing import Any

from ociassemble.content.codec import Codec

_WINDOW = 32 << 10  # bytes that deflate looks back
_STORED = 0xFFFF  # bytes of the largest stored block (RFC 1951 3.2.4)
_STRIDE = 127  # every so many bytes one is looked at, to see whether a block is noise
_PROBE = 16 << 10  # bytes that are compressed to be sure of it


class GzipEncoder:
    """One gzip member (RFC 1952) of raw deflate blocks, each primed with the 32 KiB before it, as pigz does it.

    Every block gets a compressor of its own: zlib-ng's output after a reset differs from that of a new one.
    `zlib` is the module zlib_ng.zlib_ng.
    """

    parallel = True
    # Magic, deflate, no flags, no time, no extra flags, operating system unknown.
    _HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

    def __init__(self, zlib: Any, codec: Codec) -> None:
        self._zlib = zlib
        # What is compressed already takes deflate three times as long as text, for nothing.
        self._stores = codec.encoder >= 2
        memory = 7 if codec.encoder >= 2 else 8
        self._arguments = (codec.level, zlib.DEFLATED, -15, memory, zlib.Z_DEFAULT_STRATEGY)
        self._crc = 0
        self._size = 0

    def start(self) -> bytes:
        return self._HEADER

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        if self._stores and self._is_noise(block):
            return _stored(block) + (b"\x03\x00" if last else b"")
        return self._deflated(block, before[-_WINDOW:], last)

    def passed(self, block: bytes) -> None:
        self._crc = self._zlib.crc32(block, self._crc)
        self._size += len(block)

    def finish(self) -> bytes:
        return self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")

    def _deflated(self, block: bytes, dictionary: bytes, last: bool) -> bytes:
        zlib = self._zlib
        more = (dictionary,) if dictionary else ()
        compressor = zlib.compressobj(*self._arguments, *more)
        body: bytes = compressor.compress(block)
        end: bytes = compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        return body + end

    def _is_noise(self, block: bytes) -> bool:
        """Whether `block` is as good as random: a function of its bytes and the codec alone (LAYER-35)."""
        if len(block) < 4 * _PROBE:
            return False
        seen = block[::_STRIDE]
        # In text, code and tables one of these stands out; in noise each is one byte of 256.
        if any(seen.count(value) * 256 > 3 * len(seen) for value in (0x00, 0x20, 0x65, 0xFF)):
            return False
        middle = len(block) // 2
        return len(self._deflated(block[middle : middle + _PROBE], b"", True)) * 100 >= _PROBE * 98


def _stored(block: bytes) -> bytes:
    """`block` as stored blocks, none of them the last; they begin and end at a byte (RFC 1951 3.2.4)."""
    parts: list[bytes | memoryview] = []
    for start in range(0, len(block), _STORED):
        part = memoryview(block)[start : start + _STORED]
        parts += (b"\x00", len(part).to_bytes(2, "little"), (len(part) ^ 0xFFFF).to_bytes(2, "little"), part)
    return b"".join(parts)
