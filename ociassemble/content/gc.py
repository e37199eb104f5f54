"""What nobody needs any more is taken away, in two steps, while others work (specs/behaviour/store.md, STORE-9 on).

First it is moved to `trash/TIME/`, where a process that misses it finds it and puts it back; it is removed by a later
collection, or by this one at its end, when no process lives that began before it was moved. So nobody waits for a
collection, and what a process found once it finds again, as long as it lives.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ociassemble import _files
from ociassemble.content import leases
from ociassemble.content.directory import FRESH, PART, DirectoryStore
from ociassemble.content.place import PRIVATE
from ociassemble.errors import DestinationError, Error
from ociassemble.oci.digest import Digest

_SLACK = 600  # seconds: clocks of machines that share a disk differ
_WAIT = 30.0  # seconds for another collection to end
_OPEN = ".open"  # the end of the name of a trash that is still being filled


class CollectingError(DestinationError):
    """Another process is collecting in this store."""

    code = "destination.store-busy"


class Item(NamedTuple):
    """A file of the store."""

    kind: str  # "blob", "record", "partial", "trash"
    path: Path
    size: int  # bytes
    used: float  # seconds since 1970, noted once an hour


class Collected(NamedTuple):
    """What a collection did, or would do."""

    items: tuple[Item, ...]  # taken away
    freed: int  # bytes that are free now, those of earlier collections with them
    waiting: int  # bytes in the trash that processes which run now may still ask for
    kept: int  # bytes that stay
    rooted: int = 0  # of these, bytes of what the roots name
    in_use: int = 0  # and of other things that processes which run now may have found


def items(root: Path) -> Iterator[Item]:
    """Every blob, record, unfinished download, and what is in the trash."""
    for kind, folder in (("blob", "blobs"), ("record", "records"), ("partial", "partial"), ("trash", "trash")):
        for item in _items(kind, root / folder):
            if kind != "partial" or item.path.name.endswith(PART):
                yield item


def _items(kind: str, folder: Path) -> Iterator[Item]:
    for path in _below(folder):
        try:
            status = path.lstat()
        except OSError:
            continue  # it was there a moment ago
        yield Item(kind, path, status.st_size if stat.S_ISREG(status.st_mode) else 0, status.st_mtime)


def _below(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path))
            else:
                yield Path(entry.path)


def digest_of_place(item: Item) -> Digest | None:
    """The digest that a blob's place in the store names; None for what lies there under no such name."""
    try:
        return Digest(f"{item.path.parent.name}:{item.path.name}")
    except Error:
        return None


def collect(
    store: DirectoryStore,
    roots: Callable[[], Collection[Digest]],
    *,
    older_than: float | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
) -> Collected:
    """Take away what was not used for `older_than` seconds, and more, least used first, while all is over `max_bytes`.

    What `roots` names stays, and so does what a process that runs now may have found. With neither limit only the
    trash is looked at. Raises `CollectingError`, and `DestinationError` where the store cannot be written to or locked.
    """
    with _alone(store.root) as now:
        rooted = roots()
        store.release()  # or it would be our own lease that is respected
        begun = leases.living(store.root)
        safe = begun[0] - FRESH - _SLACK if begun else None
        chosen, *left = _choose(store.root, rooted, now, safe, older_than, max_bytes)
        if dry_run:
            old = sum(item.size for item in items(store.root) if item.kind == "trash")
            return Collected(tuple(chosen), sum(item.size for item in chosen) + old, 0, *left)
        gone = _to_trash(store.root, chosen)
        freed = sum(item.size for item in gone if item.kind == "partial")
        removed, waiting = _empty(store, roots)
        return Collected(tuple(gone), freed + removed, waiting, *left)


@contextmanager
def _alone(root: Path) -> Iterator[float]:
    """Be the only one that collects; the time, by the clock of the disk."""
    path, until = root / "lock", time.monotonic() + _WAIT
    try:
        descriptor = _files.lock_file(path)
    except DestinationError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        _files.clear(path)
        descriptor = _files.lock_file(path)
    try:
        while not _files.held(descriptor, path, shared=False):
            if time.monotonic() > until:
                raise CollectingError(f"another process is taking away what is old in `{root}`", hint="try again later")
            time.sleep(0.1)
        _files.freshen(path)
        yield path.lstat().st_mtime
    finally:
        os.close(descriptor)


def _choose(
    root: Path, rooted: Collection[Digest], now: float, safe: float | None, older: float | None, most: int | None
) -> tuple[list[Item], int, int, int]:
    """What may go and should; bytes of what stays, of what is rooted, and of what else may be in use."""
    free, left, fixed, in_use = [], 0, 0, 0
    for item in items(root):
        if item.kind == "trash":
            continue
        left += item.size
        if item.kind == "blob" and digest_of_place(item) in rooted:
            fixed += item.size
        elif safe is not None and item.used >= safe:
            in_use += item.size
        else:
            free.append(item)
    free.sort(key=lambda item: item.used)
    chosen = []
    for item in free:
        too_old = older is not None and item.used <= now - older
        if too_old or (most is not None and left > most):
            chosen.append(item)
            left -= item.size
    return chosen, left, fixed, in_use


def _to_trash(root: Path, chosen: list[Item]) -> list[Item]:
    """Move what was chosen, unless somebody used it since; unfinished downloads, if nobody writes them, are removed."""
    if not chosen:
        return []
    trash = root / "trash" / f"{time.time_ns()}{_OPEN}"
    gone = []
    for item in chosen:
        with suppress(OSError, DestinationError):
            if item.kind == "partial":
                if _abandoned(item.path):
                    gone.append(item)
            elif item.path.lstat().st_mtime == item.used:
                there = trash / item.path.relative_to(root)
                _files.directory(there.parent, PRIVATE)
                _files.move(item.path, there)
                gone.append(item)
    _close(trash)
    return gone


def _abandoned(path: Path) -> bool:
    """Remove an unfinished download that nobody is writing."""
    descriptor = os.open(path, os.O_RDONLY | _files.PLAIN)
    try:
        free = _files.held(descriptor, path, shared=False)
        if free:
            _files.clear(path)
        return free
    finally:
        os.close(descriptor)


def _close(trash: Path) -> None:
    """Note when the last thing came into a trash: now."""
    if trash.is_dir():
        _files.freshen(trash)
        _files.move(trash, trash.with_name(trash.name.removesuffix(_OPEN)))


def _empty(store: DirectoryStore, roots: Callable[[], Collection[Digest]]) -> tuple[int, int]:
    """Remove the trash that nobody alive can have known as a part of the store: bytes of that, and of what waits."""
    folder = store.root / "trash"
    epochs = sorted(folder.iterdir()) if folder.is_dir() else []
    for epoch in [path for path in epochs if path.name.endswith(_OPEN)]:
        _close(epoch)  # of a collection that was killed
    begun = leases.living(store.root)
    removed = waiting = 0
    rooted = roots() if epochs else ()
    store.release()
    for epoch in sorted(folder.iterdir()) if folder.is_dir() else ():
        held = list(_items("blob", epoch))
        if any(slot <= epoch.lstat().st_mtime for slot in begun):
            waiting += sum(item.size for item in held)
            continue
        for item in held:
            place = item.path.relative_to(epoch)
            with suppress(OSError, DestinationError):
                if place.parts[0] == "blobs" and digest_of_place(item) in rooted:
                    _files.move(item.path, store.root / place)  # an image came to be while it was moved
                else:
                    _files.remove(item.path)
                    removed += item.size
        with suppress(DestinationError):
            _files.remove_tree(epoch)
    _files.remove_empty([folder])
    return removed, waiting
