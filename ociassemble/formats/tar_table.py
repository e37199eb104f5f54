"""Where each member of a tar archive is: for archives whose contents are opened one by one, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, cast

from ociassemble.formats import tar
from ociassemble.formats.tar import TarFormatError

MAX_MEMBERS = 100_000  # an image has some hundred files, an archive of a whole registry's some thousands
_ZEROS = bytes(1 << 18)


class Place(NamedTuple):
    """A file's content: `offset` and `size` in bytes; or the `target` of a symlink, as it stands there."""

    offset: int = 0
    size: int = 0
    target: str = ""


def table(stream: BinaryIO) -> Mapping[str, Place]:
    """The files and symlinks of the archive in the seekable `stream`, by normalised path; headers alone are read.

    Refused with `TarFormatError`, besides what `tar.read` refuses: a name that comes twice (readers take the first or
    the last), hard links, devices, sparse files (their content is not what stands in the archive), and more than
    `MAX_MEMBERS` members. Folders are left out.
    """
    source = _Headers(stream)
    found: dict[str, Place] = {}
    count = 0
    for member in tar.read(cast(BinaryIO, source)):
        count += 1
        if count > MAX_MEMBERS:
            raise TarFormatError(f"the archive has more than {MAX_MEMBERS} members")
        if member.kind == "directory":
            continue
        if member.path in found:
            raise TarFormatError(f"`{member.path:.200}` is in the archive twice")
        if member.kind not in ("file", "symlink") or any(key.startswith("GNU.sparse.") for key in member.pax):
            what = "sparse file" if member.kind == "file" else member.kind
            raise TarFormatError(f"`{member.path:.200}` is a {what}, which no archive of images has")
        found[member.path] = Place(source.offset, member.size, member.target)
        source.pass_over(member.size)
    return MappingProxyType(found)


class _Headers:
    """The stream as `tar.read` sees it: what it reads only to come past it is never fetched, zeros stand for it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = stream.seek(0, 2)
        self._left = 0  # bytes of content that nobody looks at
        self.offset = stream.seek(0)

    def pass_over(self, size: int) -> None:
        self._left = size

    def read(self, size: int) -> bytes:
        if not self._left:
            data = self._stream.read(size)
            self.offset += len(data)
            return data
        size = min(size, self._left, len(_ZEROS), self._end - self.offset)
        self.offset += size
        self._left -= size
        if not self._left:
            self._stream.seek(self.offset)
        return _ZEROS[:size]
