"""All codecs: readers of every compression that archives come in, and the encoders layers are written with.

What an encoder yields depends on its input and its `Codec` alone: not on threads, sizes of writes, the machine or
the clock (specs/behaviour/layer-format.md, "Compression"). Readers stream in bounded memory, read to the end of
their source, and refuse what is cut short or followed by anything else.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, BinaryIO, Protocol

from ociassemble.content._gzip import GzipEncoder
from ociassemble.content._streams import (
    ZSTD_MAGIC,
    CompressionError,
    MembersReader,
    PlainReader,
    Reader,
    ZstandardReader,
    skippable,
)
from ociassemble.content.codec import BASE_BLOCK, BLOCK, ZSTD_JOB, Codec, CompressionUsageError, Role, choose_level

__all__ = [
    "BASE_BLOCK",
    "BLOCK",
    "Codec",
    "CompressionError",
    "CompressionUsageError",
    "Encoder",
    "Role",
    "codec",
    "encoder",
    "inflate",
    "inflate_whole",
    "open_reader",
    "parse",
    "sniff",
]


def codec(name: str, level: int | None = None, role: Role = "dependency") -> Codec:
    """The codec of this name; without a level, the one for layers of this role. Raises `CompressionUsageError`."""
    level = choose_level(name, level, role)
    if name == "gzip":
        version = str(_zlib().ZLIBNG_RUNTIME_VERSION)
        if role == "base":
            return Codec(name, "zlib-ng", version, level, BASE_BLOCK)
        return Codec(name, "zlib-ng", version, level, BLOCK, 2)
    if name == "zstd":
        import zstandard

        return Codec(name, "zstd", ".".join(map(str, zstandard.ZSTD_VERSION)), level, ZSTD_JOB)
    return Codec(name)


def parse(text: str, role: Role = "dependency") -> Codec:
    """The codec a user asked for: `gzip`, `zstd:19`, `none`."""
    name, colon, level = text.partition(":")
    if colon and not (level.isascii() and level.isdigit() and len(level) < 4):
        raise CompressionUsageError(f"not a compression: `{text:.100}`", hint="write it like `gzip:6`")
    return codec(name, int(level) if colon else None, role)


# ------------------------------------------------------------------------------------------------ writing


class Encoder(Protocol):
    """One compressed stream. The blocks are all of the codec's block size, but for the last (which may be empty).

    If `parallel`, `encode` may be called for several blocks at once, else in order. `finish` comes last.
    """

    parallel: bool

    def start(self) -> bytes: ...

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        """`block` compressed; `before` is the block before it."""
        ...

    def passed(self, block: bytes) -> None:
        """Called with each block in order."""
        ...

    def finish(self) -> bytes: ...


def encoder(codec: Codec, jobs: int = 1) -> Encoder:
    """A fresh encoder; one that is not `parallel` may use `jobs` threads of its own."""
    if codec.name == "gzip":
        return GzipEncoder(_zlib(), codec)
    if codec.name == "zstd":
        return _Zstandard(codec, jobs)
    return _Plain()


@cache
def _zlib() -> Any:
    from zlib_ng import zlib_ng

    return zlib_ng


class _Zstandard:
    """One zstd frame with a content checksum, cut into jobs of one size, each with a whole window before it.

    How many threads do the jobs changes no byte; having none would, so there is always one.
    """

    parallel = False
    _HEAVY = 10  # from this level on one thread takes 40 to 120 MiB

    def __init__(self, codec: Codec, jobs: int) -> None:
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(
            codec.level,
            # Half of them: the others read, hash and write, and another layer is made at the same time.
            threads=max(1, jobs // 2) if codec.level < self._HEAVY else 1,
            job_size=codec.block,
            overlap_log=9,
            write_checksum=True,
            write_content_size=False,
        )
        self._frame: Any = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def start(self) -> bytes:
        return b""

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        compressed: bytes = self._frame.compress(block)
        if last:
            compressed += self._frame.flush()
            self._frame = None  # its tens of MiB now, not when this object is collected
        return compressed

    def passed(self, block: bytes) -> None:
        pass

    def finish(self) -> bytes:
        return b""


class _Plain:
    parallel = False

    def start(self) -> bytes:
        return b""

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        return block

    def passed(self, block: bytes) -> None:
        pass

    def finish(self) -> bytes:
        return b""


# ------------------------------------------------------------------------------------------------ reading

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": ZSTD_MAGIC, "xz": b"\xfd7zXZ\x00", "bzip2": b"BZh"}
_READ = 256 << 10  # decompressed bytes made at once
_LITTLE = 32 << 10  # bytes that deflate cannot have made from more than 33 MiB
_XZ_MEMORY = 100 << 20  # bytes; `xz -9` needs 65 MiB
_ZSTD_WINDOW = 1 << 27  # bytes; what `zstd -d` accepts without being asked


def sniff(prefix: bytes) -> str:
    """The codec (gzip, zstd, xz, bzip2, none) of a stream that begins with `prefix`, six bytes of it or more."""
    for name, magic in _MAGIC.items():
        if prefix.startswith(magic):
            return name
    return "zstd" if skippable(prefix) else "none"


def open_reader(stream: BinaryIO, codec: str, *, limit: int | None = None, padded: bool = False) -> BinaryIO:
    """`stream` decompressed, as a stream; closing it closes `stream`. More than `limit` bytes: `CompressionError`.

    All members or frames are read. With `padded`, zeros may follow the last member of gzip. Bad data raises
    `CompressionError`, errors of `stream` come through as they are.
    """
    source: Reader
    if codec == "gzip":
        source = MembersReader(stream, codec, _GzipDecoder, (_zlib().error,), _MAGIC[codec], limit, padded=padded)
    elif codec == "xz":
        import lzma

        def xz() -> lzma.LZMADecompressor:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

        source = MembersReader(stream, codec, xz, (lzma.LZMAError, EOFError), _MAGIC[codec], limit)
    elif codec == "bzip2":
        import bz2

        source = MembersReader(
            stream, codec, bz2.BZ2Decompressor, (OSError, ValueError, EOFError), _MAGIC[codec], limit
        )
    elif codec == "zstd":
        import zstandard

        frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        source = ZstandardReader(stream, frames.decompressobj, (zstandard.ZstdError,), limit)
    elif codec == "none":
        source = PlainReader(stream, codec, limit)
    else:
        raise CompressionUsageError(f"no such compression: `{codec}`")
    return io.BufferedReader(source, _READ)


class _GzipDecoder:
    """zlib's decompression object in that interface."""

    def __init__(self) -> None:
        self._object = _zlib().decompressobj(31)
        self._full = False

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found: bytes = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        # A full answer may leave more in the decoder than in the tail.
        self._full = len(found) == max_length
        return found


# ------------------------------------------------------------------------------------------------ raw deflate


def inflate(
    chunks: Iterable[bytes], size: int, crc32: int, what: str = "the deflate stream", *, stored: bool = False
) -> Iterator[bytes]:
    """A zip member's `chunks` (raw deflate, or as they are if `stored`) unpacked, in blocks of 256 KiB at most.

    Raises `CompressionError`, naming `what`, unless they hold one whole stream and nothing after it, of exactly
    `size` bytes with this `crc32`. The last checks come after the last block: read to the end before believing it.
    """
    zlib = _zlib()
    left, value = size, 0
    for block in chunks if stored else _inflated(chunks, size, what):
        left -= len(block)
        if left < 0:
            break
        value = zlib.crc32(block, value)
        yield block
    if left:
        raise CompressionError(f"{what} unpacks to {'more' if left < 0 else 'less'} than its {size} bytes")
    if value != crc32:
        raise CompressionError(f"{what} has the checksum {value:08x}, not {crc32:08x}")


def inflate_whole(data: bytes, size: int, crc32: int, *, stored: bool = False) -> bytes | None:
    """The same for a small member at once: `data` is all of it. None where `inflate` will say what is wrong with it."""
    zlib = _zlib()
    plain = data
    if not stored:
        decoder = zlib.decompressobj(-15)
        try:
            # A bound costs memory to be cut to size; little data needs none, for it cannot become much.
            plain = decoder.decompress(data) if len(data) <= _LITTLE else decoder.decompress(data, size + 1)
        except (zlib.error, MemoryError):
            return None
        if not decoder.eof or decoder.unused_data:
            return None
    return plain if len(plain) == size and zlib.crc32(plain) == crc32 else None


def _inflated(chunks: Iterable[bytes], size: int, what: str) -> Iterator[bytes]:
    """One raw deflate stream unpacked; stops early once there is more than `size` bytes."""
    zlib = _zlib()
    decoder = zlib.decompressobj(-15)
    left = size
    for chunk in chunks:
        data = chunk
        while data or not decoder.eof:
            if decoder.eof:
                raise CompressionError(f"{what} is followed by other data")
            limit = min(_READ, left + 1)
            try:
                block: bytes = decoder.decompress(data, limit)
            except (zlib.error, MemoryError) as error:
                raise CompressionError(f"{what} is damaged: {error}") from error
            left -= len(block)
            if block:
                yield block
            if left < 0:
                return
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if not data and len(block) < limit:
                break
    if not decoder.eof:
        raise CompressionError(f"{what} is cut short")
