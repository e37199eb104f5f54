"""Looking for secrets inside archives: zip (and jar, wheel, ...), tar, and what is compressed (SECRET-20 on).

Bounded: an archive in an archive, no deeper; so many members, so many bytes. What could not be searched is said.
Nothing is unpacked to disk, and no two readers need agree here: a search sees what the archive's directory names,
also in archives that are too sloppy to be installed from.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.content import compress
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.formats.zip import ZipError
from ociassemble.project.secrets.findings import Finding, fingerprint
from ociassemble.project.secrets.names import by_name
from ociassemble.project.secrets.search import Search
from ociassemble.project.secrets.sniffed import HEAD, kind

MAX_DEPTH = 2  # an archive, and an archive in it
MAX_MEMBERS = 100_000  # of one file of the project, all depths together
MAX_BYTES = 1 << 30  # unpacked, likewise
MAX_NESTED = 64 << 20  # bytes of an archive inside another one: it is held in memory

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = 20  # bytes of the locator of a zip64 end record
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX32 = 0xFFFFFFFF
_MAX_DIRECTORY = 64 << 20
_BLOCK = 1 << 18


class _Limit(Exception):
    """Enough was searched."""


class _Entry(NamedTuple):
    name: str
    flags: int
    method: int
    crc32: int
    packed: int
    size: int
    offset: int


class Inside:
    """What is in the archives of one file of the project: `findings`, and `notes` on what was not searched."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self._members = MAX_MEMBERS
        self._bytes = MAX_BYTES

    def look(self, stream: BinaryIO, size: int, path: str) -> bool:
        """Search the archive `stream` of `size` bytes; whether that worked to its end."""
        try:
            self._archive(stream, size, path, 1)
        except _Limit:
            searched = f"{MAX_MEMBERS} members" if self._members < 0 else f"{(MAX_BYTES - self._bytes) >> 20} MiB"
            self.notes.append(f"only the first {searched} in `{path}` were searched for secrets")
            return False
        return not self.notes

    def _archive(self, stream: BinaryIO, size: int, path: str, depth: int) -> None:
        try:
            head = stream.read(HEAD)
            stream.seek(0)
            what = kind(path, head)
            if what == "zip":
                self._zip(stream, size, path, depth)
            elif what == "tar":
                self._tar(stream, path, depth)
            elif what is not None:
                self._compressed(stream, what, path, depth)
        except FormatError as error:
            self.notes.append(f"`{path}` was not searched for secrets to its end: {error.message}")

    def _zip(self, stream: BinaryIO, size: int, path: str, depth: int) -> None:
        locked = 0
        for entry, start in _entries(stream, size):
            if entry.flags & 1 or entry.method not in (0, 8):
                locked += 1
            elif not entry.name.endswith("/"):
                raw = _raw(stream, start, entry.packed)
                body = compress.inflate(raw, entry.size, entry.crc32, f"`{entry.name}`", stored=entry.method == 0)
                self._member(f"{path}!/{entry.name}", body, depth)
        if locked:
            self.notes.append(f"{locked} encrypted or strangely packed files in `{path}` were not searched for secrets")

    def _tar(self, stream: BinaryIO, path: str, depth: int) -> None:
        for member in tar.read(stream):
            if member.kind != "file":
                self._count()
            else:
                self._member(f"{path}!/{member.path}", member.chunks(), depth)

    def _compressed(self, stream: BinaryIO, codec: str, path: str, depth: int) -> None:
        # What lies between the files is unpacked as well.
        plain = compress.open_reader(stream, codec, limit=2 * MAX_BYTES)
        assert isinstance(plain, io.BufferedReader)
        if plain.peek(HEAD)[257:262] == b"ustar":
            self._tar(plain, path, depth)
            return
        name = path.rpartition("/")[2].rpartition(".")[0] or "content"
        self._member(f"{path}!/{name}", iter(lambda: plain.read(_BLOCK), b""), depth)

    def _count(self) -> None:
        self._members -= 1
        if self._members < 0:
            raise _Limit

    def _member(self, path: str, body: Iterable[bytes], depth: int) -> None:
        self._count()
        named = by_name(path.rpartition("!/")[2])
        search, hasher, kept = Search(path), hashlib.sha256() if named is not None else None, bytearray()
        nested: str | None = None
        begun = False
        for block in body:
            self._bytes -= len(block)
            if self._bytes < 0:
                raise _Limit
            if not begun:
                begun, nested = True, kind(path, block[:HEAD])
            search.feed(block)
            if hasher is not None:
                hasher.update(block)
            if nested is not None and depth < MAX_DEPTH and len(kept) <= MAX_NESTED:
                kept += block
        if named is not None and hasher is not None:
            mark = fingerprint(path, named.rule, hasher.hexdigest().encode())
            self.findings.append(Finding(path, None, 0, named.rule, named.what, 0, mark))
            return
        self.findings += search.finish()
        if nested is None:
            return
        if depth >= MAX_DEPTH or len(kept) > MAX_NESTED:
            why = "too deep" if depth >= MAX_DEPTH else "too big"
            self.notes.append(f"the archive `{path}` lies {why} to be searched for secrets")
            return
        self._archive(io.BytesIO(kept), len(kept), path, depth + 1)


def _entries(stream: BinaryIO, size: int) -> Iterator[tuple[_Entry, int]]:
    """Every member that the central directory names, with where its packed bytes begin."""
    start, end, shift = _directory(stream, size)
    data = _at(stream, start, end - start)
    position = 0
    while position + _CENTRAL.size <= len(data) and data.startswith(b"PK\x01\x02", position):
        entry, position = _central(data, position)
        header = _at(stream, entry.offset + shift, _LOCAL.size)
        if not header.startswith(b"PK\x03\x04"):
            raise ZipError(f"`{entry.name}` is not where the directory says")
        name_size, extra_size = _LOCAL.unpack(header)[-2:]
        yield entry, entry.offset + shift + _LOCAL.size + name_size + extra_size


def _directory(stream: BinaryIO, size: int) -> tuple[int, int, int]:
    """Start and end of the central directory, and how many bytes stand before the archive (a script, a program)."""
    tail_size = min(size, _END.size + 0xFFFF)
    tail = _at(stream, size - tail_size, tail_size)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > tail_size:
        raise ZipError("it has no end record")
    length, offset = _END.unpack_from(tail, found)[5:7]
    end = size - tail_size + found
    if end >= _LOCATOR + _END64.size:
        signature = _at(stream, end - _LOCATOR, 4)
        if signature == b"PK\x06\x07":
            end -= _LOCATOR + _END64.size
            record = _END64.unpack(_at(stream, end, _END64.size))
            length, offset = record[-2:]
            if record[0] != b"PK\x06\x06":
                raise ZipError("it has a damaged end record")
    start = end - length
    if not 0 <= start <= end or length > _MAX_DIRECTORY:
        raise ZipError("it has a damaged directory")
    return start, end, start - offset


def _central(data: bytes, position: int) -> tuple[_Entry, int]:
    _, _, _, flags, method, _, _, crc32, packed, size, *rest = _CENTRAL.unpack_from(data, position)
    name_size, extra_size, comment_size, _, _, _, offset = rest
    position += _CENTRAL.size
    raw = data[position : position + name_size]
    name = raw.decode("utf-8", "replace") if flags & 0x800 or raw.isascii() else raw.decode("cp437")
    extra = data[position + name_size : position + name_size + extra_size]
    # Zip64: of sizes and offset, those that are full in the entry stand here, in this order.
    while len(extra) >= 4:
        tag, length = struct.unpack_from("<HH", extra)
        if tag == 1:
            wide = [value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + length // 8 * 8])][::-1]
            size = wide.pop() if size == _MAX32 and wide else size
            packed = wide.pop() if packed == _MAX32 and wide else packed
            offset = wide.pop() if offset == _MAX32 and wide else offset
            break
        extra = extra[4 + length :]
    entry = _Entry(name, flags, method, crc32, packed, size, offset)
    return entry, position + name_size + extra_size + comment_size


def _raw(stream: BinaryIO, offset: int, left: int) -> Iterator[bytes]:
    while left > 0:
        block = _at(stream, offset, min(left, _BLOCK))
        yield block
        offset += len(block)
        left -= len(block)


def _at(stream: BinaryIO, offset: int, size: int) -> bytes:
    if offset < 0:
        raise ZipError("it has a damaged directory")
    stream.seek(offset)
    data = stream.read(size)
    if len(data) != size:
        raise ZipError("it is cut off")
    return data
