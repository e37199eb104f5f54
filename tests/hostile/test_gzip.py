"""Compressed streams made to mislead, exhaust or crash: each is refused with our error, in bounded memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.content import compress
from ociassemble.content.compress import CompressionError

TEXT = bytes(range(256)) * 8
CODECS = ("gzip", "xz", "bzip2", "zstd")


def encode(codec: str, data: bytes) -> bytes:
    if codec == "gzip":
        return gzip.compress(data, mtime=0)
    if codec == "xz":
        return lzma.compress(data)
    if codec == "bzip2":
        return bz2.compress(data)
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def decode(codec: str, data: bytes) -> bytes:
    with compress.open_reader(io.BytesIO(data), codec) as stream:
        return stream.read()


def refused(codec: str, data: bytes) -> str:
    with pytest.raises(CompressionError) as caught:
        decode(codec, data)
    assert caught.value.exit_code == 7
    return str(caught.value)


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", CODECS)
def test_cut_at_every_byte(codec: str) -> None:
    data = encode(codec, TEXT)
    assert "empty" in refused(codec, b"")
    for end in range(1, len(data)):
        refused(codec, data[:end])
    for end in range(1, len(data), 3):  # and in the second member
        refused(codec, data + data[:end])


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("after", [b"\0", b"x", bytes(512), b"garbage" * 20000, b"\x1f", b"\x28\xb5", b"B"])
def test_nothing_may_follow(codec: str, after: bytes) -> None:
    refused(codec, encode(codec, TEXT) + after)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("other", ["none", *CODECS])
def test_another_format(codec: str, other: str) -> None:
    if codec != other:
        refused(codec, TEXT if other == "none" else encode(other, TEXT))


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", CODECS)
def test_every_flipped_bit_is_noticed_or_harmless(codec: str) -> None:
    """A flip may hit a field that says nothing (a time); then the content is the same. It is never other content."""
    data = encode(codec, TEXT[:600])
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with contextlib.suppress(CompressionError):
                assert decode(codec, bytes(damaged)) == TEXT[:600]


GZIP: dict[str, bytes] = {
    "reserved flag": b"\x1f\x8b\x08\x20" + encode("gzip", TEXT)[4:],
    "all flags": b"\x1f\x8b\x08\xff" + encode("gzip", TEXT)[4:],
    "method 7": b"\x1f\x8b\x07\x00" + encode("gzip", TEXT)[4:],
    "header checksum wrong": b"\x1f\x8b\x08\x02" + bytes(6) + b"\xff\xff" + encode("gzip", TEXT)[10:],
    "name without an end": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000,
    "extra field past the end": b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(100),
    "checksum wrong": encode("gzip", TEXT)[:-8] + bytes(4) + encode("gzip", TEXT)[-4:],
    "length wrong": encode("gzip", TEXT)[:-4] + bytes(4),
    "length of the second member wrong": encode("gzip", TEXT) + encode("gzip", TEXT)[:-4] + bytes(4),
    "reserved block type": encode("gzip", b"")[:10] + b"\x07" + bytes(20),
    "distance before the beginning": encode("gzip", b"")[:10] + zlib.compress(TEXT * 3, wbits=-15)[:-1] + b"\xff" * 9,
    "needs a dictionary": encode("gzip", b"")[:10]
    + (lambda c: c.compress(TEXT) + c.flush())(zlib.compressobj(9, zlib.DEFLATED, -15, 8, 0, TEXT))
    + encode("gzip", TEXT)[-8:],
    "a zlib stream": zlib.compress(TEXT),
    "raw deflate": zlib.compress(TEXT, wbits=-15),
}


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("case", GZIP)
def test_gzip(case: str) -> None:
    refused("gzip", GZIP[case])


def zstd_frame(header: bytes, *blocks: bytes) -> bytes:
    return b"\x28\xb5\x2f\xfd" + header + b"".join(blocks)


def zstd_block(kind: int, size: int, body: bytes, *, last: bool = True) -> bytes:
    return (int(last) | kind << 1 | size << 3).to_bytes(3, "little") + body


ZSTD: dict[str, bytes] = {
    "window of 256 MiB": zstd_frame(b"\x00" + bytes([18 << 3]), zstd_block(0, 1, b"x")),
    "window of 3.75 TiB": zstd_frame(b"\x00\xff", zstd_block(0, 1, b"x")),
    "one segment of 16 EiB": zstd_frame(b"\xe0" + b"\xff" * 8, zstd_block(0, 1, b"x")),
    "needs a dictionary": zstd_frame(b"\x03\x58\x01\x02\x03\x04", zstd_block(0, 1, b"x")),
    "reserved bit": zstd_frame(b"\x08\x58", zstd_block(0, 1, b"x")),
    "block of a reserved kind": zstd_frame(b"\x00\x58", zstd_block(3, 1, b"x")),
    "block over 128 KiB": zstd_frame(b"\x00\x58", zstd_block(0, 200_000, bytes(200_000))),
    "repeated byte over 128 KiB": zstd_frame(b"\x00\x58", zstd_block(1, 200_000, b"x")),
    "block larger than its window": zstd_frame(b"\x00\x00", zstd_block(0, 2000, bytes(2000))),
    "more than the content size": zstd_frame(b"\x20\x01", zstd_block(0, 2, b"xy")),
    "less than the content size": zstd_frame(b"\x20\x03", zstd_block(0, 2, b"xy")),
    "compressed block of noise": zstd_frame(b"\x00\x58", zstd_block(2, 100, bytes(range(100, 200)))),
    "checksum wrong": encode("zstd", TEXT)[:-4] + bytes(4),
    "skippable frame past the end": b"\x50\x2a\x4d\x18" + b"\xff" * 4 + bytes(10),
    "skippable frame cut in its size": b"\x50\x2a\x4d\x18\x01",
    "legacy frame 0.7": b"\x27\xb5\x2f\xfd" + bytes(40),
    "magicless": encode("zstd", TEXT)[4:],
}


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("case", ZSTD)
def test_zstd(case: str) -> None:
    refused("zstd", ZSTD[case])


XZ: dict[str, bytes] = {
    "dictionary of 1 GiB": lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]),
    "index damaged": encode("xz", TEXT)[:-20] + bytes(8) + encode("xz", TEXT)[-12:],
    "old lzma": lzma.compress(TEXT, format=lzma.FORMAT_ALONE),
    "padding between streams": encode("xz", TEXT) + bytes(4) + encode("xz", TEXT),
}


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("case", XZ)
def test_xz(case: str) -> None:
    refused("xz", XZ[case])


def drain(codec: str, data: bytes) -> tuple[int, int]:
    """Bytes that came out, and the most memory used at a time (the codecs' own libraries not counted)."""
    tracemalloc.start()
    try:
        total = 0
        with compress.open_reader(io.BytesIO(data), codec) as stream:
            while block := stream.read(1 << 16):
                total += len(block)
        return total, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_takes_time_but_no_memory(codec: str) -> None:
    size = 24 << 20
    total, peak = drain(codec, encode(codec, bytes(size)))
    assert total == size
    assert peak < 16 << 20


def test_a_bomb_of_repeated_bytes() -> None:
    """zstd's densest form: 4 bytes for 128 KiB. The library alone would make 2 GiB of one 64 KiB read."""
    blocks = [zstd_block(1, 128 << 10, b"x", last=False)] * 1023 + [zstd_block(1, 128 << 10, b"x")]
    total, peak = drain("zstd", zstd_frame(b"\x00\x58", *blocks))
    assert total == 128 << 20
    assert peak < 4 << 20


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_many_empty_members(codec: str) -> None:
    total, peak = drain(codec, encode(codec, b"") * 20_000 + encode(codec, b"end"))
    assert total == 3
    assert peak < 4 << 20


def test_an_endless_name_takes_no_memory() -> None:
    class Endless(io.RawIOBase):
        left = 64 << 20

        def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            if self.left == 64 << 20:
                self.left -= 10
                return b"\x1f\x8b\x08\x08" + bytes(6)
            self.left -= size
            return b"n" * size if self.left > 0 else b""

    tracemalloc.start()
    try:
        with pytest.raises(CompressionError):
            compress.open_reader(Endless(), "gzip").read()  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@given(st.sampled_from(CODECS), st.binary(max_size=400), st.integers(0, 60))
def test_readers_are_total(codec: str, noise: bytes, keep: int) -> None:
    start = encode(codec, b"hello, hello, hello")[:keep]
    with contextlib.suppress(CompressionError):
        decode(codec, start + noise)
