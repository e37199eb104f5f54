"""An archive that is read: a table of its members, and each of them as a slice of the one open file.

Nothing is unpacked, and no name in the archive is ever a path of this machine. What is compressed, or comes from a
pipe, is first written to a temporary file without a name (specs/behaviour/archives.md, ARCH-5 to ARCH-9).
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content import compress
from ociassemble.content.verify import blocks
from ociassemble.errors import FormatError, NotFoundError
from ociassemble.formats.tar_table import Place, table

_LEAST, _RATIO, _MOST = 1 << 30, 100, 64 << 30  # bytes; what a compressed archive may come to: 100 times its size
_MAX_LINKS = 8
STANDARD_INPUT = "-"


class ArchiveMissingError(NotFoundError):
    """No archive there."""

    code = "not-found.archive"


class Archive:
    """The members of a tar archive at `path` ("-" is standard input), opened when first asked for.

    The file is opened once: that another archive takes its name later changes nothing. Implements the reader's side
    of a layout (`layout_reader.Files`).
    """

    is_what = "an OCI archive is a tar of `oci-layout`, `index.json` and `blobs/`"

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.name = path

    def read(self, path: str, limit: int) -> bytes | None:
        place = self.find(path)
        return None if place is None else Slice(self._file, place).read(limit)

    def open(self, path: str) -> BinaryIO | None:
        place = self.find(path)
        return None if place is None else io.BufferedReader(Slice(self._file, place), 1 << 20)

    def find(self, path: str) -> Place | None:
        """Where the file `path` is; symlinks within the archive are followed, as `docker save` once wrote them."""
        for _ in range(_MAX_LINKS):
            place = self._table.get(path)
            if place is None or not place.target:
                return place
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), place.target))
        raise FormatError(f"`{self.name}`: the link `{path:.200}` leads nowhere")

    @property
    def _table(self) -> Mapping[str, Place]:
        with self._lock:
            return self._found

    @cached_property
    def _found(self) -> Mapping[str, Place]:
        return self._read_table()

    def _read_table(self) -> Mapping[str, Place]:
        try:
            return table(self._file)
        except FormatError as error:
            raise FormatError(f"`{self.name}` is no archive of an image: {error}", hint=error.hint) from error

    @cached_property
    def _file(self) -> BinaryIO:
        return self._open_file()

    def _open_file(self) -> BinaryIO:
        try:
            standard = self._path == STANDARD_INPUT
            stream = open(0 if standard else self._path, "rb", closefd=not standard)  # noqa: SIM115  (kept open)
            status = os.fstat(stream.fileno())
        except OSError as error:
            hint = f"an OCI layout is read as `oci:{self._path}`" if isinstance(error, IsADirectoryError) else None
            raise ArchiveMissingError(f"cannot read `{self.name}`: {error.strerror}", hint=hint) from error
        codec = compress.sniff(stream.peek(6))
        regular = stat.S_ISREG(status.st_mode) and stream.tell() == 0
        if codec == "none" and regular:
            return stream
        limit = min(_MOST, max(_LEAST, _RATIO * status.st_size)) if regular else _MOST
        with compress.open_reader(stream, codec, limit=limit) as plain:
            return _files.spooled(blocks(plain))


class Slice(io.RawIOBase):
    """A part of an open file, read without moving the file's own place: any number of them, from any thread."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file = file  # kept open as long as this is
        self._offset = place.offset
        self._end = place.offset + place.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = _pread(self._file, min(len(buffer), self._end - self._offset), self._offset)
        self._offset += len(data)
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """As many bytes as were asked for, where the slice has them."""
        wanted = self._end - self._offset if size < 0 else min(size, self._end - self._offset)
        data = bytearray()
        while len(data) < wanted:
            block = _pread(self._file, wanted - len(data), self._offset)
            if not block:
                break
            data += block
            self._offset += len(block)
        return bytes(data)


def _pread(file: BinaryIO, size: int, offset: int) -> bytes:
    """`os.pread`; of a file that lies in several parts (`transports.parts`), its own."""
    own = getattr(file, "pread", None)
    return os.pread(file.fileno(), size, offset) if own is None else own(size, offset)
