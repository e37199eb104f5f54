"""Tar: what the writer writes, every reader reads; whatever bytes come, the reader returns or raises our error."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import FormatError
from ociassemble.formats import tar
from tests.formats import tar_builder as raw

PART = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60),
    st.text("ab.-", min_size=1, max_size=255),
).filter(lambda part: part not in (".", "..") and len(part.encode()) <= 255)
PATH = st.lists(PART, min_size=1, max_size=12).map("/".join).filter(lambda path: len(path) <= 4096)
TARGET = st.one_of(PATH, PATH.map(lambda path: "../" + path), PATH.map(lambda path: "/" + path))
ID = st.one_of(st.integers(0, 70000), st.integers(2097150, 2097153), st.just((1 << 32) - 1))

FILE = st.tuples(st.just("file"), PATH, st.integers(0, 0o7777), ID, ID, st.binary(max_size=1100), st.just(""))
LINK = st.tuples(st.just("symlink"), PATH, st.just(0o777), ID, ID, st.just(b""), TARGET)
HARD = st.tuples(st.just("hardlink"), PATH, st.integers(0, 0o777), ID, ID, st.just(b""), PATH)
FOLDER = st.tuples(st.just("directory"), PATH, st.integers(0, 0o7777), ID, ID, st.just(b""), st.just(""))
ENTRIES = st.lists(st.one_of(FILE, LINK, HARD, FOLDER), max_size=8)
_TYPES = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}


def written(entries: list[tuple[str, str, int, int, int, bytes, str]]) -> bytes:
    parts = []
    for kind, path, mode, uid, gid, data, target in entries:
        parts.append(tar.header(path, kind, mode=mode, size=len(data), target=target, uid=uid, gid=gid))  # type: ignore[arg-type]
        parts += [data, tar.padding(len(data))]
    return b"".join(parts) + tar.END


@given(ENTRIES)
def test_our_reader_reads_what_our_writer_writes(entries: list[tuple[str, str, int, int, int, bytes, str]]) -> None:
    found = [
        (m.kind, m.path, m.mode, m.uid, m.gid, b"".join(m.chunks()), m.target)
        for m in tar.read(io.BytesIO(written(entries)))
    ]
    assert found == entries


@given(ENTRIES)
def test_pythons_tarfile_reads_what_our_writer_writes(
    entries: list[tuple[str, str, int, int, int, bytes, str]],
) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(entries)), mode="r|") as archive:
        for (kind, path, mode, uid, gid, data, target), info in zip(entries, archive, strict=True):
            assert (info.name, info.type, info.mode) == (path, _TYPES[kind], mode)
            assert (info.uid, info.gid, info.linkname, info.size) == (uid, gid, target, len(data))
            assert (info.mtime, info.uname, info.gname) == (tar.MTIME, "", "")
            if kind == "file":
                content = archive.extractfile(info)
                assert content is not None
                assert content.read() == data


@given(st.text(max_size=300), st.text(max_size=300), st.sampled_from(sorted(_TYPES)), st.integers(), st.integers())
def test_the_writer_is_total(path: str, target: str, kind: tar.Kind, size: int, mode: int) -> None:
    try:
        header = tar.header(path, kind, mode=mode, size=size, target=target)
    except FormatError:
        return
    assert len(header) % 512 == 0


SEED = (
    raw.pax((b"path", b"x" * 120), (b"size", b"5"), (b"mtime", b"1.5"))
    + raw.file()
    + raw.long(b"y" * 120)
    + raw.file(magic=raw.GNU, mtime=raw.binary(-5, 12))
    + raw.block(b"s", type=b"2", link=b"t")
    + raw.file(b"n", prefix=b"p")
    + raw.END
)
EDIT = st.tuples(st.integers(0, len(SEED) - 1), st.binary(min_size=1, max_size=12))


def consume(data: bytes) -> None:
    try:
        for member in tar.read(io.BytesIO(data)):
            size = sum(map(len, member.chunks()))
            assert size == member.size
            assert ".." not in member.path.split("/")
            assert not member.path.startswith("/")
    except FormatError:
        pass


@given(st.lists(EDIT, min_size=1, max_size=4), st.booleans())
def test_the_reader_is_total(edits: list[tuple[int, bytes]], repair: bool) -> None:
    data = bytearray(SEED)
    for at, new in edits:
        data[at : at + len(new)] = new
    if repair:  # make the checksums right again, so that what is behind them is reached
        for start in range(0, len(data) - 511, 512):
            if data[start + 257 : start + 262] == b"ustar":
                data[start + 148 : start + 156] = b" " * 8
                data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    consume(bytes(data))


@given(st.binary(max_size=3000))
def test_the_reader_is_total_on_noise(data: bytes) -> None:
    consume(data)


@given(st.binary(max_size=200))
def test_pax_records_are_read_totally(data: bytes) -> None:
    consume(raw.raw_pax(data) + raw.file() + raw.END)
