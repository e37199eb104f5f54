"""What a store of blobs can do, whatever it is made of (contract: tests/contract/test_store.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol, runtime_checkable

from ociassemble.oci.digest import Digest


class Ingest(Protocol):
    """A blob on its way into the store. Leaving the `with` block without `commit` leaves nothing behind."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        """Keep what was written, if it has this digest and size; returns both."""
        ...

    def __enter__(self) -> Ingest: ...
    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Store(Protocol):
    """Blobs by digest, and small records by key. Safe to share between threads and processes."""

    def size(self, digest: Digest) -> int | None:
        """Bytes of a blob that is here, else None. Says nothing about whether its bytes are still right."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """The blob as a stream that verifies itself (raises at its end). Not here: `BlobMissingError`."""
        ...

    def open_seekable(self, digest: Digest) -> BinaryIO:
        """The blob hashed first, then handed over for random access through the same open file.

        A blob that went bad is removed and reported as `BlobMissingError`, so that the caller fetches it again.
        """
        ...

    def ingest(self) -> Ingest:
        """Begin writing a blob."""
        ...

    def record(self, kind: str, key: str) -> bytes | None:
        """The small record `key` of `kind` (both `[a-z0-9._-]+`), or None."""
        ...

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        """Keep a small record, atomically."""
        ...


def ingest_all(store: Store, chunks: Iterable[bytes], digest: Digest | None = None) -> tuple[Digest, int]:
    """Write `chunks` as one blob."""
    with store.ingest() as writer:
        for chunk in chunks:
            writer.write(chunk)
        return writer.commit(digest)


Opener = Callable[[], BinaryIO]
