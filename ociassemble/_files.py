"""The only door to creating, renaming and removing files.

Two kinds of write exist: cache writes (temp + rename, no fsync: verified on read and healed by refetching) and
durable writes (fsync of file and folder, in the order the caller asks), for what a user was promised.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ociassemble.errors import DestinationError, Error


class DiskFullError(DestinationError):
    """No space, or over quota, while writing."""

    code = "destination.disk-full"


def translate(error: OSError, path: Path, doing: str) -> Error:
    """The user-facing error for an `OSError` met while `doing` something to `path`."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"cannot {doing} `{path}`: {reason}", hint="free some space, or pass another --cache-dir or -o"
        )
    return DestinationError(f"cannot {doing} `{path}`: {reason}")


def private_directory(path: Path) -> None:
    """Make `path` (0700) if missing; refuse one that other users own or may write to."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise translate(error, path, "create the folder") from error
    if not stat.S_ISDIR(status.st_mode):
        raise DestinationError(f"`{path}` is not a folder")
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise DestinationError(
            f"the folder `{path}` is writable by other users",
            hint=f"run `chmod go-w {path}`, or choose another --cache-dir",
        )


def directory(path: Path) -> None:
    """Make `path` and its parents if missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, path, "create the folder") from error


class TemporaryFile:
    """A file being written next to its destination: `commit` renames it there, leaving it removes it.

    Use as a context manager. The name is unpredictable and opened with O_EXCL; nobody sees a partial file under
    the final name.
    """

    def __init__(self, folder: Path, *, prefix: str = ".new-", mode: int = 0o600) -> None:
        try:
            descriptor, name = tempfile.mkstemp(prefix=prefix, dir=folder)
        except OSError as error:
            raise translate(error, folder, "create a file in") from error
        self.path = Path(name)
        self.file: BinaryIO = os.fdopen(descriptor, "w+b", buffering=0)
        os.fchmod(descriptor, mode)
        self._committed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data)
        total = len(view)
        try:
            while view:
                view = view[self.file.write(view) :]
        except OSError as error:
            raise translate(error, self.path, "write") from error
        return total

    def commit(self, destination: Path, *, durable: bool = False, replace: bool = True) -> None:
        """Give the file its final name, atomically."""
        try:
            if durable:
                os.fsync(self.file.fileno())
            if replace:
                self.path.replace(destination)
            else:
                os.link(self.path, destination)
                self.path.unlink()
            self._committed = True
            if durable:
                sync_directory(destination.parent)
        except OSError as error:
            raise translate(error, destination, "write") from error

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()
        if not self._committed:
            with contextlib.suppress(OSError):
                self.path.unlink()


def sync_directory(path: Path) -> None:
    """fsync a folder, so that renames in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Write `data` to `path`: readers see the old bytes or all of the new ones."""
    with TemporaryFile(path.parent, mode=mode) as temporary:
        temporary.write(data)
        temporary.commit(path, durable=durable)


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is fine."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise translate(error, path, "remove") from error


def remove_tree(path: Path) -> None:
    """Remove a folder of ours and all that is in it; symlinks in it are removed, never followed."""
    import shutil

    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise translate(error, path, "remove") from error


@contextlib.contextmanager
def temporary_directory(prefix: str = "ociassemble-", folder: Path | None = None) -> Iterator[Path]:
    """A private folder that is gone when the block is left."""
    try:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    except OSError as error:
        raise translate(error, folder or Path(tempfile.gettempdir()), "create a folder in") from error
    try:
        yield path
    finally:
        remove_tree(path)


@contextlib.contextmanager
def locked(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold an advisory `flock` on `path`, a folder, or a file that is made if missing."""
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise translate(error, path, "lock") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
