"""The records of a zip archive (APPNOTE.TXT 4.3), each from bytes to values; `zip` holds them against each other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from ociassemble.errors import FormatError
from ociassemble.formats._zip_names import show, unusable

STORED = 0
DEFLATED = 8

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
LOCATOR = struct.Struct("<4sIQI")
END64 = struct.Struct("<4sQ2H2I4Q")
MAX32 = 0xFFFFFFFF

DESCRIPTOR = 0x0008
_ENCRYPTED = 0x2041  # bits 0, 6 and 13
_UTF8 = 0x0800
_KNOWN_FLAGS = 0x0006 | DESCRIPTOR | _UTF8  # bits 1 and 2 tell how hard deflate tried

_NEWEST = 63  # version 6.3, the last that there is

_ZIP64 = 0x0001
_UNICODE_PATH = 0x7075
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 99: "AES"}
_FOLDER, _FILE = 4, 8  # file types as the upper 4 bits of a mode
_TYPES = (0, _FOLDER, _FILE, 10)  # none told, folder, file, symlink


class ZipError(FormatError):
    """The archive is damaged, ambiguous, or names something that cannot be a path below a folder."""

    code = "integrity.zip"


class ZipUnsupportedError(ZipError):
    """The archive is well-formed, but uses encryption, another compression or several disks."""

    code = "integrity.zip.unsupported"


class ZipLimitError(ZipError):
    """The archive has more members, or unpacks to more, than any honest one."""

    code = "integrity.zip.limit"


class Blame(NamedTuple):
    """Raises errors that name the archive and, where one is at fault, the member."""

    archive: str

    def fail(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipError(self._text(what, name))

    def unsupported(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipUnsupportedError(self._text(what, name))

    def limit(self, what: str, name: str | None = None) -> NoReturn:
        raise ZipLimitError(self._text(what, name))

    def _text(self, what: str, name: str | None) -> str:
        return f"{self.archive} {what}" if name is None else f"{self.archive}: the member {show(name)} {what}"


class Central(NamedTuple):
    """An entry of the central directory."""

    raw_name: bytes
    name: str  # a folder's keeps its slash
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    mode: int
    offset: int
    header: bytes  # the local header that says exactly the same, without an extra field; empty if it would need one


def central(data: bytes, position: int, blame: Blame) -> tuple[Central, int]:
    """The entry at `position` of a central directory, and where the next one begins."""
    if len(data) - position < CENTRAL.size:
        blame.fail("has a damaged central directory")
    (
        signature, _, need, flags, method, _, _, crc32, compressed_size, size,
        name_size, extra_size, comment_size, disk, _, external, offset,
    ) = CENTRAL.unpack_from(data, position)  # fmt: skip
    begin = position + CENTRAL.size
    end = begin + name_size
    after = end + extra_size + comment_size
    if signature != b"PK\x01\x02" or after > len(data):
        blame.fail("has a damaged central directory")
    raw_name = data[begin:end]
    name = _name(raw_name, flags, blame)
    if disk:
        blame.unsupported("is on another disk", name)
    if need > _NEWEST or flags & ~_KNOWN_FLAGS or method not in (STORED, DEFLATED):
        _check_features(name, need, flags, method, blame)
    header = b""
    if MAX32 not in (size, compressed_size):
        header = b"PK\x03\x04" + data[position + 6 : position + 30] + b"\0\0" + raw_name
    if extra_size or MAX32 in (size, compressed_size, offset):
        wide = extra_field(data[end : end + extra_size], name, raw_name, blame)
        size, compressed_size, offset = _widen((size, compressed_size, offset), wide, name, blame)
    mode = external >> 16
    member = Central(raw_name, name, flags, method, crc32, compressed_size, size, mode, offset, header)
    if method == STORED or mode >> 12 != _FILE or name.endswith("/"):  # else there is nothing that could be wrong
        _check_kind(member, blame)
    return member, after


def local(sizes: list[int], extra: bytes, name: str, raw_name: bytes, blame: Blame) -> tuple[list[int], bool]:
    """The compressed size and the size of a local header that tells `sizes`, and whether it does so in zip64's form."""
    wide = extra_field(extra, name, raw_name, blame)
    if MAX32 not in sizes:
        # Writers that copy members leave a zip64 field here that nothing refers to; no reader looks at it.
        return sizes, False
    size, compressed_size = _widen(sizes[::-1], wide, name, blame)
    return [compressed_size, size], True


def _widen(values: Sequence[int], wide: bytes | None, name: str, blame: Blame) -> Sequence[int]:
    """`values` with those that do not fit into 32 bits taken from the zip64 field, which must hold exactly them."""
    wanted = values.count(MAX32)
    if wide is None and not wanted:
        return values
    if wide is None or len(wide) != 8 * wanted or not wanted:
        blame.fail("has a zip64 field that does not fit its header", name)
    exact = iter(struct.unpack(f"<{wanted}Q", wide))
    return tuple(next(exact) if value == MAX32 else value for value in values)


def _check_features(name: str, need: int, flags: int, method: int, blame: Blame) -> None:
    if need & 0xFF > _NEWEST:
        blame.unsupported(f"needs version {need & 0xFF} of the format", name)
    if flags & _ENCRYPTED:
        blame.unsupported("is encrypted", name)
    if flags & ~_KNOWN_FLAGS:
        blame.unsupported(f"has unknown flags {flags:#06x}", name)
    if method not in (STORED, DEFLATED):
        known = f" ({_METHODS[method]})" if method in _METHODS else ""
        blame.unsupported(f"is compressed with method {method}{known}; only stored and deflate are read", name)


def _check_kind(member: Central, blame: Blame) -> None:
    name = member.name
    kind = member.mode >> 12
    if kind not in _TYPES:
        blame.fail("is a device, a pipe or a socket", name)
    folder = name.endswith("/")
    if kind and folder != (kind == _FOLDER):
        blame.fail("is a folder by its name or its mode only", name)
    if folder and (member.size or member.crc32 or member.compressed_size > 2):
        blame.fail("is a folder with content", name)
    if member.method == STORED and member.size != member.compressed_size:
        blame.fail("is stored, but its two sizes differ", name)
    if member.method == STORED and member.flags & DESCRIPTOR and member.size:
        # Where such data ends, only the central directory tells: readers of streams see something else.
        blame.fail("is stored with its size behind it", name)


def _name(raw: bytes, flags: int, blame: Blame) -> str:
    """The name of a member as text, if it can be a path below a folder."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        what = "has a name that is not UTF-8" if flags & _UTF8 else "has a name in an unknown encoding"
        blame.fail(what, raw.decode("ascii", "backslashreplace"))
    wrong = unusable(name.removesuffix("/"))
    if wrong:
        blame.fail(wrong, name)
    return name


def extra_field(extra: bytes, name: str, raw_name: bytes, blame: Blame) -> bytes | None:
    """The zip64 field of an extra area, or None; the area must be well-formed."""
    wide = None
    position = 0
    while position < len(extra):
        if len(extra) - position < 4:
            blame.fail("has a damaged extra field", name)
        tag, length = struct.unpack_from("<HH", extra, position)
        body = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if len(body) != length:
            blame.fail("has a damaged extra field", name)
        if tag == _ZIP64:
            if wide is not None:
                blame.fail("has two zip64 fields", name)
            wide = body
        elif tag == _UNICODE_PATH and body[5:] != raw_name:
            blame.fail("has a second, different name", name)
    return wide
