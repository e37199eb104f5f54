"""`cache info`, `verify`, `prune`: what the store holds, whether it is whole, and less of it (STORE-9 on)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ociassemble import _files, _pool
from ociassemble.content import leases
from ociassemble.content.cache import CacheStore, NotWritableError
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.gc import Collected, Item, collect, digest_of_place, items
from ociassemble.content.sealed import unseal
from ociassemble.content.verify import digest_of
from ociassemble.errors import DestinationError, Error
from ociassemble.oci.digest import Digest
from ociassemble.session import Session
from ociassemble.transports.local import Named, all_named

KINDS = ("blob", "record", "partial", "trash")


class Amount(NamedTuple):
    """How many there are, and their bytes."""

    number: int
    bytes: int


class Info(NamedTuple):
    """What a store holds."""

    cache_dir: str  # as `--cache-dir` takes it
    folder: str  # the store, below it
    writable: bool
    amounts: Mapping[str, Amount]  # by `KINDS`, and "image": what local images need of the blobs
    records: Mapping[str, Amount]  # by their kind
    since: tuple[int, ...]  # when processes began that use it now, to ten minutes; none is known of one not writable
    free: int  # bytes of the disk
    total: int


class Bad(NamedTuple):
    """Something in the store that is not what it says."""

    kind: str  # "blob", "record", "name", "image"
    name: str  # a digest, the path of a record, a local name
    problem: str
    of: tuple[str, ...] = ()  # what it belonged to


class Verified(NamedTuple):
    """What was looked at, and what was wrong with it. What was bad is gone, but for names that lack something."""

    blobs: Amount
    records: Amount
    names: int
    bad: tuple[Bad, ...]


def info(session: Session) -> Info:
    """What the store holds, class by class."""
    store = session.store
    found: dict[str, Amount] = dict.fromkeys((*KINDS, "image"), Amount(0, 0))
    records: dict[str, Amount] = {}
    sizes: dict[Digest, int] = {}
    for item in items(store.root):
        found[item.kind] = _more(found[item.kind], item.size)
        if item.kind == "record":
            kind = item.path.parent.name
            records[kind] = _more(records.get(kind, Amount(0, 0)), item.size)
        elif item.kind == "blob" and (digest := digest_of_place(item)) is not None:
            sizes[digest] = item.size
    named = all_named(store)
    needed = {digest for one in named for digest in one.parts}
    found["image"] = Amount(len(named), sum(sizes.get(digest, 0) for digest in needed))
    store.release()
    try:
        since = tuple(leases.living(store.root))
    except DestinationError:
        since = ()
    free, total = store.usage()
    return Info(
        str(store.root.parent),
        str(store.root),
        not _refused(store),
        found,
        dict(sorted(records.items())),
        since,
        free,
        total,
    )


def _refused(store: DirectoryStore) -> str:
    """Why nothing can be taken out of a store or put into it; "" where it can."""
    try:
        store.on_disk()
    except NotWritableError as error:
        return store.refused if isinstance(store, CacheStore) else error.message
    return ""


def _more(amount: Amount, size: int) -> Amount:
    return Amount(amount.number + 1, amount.bytes + size)


def verify(session: Session) -> Verified:
    """Hash every blob, and hold every record and name against its own check; what is bad is removed.

    What was removed is fetched or built again by the next run that needs it.
    """
    store = session.store
    found = [item for item in items(store.root) if item.kind in ("blob", "record")]
    named = all_named(store)
    owners = _owners(store, found, named)
    total = sum(item.size for item in found)
    with session.progress.task("hash", str(store.root), total) as task:

        def look(item: Item) -> Bad | None:
            bad = _blob(store, item, owners) if item.kind == "blob" else _record(item)
            task.advance(item.size)
            return bad

        judged = [bad for bad in _pool.each(look, found, jobs=session.jobs) if bad is not None]
    gone = {Digest(bad.name) for bad in judged if bad.kind == "blob" and bad.name.startswith("sha")}
    for one in named:
        if one.digest is None:
            _files.clear(one.path)
            judged.append(Bad("name", one.name, f"its file had gone bad, {_gone(one.path)}"))
        elif lacks := [digest for digest in sorted(one.parts) if digest in gone]:
            judged.append(Bad("image", f"local:{one.name}", f"lacks {len(lacks)} of its blobs now", tuple(lacks)))
    return Verified(
        Amount(sum(item.kind == "blob" for item in found), sum(item.size for item in found if item.kind == "blob")),
        Amount(sum(item.kind == "record" for item in found), sum(item.size for item in found if item.kind == "record")),
        len(named),
        tuple(judged),
    )


def _blob(store: DirectoryStore, item: Item, owners: Mapping[Digest, list[str]]) -> Bad | None:
    digest = digest_of_place(item)
    if digest is None:
        _files.clear(item.path)
        return Bad("blob", str(item.path.relative_to(store.root)), f"is no blob, {_gone(item.path)}")
    try:
        if not stat.S_ISREG(item.path.lstat().st_mode):
            problem = "is no file"
        else:
            with item.path.open("rb") as stream:
                if digest_of(stream, digest) == digest:
                    return None
            problem = "has other bytes"
    except FileNotFoundError:
        return None  # taken away in the meantime
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    store.discard(digest)
    return Bad("blob", str(digest), f"{problem}, {_gone(item.path)}", tuple(owners.get(digest, ())))


def _record(item: Item) -> Bad | None:
    name = f"{item.path.parent.name}/{item.path.name}"
    try:
        if stat.S_ISREG(item.path.lstat().st_mode) and unseal(name, item.path.read_bytes()) is not None:
            return None
    except FileNotFoundError:
        return None
    except OSError:
        pass
    _files.clear(item.path)
    return Bad("record", name, f"had gone bad, {_gone(item.path)}")


def _gone(path: Path) -> str:
    return "and cannot be removed" if os.path.lexists(path) else "and is removed"


def _owners(store: DirectoryStore, found: list[Item], named: tuple[Named, ...]) -> dict[Digest, list[str]]:
    """What each blob belongs to, as far as anything here says it."""
    owners: dict[Digest, list[str]] = {}
    for one in named:
        for digest in one.parts:
            owners.setdefault(digest, []).append(f"local:{one.name}")
    for item in found:
        if item.kind == "record" and item.path.parent.name == "layers":
            try:
                record = json.loads(unseal(f"layers/{item.path.name}", item.path.read_bytes()) or b"")
                owners.setdefault(Digest(record["digest"]), []).append(f"the layer `{record['title']}`")
            except (OSError, ValueError, KeyError, TypeError, Error):
                continue
    return owners


def prune(
    session: Session, *, older_than: float | None, max_bytes: int | None, everything: bool, dry_run: bool
) -> tuple[Collected, tuple[str, ...]]:
    """Take away what was not used for `older_than` seconds and what is over `max_bytes`, least used first.

    With `everything`, all that no running process may need, names of local images included; else what these need stays.
    Returns what was taken, and the names. Raises `NotWritableError` where nothing can be taken away.
    """
    if refused := _refused(session.store):
        raise NotWritableError(
            f"the store `{session.store.root}` cannot be made smaller: {refused}",
            hint="run it where, and as whom, the store can be written to; `ociassemble cache info` shows what is in it",
        )
    store = session.store.on_disk()
    named = all_named(store) if everything else ()
    if not dry_run:
        for one in named:
            _files.clear(one.path)
    roots: Callable[[], set[Digest]] = set
    if not everything:
        roots = lambda: {digest for one in all_named(store) for digest in one.parts}  # noqa: E731
    older = float("-inf") if everything else older_than
    session.store.release()
    done = collect(store, roots, older_than=older, max_bytes=max_bytes, dry_run=dry_run)
    return done, tuple(one.name for one in named)
