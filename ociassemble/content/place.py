"""Whether something could be written at a place, before work is done for it; and whether a folder is ours alone."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ociassemble._files import directories, translate
from ociassemble.errors import DestinationError

PRIVATE = 0o700  # of every folder of the store (STORE-1)


def check_place(path: Path, *, folder: bool = False) -> None:
    """Refuse a name under which no file (or, with `folder`, no folder) could be written, before work is done for it."""
    try:
        if path.is_dir() != folder and path.exists():
            raise DestinationError(f"`{path}` is {'not ' * folder}a folder", hint="choose another name for the output")
        there = path if folder else path.parent
        while folder and not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            missing = "not a folder" if there.exists() else "no such folder"
            raise DestinationError(f"cannot write `{path}`: `{there}` is {missing}", hint="make the folder first")
    except OSError as error:
        raise translate(error, path, "write") from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise DestinationError(
            f"cannot write `{path}`: `{there}` may not be written to", hint="choose another place for the output"
        )


def private_directory(path: Path, *below: str) -> None:
    """Make `path` (0700, parents too) if missing; refuse one that others own, may write to, or could exchange.

    The same holds for the folders `below` it that are there: it may have been open to others for a while. A `/*` at the
    end of one means all that are directly in it.
    """
    try:
        try:
            status = path.stat()
        except FileNotFoundError:
            directories(path, mode=PRIVATE)
            status = path.stat()
        above = path.parent.stat()
    except (OSError, DestinationError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, FileExistsError | NotADirectoryError):
            raise DestinationError(f"`{path}` is not a folder", hint="choose another --cache-dir") from cause
        if not isinstance(error, OSError):
            raise
        raise translate(error, path, "create the folder") from error
    if not stat.S_ISDIR(status.st_mode):
        raise DestinationError(f"`{path}` is not a folder", hint="choose another --cache-dir")
    _own(path, status, f"go-w {path}")
    if above.st_mode & 0o002 and not above.st_mode & stat.S_ISVTX:
        raise _shared(path.parent, f"go-w {path.parent}")
    for name in below:
        for folder in _folders(path / name):
            with contextlib.suppress(OSError):  # not there: it will be made
                _own(folder, folder.stat(), f"-R go-w {path}")


def _folders(path: Path) -> list[Path]:
    if path.name != "*":
        return [path]
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        return [path.parent / entry.name for entry in entries if not entry.is_file(follow_symlinks=False)]
    return []


def _own(path: Path, status: os.stat_result, change: str) -> None:
    """Refuse a folder that others own or may write to, which `chmod` with these words would change."""
    if status.st_uid != os.geteuid():
        raise DestinationError(f"the folder `{path}` belongs to another user", hint="choose another --cache-dir")
    if status.st_mode & 0o022:
        raise _shared(path, change)


def _shared(path: Path, change: str) -> DestinationError:
    hint = f"run `chmod {change}`, or choose another --cache-dir"
    return DestinationError(f"the folder `{path}` is writable by other users", hint=hint)
