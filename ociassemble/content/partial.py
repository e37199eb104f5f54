"""Downloads that survive a kill: one file a digest, one writer at a time (specs/behaviour/store.md, STORE-7).

What is in the file of an earlier run is hashed before anything is added to it, and the whole when all is there: it
may hold anything at all. The lock ends with the process that has it, so whoever waits goes on where that one stopped.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content.place import PRIVATE
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError, blocks, hasher
from ociassemble.errors import DestinationError
from ociassemble.oci.digest import Digest

WORTH = 1 << 20  # bytes: of less than that nothing is kept, it is fetched again as quickly
PATIENCE = 30.0  # seconds without a byte from the process that has the file, until we fetch the blob on our own
_PAUSES = (0.01, 0.25)  # seconds: the first wait for another process, and the longest


class PartialIngest:
    """`Resumable` into the store: `have` bytes of `digest` are there already; leaving it keeps what is worth it."""

    def __init__(self, file: _files.LastingFile, digest: Digest, destination: Path) -> None:
        self._file = file
        self._digest = digest
        self._destination = destination
        self._committed = False
        self._hash, self._size = hasher(digest), 0
        try:
            for block in blocks(file.file):
                self._hash.update(block)
                self._size += len(block)
        except OSError as error:
            file.__exit__()
            raise _files.translate(error, file.path, "read") from error
        file.lasting(self._size >= WORTH)

    @classmethod
    def claimed(cls, path: Path, digest: Digest, destination: Path) -> PartialIngest | None:
        """The download at `path` when nobody else works on it any more; None where it is not to be had.

        That is where there are no locks, and where a process that has it does nothing with it for a while.
        """
        pause, size, until = _PAUSES[0], -1, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            file = _claim(path)
            if isinstance(file, _files.LastingFile):
                return cls(file, digest, destination)
            if file is None:
                return None
            if file != size:
                size, until = file, time.monotonic() + PATIENCE
            time.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])
        return None

    @property
    def have(self) -> int:
        """Bytes that are here, from an earlier run or from this one."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        written = self._file.write(data)
        self._hash.update(data)
        if self._size < WORTH <= self._size + written:
            self._file.lasting(True)
        self._size += written
        return written

    def restart(self) -> None:
        self._file.forget()
        self._hash, self._size = hasher(self._digest), 0
        self._file.lasting(False)

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        if size is not None and size != self._size:
            raise SizeMismatchError(f"the blob {self._digest} has {self._size} bytes, not {size}")
        found = Digest(f"{self._digest.algorithm}:{self._hash.hexdigest()}")
        if found != self._digest:
            raise DigestMismatchError(f"expected {self._digest}, but the bytes have the digest {found}")
        _files.directory(self._destination.parent, PRIVATE)
        put_in_place(self._file, self._destination)
        self._committed = True
        with contextlib.suppress(DestinationError):
            self._file.chmod(0o400)
        return found, self._size

    def written(self) -> tuple[BinaryIO, int]:
        """What was written so far, for reading: a stream at its beginning, and how much of it counts."""
        self._file.file.seek(0)
        return self._file.file, self._size

    def below(self, folder: Path) -> bool:
        """Whether it is written below `folder`."""
        return self._file.path.is_relative_to(folder)

    def drop(self) -> None:
        """Keep nothing of it."""
        self._size = 0
        self.__exit__()

    def __enter__(self) -> PartialIngest:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._committed and self._size < WORTH:
            _files.clear(self._file.path)  # while it is locked: nobody goes on with it
        self._file.lasting(True)
        self._file.__exit__(*exc)


def put_in_place(file: _files.WritableFile, path: Path, *, durable: bool = False) -> None:
    """Give a file its place in the store, where a folder may lie that nobody of us made."""
    try:
        file.commit(path, durable=durable)
    except DestinationError as error:
        if not isinstance(error.__cause__, IsADirectoryError):
            raise
        _files.clear(path)
        file.commit(path, durable=durable)


def _claim(path: Path) -> _files.LastingFile | int | None:
    """The file, locked; how large it is where somebody else has it; None where it cannot be locked at all."""
    try:
        file = _files.LastingFile(path)
    except DestinationError as error:
        if not isinstance(error.__cause__, IsADirectoryError | PermissionError) and not path.is_symlink():
            raise
        _files.clear(path)
        file = _files.LastingFile(path)
    if not stat.S_ISREG(os.fstat(file.file.fileno()).st_mode):
        file.__exit__()
        _files.clear(path)
        file = _files.LastingFile(path)
    try:
        if _files.held(file.file.fileno(), path, shared=False) and _same(file, path):
            return file
        size = os.fstat(file.file.fileno()).st_size
    except DestinationError:
        file.__exit__()
        return None
    file.__exit__()
    return size


def _same(file: _files.LastingFile, path: Path) -> bool:
    """Whether the file that was locked still is the one of that name: who had it may have finished it."""
    try:
        return os.path.samestat(os.fstat(file.file.fileno()), path.lstat())
    except OSError:
        return False
