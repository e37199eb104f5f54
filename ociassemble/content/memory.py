"""A store in memory: for tests, and for callers that want no files."""

from __future__ import annotations

import io
from typing import BinaryIO

from ociassemble.content.store import BlobMissingError, HealingReader, check_record_name
from ociassemble.content.verify import check
from ociassemble.errors import IntegrityError
from ociassemble.oci.digest import Digest


class MemoryStore:
    """`Store` over two dictionaries."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.records: dict[tuple[str, str], bytes] = {}

    def size(self, digest: Digest) -> int | None:
        data = self.blobs.get(digest)
        return None if data is None else len(data)

    def open(self, digest: Digest) -> BinaryIO:
        return io.BufferedReader(HealingReader(io.BytesIO(self._get(digest)), digest, self.discard))

    def open_seekable(self, digest: Digest) -> BinaryIO:
        data = self._get(digest)
        try:
            return io.BytesIO(check(data, digest, None, "the stored blob"))
        except IntegrityError:
            self.discard(digest)
            raise BlobMissingError(digest) from None

    def ingest(self) -> MemoryIngest:
        return MemoryIngest(self)

    def resumable(self, digest: Digest) -> MemoryIngest:
        return MemoryIngest(self)

    def discard(self, digest: Digest) -> None:
        """Remove a blob."""
        self.blobs.pop(digest, None)

    def record(self, kind: str, key: str) -> bytes | None:
        check_record_name(kind, key)
        return self.records.get((kind, key))

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        check_record_name(kind, key)
        self.records[kind, key] = value

    def _get(self, digest: Digest) -> bytes:
        try:
            return self.blobs[digest]
        except KeyError:
            raise BlobMissingError(digest) from None


class MemoryIngest:
    """`Resumable` into a `MemoryStore`, which keeps nothing unfinished."""

    have = 0

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._buffer = bytearray()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._buffer += data
        return len(data)

    def restart(self) -> None:
        self._buffer = bytearray()

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        data = bytes(self._buffer)
        found = digest or Digest.of(data)
        check(data, found, size, "the blob")
        self._store.blobs[found] = data
        return found, len(data)

    def __enter__(self) -> MemoryIngest:
        return self

    def __exit__(self, *exc: object) -> None:
        self._buffer = bytearray()
