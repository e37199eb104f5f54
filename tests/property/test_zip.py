"""Zip archives at random: honest ones are read as others read them, spoilt ones are refused or the same."""

from __future__ import annotations

import contextlib
import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from ociassemble.content.compress import CompressionError, inflate
from ociassemble.errors import FormatError
from ociassemble.formats.zip import STORED, ZipError, ZipReader, unusable
from tests.formats.zip_builder import Member, archive

# The writer cuts names at a NUL, so none here.
PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def contents(data: bytes) -> dict[str, bytes]:
    reader = ZipReader(io.BytesIO(data), len(data))
    return {
        entry.name: b"".join(inflate(reader.raw(entry), entry.size, entry.crc32, "x", stored=entry.method == STORED))
        for entry in reader.entries
        if not entry.is_directory
    }


@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=200), st.booleans()), max_size=5), st.binary(max_size=20))
def test_what_the_standard_library_writes_is_read_or_its_names_are_bad(
    files: dict[str, tuple[bytes, bool]], comment: bytes
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.comment = comment
        for name, (data, packed) in files.items():
            target.writestr(name, data, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    try:
        found = contents(stream.getvalue())
    except ZipError:
        folders = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
        assert any(unusable(name) or not name.isascii() for name in files) or folders & set(files) or b"PK" in comment
        return
    assert found == {name: data for name, (data, _) in files.items()}


@given(st.text(max_size=40))
def test_usable_names_stay_below_their_folder(name: str) -> None:
    if unusable(name):
        return
    parts = name.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert not name.startswith("/") and "\\" not in name and "\0" not in name


BASE = [
    Member("pkg/a.py", b"print('a')\n" * 9),
    Member("pkg/b", b"stored", method=0, mode=0o100755),
    Member("pkg/", method=0, mode=0o040755),
    Member("pkg/c", b"late" * 9, flags=8),
]
GOOD = archive(BASE, comment=b"built by hand", end64={})
TRUTH = {member.name: member.data for member in BASE if member.name != "pkg/"}


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_seen_or_changes_no_content(place: int, change: int) -> None:
    data = GOOD[:place] + bytes([GOOD[place] ^ change]) + GOOD[place + 1 :]
    with contextlib.suppress(ZipError, CompressionError):
        assert contents(data) == TRUTH


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.integers(0, len(GOOD))), max_size=3))
def test_archives_cut_and_pasted_are_refused_or_read_as_others_read_them(edits: list[tuple[int, int, int]]) -> None:
    data = GOOD
    for start, end, place in edits:
        piece = data[min(start, end) : max(start, end)]
        data = data[:place] + piece + data[place + (start % 2) * len(piece) :]
    try:
        found = contents(data)
    except FormatError:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archived:
        assert found == {item.filename: archived.read(item) for item in archived.infolist() if not item.is_dir()}


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x05\x06", b"PK\x03\x04", b"PK\x01\x02", GOOD[:-35]]))
def test_the_reader_is_total(noise: bytes, start: bytes) -> None:
    for data in (start + noise, noise + GOOD[-35:], noise + start):
        with contextlib.suppress(FormatError):
            contents(data)


@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(0, 100), st.integers(0, 2**32 - 1), st.booleans())
def test_inflating_is_total_and_bounded(chunks: list[bytes], size: int, crc: int, stored: bool) -> None:
    seen = 0
    with contextlib.suppress(CompressionError):
        for block in inflate(iter(chunks), size, crc, "x", stored=stored):
            seen += len(block)
    assert seen <= size
