"""The strict reader of zip archives: what it accepts, and that it sees what everybody sees."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib

import pytest

from ociassemble.content.compress import inflate
from ociassemble.formats.zip import DEFLATED, STORED, ZipError, ZipReader, show, unusable
from tests.formats.zip_builder import Member, archive, zip64


def read(data: bytes) -> ZipReader:
    return ZipReader(io.BytesIO(data), len(data))


def contents(data: bytes) -> dict[str, bytes]:
    """Every file of the archive, as we read it."""
    reader = read(data)
    return {
        entry.name: b"".join(
            inflate(reader.raw(entry), entry.size, entry.crc32, entry.name, stored=entry.method == STORED)
        )
        for entry in reader.entries
        if not entry.is_directory
    }


def by_zipfile(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {item.filename: found.read(item) for item in found.infolist() if not item.is_dir()}


A = Member("pkg/a.py", b"print('a')\n" * 9)
B = Member("pkg/b.so", bytes(range(256)) * 300, mode=0o100755)
FOLDER = Member("pkg/", method=0, mode=0o040755)
EMPTY = Member("pkg/empty", method=0)


class Trickle(io.RawIOBase):
    """A stream that never gives more than three bytes at once."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 3))


def _wide(value: Member, **extra: bytes) -> Member:
    sizes = zip64(len(value.data), len(value.data))
    return Member(
        value.name, value.data, method=0, local={"csize": 0xFFFFFFFF, "size": 0xFFFFFFFF}, local_extra=sizes, **extra
    )


ACCEPTED = {
    "empty": archive([]),
    "one file": archive([A]),
    "stored": archive([Member("x", b"abc", method=0)]),
    "folders": archive([FOLDER, A, B, EMPTY]),
    "a folder deflated": archive([Member("d/", mode=0o040755, packed=b"\x03\x00"), A]),
    "a folder without a mode": archive([Member("d/", method=0, mode=0), A]),
    "a comment": archive([A], comment=b"built by hand"),
    "a long comment": archive([A], comment=b"x" * 65535),
    "a member's comment": archive([Member("x", b"1", comment=b"hello")]),
    "the directory in another order": archive([A, B, EMPTY], reverse=True),
    "deflate's option bits": archive([Member("x", b"abc", flags=0x0006)]),
    "unknown extra fields": archive(
        [Member("x", b"a", extra=b"UT\x05\0\x01abcd", local_extra=b"UT\x09\0\x03abcdefgh" + b"\xfe\xca\0\0")]
    ),
    "a long local extra field": archive([Member("x", b"a", local_extra=b"zz" + struct.pack("<H", 900) + bytes(900))]),
    "a Unicode path that agrees": archive(
        [Member("x", b"a", extra=b"up" + struct.pack("<HBI", 6, 1, zlib.crc32(b"x")) + b"x")]
    ),
    "a data descriptor": archive([Member("x", b"abc" * 99, flags=8), B]),
    "a data descriptor without signature": archive(
        [Member("x", b"abc", flags=8, descriptor=struct.pack("<III", zlib.crc32(b"abc"), 5, 3), packed=b"KLJ\x06\0")]
    ),
    "a data descriptor, sizes known before": archive(
        [Member("x", b"abc", flags=8, packed=b"KLJ\x06\0", local={"crc": zlib.crc32(b"abc"), "csize": 5, "size": 3})]
    ),
    "a stored empty file with a data descriptor": archive([Member("x", b"", method=0, flags=8), A]),
    "a wide data descriptor": archive(
        [
            Member(
                "x",
                b"abc",
                flags=8,
                packed=b"KLJ\x06\0",
                local={"csize": 0xFFFFFFFF, "size": 0xFFFFFFFF},
                local_extra=zip64(0, 0),
                descriptor=struct.pack("<4sIQQ", b"PK\x07\x08", zlib.crc32(b"abc"), 5, 3),
            )
        ]
    ),
    "zip64 sizes in the local header": archive([_wide(A), B]),
    "zip64 sizes in both": archive(
        [_wide(A, extra=zip64(len(A.data), len(A.data)), central={"csize": 0xFFFFFFFF, "size": 0xFFFFFFFF})]
    ),
    "a zip64 offset": archive([Member("y", b"1", extra=zip64(0), central={"offset": 0xFFFFFFFF})]),
    "a zip64 field that nothing refers to": archive([Member("x", b"a", local_extra=zip64(77))]),
    "a zip64 end record": archive([A], end64={}),
    "a zip64 end record, and nothing in the other": archive(
        [A], end64={}, end={"here": 0xFFFF, "count": 0xFFFF, "length": 0xFFFFFFFF, "start": 0xFFFFFFFF}
    ),
    "names that differ by case": archive([Member("x/MARK.h", b"1"), Member("x/mark.h", b"2")]),
    "Unicode names": archive([Member("pkg/größe.py", b"1"), Member("pkg/日本.txt", b"2"), Member("a b/~!@#$%^", b"")]),
    "a name of 255 bytes": archive([Member("d/" + "x" * 255, b"")]),
    "an end record's signature in the data": archive([Member("x", b"PK\x05\x06" * 9, method=0)]),
}


@pytest.mark.spec("WHEEL-1", "WHEEL-2", "WHEEL-3", "WHEEL-5")
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_archives_hold_what_zipfile_sees(name: str) -> None:
    data = ACCEPTED[name]
    assert contents(data) == by_zipfile(data)
    small = ZipReader(Trickle(data), len(data))  # type: ignore[arg-type]
    assert small.entries == read(data).entries


def test_entries_say_what_the_archive_says() -> None:
    found = {entry.name: entry for entry in read(archive([FOLDER, A, B, EMPTY])).entries}
    assert list(found) == ["pkg", "pkg/a.py", "pkg/b.so", "pkg/empty"]
    assert found["pkg"].is_directory and not found["pkg/a.py"].is_directory
    assert (found["pkg/b.so"].size, found["pkg/b.so"].method) == (76800, DEFLATED)
    assert found["pkg/b.so"].crc32 == zlib.crc32(B.data)
    assert found["pkg/b.so"].is_executable and not found["pkg/a.py"].is_executable
    assert found["pkg/empty"].mode == 0o100644
    assert found["pkg"].offset == 0


def test_symlinks_are_flagged_and_nothing_else_is() -> None:
    reader = read(archive([Member("link", b"target", mode=0o120777), A]))
    assert [(entry.name, entry.is_symlink) for entry in reader.entries] == [("link", True), ("pkg/a.py", False)]
    assert not reader.entries[0].is_executable


def test_an_execute_bit_counts_for_regular_files_only() -> None:
    modes = {0o100755: True, 0o100711: True, 0o100644: False, 0o755: False, 0: False}
    for mode, executable in modes.items():
        assert read(archive([Member("x", mode=mode)])).entries[0].is_executable is executable


def test_members_can_be_read_in_any_order_and_again() -> None:
    data = archive([A, B])
    reader = read(data)
    first, second = reader.entries
    one, two = reader.raw(first), reader.raw(second)
    assert b"".join(two) and b"".join(one) and b"".join(reader.raw(first)) == zlib.compress(A.data, 9, -15)


def test_big_members_come_in_blocks() -> None:
    data = random.Random(1).randbytes(1 << 20)
    reader = read(archive([Member("x", data, method=0)]))
    blocks = list(reader.raw(reader.entries[0]))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= 1 << 18


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("seekable", [True, False])
def test_what_the_standard_library_writes_is_read(compression: int, seekable: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return seekable

        def seek(self, offset: int, whence: int = 0) -> int:
            if not seekable:
                raise io.UnsupportedOperation
            return super().seek(offset, whence)

        def tell(self) -> int:
            if not seekable:
                raise io.UnsupportedOperation
            return super().tell()

    stream = Pipe()
    with zipfile.ZipFile(stream, "w", compression) as target:
        target.mkdir("pkg")
        target.writestr("pkg/ü.txt", "text" * 1000)
        target.writestr("empty", "")
        with target.open("wide", "w", force_zip64=True) as member:
            member.write(b"x" * 5000)
    data = stream.getvalue()
    if compression == zipfile.ZIP_STORED and not seekable:
        # Where stored data ends is said behind it: readers of streams and of directories disagree.
        with pytest.raises(ZipError, match="stored with its size behind it"):
            read(data)
        return
    assert contents(data) == by_zipfile(data)


def test_more_members_than_16_bits_count() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for number in range(65600):
            target.writestr(zipfile.ZipInfo(f"{number:x}"), b"")
    assert len(read(stream.getvalue()).entries) == 65600


def test_errors_name_the_archive_and_the_member() -> None:
    data = archive([Member("pkg/x", b"1", method=12)])
    with pytest.raises(ZipError, match=r"^the wheel `w`: the member `pkg/x` is compressed with method 12 \(bzip2\)"):
        ZipReader(io.BytesIO(data), len(data), "the wheel `w`")


def test_shown_names_are_short_and_printable() -> None:
    assert show("a\x1b[31mb\u202e") == "`a\\x1b[31mb\\u202e`"
    assert len(show("x" * 9999)) < 130


@pytest.mark.parametrize("name", ["a", "a/b", "a b", "ü", "..a", "a..", "...", "ab:c", "-", "~", "日本/語", "x" * 255])
def test_usable_names(name: str) -> None:
    assert unusable(name) == ""
