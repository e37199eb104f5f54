"""Who uses a store now, so that what is collected is nothing they rely on (specs/behaviour/store.md, STORE-9).

A lease is a shared `flock` on `leases/TIME`, where TIME is when the slot of ten minutes began in which the process
took it (seconds since 1970). It ends with the process, whatever ends that; nothing is written, and nothing stays
behind but one empty file a slot, which the next collection removes.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from ociassemble import _files
from ociassemble.content.place import PRIVATE
from ociassemble.errors import DestinationError

SLOT = 600  # seconds
_TRIES = 50  # a collection looks at a slot for microseconds


class Lease:
    """Held until `release`, or until nobody refers to it."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Use the store no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()


def take(root: Path) -> Lease:
    """A lease on the store at `root`; an empty one where none can be had (a read-only disk, one without locks).

    A lease that is not held costs safety from a collection only: what it takes away is fetched or built again.
    """
    path = root / "leases" / str(int(time.time()) // SLOT * SLOT)
    try:
        for _ in range(_TRIES):
            descriptor = _opened(path)
            if _files.held(descriptor, path, shared=True):
                status = os.fstat(descriptor)
                if status.st_nlink and not stat.S_ISFIFO(status.st_mode):
                    return Lease(descriptor)
                if status.st_nlink:
                    _files.clear(path)
            os.close(descriptor)
            time.sleep(0.001)
    except DestinationError:
        pass
    return Lease(None)


def _opened(path: Path) -> int:
    try:
        return _files.lock_file(path)
    except DestinationError as error:
        if isinstance(error.__cause__, FileNotFoundError) and path.parent.parent.is_dir():
            _files.directory(path.parent, PRIVATE)
        elif isinstance(error.__cause__, PermissionError | IsADirectoryError):
            _files.clear(path)
        else:
            raise
        return _files.lock_file(path)


def living(root: Path) -> list[int]:
    """The slots in which processes began that use the store now, oldest first; of others the files are removed.

    Raises `DestinationError` where locks are not to be had.
    """
    found = []
    folder = root / "leases"
    for path in folder.iterdir() if folder.is_dir() else ():
        slot = int(path.name) if path.name.isdecimal() else 0
        try:
            descriptor = _files.lock_file(path)
        except DestinationError:
            if not _ended(path):
                found.append(slot)
            continue
        try:
            if _files.held(descriptor, path, shared=False):
                _files.clear(path)
            else:
                found.append(slot)
        finally:
            os.close(descriptor)
    return sorted(found)


def _ended(path: Path) -> bool:
    """Whether nobody holds a lease that cannot be opened to write (a read-only disk); False where nobody can say."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _files.PLAIN)
    except OSError:
        return False
    try:
        return _files.held(descriptor, path, shared=False)
    except DestinationError:
        return False
    finally:
        os.close(descriptor)
