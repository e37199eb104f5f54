"""The ar format as Debian packages use it (deb(5)): a strict, streaming reader.

Only the common subset exists here: no symbol tables, no GNU string table, no BSD long names. Those have no place in
a package, and readers disagree about them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.errors import FormatError
from ociassemble.formats._exactly import exactly

_MAGIC = b"!<arch>\n"
_NAME = re.compile(rb"([A-Za-z0-9_.+-]{1,16})(/?) *", re.ASCII)
_NUMBER = re.compile(rb"[0-9]{1,12} *", re.ASCII)
_OCTAL = re.compile(rb"[0-7]{0,8} *", re.ASCII)


class ArFormatError(FormatError):
    """Not an ar archive, or one that violates the format."""

    code = "integrity.format.ar"


class Member(NamedTuple):
    """One member. `size` is in bytes; `stream` reads exactly them and is valid until the next member is asked for."""

    name: str
    size: int
    stream: BinaryIO


class _Bounded(io.RawIOBase):
    """The next `size` bytes of `source`, and not one more."""

    def __init__(self, source: BinaryIO, size: int, name: str) -> None:
        self._source = source
        self.left = size
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self.left)
        if wanted <= 0:
            return 0
        data = self._source.read(wanted)
        if not data:
            raise ArFormatError(f"the archive ends in the middle of `{self._name}`: {self.left} bytes are missing")
        self.left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read what nobody read."""
        while self.left:
            data = self._source.read(min(self.left, 1 << 20))
            if not data:
                raise ArFormatError(f"the archive ends in the middle of `{self._name}`: {self.left} bytes are missing")
            self.left -= len(data)


def read(stream: BinaryIO) -> Iterator[Member]:
    """The members of the archive in `stream`, in order; the stream is read to its end, never sought.

    Refused with `ArFormatError`: another magic, headers with anything but plain decimal sizes, odd members without
    their padding byte, a truncated or overlong archive.
    """
    if exactly(stream.read, len(_MAGIC)) != _MAGIC:
        raise ArFormatError("not an ar archive (a Debian package begins with `!<arch>`)")
    while header := exactly(stream.read, 60):
        name, size = _header(header)
        bounded = _Bounded(stream, size, name)
        yield Member(name, size, io.BufferedReader(bounded, 1 << 16))
        # What the member's buffer took beforehand is part of the member, so the source stands at its end after this.
        bounded.drain()
        if size % 2 and exactly(stream.read, 1) != b"\n":
            raise ArFormatError(f"`{name}` has an odd size and no padding byte after it")


def _header(header: bytes) -> tuple[str, int]:
    if len(header) != 60 or header[58:60] != b"`\n":
        raise ArFormatError("the archive has a broken or truncated member header")
    name = _NAME.fullmatch(header[:16])
    if name is None:
        raise ArFormatError(f"not a member name of a Debian package: {header[:16]!r}")
    if not _NUMBER.fullmatch(header[48:58]):
        raise ArFormatError(f"`{name[1].decode()}` has a size that is not a decimal number: {header[48:58]!r}")
    if not _OCTAL.fullmatch(header[40:48]):
        raise ArFormatError(f"`{name[1].decode()}` has a mode that is not an octal number: {header[40:48]!r}")
    return name[1].decode("ascii"), int(header[48:58])
