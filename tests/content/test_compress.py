"""Codecs: identity, the shape of what they write, and that nothing but tar and codec decides it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import random
import re
import tarfile
import threading
import zlib
from base64 import b64encode

import pytest
import zstandard
from zlib_ng import zlib_ng

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.compress import CompressionError, CompressionUsageError
from ociassemble.content.writer import CompressingWriter
from ociassemble.formats import tar

BLOCK, BASE_BLOCK = compress.BLOCK, compress.BASE_BLOCK


def sample(size: int, seed: int = 7) -> bytes:
    """Bytes that compress about as source code does, the same on every machine."""
    source = random.Random(seed)
    words = [bytes(source.randrange(97, 123) for _ in range(source.randrange(2, 9))) for _ in range(500)]
    parts: list[bytes] = []
    length = 0
    while length < size:
        parts.append(source.choice(words) if source.random() < 0.9 else source.randbytes(6))
        length += len(parts[-1])
    return b"".join(parts)[:size]


DATA = sample(5 * BLOCK // 2)


def packed(data: bytes, codec: compress.Codec, *, jobs: int = 1, pieces: int | None = None) -> bytes:
    out = io.BytesIO()
    with CompressingWriter(out.write, codec, cores=Cores(jobs)) as writer:
        for at in range(0, len(data), pieces or len(data) or 1):
            writer.write(data[at : at + (pieces or len(data))])
        writer.finish()
    return out.getvalue()


# --- identity ------------------------------------------------------------------------------------------------


@pytest.mark.spec("LAYER-25", "LAYER-26")
@pytest.mark.parametrize(
    ("text", "role", "identity"),
    [
        ("gzip", "dependency", "gzip:zlib-ng/2.3.3:3:524288:2"),
        ("gzip", "application", "gzip:zlib-ng/2.3.3:3:524288:2"),
        ("gzip", "base", "gzip:zlib-ng/2.3.3:9:262144"),
        ("gzip:6", "base", "gzip:zlib-ng/2.3.3:6:262144"),
        ("zstd", "dependency", "zstd:zstd/1.5.7:3:2097152"),
        ("zstd:19", "base", "zstd:zstd/1.5.7:19:2097152"),
        ("none", "base", "none"),
    ],
)
def test_identity(text: str, role: compress.Role, identity: str) -> None:
    assert compress.parse(text, role).identity == identity


@pytest.mark.parametrize(
    "text", ["", "gz", "gzip:", "gzip:0", "gzip:10", "gzip:-1", "gzip:3:4", "gzip:x", "zstd:20", "none:1", "xz", "GZIP"]
)
def test_codecs_there_are_none_of(text: str) -> None:
    with pytest.raises(CompressionUsageError) as caught:
        compress.parse(text)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_media_types() -> None:
    types = {name: compress.parse(name).media_type.rpartition(".")[2] for name in ("gzip", "zstd", "none")}
    assert types == {"gzip": "tar+gzip", "zstd": "tar+zstd", "none": "tar"}


# --- what is written -----------------------------------------------------------------------------------------

SIZES = [0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, len(DATA)]


@pytest.mark.spec("LAYER-22")
@pytest.mark.parametrize("size", SIZES)
def test_gzip_is_one_member_with_a_fixed_header(size: int) -> None:
    blob = packed(DATA[:size], compress.codec("gzip"))
    assert blob[:10] == bytes.fromhex("1f8b08000000000000ff")
    decoder = zlib.decompressobj(31)  # stops after the first member
    assert decoder.decompress(blob) == DATA[:size]
    assert decoder.eof
    assert decoder.unused_data == b""
    assert blob[-8:] == zlib.crc32(DATA[:size]).to_bytes(4, "little") + size.to_bytes(4, "little")


@pytest.mark.spec("LAYER-23")
@pytest.mark.parametrize(("role", "block", "memory"), [("base", BASE_BLOCK, 8), ("dependency", BLOCK, 7)])
def test_gzip_blocks_are_those_of_the_specification(role: compress.Role, block: int, memory: int) -> None:
    body = b""
    for start in range(0, len(DATA) + 1, block):
        dictionary = DATA[max(0, start - 32768) : start]
        more = {"zdict": dictionary} if dictionary else {}
        one = zlib_ng.compressobj(level=3, method=8, wbits=-15, memLevel=memory, strategy=0, **more)
        body += one.compress(DATA[start : start + block])
        body += one.flush(zlib_ng.Z_SYNC_FLUSH if start + block <= len(DATA) else zlib_ng.Z_FINISH)
    assert packed(DATA, compress.codec("gzip", 3, role))[10:-8] == body


@pytest.mark.spec("LAYER-35")
@pytest.mark.parametrize("size", [BLOCK, 2 * BLOCK, 2 * BLOCK + 100_000])
def test_what_does_not_shrink_is_stored(size: int) -> None:
    """And what comes after it may refer to it."""
    noise = random.Random(1).randbytes(size)
    blob = packed(noise, compress.codec("gzip"), jobs=2)
    assert gzip.decompress(blob) == noise
    assert len(blob) < size * 1.001
    stored = blob[10 : 10 + 5 + 65535]
    assert stored == b"\0\xff\xff\0\0" + noise[:65535]
    both = noise[:BLOCK] + noise[BLOCK - 30_000 : BLOCK] + DATA
    assert gzip.decompress(packed(both, compress.codec("gzip"), jobs=2)) == both
    assert len(packed(both, compress.codec("gzip"))) < BLOCK + 5000 + len(packed(DATA, compress.codec("gzip")))


@pytest.mark.spec("LAYER-35")
def test_what_shrinks_a_little_is_not_stored() -> None:
    source = random.Random(2)
    letters = bytes(source.choices(range(64, 192), k=BLOCK))  # seven bits of eight
    base64 = b64encode(source.randbytes(BLOCK))[:BLOCK]
    half = source.randbytes(BLOCK // 2) + DATA[: BLOCK // 2]
    for data, least in ((letters, 0.9), (base64, 0.78), (half, 0.8), (bytes(BLOCK), 0.01)):
        assert len(packed(data, compress.codec("gzip"))) < BLOCK * least


def test_blocks_cost_no_size() -> None:
    whole = len(zlib_ng.compress(DATA, 3))
    assert len(packed(DATA, compress.codec("gzip"))) < whole * 1.003


@pytest.mark.spec("LAYER-24")
@pytest.mark.parametrize("text", ["gzip:3", "gzip:9", "zstd:3", "none"])
@pytest.mark.parametrize("size", SIZES)
def test_threads_and_writes_change_nothing(text: str, size: int) -> None:
    codec, data = compress.parse(text), DATA[:size]
    expected = packed(data, codec)
    for jobs, pieces in [(1, 4096), (2, None), (2, 65537), (5, BLOCK), (16, BLOCK + 1)]:
        assert packed(data, codec, jobs=jobs, pieces=pieces) == expected
    if size < 5000:
        assert packed(data, codec, jobs=2, pieces=1) == expected


@pytest.mark.spec("LAYER-24")
def test_a_new_compressor_does_not_remember() -> None:
    """Each block's bytes are those of its text and dictionary, whatever was compressed before in this process."""
    codec = compress.codec("gzip")
    expected = hashlib.sha256(packed(DATA, codec)).digest()
    for seed in range(12):
        noise = random.Random(seed)
        packed(noise.randbytes(noise.randrange(3 * BLOCK)), compress.codec("gzip", seed % 9 + 1), jobs=2)
        kept = [bytearray(b"\xa5" * noise.randrange(1 << 19)) for _ in range(8)]  # dirty memory, then freed
        del kept
        assert hashlib.sha256(packed(DATA, codec, jobs=2)).digest() == expected


@pytest.mark.spec("LAYER-24", "LAYER-29")
def test_golden_digests() -> None:
    """These change only with the codec identity. Another CPU, system or Python must not move them."""
    digests = {
        text: hashlib.sha256(packed(DATA, compress.parse(text), jobs=2)).hexdigest()[:32]
        for text in ("gzip:1", "gzip:3", "gzip:6", "gzip:9", "zstd:3", "zstd:9", "none")
    }
    assert digests == GOLDEN


GOLDEN = {
    "gzip:1": "8ad7ad89786f21d1e8045c8a70e42d5f",
    "gzip:3": "9943e49a6c2a93af4b2743bd1c2ad6c8",
    "gzip:6": "3214335a1b515fa846af579682e5af69",
    "gzip:9": "51955b67f2e0ba8eb8cfbf55d83de26c",
    "zstd:3": "e16e5c62eca3151a6f2adebafe8bc333",
    "zstd:9": "eaf78a24197a2f6db776525038f385cf",
    "none": "431662a25dc70f43cda4a7900706640c",
}


@pytest.mark.spec("LAYER-27")
def test_zstd_is_one_frame_with_a_checksum() -> None:
    blob = packed(DATA, compress.codec("zstd"), jobs=4)
    parameters = zstandard.get_frame_parameters(blob)
    assert parameters.has_checksum
    assert parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN
    decoder = zstandard.ZstdDecompressor().decompressobj()
    assert decoder.decompress(blob) == DATA
    assert decoder.unused_data == b""


@pytest.mark.spec("LAYER-28")
def test_none_is_the_tar() -> None:
    assert packed(DATA, compress.codec("none"), jobs=2, pieces=1000) == DATA


def test_pythons_tarfile_streams_it() -> None:
    """`r|gz` reads one member only; kserve and others unpack layers with it."""
    archive = tar.header("big", size=len(DATA)) + DATA + tar.padding(len(DATA)) + tar.END
    blob = packed(archive, compress.codec("gzip"), jobs=2)
    with tarfile.open(fileobj=io.BytesIO(blob), mode="r|gz") as stream:
        info = stream.next()
        assert info is not None
        content = stream.extractfile(info)
        assert content is not None
        assert content.read() == DATA
        assert stream.next() is None


# --- the writer as a machine ---------------------------------------------------------------------------------


class FullError(Exception):
    pass


@pytest.mark.spec("LAYER-24")
@pytest.mark.parametrize("text", ["gzip:3", "zstd:3", "none"])
def test_who_comes_and_goes_beside_it_changes_nothing(text: str) -> None:
    """With every core at work a block is compressed by who wrote it, with one idle by others: in any mixture."""
    codec, data = compress.parse(text), DATA * 4
    expected, piece = packed(data, codec), 100_003
    for pattern in (0b0101, 0b0110, 0b1111, 0b0001):
        cores, out, threads = Cores(2), io.BytesIO(), threading.active_count()
        with CompressingWriter(out.write, codec, cores=cores) as writer:
            for number, at in enumerate(range(0, len(data), piece)):
                with cores if pattern >> number // 7 % 4 & 1 else contextlib.nullcontext():
                    writer.write(data[at : at + piece])
                    if pattern == 0b1111:
                        assert threading.active_count() == threads
            writer.finish()
        assert out.getvalue() == expected


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_error_of_the_sink_is_raised_and_threads_end(jobs: int) -> None:
    before = threading.active_count()
    calls = 0

    def sink(data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise FullError

    with pytest.raises(FullError), CompressingWriter(sink, compress.codec("gzip"), cores=Cores(jobs)) as writer:
        for _ in range(50):
            writer.write(DATA[:BLOCK])
        writer.finish()
    assert threading.active_count() == before
    assert calls == 3


def test_leaving_early_stops_the_threads() -> None:
    before = threading.active_count()
    with CompressingWriter(lambda data: None, compress.codec("gzip", 9), cores=Cores(4)) as writer:
        writer.write(DATA)
    assert threading.active_count() == before


@pytest.mark.spec("LAYER-30")
def test_only_a_few_blocks_are_in_memory() -> None:
    """A sink that does not take its data holds the source back."""
    gate = threading.Event()
    taken = 0

    def feed() -> None:
        nonlocal taken
        with CompressingWriter(
            lambda data: gate.wait() if taken else None, compress.codec("gzip"), cores=Cores(2)
        ) as writer:
            for _ in range(60):
                writer.write(DATA[:BLOCK])
                taken += 1
            writer.finish()

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        seen = -1
        while seen != taken:  # until it stands still
            seen = taken
            thread.join(0.1)
        assert seen < 12
    finally:
        gate.set()
        thread.join()
    assert taken == 60


# --- reading -------------------------------------------------------------------------------------------------

ENCODED = {
    "gzip": gzip.compress(DATA, mtime=0),
    "xz": lzma.compress(DATA, preset=1),
    "bzip2": bz2.compress(DATA),
    "zstd": zstandard.compress(DATA),
    "none": DATA,
}


@pytest.mark.parametrize("codec", ENCODED)
def test_sniff(codec: str) -> None:
    assert compress.sniff(ENCODED[codec][:8]) == codec


@pytest.mark.parametrize("prefix", [b"", b"\x1f", b"BZ", b"\xfd7zXZ", b"PK\x03\x04", bytes(512), b"a/\0"])
def test_sniffs_nothing_in_other_bytes(prefix: bytes) -> None:
    assert compress.sniff(prefix) == "none"


@pytest.mark.parametrize("magic", [b"\x50\x2a\x4d\x18", b"\x5f\x2a\x4d\x18"])
def test_sniffs_a_skippable_frame(magic: bytes) -> None:
    assert compress.sniff(magic + bytes(4)) == "zstd"


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", ENCODED)
@pytest.mark.parametrize("size", [1, 512, 8191, 1 << 20, -1])
def test_readers(codec: str, size: int) -> None:
    with compress.open_reader(io.BytesIO(ENCODED[codec]), codec) as stream:
        assert stream.read(size) == (DATA[:size] if size > 0 else DATA)
        rest = stream.read()
    assert rest == (DATA[size:] if size > 0 else b"")


@pytest.mark.parametrize("codec", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("size", SIZES)
def test_we_read_what_we_write(codec: str, size: int) -> None:
    blob = packed(DATA[:size], compress.codec(codec), jobs=2)
    with compress.open_reader(io.BytesIO(blob), codec) as stream:
        assert stream.read() == DATA[:size]


@pytest.mark.spec("LAYER-31")
@pytest.mark.parametrize("codec", ["gzip", "xz", "bzip2", "zstd"])
def test_all_members_are_read(codec: str) -> None:
    empty = {"gzip": gzip.compress(b""), "xz": lzma.compress(b""), "bzip2": bz2.compress(b"")}
    empty["zstd"] = zstandard.compress(b"")
    one = ENCODED[codec]
    for data, times in [(one + one, 2), (empty[codec] + one, 1), (one + empty[codec] * 3 + one, 2), (empty[codec], 0)]:
        with compress.open_reader(io.BytesIO(data), codec) as stream:
            assert stream.read() == DATA * times


def test_gzip_with_every_header_field() -> None:
    plain = gzip.compress(b"hello", mtime=0)
    header = b"\x1f\x8b\x08\x1e\x01\x02\x03\x04\x02\x03"  # FHCRC, FEXTRA, FNAME, FCOMMENT
    header += (65535).to_bytes(2, "little") + bytes(65535) + b"name\0" + b"comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    with compress.open_reader(io.BytesIO(header + plain[10:]), "gzip") as stream:
        assert stream.read() == b"hello"


def test_zstd_with_skippable_frames_and_all_header_shapes() -> None:
    skip = b"\x53\x2a\x4d\x18" + (200_000).to_bytes(4, "little") + bytes(200_000)
    frames = [skip]
    expected = b""
    for size in (0, 1, 255, 256, 65536 + 255, 65536 + 256, 300_000):
        for known in (True, False):
            for checksum in (True, False):
                make = zstandard.ZstdCompressor(level=1, write_content_size=known, write_checksum=checksum)
                frames += [make.compress(DATA[:size]), skip]
                expected += DATA[:size]
    frames.append(zstandard.ZstdCompressor().compress(bytes(1 << 20)))  # blocks that repeat one byte
    expected += bytes(1 << 20)
    frames.append(zstandard.ZstdCompressor().compress(random.Random(1).randbytes(1 << 18)))  # stored blocks
    expected += random.Random(1).randbytes(1 << 18)
    with compress.open_reader(io.BytesIO(b"".join(frames)), "zstd") as stream:
        assert stream.read() == expected


def test_closing_closes_the_source() -> None:
    for codec, data in ENCODED.items():
        source = io.BytesIO(data)
        compress.open_reader(source, codec).close()
        assert source.closed


def test_an_error_of_the_source_comes_through() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            raise FullError

    for codec in ENCODED:
        with pytest.raises(FullError):
            compress.open_reader(Broken(), codec).read()  # type: ignore[arg-type]


def test_a_limit_on_what_comes_out() -> None:
    for codec, data in ENCODED.items():
        assert compress.open_reader(io.BytesIO(data), codec, limit=len(DATA)).read() == DATA
        with pytest.raises(CompressionError, match=re.escape(str(len(DATA) - 1))):
            compress.open_reader(io.BytesIO(data), codec, limit=len(DATA) - 1).read()


def test_no_such_codec() -> None:
    with pytest.raises(CompressionUsageError):
        compress.open_reader(io.BytesIO(b""), "lz4")
