"""A strict reader of zip archives (APPNOTE.TXT 6.3), as far as wheels and jars use them.

Readers of zip disagree wherever an archive says a thing twice: some walk the local headers, some believe the
central directory. This one accepts an archive only where both tell the same story to the byte: local records
follow each other from offset 0 to the central directory without a gap, each has its one central entry, and
nothing follows the end record. It never inflates; `raw` hands out compressed bytes (see `content.compress`).
"""

from __future__ import annotations

import binascii
import re
import struct
import unicodedata
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn

from ociassemble.errors import FormatError

STORED = 0
DEFLATED = 8

MAX_MEMBERS = 200_000
MAX_DIRECTORY = 64 << 20  # bytes of central directory, which is held in memory
MAX_RATIO = 200  # unpacked : packed, of a member or of the archive, once it is over RATIO_FROM bytes
RATIO_FROM = 64 << 20
BLOCK = 1 << 18  # bytes a read

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_MAX32 = 0xFFFFFFFF

_ENCRYPTED = 0x2041  # bits 0, 6 and 13
_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_KNOWN_FLAGS = 0x0006 | _DESCRIPTOR | _UTF8  # bits 1 and 2 tell how hard deflate tried

_ZIP64 = 0x0001
_UNICODE_PATH = 0x7075

# Control, bidirectional and invisible format characters, private use, noncharacters. A fixed table: what the
# running Python's Unicode version calls a control character must not decide what is accepted.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
    "\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_DRIVE = re.compile(r"[A-Za-z]:")
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 99: "AES"}


class ZipError(FormatError):
    """The archive is damaged, ambiguous, or names something that cannot be a path below a folder."""

    code = "integrity.zip"


class ZipUnsupportedError(ZipError):
    """The archive is well-formed, but uses encryption, another compression or several disks."""

    code = "integrity.zip.unsupported"


class ZipLimitError(ZipError):
    """The archive has more members, or unpacks to more, than any honest one."""

    code = "integrity.zip.limit"


class ZipEntry(NamedTuple):
    """One member. Sizes, offsets in bytes; `mode` are the upper 16 bits of the external attributes (0: not told)."""

    name: str  # without the trailing slash that marks a folder
    size: int
    compressed_size: int
    crc32: int
    method: int  # STORED or DEFLATED
    is_directory: bool
    mode: int
    offset: int  # of the local header
    data_offset: int  # of the compressed bytes

    @property
    def is_symlink(self) -> bool:
        return self.mode & 0o170000 == 0o120000

    @property
    def is_executable(self) -> bool:
        """A regular file with an execute bit; without a file type in `mode` there is none."""
        return self.mode & 0o170000 == 0o100000 and self.mode & 0o111 != 0


class _Central(NamedTuple):
    raw_name: bytes
    name: str
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    external: int
    offset: int


class ZipReader:
    """The members of the archive in `stream`, `size` bytes long; everything is checked before this returns.

    `label` names the archive in errors. Raises `ZipError`. The stream is seeked; one thread at a time.
    """

    def __init__(self, stream: BinaryIO, size: int, label: str = "the zip archive") -> None:
        self._stream = stream
        self._size = size
        self._label = label
        start, end, count = self._find_directory()
        members = self._read_directory(start, end, count)
        self._check_names(members)
        # In the order of the archive: local records are walked once, front to back.
        members.sort(key=lambda member: member.offset)
        self.entries: tuple[ZipEntry, ...] = tuple(self._walk(members, start))
        self._check_ratio()

    def raw(self, entry: ZipEntry) -> Iterator[bytes]:
        """The compressed bytes of `entry`, in blocks."""
        offset, left = entry.data_offset, entry.compressed_size
        while left:
            block = self._read(offset, min(left, BLOCK))
            offset += len(block)
            left -= len(block)
            yield block

    # The end of the archive

    def _find_directory(self) -> tuple[int, int, int]:
        """Start and end of the central directory, and how many entries it has."""
        if self._size < _END.size:
            self._fail("is too short to be a zip archive")
        tail_size = min(self._size, _END.size + 0xFFFF)
        tail = self._read(self._size - tail_size, tail_size)
        found = tail.rfind(b"PK\x05\x06")
        # The last end record must reach exactly to the end: one hidden in a comment, or bytes after it, are refused.
        if found < 0 or found + _END.size > tail_size:
            self._fail("has no end record; it is cut off, or not a zip archive")
        _, disk, directory_disk, here, count, length, start, comment = _END.unpack_from(tail, found)
        if found + _END.size + comment != tail_size:
            self._fail("has bytes after its end record")
        end = self._size - tail_size + found
        located = self._read(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
        if located[:4] == b"PK\x06\x07":
            end, wide = self._end64(located, end - _LOCATOR.size)
            narrow = (disk, directory_disk, here, count, length, start)
            for value, limit, exact in zip(narrow, (0xFFFF,) * 4 + (_MAX32,) * 2, wide, strict=True):
                if value not in (limit, exact):
                    self._fail("has two end records that disagree")
            disk, directory_disk, here, count, length, start = wide
        if disk or directory_disk or here != count:
            self._refuse("is split over several disks")
        if start + length != end:
            self._fail("has a central directory that does not end where its end record says")
        if count > MAX_MEMBERS:
            self._limit(f"has {count} members; the limit is {MAX_MEMBERS}")
        if length > MAX_DIRECTORY:
            self._limit(f"has a central directory of {length} bytes; the limit is {MAX_DIRECTORY}")
        return start, end, count

    def _end64(self, located: bytes, end: int) -> tuple[int, tuple[int, int, int, int, int, int]]:
        """Offset of the zip64 end record that a locator at `end` points to, and its six values."""
        _, disk, offset, disks = _LOCATOR.unpack(located)
        if disk or disks > 1:
            self._refuse("is split over several disks")
        if offset + _END64.size != end:
            self._fail("has a zip64 end record that is not where its locator says")
        signature, length, _, _, *values = _END64.unpack(self._read(offset, _END64.size))
        if signature != b"PK\x06\x06" or length != _END64.size - 12:
            self._fail("has a damaged zip64 end record")
        return offset, (values[0], values[1], values[2], values[3], values[4], values[5])

    # The central directory

    def _read_directory(self, start: int, end: int, count: int) -> list[_Central]:
        data = self._read(start, end - start)
        members = []
        position = 0
        for _ in range(count):
            if len(data) - position < _CENTRAL.size or data[position : position + 4] != b"PK\x01\x02":
                self._fail("has a damaged central directory")
            member, position = self._central(data, position)
            members.append(member)
        if position != len(data):
            self._fail("has more in its central directory than its end record says")
        return members

    def _central(self, data: bytes, position: int) -> tuple[_Central, int]:
        fields = _CENTRAL.unpack_from(data, position)
        flags, method = fields[3], fields[4]
        crc32, compressed_size, size, name_size, extra_size, comment_size, disk = fields[7:14]
        external, offset = fields[15], fields[16]
        position += _CENTRAL.size
        after = position + name_size + extra_size + comment_size
        if after > len(data):
            self._fail("has a damaged central directory")
        raw_name = data[position : position + name_size]
        extra = data[position + name_size : position + name_size + extra_size]
        name = self._name(raw_name, flags)
        if disk:
            self._refuse("is split over several disks")
        if flags & _ENCRYPTED:
            self._refuse("is encrypted", name)
        if flags & ~_KNOWN_FLAGS:
            self._refuse(f"has unknown flags {flags:#06x}", name)
        if method not in (STORED, DEFLATED):
            known = f" ({_METHODS[method]})" if method in _METHODS else ""
            self._refuse(f"is compressed with method {method}{known}; only stored and deflate are read", name)
        wide = self._extra(extra, name, raw_name)
        wanted = [value for value in (size, compressed_size, offset) if value == _MAX32]
        if wide is not None or wanted:
            if wide is None or len(wide) != 8 * len(wanted):
                self._fail("has a zip64 field that does not fit its header", name)
            values = iter(struct.unpack(f"<{len(wanted)}Q", wide))
            size = next(values) if size == _MAX32 else size
            compressed_size = next(values) if compressed_size == _MAX32 else compressed_size
            offset = next(values) if offset == _MAX32 else offset
        kind = external >> 28
        if kind not in (0, 4, 8, 10):
            self._fail("is a device, a pipe or a socket", name)
        directory = raw_name.endswith(b"/")
        if directory != (kind == 4) and kind:
            self._fail("is a folder by its name or its mode only", name)
        if directory and (size or crc32 or compressed_size > 2):
            self._fail("is a folder with content", name)
        if method == STORED and size != compressed_size:
            self._fail("is stored, but its two sizes differ", name)
        if method == STORED and flags & _DESCRIPTOR and size:
            # Where such data ends, only the central directory tells: readers of streams see something else.
            self._fail("is stored with its size behind it", name)
        member = _Central(raw_name, name, flags, method, crc32, compressed_size, size, external, offset)
        return member, after

    def _name(self, raw: bytes, flags: int) -> str:
        """The name of a member as text, if it can be a path below a folder; a trailing slash is kept."""
        try:
            name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
        except UnicodeDecodeError:
            self._fail("is not a name in UTF-8" if flags & _UTF8 else "is a name in an unknown encoding", repr(raw)[1:])
        wrong = unusable(name[:-1] if name.endswith("/") else name)
        if wrong:
            self._fail(wrong, name)
        return name

    def _extra(self, extra: bytes, name: str, raw_name: bytes) -> bytes | None:
        """The zip64 field of an extra area, or None; the area must be well-formed."""
        wide = None
        position = 0
        while position < len(extra):
            if len(extra) - position < 4:
                self._fail("has a damaged extra field", name)
            tag, length = struct.unpack_from("<HH", extra, position)
            body = extra[position + 4 : position + 4 + length]
            position += 4 + length
            if len(body) != length:
                self._fail("has a damaged extra field", name)
            if tag == _ZIP64:
                if wide is not None:
                    self._fail("has two zip64 fields", name)
                wide = body
            elif tag == _UNICODE_PATH and body[5:] != raw_name:
                self._fail("has a second, different name", name)
        return wide

    def _check_names(self, members: list[_Central]) -> None:
        """No member twice, none below a file, and no two that differ in Unicode normalisation only.

        Twins that differ by case are two files on Linux, and real archives hold such pairs.
        """
        names: set[str] = set()
        files: set[str] = set()
        parents: set[str] = set()
        for member in members:
            name = member.name.removesuffix("/")
            key = name if name.isascii() else unicodedata.normalize("NFC", name)
            if key in names:
                self._fail("is there twice", member.name)
            names.add(key)
            if name == member.name:
                files.add(name)
            parent = name.rpartition("/")[0]
            while parent and parent not in parents:
                parents.add(parent)
                parent = parent.rpartition("/")[0]
        if both := files & parents:
            self._fail("is a file and a folder", min(both))

    # The local records

    def _walk(self, members: list[_Central], end: int) -> Iterator[ZipEntry]:
        position = 0
        for number, member in enumerate(members):
            if member.offset != position:
                self._fail("overlaps another member, or bytes before it belong to none", member.name)
            limit = members[number + 1].offset if number + 1 < len(members) else end
            data_offset, wide = self._local(member, limit)
            position = data_offset + member.compressed_size
            if member.flags & _DESCRIPTOR:
                position = self._descriptor(member, position, limit, wide)
            yield ZipEntry(
                member.name.removesuffix("/"),
                member.size,
                member.compressed_size,
                member.crc32,
                member.method,
                member.name.endswith("/"),
                member.external >> 16,
                member.offset,
                data_offset,
            )
        if position != end:
            self._fail("has bytes before its central directory that belong to no member")

    def _local(self, member: _Central, limit: int) -> tuple[int, bool]:
        """Where the data of `member` begins, and whether its local header has a zip64 field in use."""
        name = member.name
        header = self._read(member.offset, min(_LOCAL.size + len(member.raw_name) + 64, max(limit - member.offset, 0)))
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            self._fail("has no local header", name)
        fields = _LOCAL.unpack_from(header)
        flags, method = fields[2], fields[3]
        crc32, compressed_size, size, name_size, extra_size = fields[6:11]
        data_offset = member.offset + _LOCAL.size + name_size + extra_size
        if data_offset + member.compressed_size > limit:
            self._fail("overlaps another member or the central directory", name)
        header = header[_LOCAL.size :]
        if len(header) < name_size + extra_size:
            header = self._read(member.offset + _LOCAL.size, name_size + extra_size)
        if header[:name_size] != member.raw_name:
            self._fail("has another name in its local header", name)
        if (flags, method) != (member.flags, member.method):
            self._fail("has other flags or another method in its local header", name)
        wide = self._extra(header[name_size : name_size + extra_size], name, member.raw_name)
        wanted = (size == _MAX32) + (compressed_size == _MAX32)
        if wanted:
            if wide is None or len(wide) != 8 * wanted:
                self._fail("has a zip64 field that does not fit its local header", name)
            values = iter(struct.unpack(f"<{wanted}Q", wide))
            size = next(values) if size == _MAX32 else size
            compressed_size = next(values) if compressed_size == _MAX32 else compressed_size
        told = (crc32, compressed_size, size)
        exact = (member.crc32, member.compressed_size, member.size)
        # With a data descriptor the header may say 0, or the truth already.
        if told != exact and not (flags & _DESCRIPTOR and all(a in (0, b) for a, b in zip(told, exact, strict=True))):
            self._fail("has another checksum or size in its local header", name)
        return data_offset, wanted > 0

    def _descriptor(self, member: _Central, position: int, limit: int, wide: bool) -> int:
        """End of the data descriptor at `position`: an optional signature, the checksum, two sizes."""
        wide = wide or max(member.size, member.compressed_size) > _MAX32
        expected = struct.pack("<IQQ" if wide else "<III", member.crc32, member.compressed_size, member.size)
        gap = limit - position
        if gap == len(expected) + 4:
            expected = b"PK\x07\x08" + expected
        if gap != len(expected) or self._read(position, gap) != expected:
            self._fail("has a data descriptor that disagrees with the central directory", member.name)
        return limit

    def _check_ratio(self) -> None:
        total = packed = 0
        for entry in self.entries:
            total += entry.size
            packed += entry.compressed_size
            # Deflate cannot do better than 1032:1, so this header lies.
            if entry.size > 1032 * entry.compressed_size + 1032:
                self._fail("cannot unpack to the size it says", entry.name)
            if entry.size > RATIO_FROM and entry.size > MAX_RATIO * entry.compressed_size:
                self._limit(f"unpacks to more than {MAX_RATIO} times its size", entry.name)
        if total > RATIO_FROM and total > MAX_RATIO * packed:
            self._limit(f"unpacks to more than {MAX_RATIO} times its size")

    # Reading and failing

    def _read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes at `offset`; a raw stream may need several reads."""
        self._stream.seek(offset)
        data = self._stream.read(size)
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                self._fail("is cut off")
            data += more
        return data

    def _text(self, what: str, name: str | None) -> str:
        return f"{self._label} {what}" if name is None else f"{self._label}: the member {show(name)} {what}"

    def _fail(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipError(self._text(what, name))

    def _refuse(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipUnsupportedError(self._text(what, name))

    def _limit(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipLimitError(self._text(what, name))


def crc32(data: bytes, value: int = 0) -> int:
    """The checksum zip uses (ISO 3309), continued from `value`."""
    return binascii.crc32(data, value)


def show(name: str) -> str:
    """A name from an archive, fit for a terminal and of bounded length."""
    text = repr(name)[1:-1]
    return f"`{text[:120]}...`" if len(text) > 123 else f"`{text}`"


def unusable(name: str) -> str:
    """Why `name` cannot be a path below some folder of an image, as a predicate; "" where it can."""
    if not name:
        return "has no name"
    if "\\" in name:
        return "has a backslash in its name"
    if _UNPRINTABLE.search(name):
        return "has a control or invisible character in its name"
    if name[0] == "/" or _DRIVE.match(name):
        return "has an absolute name"
    if len(name) > 4095 or len(name.encode("utf-8", "surrogatepass")) > 4095:
        return "has a name of more than 4095 bytes"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "has an empty, `.` or `..` part in its name"
        if len(part) > 63 and len(part.encode("utf-8", "surrogatepass")) > 255:
            return "has a part of more than 255 bytes in its name"
    return ""
