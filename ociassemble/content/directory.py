"""The store on disk: `blobs/sha256/<hex>` and small records, below one private folder.

Writes are temp + rename without fsync: a blob that a power cut spoilt is caught when it is read (every read
hashes), removed, and fetched or built again.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content.store import BlobMissingError, HealingReader, check_record_name
from ociassemble.content.verify import BLOCK, DigestMismatchError, SizeMismatchError, digest_of
from ociassemble.oci.digest import Digest


class DirectoryStore:
    """`Store` below `root`, a folder of our own (0700)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        _files.private_directory(root)
        for name in ("blobs/sha256", "blobs/sha512", "partial", "records"):
            _files.directory(root / name)
        self._incoming = root / "partial"
        _files.sweep(self._incoming, "")

    @property
    def scratch(self) -> Path:
        """The folder for temporary files, on the disk of the store; what killed processes leave there is removed."""
        return self._incoming

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, if it is here."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def size(self, digest: Digest) -> int | None:
        try:
            return self.path(digest).stat().st_size
        except OSError:
            return None

    def open(self, digest: Digest) -> BinaryIO:
        return io.BufferedReader(HealingReader(self._open(digest), digest, self.discard), BLOCK)

    def open_seekable(self, digest: Digest) -> BinaryIO:
        source = self._open(digest)
        try:
            if digest_of(source, digest) == digest:
                source.seek(0)
                return source
        except OSError as error:
            source.close()
            raise _files.translate(error, self.path(digest), "read") from error
        source.close()
        self.discard(digest)
        raise BlobMissingError(digest)

    def ingest(self) -> DirectoryIngest:
        return DirectoryIngest(self, self._incoming)

    def discard(self, digest: Digest) -> None:
        """Remove a blob."""
        _files.remove(self.path(digest))

    def record(self, kind: str, key: str) -> bytes | None:
        try:
            return self._record_path(kind, key).read_bytes()
        except OSError:
            return None

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        path = self._record_path(kind, key)
        _files.directory(path.parent)
        _files.write_atomic(path, value, mode=0o600, through=self._incoming)

    def usage(self) -> tuple[int, int]:
        """Free and total bytes of the disk the store is on."""
        found = shutil.disk_usage(self.root)
        return found.free, found.total

    def _open(self, digest: Digest) -> BinaryIO:
        try:
            return self.path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobMissingError(digest) from None
        except OSError as error:
            raise _files.translate(error, self.path(digest), "read") from error

    def _record_path(self, kind: str, key: str) -> Path:
        check_record_name(kind, key)
        return self.root / "records" / kind / key


class DirectoryIngest:
    """`Ingest` into a `DirectoryStore`: a temporary file, hashed while it is written."""

    def __init__(self, store: DirectoryStore, folder: Path) -> None:
        self._store = store
        self._file = _files.TemporaryFile(folder, prefix="blob-", mode=0o400)
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        found = Digest.from_hex(self._hash.hexdigest())
        if size is not None and size != self._size:
            raise SizeMismatchError(f"the blob {digest or found} has {self._size} bytes, not {size}")
        if digest is not None and digest.algorithm != "sha256":
            found = self._rehash(digest)
        if digest is not None and digest != found:
            raise DigestMismatchError(f"expected {digest}, but the bytes have the digest {found}")
        self._file.commit(self._store.path(found))
        return found, self._size

    def _rehash(self, digest: Digest) -> Digest:
        with self._file.path.open("rb") as stream:
            return digest_of(stream, digest)

    def __enter__(self) -> DirectoryIngest:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.__exit__(*exc)
