"""All codecs: readers of every compression that archives come in, and the encoders layers are written with.

What an encoder yields depends on its input and its `Codec` alone: not on threads, sizes of writes, the machine or
the clock (specs/behaviour/layer-format.md, "Compression"). Readers stream in bounded memory, read to the end of
their source, and refuse what is cut short or followed by anything else.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol, cast

from ociassemble.errors import FormatError, UsageError
from ociassemble.oci import mediatype

if TYPE_CHECKING:
    import zstandard

Role = Literal["dependencies", "application", "base"]


class CompressionError(FormatError):
    """A compressed stream is damaged, cut short, followed by other data, or wants too much memory."""

    code = "integrity.format.compression"


class CompressionUsageError(UsageError):
    """A codec or level that there is none of."""

    code = "usage.compression"


# ------------------------------------------------------------------------------------------------ identity


class Codec(NamedTuple):
    """All that decides compressed bytes: `name` (gzip, zstd, none), library and its version, level, block size."""

    name: str
    library: str = ""
    version: str = ""
    level: int = 0
    block: int = 0  # bytes

    @property
    def identity(self) -> str:
        """The codec as the lock records it, e.g. `gzip:zlib-ng/2.3.3:3:262144`, `none`."""
        if self.name == "none":
            return self.name
        return f"{self.name}:{self.library}/{self.version}:{self.level}:{self.block}"

    @property
    def media_type(self) -> str:
        """What a layer written with it is in a manifest."""
        return _MEDIA_TYPES[self.name]


_MEDIA_TYPES = {
    "gzip": mediatype.OCI_LAYER_GZIP,
    "zstd": mediatype.OCI_LAYER_ZSTD,
    "none": mediatype.OCI_LAYER,
}
_LEVELS = {"gzip": range(1, 10), "zstd": range(1, 20), "none": range(1)}
# Measured (specs/behaviour/layer-format.md): level 3 is where gzip stops getting smaller for little time. Base
# layers are written once and pulled often.
_DEFAULT = {"gzip": {"base": 9, "": 3}, "zstd": {"": 9}, "none": {"": 0}}
BLOCK = 256 << 10  # bytes of tar compressed as one piece of work; below it threads get in the way of each other


def codec(name: str, level: int | None = None, role: Role = "dependencies") -> Codec:
    """The codec of this name; without a level, the one for layers of this role. Raises `CompressionUsageError`."""
    levels = _LEVELS.get(name)
    if levels is None:
        raise CompressionUsageError(f"no such compression: `{name}`", hint="choose gzip, zstd or none")
    if level is None:
        level = _DEFAULT[name].get(role, _DEFAULT[name][""])
    elif level not in levels:
        said = f"from {levels[0]} to {levels[-1]}" if name != "none" else "none"
        raise CompressionUsageError(f"{name} has no level {level}", hint=f"levels of {name}: {said}")
    if name == "gzip":
        from zlib_ng import zlib_ng

        return Codec(name, "zlib-ng", str(zlib_ng.ZLIBNG_RUNTIME_VERSION), level, BLOCK)
    if name == "zstd":
        import zstandard

        return Codec(name, "zstd", ".".join(map(str, zstandard.ZSTD_VERSION)), level, BLOCK)
    return Codec(name)


def parse(text: str, role: Role = "dependencies") -> Codec:
    """The codec a user asked for: `gzip`, `zstd:19`, `none`."""
    name, colon, level = text.partition(":")
    if colon and not (level.isascii() and level.isdigit() and len(level) < 4):
        raise CompressionUsageError(f"not a compression: `{text}`", hint="write it like `gzip:6`")
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


def encoder(codec: Codec) -> Encoder:
    """A fresh encoder."""
    if codec.name == "gzip":
        return _Gzip(codec.level)
    if codec.name == "zstd":
        return _Zstandard(codec.level)
    return _Plain()


class _Gzip:
    """One gzip member (RFC 1952) of raw deflate blocks, each primed with the 32 KiB before it, as pigz does it.

    Every block gets a compressor of its own: zlib-ng's output after a reset differs from that of a new one.
    """

    parallel = True
    # Magic, deflate, no flags, no time, no extra flags, operating system unknown.
    _HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    _WINDOW = 32 << 10

    def __init__(self, level: int) -> None:
        from zlib_ng import zlib_ng

        self._zlib = zlib_ng
        self._level = level
        self._crc = 0
        self._size = 0

    def start(self) -> bytes:
        return self._HEADER

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        zlib = self._zlib
        arguments = (self._level, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
        if before:
            compressor = zlib.compressobj(*arguments, before[-self._WINDOW :])
        else:
            compressor = zlib.compressobj(*arguments)
        body: bytes = compressor.compress(block)
        end: bytes = compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        return body + end

    def passed(self, block: bytes) -> None:
        self._crc = self._zlib.crc32(block, self._crc)
        self._size += len(block)

    def finish(self) -> bytes:
        return self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")


class _Zstandard:
    """One zstd frame with a content checksum, made by one thread: with more the bytes would differ."""

    parallel = False

    def __init__(self, level: int) -> None:
        import zstandard

        compressor = zstandard.ZstdCompressor(level=level, threads=0, write_checksum=True, write_content_size=False)
        self._frame = compressor.compressobj()

    def start(self) -> bytes:
        return b""

    def encode(self, block: bytes, before: bytes, last: bool) -> bytes:
        compressed = self._frame.compress(block)
        return compressed + self._frame.flush() if last else compressed

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

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
_FEED = 64 << 10  # compressed bytes read at once
_SIP = 4 << 10  # ... and given to a fresh decoder, so that millions of tiny members cost no more than they weigh
_READ = 256 << 10  # decompressed bytes made at once
_XZ_MEMORY = 100 << 20  # bytes; `xz -9` needs 65 MiB
_ZSTD_WINDOW = 1 << 27  # bytes; what `zstd -d` accepts without being asked


def sniff(prefix: bytes) -> str:
    """The codec (gzip, zstd, xz, bzip2, none) of a stream that begins with `prefix`, six bytes of it or more."""
    for magic, name in _MAGIC:
        if prefix.startswith(magic):
            return name
    if prefix[1:4] == b"\x2a\x4d\x18" and prefix[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame first
    return "none"


def open_reader(stream: BinaryIO, codec: str, *, limit: int | None = None) -> BinaryIO:
    """`stream` decompressed, as a stream; closing it closes `stream`. More than `limit` bytes: `CompressionError`.

    All members or frames are read. Bad data raises `CompressionError`, errors of `stream` come through as they are.
    """
    source: _Reader
    if codec == "gzip":
        source = _Members(stream, codec, _gzip_decoder, b"\x1f\x8b", limit)
    elif codec == "xz":
        source = _Members(stream, codec, _xz_decoder, b"\xfd7zXZ\x00", limit)
    elif codec == "bzip2":
        source = _Members(stream, codec, _bzip2_decoder, b"BZh", limit)
    elif codec == "zstd":
        source = _ZstandardReader(stream, limit)
    elif codec == "none":
        source = _PlainReader(stream, codec, limit)
    else:
        raise CompressionUsageError(f"no such compression: `{codec}`")
    return io.BufferedReader(source, _READ)


class _Reader(io.RawIOBase):
    """Hands out what `_next` yields, and counts it."""

    def __init__(self, stream: BinaryIO, codec: str, limit: int | None) -> None:
        self._stream = stream
        self._codec = codec
        self._limit = limit
        self._count = 0
        self._rest = memoryview(b"")

    def _next(self, wanted: int) -> bytes:
        """More decompressed bytes, empty only at the end; about `wanted` of them."""
        raise NotImplementedError

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


class _PlainReader(_Reader):
    def _next(self, wanted: int) -> bytes:
        return self._stream.read(wanted)


class _Decoder(Protocol):
    """One member's decoder: the interface that lzma's and bz2's have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipDecoder:
    """zlib's decompression object in that interface."""

    def __init__(self) -> None:
        from zlib_ng import zlib_ng

        self.error = cast("type[Exception]", zlib_ng.error)
        self._object = zlib_ng.decompressobj(31)

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)

    _full = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found: bytes = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        # A full answer may leave more in the decoder than in the tail.
        self._full = len(found) == max_length
        return found


def _gzip_decoder() -> tuple[_Decoder, tuple[type[Exception], ...]]:
    decoder = _GzipDecoder()
    return decoder, (decoder.error,)


def _xz_decoder() -> tuple[_Decoder, tuple[type[Exception], ...]]:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), (lzma.LZMAError, EOFError)


def _bzip2_decoder() -> tuple[_Decoder, tuple[type[Exception], ...]]:
    import bz2

    return bz2.BZ2Decompressor(), (OSError, ValueError, EOFError)


class _Members(_Reader):
    """A sequence of one or more members (gzip), streams (xz, bzip2), each with its own header and trailer."""

    def __init__(
        self,
        stream: BinaryIO,
        codec: str,
        fresh: Callable[[], tuple[_Decoder, tuple[type[Exception], ...]]],
        magic: bytes,
        limit: int | None,
    ) -> None:
        super().__init__(stream, codec, limit)
        self._fresh = fresh
        self._magic = magic
        self._decoder: _Decoder | None = None
        self._errors: tuple[type[Exception], ...] = ()
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
            except (*self._errors, MemoryError) as error:
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
        if not self._input.startswith(self._magic):
            what = "does not begin as one" if self._first else "is followed by other data"
            raise CompressionError(f"the {self._codec} stream {what}")
        self._decoder, self._errors = self._fresh()
        self._first = False
        self._feed = _SIP
        return True


class _ZstandardReader(_Reader):
    """zstd frames (RFC 8878), given to the library block by block: it has no limit on what it makes of its input.

    A block holds 128 KiB at most, so memory stays bounded; and the end of a frame is seen, which the library's own
    stream reader does not report.
    """

    _MAX_BLOCK = 128 << 10

    def __init__(self, stream: BinaryIO, limit: int | None) -> None:
        import zstandard

        super().__init__(stream, "zstd", limit)
        self._error: type[Exception] = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
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
            if sniff(magic) != "zstd" or len(magic) < 4:
                what = "does not begin as one" if self._first else "is followed by other data"
                raise CompressionError(f"the zstd stream {what}")
            self._first = False
            if magic[0] == 0x28:
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
        self._frame = self._decompressor.decompressobj()
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
        except (self._error, MemoryError) as error:
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


# ------------------------------------------------------------------------------------------------ raw deflate


def inflate(
    chunks: Iterable[bytes], size: int, crc32: int, what: str = "the deflate stream", *, stored: bool = False
) -> Iterator[bytes]:
    """A zip member's `chunks` (raw deflate, or as they are if `stored`) unpacked, in blocks of 256 KiB at most.

    Raises `CompressionError`, naming `what`, unless they hold one whole stream and nothing after it, of exactly
    `size` bytes with this `crc32`. The last checks come after the last block: read to the end before believing it.
    """
    from zlib_ng import zlib_ng

    left, value = size, 0
    for block in chunks if stored else _inflated(chunks, size, what):
        left -= len(block)
        if left < 0:
            break
        value = zlib_ng.crc32(block, value)
        yield block
    if left:
        raise CompressionError(f"{what} unpacks to {'more' if left < 0 else 'less'} than its {size} bytes")
    if value != crc32:
        raise CompressionError(f"{what} has the checksum {value:08x}, not {crc32:08x}")


def _inflated(chunks: Iterable[bytes], size: int, what: str) -> Iterator[bytes]:
    """One raw deflate stream unpacked; stops early once there is more than `size` bytes."""
    from zlib_ng import zlib_ng

    decoder = zlib_ng.decompressobj(-15)
    left = size
    for chunk in chunks:
        data = chunk
        while data or not decoder.eof:
            if decoder.eof:
                raise CompressionError(f"{what} is followed by other data")
            limit = min(_READ, left + 1)
            try:
                block: bytes = decoder.decompress(data, limit)
            except (zlib_ng.error, MemoryError) as error:
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
