"""Zip archives that no honest tool writes: each is refused, with an error of ours that names the reason."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pytest

from ociassemble.content.compress import CompressionError, inflate
from ociassemble.formats.zip import STORED, ZipError, ZipLimitError, ZipReader, ZipUnsupportedError
from tests.formats.zip_builder import MAX32, Member, archive, deflate, zip64

A = Member("pkg/a.py", b"print('a')\n" * 9)
B = Member("pkg/b.py", b"print('b')\n" * 9)
GOOD = archive([A, B])
CRC = zlib.crc32(A.data)
PACKED = len(deflate(A.data))

NAMES: dict[str, tuple[str | bytes, str]] = {
    "parent": ("../x", "`..`"),
    "parent inside": ("a/../../x", "`..`"),
    "parent last": ("a/..", "`..`"),
    "parent alone": ("..", "`..`"),
    "parent folder": ("../", "`..`"),
    "climb to passwd": ("../../../../etc/passwd", "`..`"),
    "self": ("./x", "`.`"),
    "self inside": ("a/./x", "`.`"),
    "self last": ("a/.", "`.`"),
    "self alone": (".", "`.`"),
    "self folder": ("./", "`.`"),
    "absolute": ("/etc/passwd", "absolute"),
    "root": ("/", "no name"),
    "two slashes": ("//x", "absolute"),
    "network share": ("//host/share/x", "absolute"),
    "empty": ("", "no name"),
    "empty part": ("a//x", "empty"),
    "empty part last": ("a//", "empty"),
    "backslash": ("a\\x", "backslash"),
    "backslash climb": ("..\\..\\x", "backslash"),
    "backslash absolute": ("\\x", "backslash"),
    "unc": ("\\\\host\\share", "backslash"),
    "device path": ("\\\\?\\C:\\x", "backslash"),
    "drive": ("C:/x", "absolute"),
    "drive relative": ("c:x", "absolute"),
    "drive alone": ("Z:", "absolute"),
    "nul": ("a\0b", "control"),
    "nul last": ("a.py\0.txt", "control"),
    "newline": ("a\nb", "control"),
    "carriage return": ("a\rb", "control"),
    "tab": ("a\tb", "control"),
    "escape": ("\x1b[2J", "control"),
    "backspace": ("a\b\b\bsafe", "control"),
    "bell": ("\a", "control"),
    "delete": ("a\x7f", "control"),
    "c1 control": ("a\x9b31m", "control"),
    "next line": ("a\x85b", "control"),
    "soft hyphen": ("a\xadb", "control"),
    "right-to-left override": ("a\u202egpj.py", "control"),
    "left-to-right embedding": ("\u202aa", "control"),
    "isolate": ("\u2066a\u2069", "control"),
    "arabic letter mark": ("a\u061cb", "control"),
    "mongolian separator": ("a\u180eb", "control"),
    "zero width space": ("a\u200bb", "control"),
    "zero width joiner": ("a\u200db", "control"),
    "word joiner": ("a\u2060b", "control"),
    "line separator": ("a\u2028b", "control"),
    "paragraph separator": ("a\u2029b", "control"),
    "byte order mark": ("\ufeffa", "control"),
    "annotation": ("a\ufff9b", "control"),
    "replacement character": ("a\ufffdb", "control"),
    "noncharacter": ("a\uffffb", "control"),
    "private use": ("a\ue000b", "control"),
    "supplementary private use": ("a\U000f0000b", "control"),
    "tag characters": ("a\U000e0061b", "control"),
    "last code point": ("a\U0010ffff", "control"),
    "surrogate": (b"a\xed\xa0\x80b", "encoding"),
    "latin-1": (b"gr\xf6\xdfe", "encoding"),
    "utf-8 without its flag": ("größe".encode(), "encoding"),
    "cp437 box": (b"\xc9\xcd\xbb", "encoding"),
    "part of 256 bytes": ("x" * 256, "255 bytes"),
    "part of 256 bytes in UTF-8": ("a/" + "ü" * 128, "255 bytes"),
    "folder of 256 bytes": ("x" * 256 + "/a", "255 bytes"),
    "path of 4096 bytes": ("x/" * 2047 + "yy", "4095"),
    "path of 65535 bytes": ("x/" * 32767 + "y", "4095"),
}


@pytest.mark.spec("WHEEL-3")
@pytest.mark.parametrize("case", NAMES)
def test_names_that_leave_the_folder_or_lie_to_the_eye(case: str) -> None:
    name, why = NAMES[case]
    refused(archive([Member(name, b"x")]), why)


def test_utf_8_that_is_none() -> None:
    for raw in (b"\xff", b"\xc0\xaf", b"\xe2\x28\xa1", b"\xf4\x90\x80\x80", b"\xed\xa0\x80", b"a\x80"):
        refused(archive([Member(raw, b"x", flags=0x800)]), "not UTF-8")


def _lies() -> Iterator[tuple[str, bytes, str, type[ZipError]]]:
    """Archives whose records disagree, one lie each."""
    unsupported, limit = ZipUnsupportedError, ZipLimitError
    # The local header against the central directory.
    for field, values in {
        "flags": (2, 4, 6, 8, 0x800, 1),
        "method": (0, 9, 12),
        "crc": (0, CRC ^ 1, MAX32),
        "csize": (0, PACKED - 1, PACKED + 1, MAX32),
        "size": (0, len(A.data) - 1, len(A.data) + 1, MAX32),
        "nlen": (0, 7, 9, 65535),
        "xlen": (1, 4, 65535),
    }.items():
        for value in values:
            yield f"local {field} {value}", archive([_with(local={field: value}), B]), "", ZipError
    yield "local name", archive([_with(raw_name=b"pkg/z.py"), B]), "another name", ZipError
    yield "local name in another case", archive([_with(raw_name=b"pkg/A.py"), B]), "another name", ZipError
    # The central directory against the local header.
    for field, values in {
        "flags": (2, 0x800),
        "crc": (0, CRC ^ 1),
        "csize": (0, PACKED - 1, PACKED + 1, MAX32 - 1, MAX32),
        "size": (0, len(A.data) + 1, MAX32 - 1, MAX32),
        "nlen": (0, 7, 9, 65535),
        "xlen": (1, 65535),
        "clen": (1, 65535),
        "offset": (1, 31, 4096, MAX32 - 1, MAX32),
    }.items():
        for value in values:
            yield f"central {field} {value}", archive([_with(central={field: value}), B]), "", ZipError
    # What is not read.
    for method in (1, 2, 6, 9, 10, 12, 14, 18, 19, 93, 95, 96, 97, 98, 99, 65535):
        data = archive([Member("x", b"1", method=method)])
        yield f"method {method}", data, f"method {method}", unsupported
    for bit in (0, 6, 13):
        yield f"encrypted by bit {bit}", archive([Member("x", b"1", flags=1 << bit)]), "encrypted", unsupported
    for bit in (4, 5, 7, 8, 9, 10, 12, 14, 15):
        yield f"flag {bit}", archive([Member("x", b"1", flags=1 << bit)]), "flags", unsupported
    yield "a newer format", archive([_with(central={"need": 64})]), "needs version 64", unsupported
    yield "another disk", archive([_with(central={"disk": 1})]), "disk", unsupported
    # Members and their order.
    yield "the same name twice", archive([A, A]), "twice", ZipError
    yield "the same name, other content", archive([A, Member(A.name, b"evil")]), "twice", ZipError
    yield "a file and a folder", archive([Member("x", b""), Member("x/", mode=0o040755, method=0)]), "twice", ZipError
    yield "a file with a file below", archive([Member("x", b""), Member("x/y", b"")]), "file and a folder", ZipError
    yield "a file below a later file", archive([Member("x/y/z", b""), Member("x", b"")]), "file and a folder", ZipError
    twins = [Member("caf\u00e9", b"1"), Member("cafe\u0301", b"2")]
    yield "normalisation twins", archive(twins), "twice", ZipError
    yield "a local record without a central one", archive([A, _with("pkg/h", central=None), B]), "", ZipError
    yield "a hidden record at the end", archive([A, _with("pkg/h", central=None)]), "", ZipError
    yield "a hidden record at the beginning", archive([_with("pkg/h", central=None), A]), "", ZipError
    yield "a central record without a local one", archive([A, _with("pkg/h", local=None)]), "", ZipError
    hidden = archive([_with("pkg/h", local=None, central={"offset": 0}), A])
    yield "two central records for one local", hidden, "", ZipError
    yield "a prefix", archive([A], prefix=b"#!/bin/sh\n"), "belong to none", ZipError
    yield "a gap between members", archive([A, _with("pkg/c", before=b"....")]), "belong to none", ZipError
    yield "a gap before the directory", archive([A], gap=b"...."), "belong to no member", ZipError
    yield "a gap of a whole record", archive([A], gap=GOOD[: GOOD.index(b"PK\x01\x02") // 2]), "no member", ZipError
    yield "bytes in the directory", archive([A], tail=b"...."), "more in its central directory", ZipError
    yield "a signature in the directory", archive([A], tail=b"PK\x05\x05\x04\0abcd"), "more in its", ZipError
    yield "bytes before the end record", archive([A], before_end=b"...."), "does not end where", ZipError
    yield "bytes at the end", archive([A], suffix=b"\0"), "after its end record", ZipError
    yield "a newline at the end", archive([A], suffix=b"\n"), "after its end record", ZipError
    yield "two archives", GOOD + archive([A]), "", ZipError
    yield "the same archive twice", GOOD + GOOD, "", ZipError
    yield "an end record in the comment", archive([A], comment=archive([])), "", ZipError
    yield "an archive in the comment", archive([A], comment=archive([B])), "", ZipError
    yield "half an end record in the comment", archive([A], comment=b"PK\x05\x06"), "no end record", ZipError
    yield "an overlapping member", _overlap(), "overlaps", ZipError
    yield "fully overlapping members", _same_data(), "", ZipError
    # The end record.
    for field in ("disk", "cddisk", "here", "count", "length", "start"):
        for value in (1, 3, 0xFFFF):
            yield f"end {field} {value}", archive([A, B], end={field: value}), "", ZipError
    yield "end comment length", archive([A], end={"clen": 1}), "after its end record", ZipError
    yield "directory beyond the file", archive([A], end={"start": MAX32 - 1}), "", ZipError
    yield "too many members", archive([A], end64={"here": 200_001, "count": 200_001}, end=_UNTOLD), "200001", limit
    yield "2^64 members", archive([A], end64={"here": 2**64 - 1, "count": 2**64 - 1}, end=_UNTOLD), "members", limit
    yield "a huge directory", archive([A], end64={"size": 1 << 40}, end=_UNTOLD), "central directory of", limit
    # zip64.
    for field, value in (("here", 2), ("count", 2), ("size", 1), ("start", 1), ("disk", 1), ("cddisk", 1)):
        yield f"zip64 end {field}", archive([A], end64={field: value}), "", ZipError
        yield f"zip64 end {field}, untold elsewhere", archive([A], end64={field: value}, end=_UNTOLD), "", ZipError
    for length in (0, 43, 45, 2**64 - 1):
        yield f"zip64 end length {length}", archive([A], end64={"length": length}), "damaged zip64", ZipError
    for field, value in (("disk", 1), ("offset", 0), ("offset", 2**64 - 1), ("disks", 2)):
        yield f"zip64 locator {field} {value}", archive([A], end64={}, locator={field: value}), "", ZipError
    yield "a locator alone", archive([A], before_end=struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)), "", ZipError
    yield "bytes after the locator", archive([A], end64={}, before_end=b"...."), "", ZipError
    wide = {"csize": MAX32, "size": MAX32}
    for name, extra in {
        "missing": b"",
        "short": zip64(len(A.data)),
        "long": zip64(len(A.data), PACKED, 0),
        "not of words": struct.pack("<HH12s", 1, 12, bytes(12)),
        "twice": zip64(len(A.data), PACKED) * 2,
        "another size": zip64(len(A.data) + 1, PACKED),
        "huge": zip64(2**64 - 1, 2**64 - 1),
    }.items():
        yield f"zip64 field {name}, central", archive([_with(extra=extra, central=wide)]), "", ZipError
        yield f"zip64 field {name}, local", archive([_with(local_extra=extra, local=wide)]), "", ZipError
    whole = zip64(len(A.data), PACKED)
    yield (
        "wide in both, told in one",
        archive([_with(extra=whole, local_extra=b"", central=wide, local=wide)]),
        "",
        ZipError,
    )
    yield "a zip64 field for nothing, central", archive([_with(extra=zip64(5))]), "does not fit", ZipError
    yield "a zip64 offset too far", archive([_with(extra=zip64(9), central={"offset": MAX32})]), "", ZipError
    # Extra fields.
    for name, extra in {
        "of a byte": b"\0",
        "cut off": b"UT\x09\0abc",
        "no length": b"UT\x01",
        "too long": b"UT\xff\xff",
    }.items():
        yield f"extra field {name}, central", archive([_with(extra=extra)]), "damaged extra", ZipError
        yield f"extra field {name}, local", archive([_with(local_extra=extra)]), "damaged extra", ZipError
    other = b"up" + struct.pack("<HBI", 13, 1, 0) + b"evil.py!"
    yield "a second name, central", archive([_with(extra=other)]), "second, different name", ZipError
    yield "a second name, local", archive([_with(local_extra=other)]), "second, different name", ZipError
    # Data descriptors.
    late = {"flags": 8}
    honest = struct.pack("<4sIII", b"PK\x07\x08", CRC, PACKED, len(A.data))
    for name, descriptor in {
        "missing": b"",
        "cut off": honest[:-1],
        "too long": honest + b"\0",
        "another checksum": struct.pack("<4sIII", b"PK\x07\x08", CRC ^ 1, PACKED, len(A.data)),
        "another packed size": struct.pack("<4sIII", b"PK\x07\x08", CRC, PACKED + 1, len(A.data)),
        "another size": struct.pack("<4sIII", b"PK\x07\x08", CRC, PACKED, 0),
        "another signature": b"PK\x07\x09" + honest[4:],
        "wide without zip64": struct.pack("<4sIQQ", b"PK\x07\x08", CRC, PACKED, len(A.data)),
        "twice": honest * 2,
    }.items():
        yield f"descriptor {name}", archive([_with(descriptor=descriptor, **late), B]), "descriptor", ZipError
    yield "descriptor, other size before", archive([_with(local={"size": 5}, **late)]), "local header", ZipError
    yield "stored with a descriptor", archive([_with(method=0, **late)]), "stored with its size behind", ZipError
    # Kinds of members.
    for kind in (0o010000, 0o020000, 0o060000, 0o140000, 0o030000, 0o160000, 0o170000):
        yield f"mode {kind:o}", archive([Member("x", mode=kind | 0o644)]), "device", ZipError
    yield "a folder without its slash", archive([Member("x", mode=0o040755)]), "folder by its", ZipError
    yield "a file with a slash", archive([Member("x/", method=0, mode=0o100644)]), "folder by its", ZipError
    yield "a link with a slash", archive([Member("x/", method=0, mode=0o120777)]), "folder by its", ZipError
    yield "a folder with content", archive([Member("x/", b"evil", mode=0o040755)]), "with content", ZipError
    yield "a folder with packed content", archive([Member("x/", mode=0, packed=b"evil")]), "with content", ZipError
    yield "stored, two sizes", archive([Member("x", b"abc", method=0, packed=b"ab")]), "two sizes", ZipError
    # Bombs, as far as headers tell.
    impossible = {"size": 10 << 20}
    yield "more than deflate can", archive([_with(local=impossible, central=impossible)]), "cannot unpack", ZipError
    zeros = Member("zeros", bytes(65 << 20))
    yield "a ratio of 1000", archive([zeros]), "200 times", limit
    many = [Member(f"z{number}", b"", packed=zeros_packed(), local=MIB, central=MIB) for number in range(65)]
    yield "a ratio of 1000 in sum", archive(many), "200 times", limit


_UNTOLD = {"here": 0xFFFF, "count": 0xFFFF, "length": MAX32, "start": MAX32}
MIB = {"size": 1 << 20, "crc": zlib.crc32(bytes(1 << 20))}


def zeros_packed() -> bytes:
    return deflate(bytes(1 << 20))


def _with(name: str = "pkg/a.py", **fields: object) -> Member:
    return Member(name, A.data, **fields)  # type: ignore[arg-type]


def _overlap() -> bytes:
    """The second member's records lie in the first one's data."""
    inner = archive([Member("in", b"evil", method=0)])
    inner = inner[: inner.index(b"PK\x01\x02")]
    member = Member("out", inner, method=0)
    return archive(
        [member, Member("in", b"evil", method=0, local=None, packed=b"", central={"offset": 33, "csize": 4})]
    )


def _same_data() -> bytes:
    """Two members share one local record, as overlap bombs do it."""
    return archive([A, Member(A.name + "x", A.data, local=None, packed=b"", central={"offset": 0, "csize": PACKED})])


LIES = {name: rest for name, *rest in _lies()}


def refused(data: bytes, why: str = "", kind: type[ZipError] = ZipError) -> None:
    with pytest.raises(kind) as caught:
        ZipReader(io.BytesIO(data), len(data), "the archive")
    assert str(caught.value).startswith("the archive")
    assert why in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_the_archive_the_lies_are_told_about_is_good() -> None:
    assert [entry.name for entry in ZipReader(io.BytesIO(GOOD), len(GOOD)).entries] == ["pkg/a.py", "pkg/b.py"]


@pytest.mark.spec("WHEEL-1", "WHEEL-2", "WHEEL-4")
@pytest.mark.parametrize("case", LIES)
def test_archives_that_disagree_with_themselves(case: str) -> None:
    data, why, kind = LIES[case]
    refused(data, why, kind)


def test_there_are_enough_of_them() -> None:
    assert len(LIES) + len(NAMES) + len(STREAMS) >= 250


@pytest.mark.spec("WHEEL-1")
def test_a_cut_anywhere_is_seen() -> None:
    for length in range(len(GOOD)):
        refused(GOOD[:length])


@pytest.mark.spec("WHEEL-1")
def test_a_file_shorter_than_it_says_it_is() -> None:
    with pytest.raises(ZipError):
        ZipReader(io.BytesIO(GOOD), len(GOOD) + 5)
    with pytest.raises(ZipError):
        ZipReader(io.BytesIO(b""), 0)
    reader = ZipReader(stream := io.BytesIO(GOOD), len(GOOD), "the archive")
    stream.truncate(40)
    with pytest.raises(ZipError, match="the archive is cut off"):
        list(reader.raw(reader.entries[1]))


@pytest.mark.spec("WHEEL-4")
def test_a_million_empty_members_cost_no_more_than_reading_the_end() -> None:
    record = archive([Member("x")])
    record = record[record.index(b"PK\x01\x02") : record.rindex(b"PK\x05\x06")]
    body = record * 1_000_000
    end = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, len(body), 0)
    end += struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body), 1)
    end += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(body), 0, 0)

    class Counting(io.BytesIO):
        done = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.done += len(data)
            return data

    stream = Counting(body + end)
    with pytest.raises(ZipLimitError, match="has 1000000 members"):
        ZipReader(stream, len(body + end))
    assert stream.done < 70_000


DATA = b"honest data " * 40
GOOD_STREAM = deflate(DATA)
STREAMS: dict[str, tuple[bytes, bytes]] = {
    "bytes behind": (GOOD_STREAM + b"x", b"followed by other data"),
    "a stream behind": (GOOD_STREAM + deflate(b"evil"), b"followed by other data"),
    "cut off": (GOOD_STREAM[:-1], b"cut short"),
    "empty": (b"", b"cut short"),
    "no last block": (b"\x00\x03\x00\xfc\xffabc", b"cut short"),
    "a wrong block type": (b"\x07", b"damaged"),
    "a stored block whose length lies": (b"\x01\x03\x00\xff\xffabc", b"damaged"),
    "a distance before the beginning": (zlib.compress(DATA, 9, -15)[20:], b""),
    "early end": (deflate(b"honest"), b"less than its"),
    "more": (deflate(DATA + b"!"), b"more than its"),
    "much more": (deflate(DATA + bytes(1 << 22)), b"more than its"),
    "other data": (deflate(DATA[::-1]), b"checksum"),
    "a zlib stream": (zlib.compress(DATA), b""),
    "a gzip stream": (zlib.compress(DATA, wbits=31), b""),
}


@pytest.mark.spec("WHEEL-5")
@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("step", [1, 7, 1 << 18])
def test_deflate_streams_that_are_not_what_they_say(case: str, step: int) -> None:
    packed, why = STREAMS[case]
    chunks = [packed[start : start + step] for start in range(0, len(packed), step)]
    seen = 0
    with pytest.raises(CompressionError, match="the member `x`") as caught:
        for block in inflate(iter(chunks), len(DATA), zlib.crc32(DATA), "the member `x`"):
            seen += len(block)
    assert why.decode() in str(caught.value)
    assert seen <= len(DATA)


@pytest.mark.spec("WHEEL-4", "WHEEL-5")
def test_a_bomb_is_stopped_at_its_announced_size() -> None:
    packed = deflate(bytes(1 << 26))
    blocks = inflate(iter([packed]), 1000, 0, "the member `bomb`")
    with pytest.raises(CompressionError, match="more than its 1000 bytes"):
        list(blocks)


@pytest.mark.parametrize("step", [1, 5, 1 << 18])
def test_honest_streams_of_any_size_pass(step: int) -> None:
    for size in (0, 1, 255, (256 << 10) - 1, 256 << 10, (256 << 10) + 1) if step > 1 else (0, 1, 255):
        data = bytes(size)
        for stored in (False, True):
            packed = data if stored else deflate(data)
            chunks = [packed[start : start + step] for start in range(0, len(packed), step)]
            assert b"".join(inflate(iter(chunks), size, zlib.crc32(data), stored=stored)) == data


def test_stored_members_are_checked_too() -> None:
    data = archive([Member("x", b"abc", method=0)])
    reader = ZipReader(io.BytesIO(data), len(data))
    entry = reader.entries[0]
    assert entry.method == STORED
    for crc, size in ((0, 3), (entry.crc32, 2), (entry.crc32, 4)):
        with pytest.raises(CompressionError):
            list(inflate(reader.raw(entry), size, crc, "x", stored=True))
