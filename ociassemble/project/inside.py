"""Reading below one folder, and only below it (specs/behaviour/packing.md, PACK-20 to PACK-24).

Every access starts at a descriptor of the folder and goes down one name at a time with O_NOFOLLOW, so a folder or
file that somebody swaps for a symlink meanwhile is an error and never a file from elsewhere. Paths are relative,
"/"-separated, UTF-8 whatever the host's locale is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ociassemble.errors import ProjectError

BLOCK = 1 << 20
_LINKS = 40  # as Linux: a chain longer than this is a loop

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a fifo must not hang us


class UnreadableError(ProjectError):
    """A file or folder that is to be packed cannot be read."""

    code = "project.unreadable"


class ChangedError(ProjectError):
    """A file or folder changed between being listed, read and packed."""

    code = "project.changed"


class LeavingError(ProjectError):
    """A path or symlink leads out of the project folder, or names an absolute path."""

    code = "project.symlink"


class FileError(ProjectError):
    """A file of the project that is needed is missing, too big, or not text."""

    code = "project.file"


def changed(path: str) -> ChangedError:
    return ChangedError(f"`{path}` changed while it was being read", hint="stop what writes to it, and build again")


def translate(error: OSError, path: str, what: str = "file") -> ProjectError:
    """The user-facing error for an `OSError` met while reading `path`."""
    shown = path or "."
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE):
        return changed(shown)
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UnreadableError(
        f"cannot read the {what} `{shown}`: {reason}",
        hint=f"make it readable, or leave it out with a line `{shown}` in the ignore file",
    )


class Root:
    """A descriptor of the project folder itself (which may be reached through symlinks), for one block."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise translate(error, str(self._path), "folder") from error
        return self._descriptor

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)


def open_folder(root: int, path: str) -> int:
    """A descriptor of the folder `path` below the descriptor `root`; "" is the root. `OSError` as it comes."""
    current = os.dup(root)
    for name in filter(None, path.split("/")):
        parent = current
        try:
            current = os.open(name.encode(errors="surrogateescape"), _FOLDER, dir_fd=parent)
        finally:
            os.close(parent)
    return current


def open_file(folder: int, name: str) -> tuple[int, Seen]:
    """A descriptor and the look of the regular file `name` directly in the folder; `OSError` as it comes."""
    descriptor = os.open(name.encode(errors="surrogateescape"), _FILE, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ENOENT, "not a regular file any more")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, Seen.of(status)


@contextmanager
def opened(root: int, path: str) -> Iterator[tuple[int, Seen]]:
    """A descriptor and the look of the regular file `path` below `root` for the duration of the block."""
    folder, _, name = path.rpartition("/")
    parent = open_folder(root, folder)
    try:
        descriptor, seen = open_file(parent, name)
    finally:
        os.close(parent)
    try:
        yield descriptor, seen
    finally:
        os.close(descriptor)


class Seen(NamedTuple):
    """How a path looked: equal looks mean the same, unchanged file. (A fifth of the memory of `os.stat_result`.)"""

    mode: int
    size: int
    device: int
    inode: int
    modified: int  # nanoseconds

    @classmethod
    def of(cls, status: os.stat_result) -> Seen:
        return cls(status.st_mode, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns)


def resolve(root: int, path: str) -> str | None:
    """Where `path` really is below `root`, symlinks followed; None where they go round in circles.

    What does not exist is taken by its name. Raises `LeavingError` where any step would leave the folder, even
    one that would come back: in an image there is something else above.
    """
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                raise LeavingError(f"`{path}` leads out of the project folder")
            done.pop()
            continue
        done.append(part)
        try:
            target = os.readlink("/".join(done).encode(errors="surrogateescape"), dir_fd=root)
        except (OSError, ValueError):
            continue  # not a link, or not there
        links += 1
        if links > _LINKS:
            return None
        done.pop()
        text = target.decode(errors="surrogateescape")
        if text.startswith("/"):
            raise LeavingError(f"`{path}` leads to the absolute path `{text}`")
        pending += text.split("/")[::-1]
    return "/".join(done)


def is_file(root: int, path: str) -> bool:
    """Whether `path`, symlinks followed inside the folder, is a regular file."""
    try:
        place = resolve(root, path)
        if not place:
            return False
        status = os.stat(place.encode(errors="surrogateescape"), dir_fd=root, follow_symlinks=False)
    except (OSError, ValueError, ProjectError):
        return False
    return stat.S_ISREG(status.st_mode)


def read_bytes(root: int, path: str, limit: int) -> bytes:
    """All bytes of the regular file at `path`, at most `limit`; symlinks are followed inside the folder."""
    place = resolve(root, path)
    if not place:
        raise FileError(f"`{path}` is not a file of the project")
    try:
        with opened(root, place) as (descriptor, seen):
            if seen.size > limit:
                raise FileError(f"`{path}` is too big: {seen.size} bytes, at most {limit} are read")
            parts: list[bytes] = []
            left = limit + 1
            while left and (block := os.read(descriptor, min(BLOCK, left))):
                parts.append(block)
                left -= len(block)
            if seen != Seen.of(os.fstat(descriptor)) or not left:
                raise changed(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise FileError(f"there is no file `{path}` in the project") from error
        raise translate(error, path) from error
    return b"".join(parts)
