"""The only door to creating, renaming and removing files.

Two kinds of write exist: cache writes (temp + rename, no fsync: verified on read and healed by refetching) and
durable writes (fsync of file and folder, in the order the caller asks), for what a user was promised.

Whatever is temporary is known here by name before it exists: an interrupted run removes all of it (`abandon`), and
what a killed one left is told from what another process is writing by its `flock`, which ends with the process.

Every operation here that changes a disk, or locks something on it, passes `_point(operation, path)` first: "open" (to
write), "write", "truncate", "rename", "link", "unlink", "mkdir", "rmdir", "fsync", "chmod", "utime", "flock". It does
nothing, unless a test has put a function in `at_point`, in a process of its own: one that counts, that kills the
process at the k-th point, or that raises `OSError(errno.ENOSPC, "...")` at the k-th write as a full disk would. What
it raises is met where the operation's own error would be.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ociassemble.errors import DestinationError, Error

_temporary: set[Path] = set()  # files and folders of this process that are to be gone in the end
_stopping = threading.Event()
PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link is followed, no pipe is waited for
at_point: Callable[[str, Path], object] | None = None  # for tests: called before each operation on a disk

# A place that cannot be written to, whoever is to blame: a full disk, a quota, a limit, a read-only disk or folder.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def _point(operation: str, path: Path) -> None:
    if at_point is not None:
        at_point(operation, path)


class DiskFullError(DestinationError):
    """No space, or over quota, while writing."""

    code = "destination.disk-full"


class StoppedError(DestinationError):
    """The run was interrupted, and a thread of it would still write."""

    code = "destination.stopped"


def translate(error: OSError, path: Path, doing: str, *, needed: int = 0) -> Error:
    """The user-facing error for an `OSError` met while `doing` something to `path`, of `needed` bytes at least."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"cannot {doing} `{path}`: {reason}",
            details=(f"at least {needed} bytes are needed there",) if needed else (),
            hint="free some space, or pass another --cache-dir or -o",
        )
    return DestinationError(f"cannot {doing} `{path}`: {reason}")


@contextlib.contextmanager
def _doing(what: str, path: Path) -> Iterator[None]:
    """An `OSError` met in the block becomes the user-facing one."""
    try:
        yield
    except OSError as error:
        raise translate(error, path, what) from error


def unwritable(error: BaseException) -> bool:
    """Whether an error of this module was raised because a place cannot be written to: another one may do."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _UNWRITABLE


def _make(path: Path, mode: int, made: list[Path]) -> None:
    """Make `path` and its parents where they are missing, and add them to `made`, parents first."""
    for item in reversed([item for item in (path, *path.parents) if not item.exists()]):
        _point("mkdir", item)
        item.mkdir(mode=mode, exist_ok=True)
        made.append(item)


def directory(path: Path, mode: int = 0o777) -> None:
    """Make `path` and its parents if missing."""
    if not path.is_dir():
        directories(path, mode=mode)


def directories(*paths: Path, mode: int = 0o777) -> list[Path]:
    """Make `paths` and their parents where they are missing; those that were, parents first."""
    made: list[Path] = []
    for path in paths:
        try:
            _make(path, mode, made)
        except OSError as error:
            remove_empty(made)
            raise translate(error, path, "create the folder") from error
    return made


def remove_empty(paths: Sequence[Path]) -> None:
    """Remove those folders of `paths` (parents first) in which nothing is; what else happens is no error."""
    for path in reversed(paths):
        with contextlib.suppress(OSError):
            _point("rmdir", path)
            path.rmdir()


def move(source: Path, destination: Path) -> None:
    """Rename a file on one disk, over what may be there."""
    with _doing("write", destination):
        _point("rename", source)
        source.replace(destination)


class WritableFile:
    """A file that is being written under a name of its own: `commit` gives it its final one.

    Written from where it ends; `path` is where it is until then.
    """

    path: Path
    file: BinaryIO
    _committed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        if _stopping.is_set():
            raise StoppedError("interrupted")
        view = memoryview(data)
        total = len(view)
        try:
            while view:
                _point("write", self.path)
                view = view[self.file.write(view) :]
        except OSError as error:
            raise translate(error, self.path, "write", needed=self.file.tell() + len(view)) from error
        return total

    def write_at(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write at a place of the file, whatever was written before; from any thread."""
        if _stopping.is_set():
            raise StoppedError("interrupted")
        view = memoryview(data)
        try:
            while view:
                _point("write", self.path)
                done = os.pwrite(self.file.fileno(), view, offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise translate(error, self.path, "write", needed=offset + len(view)) from error

    def commit(self, destination: Path, *, durable: bool = False, replace: bool = True) -> None:
        """Give the file its final name, atomically."""
        if _stopping.is_set():
            raise StoppedError("interrupted")
        if durable:
            self.sync()
        with _doing("write", destination):
            if replace:
                _point("rename", destination)
                self.path.replace(destination)
            else:
                _point("link", destination)
                os.link(self.path, destination)
                _point("unlink", self.path)
                self.path.unlink()
            self._committed = True
            if durable:
                sync_directory(destination.parent)

    def sync(self) -> None:
        """fsync what was written."""
        with _doing("write", self.path):
            _point("fsync", self.path)
            os.fsync(self.file.fileno())

    def forget(self) -> None:
        """Drop what is in it."""
        with _doing("write", self.path):
            _point("truncate", self.path)
            self.file.truncate(0)
            self.file.seek(0)

    def chmod(self, mode: int) -> None:
        with _doing("write", self.path):
            _point("chmod", self.path)
            os.fchmod(self.file.fileno(), mode)

    def __exit__(self, *exc: object) -> None:
        self.file.close()


class TemporaryFile(WritableFile):
    """A file being written next to its destination: `commit` renames it there, leaving it removes it.

    Use as a context manager. The name is unpredictable and opened with O_EXCL; nobody sees a partial file under
    the final name.
    """

    def __init__(self, folder: Path, *, prefix: str = ".new-", mode: int = 0o600) -> None:
        while True:
            self.path = _temporary_path(folder, prefix)
            try:
                _point("open", self.path)
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except OSError as error:
                _temporary.discard(self.path)
                raise translate(error, folder, "create a file in") from error
            self.file = os.fdopen(descriptor, "w+b", buffering=0)
            if _claimed(descriptor, self.path):
                break
            self.file.close()
            _temporary.discard(self.path)
        self.chmod(mode)

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        if not self._committed:
            with contextlib.suppress(OSError):
                _point("unlink", self.path)
                self.path.unlink()
        _temporary.discard(self.path)


class LastingFile(WritableFile):
    """A file that stays when it is left, for a later run to go on with; `held` says whose it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _doing("write", path):
            _point("open", path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | PLAIN, 0o600)
            self.file = os.fdopen(descriptor, "r+b", buffering=0)

    def lasting(self, yes: bool) -> None:
        """Whether it is to stay when the run is interrupted; whoever holds it says so."""
        (_temporary.discard if yes else _temporary.add)(self.path)


def _temporary_path(folder: Path, prefix: str) -> Path:
    """A name that nobody can guess, noted before anything of that name exists: no interrupt falls in between."""
    if _stopping.is_set():
        raise StoppedError("interrupted")
    path = folder / f"{prefix}{os.urandom(8).hex()}"
    _temporary.add(path)
    return path


def _claimed(descriptor: int, path: Path) -> bool:
    """Lock what was just made; False where another process took it for an orphan in between (`sweep`)."""
    try:
        _point("flock", path)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: nobody sweeps there either
    return os.fstat(descriptor).st_nlink > 0


def held(descriptor: int, path: Path, *, shared: bool) -> bool:
    """Lock an open file without waiting, or say that somebody else has it. `DestinationError`: there are no locks."""
    try:
        _point("flock", path)
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise translate(error, path, "lock") from error
    return True


def sweep(folder: Path, prefix: str, *, keep: str = "/") -> None:
    """Remove what killed processes left in `folder`: temporary files and folders that no process holds any more.

    Of the names that begin with `prefix`, those that end with `keep` stay.
    """
    try:
        found = [one for one in folder.iterdir() if one.name.startswith(prefix) and not one.name.endswith(keep)]
    except OSError:
        return
    for path in found:
        try:
            descriptor = os.open(path, os.O_RDONLY | PLAIN)
        except OSError as error:
            if error.errno == errno.ELOOP:  # nobody writes to a link
                clear(path)
            continue
        try:
            with contextlib.suppress(DestinationError):
                if held(descriptor, path, shared=False):  # or someone is writing it
                    clear(path)
        finally:
            os.close(descriptor)


def abandon() -> None:
    """End of an interrupted run: remove all that is temporary, and let threads that still run write no more."""
    _stopping.set()
    for path in list(_temporary):
        clear(path)


def disown() -> None:
    """In a process that was just forked: what is temporary belongs to the one it came from."""
    _temporary.clear()


def clear(path: Path) -> None:
    """Remove what lies at a place, whatever it is; that it cannot be removed is no error."""
    import shutil

    with contextlib.suppress(OSError):
        _point("unlink", path)
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path, ignore_errors=True)


def sync_directory(path: Path) -> None:
    """fsync a folder, so that renames in it survive a power cut."""
    with _doing("write", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _point("fsync", path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(
    path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False, through: Path | None = None
) -> None:
    """Write `data` to `path`, through a file beside it, or in `through`: readers see the old bytes or the new ones."""
    with TemporaryFile(through or path.parent, mode=mode) as temporary:
        temporary.write(data)
        temporary.commit(path, durable=durable)


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is fine."""
    with _doing("remove", path):
        _point("unlink", path)
        path.unlink(missing_ok=True)


def freshen(path: Path) -> None:
    """Note that a file was used now; where that cannot be noted it is not."""
    with contextlib.suppress(OSError):
        _point("utime", path)
        os.utime(path, follow_symlinks=False)


def remove_tree(path: Path) -> None:
    """Remove a folder of ours and all that is in it; symlinks in it are removed, never followed."""
    import shutil

    if not path.exists():
        return
    with _doing("remove", path):
        _point("rmdir", path)
        shutil.rmtree(path)


def temporary_folder() -> Path:
    """Where temporary files go that need no place of their own: TMPDIR."""
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise DestinationError("no folder takes temporary files", hint="set TMPDIR to one that does") from error


def spooled(chunks: Iterable[bytes]) -> BinaryIO:
    """`chunks` in a file that has no name, for reading at any place: it is gone with its last reader, or with us."""
    folder = temporary_folder()
    with _doing("create a file in", folder):
        _point("open", folder)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (the caller closes it)
    try:
        for chunk in chunks:
            if _stopping.is_set():
                raise StoppedError("interrupted")
            with _doing("write to", folder):
                _point("write", folder)
                file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


@contextlib.contextmanager
def temporary_directory(prefix: str, *, sweeping: bool = True) -> Iterator[Path]:
    """A private folder in TMPDIR that is gone when the block is left.

    With `sweeping` those of killed processes with the same prefix go first.
    """
    folder = temporary_folder()
    if sweeping:
        sweep(folder, prefix)
    made = TemporaryDirectory(folder, prefix=prefix)
    try:
        yield made.path
    finally:
        made.remove()


class TemporaryDirectory:
    """A private folder (0700), ours until `remove`; in `folder`, which is there."""

    def __init__(self, folder: Path, *, prefix: str) -> None:
        while True:
            self.path = _temporary_path(folder, prefix)
            try:
                _point("mkdir", self.path)
                self.path.mkdir(mode=0o700)
            except OSError as error:
                _temporary.discard(self.path)
                raise translate(error, folder, "create a folder in") from error
            with contextlib.suppress(FileNotFoundError):  # swept already: the next name will do
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                if _claimed(self._descriptor, self.path):
                    return
                os.close(self._descriptor)
            _temporary.discard(self.path)

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        if self.path in _temporary:
            remove_tree(self.path)
            os.close(self._descriptor)
            _temporary.discard(self.path)


@contextlib.contextmanager
def locked(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold an advisory `flock` on `path`, a folder, or a file that is made if missing."""
    descriptor = lock_file(path)
    try:
        _point("flock", path)
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_file(path: Path) -> int:
    """A descriptor of `path` to be locked: of a folder, or of a file that is made if missing."""
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    with _doing("lock", path):
        _point("open", path)
        return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
