"""The store of a run: one that cannot be written to is read where it can be, and the run goes on without it.

What would have been kept goes to a private folder below TMPDIR, which is gone when the run ends. A store is a memory:
nothing but names of local images needs it (specs/behaviour/store.md, STORE-12 on).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content.directory import DirectoryIngest, DirectoryStore
from ociassemble.content.partial import PartialIngest
from ociassemble.content.verify import blocks
from ociassemble.errors import DestinationError, Error
from ociassemble.oci.digest import Digest

_PREFIX = "ociassemble-store-"


class NotWritableError(DestinationError):
    """What only the store on disk can keep, such as a name of a local image, and it cannot be written to."""

    code = "destination.store"


class CacheStore(DirectoryStore):
    """A `DirectoryStore` with another place for what its own cannot take; `tell` is told of that, once.

    `chosen`: somebody named the folder, who is to know where it cannot be one at all. Folders that others may write to
    are refused in any case.
    """

    def __init__(self, root: Path, tell: Callable[[str], None], *, chosen: bool = True) -> None:
        self._tell = tell
        self._lock = threading.RLock()
        self._spare: DirectoryStore | None = None
        self.refused = ""  # why the folder is not written to any more
        try:
            super().__init__(root)
        except DestinationError as error:
            no_place = isinstance(error.__cause__, NotADirectoryError | FileNotFoundError)
            if not (_files.unwritable(error) or (no_place and not chosen)):
                raise
            self.give_up(error)

    # ------------------------------------------------------------------------------------ places

    def on_disk(self) -> DirectoryStore:
        """The same folder alone, for what is lost elsewhere. Raises `NotWritableError` where it takes nothing."""
        if not self.refused and os.access(self.root, os.W_OK | os.X_OK):
            return DirectoryStore(self.root)
        if not self.refused:
            self.refused = "it may not be written to"
        raise NotWritableError(
            f"the store `{self.root}` cannot keep an image: {self.refused}",
            hint="pass another --cache-dir, or write the image elsewhere: `-o oci:DIR`, or `-t NAME --push`",
        )

    @property
    def spare(self) -> DirectoryStore:
        """Where things go that the folder cannot take."""
        with self._lock:
            if self._spare is None:
                folder = _files.temporary_folder()
                _files.sweep(folder, _PREFIX)
                made = _files.TemporaryDirectory(folder, prefix=_PREFIX)
                self._gone = weakref.finalize(self, made.remove)
                self._spare = DirectoryStore(made.path / "store")
            return self._spare

    def give_up(self, error: Error) -> None:
        """Write to the folder no more, because of `error`."""
        with self._lock:
            if not self.refused:
                cause = error.__cause__
                self.refused = (cause.strerror if isinstance(cause, OSError) else None) or str(error)
                self._tell(f"the cache `{self.root}` cannot be written to ({self.refused}): going on without it")

    def close(self) -> None:
        """The run is at its end: what it could not keep is removed."""
        self.release()
        if self._spare is not None:
            self._spare.release()
            self._spare = None
            self._gone()

    @property
    def scratch(self) -> Path:
        if not self.refused:
            try:
                return self._to_write()
            except DestinationError as error:
                if not _files.unwritable(error):
                    raise
                self.give_up(error)
        return self.spare.scratch

    # ------------------------------------------------------------------------------------ blobs

    def size(self, digest: Digest) -> int | None:
        found = super().size(digest)
        return self._spare.size(digest) if found is None and self._spare is not None else found

    def ingest(self) -> CacheIngest:  # type: ignore[override]
        return CacheIngest(self, super().ingest)

    def resumable(self, digest: Digest) -> CacheIngest:  # type: ignore[override]
        return CacheIngest(self, lambda: super(CacheStore, self).resumable(digest))

    def discard(self, digest: Digest) -> None:
        super().discard(digest)
        if self._spare is not None:
            self._spare.discard(digest)

    def _open(self, digest: Digest) -> BinaryIO:
        if self._spare is not None and super().size(digest) is None:
            return self._spare._open(digest)
        return super()._open(digest)

    # ------------------------------------------------------------------------------------ records

    def record(self, kind: str, key: str) -> bytes | None:
        found = self._spare.record(kind, key) if self._spare is not None else None
        return super().record(kind, key) if found is None else found

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        if not self.refused:
            try:
                return super().put_record(kind, key, value)
            except DestinationError as error:
                if not _files.unwritable(error):
                    raise
                self.give_up(error)
        if self.record(kind, key) != value:
            try:
                self.spare.put_record(kind, key, value)
            except DestinationError as error:
                if not _files.unwritable(error):
                    raise  # else: what is not remembered is found out again
        return None


class CacheIngest:
    """`Resumable` into a `CacheStore`: where its folder is full, all that was written goes on in the other place."""

    def __init__(self, store: CacheStore, begin: Callable[[], DirectoryIngest | PartialIngest]) -> None:
        self._store = store
        self._inner: DirectoryIngest | PartialIngest
        if not store.refused:
            try:
                self._inner = begin()
                return
            except DestinationError as error:
                if not _files.unwritable(error):
                    raise
                store.give_up(error)
        self._inner = store.spare.ingest()

    @property
    def have(self) -> int:
        return self._inner.have

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        try:
            return self._inner.write(data)
        except DestinationError as error:
            self._move(error)
            return self._inner.write(data)

    def restart(self) -> None:
        self._inner.restart()

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        try:
            return self._inner.commit(digest, size)
        except DestinationError as error:
            self._move(error)
            return self._inner.commit(digest, size)

    def __enter__(self) -> CacheIngest:
        return self

    def __exit__(self, *exc: object) -> None:
        self._inner.__exit__(*exc)

    def _move(self, error: DestinationError) -> None:
        """Go on in the other place with what was written; `error` is raised where this is that place."""
        before, spare = self._inner, self._store._spare
        if not _files.unwritable(error) or (spare is not None and before.below(spare.root)):
            raise error
        self._store.give_up(error)
        after = self._store.spare.ingest()
        try:
            source, left = before.written()
            for block in blocks(source):
                after.write(block[:left])
                left -= len(block[:left])
        except BaseException:
            after.__exit__()
            raise
        before.drop()
        self._inner = after
