"""A strict reader of zip archives (APPNOTE.TXT 6.3), as far as wheels and jars use them.

Readers of zip disagree wherever an archive says a thing twice: some walk the local headers, some believe the
central directory. This one accepts an archive only where both tell the same story to the byte: local records
follow each other from offset 0 to the central directory without a gap, each has its one central entry, and
nothing follows the end record. It never inflates; `raw` hands out compressed bytes (see `content.compress`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.formats import _zip_records as records
from ociassemble.formats._exactly import exactly
from ociassemble.formats._zip_names import clash, show, unusable
from ociassemble.formats._zip_records import DEFLATED, STORED, ZipError, ZipLimitError, ZipUnsupportedError

__all__ = [
    "DEFLATED",
    "MAX_MEMBERS",
    "STORED",
    "ZipEntry",
    "ZipError",
    "ZipLimitError",
    "ZipReader",
    "ZipUnsupportedError",
    "show",
    "unusable",
]

MAX_MEMBERS = 200_000
MAX_DIRECTORY = 64 << 20  # bytes of central directory, which is held in memory
MAX_RATIO = 200  # unpacked : packed, of a member or of the archive, once it is over RATIO_FROM bytes
RATIO_FROM = 64 << 20
BLOCK = 1 << 18  # bytes a read
_AHEAD = 64 << 10  # bytes read at once where less is asked for: headers and small members lie close together

_DEFLATE_LIMIT = 1032  # no deflate stream unpacks to more than so many times its size


class ZipEntry(NamedTuple):
    """One member. Sizes and offsets in bytes; `mode` is 0 where the archive tells none."""

    name: str  # without the slash that marks a folder
    size: int
    compressed_size: int
    crc32: int
    method: int  # STORED or DEFLATED
    is_directory: bool
    mode: int  # as in a Unix inode, file type included: the upper 16 bits of the external attributes
    offset: int  # of the local header
    data_offset: int  # of the compressed bytes

    @property
    def is_symlink(self) -> bool:
        return self.mode & 0o170000 == 0o120000

    @property
    def is_executable(self) -> bool:
        """A regular file with an execute bit; where `mode` has no file type, there is none."""
        return self.mode & 0o170000 == 0o100000 and self.mode & 0o111 != 0


class ZipReader:
    """The members of the archive in `stream`, `size` bytes long, in the archive's order.

    Everything but the compressed bytes themselves is checked before this returns. `label` names the archive in
    errors. Raises `ZipError`. The stream is seeked, so one thread at a time.
    """

    def __init__(self, stream: BinaryIO, size: int, label: str = "the zip archive") -> None:
        self._stream = stream
        self._size = size
        self._blame = records.Blame(label)
        self._window, self._from = b"", 0  # bytes read ahead, and where in the archive they begin
        start, end, count = self._find_directory()
        members = self._read_directory(start, end, count)
        if found := clash(member.name for member in members):
            self._blame.fail(found[1], found[0])
        # In the order of the archive: local records are walked once, front to back.
        members.sort(key=lambda member: member.offset)
        self.entries: tuple[ZipEntry, ...] = tuple(self._walk(members, start))
        self._check_ratio()
        self._window = b""

    def raw(self, entry: ZipEntry) -> Iterator[bytes]:
        """The compressed bytes of `entry`, in blocks."""
        offset, left = entry.data_offset, entry.compressed_size
        while left:
            block = self._read(offset, min(left, BLOCK))
            offset += len(block)
            left -= len(block)
            yield block

    def whole(self, entry: ZipEntry) -> bytes:
        """The compressed bytes of a small `entry`, at once."""
        return self._read(entry.data_offset, entry.compressed_size)

    def _find_directory(self) -> tuple[int, int, int]:
        """Start and end of the central directory, and how many entries it has."""
        fail = self._blame.fail
        tail_size = min(self._size, records.END.size + 0xFFFF)
        tail = self._read(self._size - tail_size, tail_size)
        found = tail.rfind(b"PK\x05\x06")
        if found < 0 or found + records.END.size > tail_size:
            fail("has no end record: it is cut off, or not a zip archive")
        _, *values, comment = records.END.unpack_from(tail, found)
        # The last end record must reach exactly to the end: one hidden in a comment, or bytes after it, are refused.
        if found + records.END.size + comment != tail_size:
            fail("has bytes after its end record")
        end = self._size - tail_size + found
        if end >= records.LOCATOR.size:
            located = self._read(end - records.LOCATOR.size, records.LOCATOR.size)
            if located.startswith(b"PK\x06\x07"):
                end, wide = self._end64(located, end - records.LOCATOR.size)
                if any(
                    value not in (full, exact)
                    for value, full, exact in zip(values, (0xFFFF,) * 4 + (records.MAX32,) * 2, wide, strict=True)
                ):
                    fail("has two end records that disagree")
                values = wide
        disk, directory_disk, here, count, length, start = values
        if disk or directory_disk or here != count:
            self._blame.unsupported("is split over several disks")
        if count > MAX_MEMBERS:
            self._blame.limit(f"has {count} members; the limit is {MAX_MEMBERS}")
        if length > MAX_DIRECTORY:
            self._blame.limit(f"has a central directory of {length} bytes; the limit is {MAX_DIRECTORY}")
        if start + length != end:
            fail("has a central directory that does not end where its end record says")
        return start, end, count

    def _end64(self, located: bytes, end: int) -> tuple[int, list[int]]:
        """Offset of the zip64 end record that the locator at `end` points to, and its six values."""
        _, disk, offset, disks = records.LOCATOR.unpack(located)
        if disk or disks > 1:
            self._blame.unsupported("is split over several disks")
        if offset + records.END64.size != end:
            self._blame.fail("has a zip64 end record that is not where its locator says")
        signature, length, _, _, *values = records.END64.unpack(self._read(offset, records.END64.size))
        if signature != b"PK\x06\x06" or length != records.END64.size - 12:
            self._blame.fail("has a damaged zip64 end record")
        return offset, values

    def _read_directory(self, start: int, end: int, count: int) -> list[records.Central]:
        data = self._read(start, end - start)
        members = []
        position = 0
        for _ in range(count):
            member, position = records.central(data, position, self._blame)
            members.append(member)
        if position != len(data):
            self._blame.fail("has more in its central directory than its end record says")
        return members

    def _walk(self, members: list[records.Central], end: int) -> Iterator[ZipEntry]:
        """Each member with its local record; the records must fill the archive up to `end`."""
        position = 0
        for number, member in enumerate(members):
            if member.offset != position:
                self._blame.fail("overlaps another member, or bytes before it belong to none", member.name)
            limit = members[number + 1].offset if number + 1 < len(members) else end
            data_offset, wide = self._local(member, limit)
            position = data_offset + member.compressed_size
            if member.flags & records.DESCRIPTOR:
                position = self._descriptor(member, position, limit, wide)
            full = member.name
            name = full.removesuffix("/")
            yield ZipEntry(
                name, member.size, member.compressed_size, member.crc32, member.method,
                len(name) != len(full), member.mode, member.offset, data_offset,
            )  # fmt: skip
        if position != end:
            self._blame.fail("has bytes before its central directory that belong to no member")

    def _local(self, member: records.Central, limit: int) -> tuple[int, bool]:
        """Where the data of `member` begins, and whether its local header uses zip64; it must end before `limit`."""
        raw_name, name, member_flags, member_method, *exact, _, offset, same = member
        begin = offset + len(same)
        if same and begin + member.compressed_size <= limit and self._read(offset, len(same)) == same:
            return begin, False  # as nearly all are
        fixed = records.LOCAL.size
        # One read for most headers: few have more than 64 bytes of extra fields.
        header = self._read(offset, max(min(fixed + len(raw_name) + 64, limit - offset), 0))
        if len(header) < fixed or not header.startswith(b"PK\x03\x04"):
            self._blame.fail("has no local header", name)
        _, _, flags, method, _, _, crc32, *sizes, name_size, extra_size = records.LOCAL.unpack_from(header)
        begin = fixed + name_size
        end = begin + extra_size
        if offset + end + member.compressed_size > limit:
            self._blame.fail("overlaps another member or the central directory", name)
        if len(header) < end:
            header = self._read(offset, end)
        if header[fixed:begin] != raw_name:
            self._blame.fail("has another name in its local header", name)
        if flags != member_flags or method != member_method:
            self._blame.fail("has other flags or another method in its local header", name)
        wide = False
        if extra_size or records.MAX32 in sizes:
            sizes, wide = records.local(sizes, header[begin:end], name, raw_name, self._blame)
        told = [crc32, *sizes]
        # Before a data descriptor the header may say 0, or the truth already.
        if told != exact and not (
            flags & records.DESCRIPTOR and all(a in (0, b) for a, b in zip(told, exact, strict=True))
        ):
            self._blame.fail("has another checksum or size in its local header", name)
        return offset + end, wide

    def _descriptor(self, member: records.Central, position: int, limit: int, wide: bool) -> int:
        """End of the data descriptor at `position`: an optional signature, the checksum, two sizes."""
        wide = wide or max(member.size, member.compressed_size) > records.MAX32
        expected = struct.pack("<IQQ" if wide else "<III", member.crc32, member.compressed_size, member.size)
        gap = limit - position
        if gap == len(expected) + 4:
            expected = b"PK\x07\x08" + expected
        if gap != len(expected) or self._read(position, gap) != expected:
            self._blame.fail("has a data descriptor that disagrees with the central directory", member.name)
        return limit

    def _check_ratio(self) -> None:
        total = packed = 0
        for entry in self.entries:
            total += entry.size
            packed += entry.compressed_size
            if entry.size > _DEFLATE_LIMIT * (entry.compressed_size + 1):
                self._blame.fail("cannot unpack to the size it says", entry.name)
            if entry.size > RATIO_FROM and entry.size > MAX_RATIO * entry.compressed_size:
                self._blame.limit(f"unpacks to more than {MAX_RATIO} times its size", entry.name)
        if total > RATIO_FROM and total > MAX_RATIO * packed:
            self._blame.limit(f"unpacks to more than {MAX_RATIO} times its size")

    def _read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes at `offset`; a raw stream may need several reads."""
        begin = offset - self._from
        if begin >= 0 and begin + size <= len(self._window):
            return self._window[begin : begin + size]
        if offset < 0 or offset + size > self._size:
            self._blame.fail("is cut off")
        self._stream.seek(offset)
        if size > _AHEAD:
            data = exactly(self._stream.read, size)
        else:
            # Two members that are next to each other are one read, and so are most of those that follow.
            self._window, self._from = exactly(self._stream.read, min(_AHEAD, self._size - offset)), offset
            data = self._window[:size]
        if len(data) != size:
            self._blame.fail("is cut off")
        return data
