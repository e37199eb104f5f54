"""What a store of blobs can do, whatever it is made of (contract: tests/contract/test_store.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol, TypeVar, runtime_checkable

from ociassemble.content.verify import SizeMismatchError, VerifyingReader
from ociassemble.errors import Error, IntegrityError, NotFoundError
from ociassemble.oci.digest import Digest

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,200}", re.ASCII)


class BlobMissingError(NotFoundError):
    """A blob is not in the store (or its bytes went bad, and it was removed)."""

    code = "not-found.blob"

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"the blob {digest} is not in the store")
        self.digest = digest


class SpoiltError(IntegrityError):
    """A blob of the store went bad (a disk, a power cut); it was removed when that was seen."""

    code = "integrity.stored-blob"

    def __init__(self, digest: Digest) -> None:
        super().__init__(
            f"the stored blob {digest} had gone bad, and was removed",
            hint="build or fetch what it belongs to again",
        )
        self.digest = digest


class Ingest(Protocol):
    """A blob on its way into the store. Leaving the `with` block without `commit` leaves nothing behind."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        """Keep what was written, if it has this digest and size; returns both."""
        ...

    def __enter__(self) -> Ingest: ...
    def __exit__(self, *exc: object) -> None: ...


class Resumable(Ingest, Protocol):
    """An `Ingest` that may begin with bytes of an earlier attempt, which are hashed already."""

    @property
    def have(self) -> int:
        """Bytes that are here: what is written comes after them. Whether they are right is known at the end."""
        ...

    def restart(self) -> None:
        """Drop what is here."""
        ...

    def __enter__(self) -> Resumable: ...


@runtime_checkable
class Store(Protocol):
    """Blobs by digest, and small records by key. Safe to share between threads and processes."""

    def size(self, digest: Digest) -> int | None:
        """Bytes of a blob that is here, else None. Says nothing about whether its bytes are still right."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """The blob as a stream that verifies itself. Not here: `BlobMissingError`.

        One that went bad raises at its end and is removed, so that it is fetched or built again the next time.
        """
        ...

    def open_seekable(self, digest: Digest) -> BinaryIO:
        """The blob hashed first, then handed over for random access through the same open file.

        A blob that went bad is removed and reported as `BlobMissingError`, so that the caller fetches it again.
        """
        ...

    def ingest(self) -> Ingest:
        """Begin writing a blob."""
        ...

    def resumable(self, digest: Digest) -> Resumable:
        """Begin, or go on, fetching the blob `digest`. Waits while another process or thread does.

        Who waited asks for its `size` again: it may be here now.
        """
        ...

    def record(self, kind: str, key: str) -> bytes | None:
        """The small record `key` of `kind` (both `[a-z0-9][a-z0-9._-]{0,200}`), or None."""
        ...

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        """Keep a small record, atomically."""
        ...


class HealingReader(VerifyingReader):
    """Reads a stored blob; one that turns out bad is removed through `discard` before the error is raised."""

    def __init__(self, source: BinaryIO, digest: Digest, discard: Callable[[Digest], object]) -> None:
        super().__init__(source, digest, None, f"the stored blob {digest}")
        self._discard = discard
        self._announced: int | None = None

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            length = super().readinto(buffer)
            if self._announced is not None and self._read > self._announced:
                # Whose fault it is, its own or that of who announced its size, is known at its end.
                while super().readinto(buffer):
                    pass
            return length
        except OSError as error:  # the disk cannot read it any more
            self._discard(self._digest)
            raise SpoiltError(self._digest) from error

    def expect(self, digest: Digest, size: int) -> bool:
        if digest != self._digest or self._read:
            return False
        self._announced = size
        return True

    def _finish(self) -> None:
        try:
            super()._finish()
        except IntegrityError:
            self._discard(self._digest)
            raise SpoiltError(self._digest) from None
        # The blob is what it should be: who announced another size of it is wrong.
        if self._announced not in (None, self._read):
            raise SizeMismatchError(f"the blob {self._digest} has {self._read} bytes, not {self._announced}")


def healed(action: Callable[[], T], tell: Callable[[str], None]) -> T:
    """The result of `action`, begun anew where a stored blob turned out bad: its second run finds it missing.

    Each blob is a reason once; `tell` is told of it. What cannot be had again is raised.
    """
    seen: dict[Digest, Exception] = {}
    while True:
        try:
            return action()
        except (SpoiltError, BlobMissingError) as error:
            if error.digest in seen:
                raise seen[error.digest] from None
            seen[error.digest] = error
            tell(f"{error}: once more, to fetch or build it again")


def read_record(store: Store, kind: str, key: str, read: Callable[[Any], T]) -> T | None:
    """What `read` makes of the JSON document that is a record; None where there is none that it understands.

    A record saves work and is never needed: what another version wrote is as good as none.
    """
    raw = store.record(kind, key)
    if raw is None:
        return None
    try:
        return read(json.loads(raw))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, Error):
        return None


def check_record_name(kind: str, key: str) -> None:
    """Refuse what is no name of a record, so that none is a path that leads elsewhere."""
    if not _NAME.fullmatch(kind) or not _NAME.fullmatch(key):
        raise IntegrityError(f"not a name for a record: {kind!r:.60}/{key!r:.60}")


def ingest_all(
    store: Store, chunks: Iterable[bytes], digest: Digest | None = None, size: int | None = None
) -> tuple[Digest, int]:
    """Keep `chunks` as one blob, if it has this digest and size; returns both."""
    with store.ingest() as writer:
        for chunk in chunks:
            writer.write(chunk)
        return writer.commit(digest, size)
