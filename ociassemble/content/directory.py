"""The store on disk: blobs by digest and small records, below one private folder (specs/behaviour/store.md).

    blobs/sha256/HEX    read-only; what one holds is believed after it was hashed, never before
    records/KIND/KEY    sealed: they carry their own check
    partial/            what is being written; HEX.part is a download that a later run goes on with
    leases/  lock       who uses the store, and who collects (`leases`, `gc`)
    trash/TIME/         what the last collection took away: a reader that misses it here fetches it back

Writes are temp + rename without fsync: a blob that a power cut spoilt is caught when it is read (every read
hashes), removed, and fetched or built again.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content import leases
from ociassemble.content.partial import PartialIngest, put_in_place
from ociassemble.content.place import PRIVATE, private_directory
from ociassemble.content.sealed import seal, unseal
from ociassemble.content.store import BlobMissingError, HealingReader, check_record_name
from ociassemble.content.verify import BLOCK, DigestMismatchError, SizeMismatchError, digest_of, hasher
from ociassemble.errors import DestinationError
from ociassemble.oci.digest import Digest

FRESH = 3600  # seconds: so often, at most, is noted that something was used
PART = ".part"  # the end of the name of a download that may be gone on with

# What others could put there would be believed, or stand in our way.
_FOLDERS = ("blobs", "blobs/*", "records", "records/*", "refs", "refs/*", "partial", "leases", "trash")

# Not the file that was written there: a link, a folder, what its owner may not read, or what the disk cannot read.
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENXIO, errno.EIO)


class DirectoryStore:
    """`Store` below `root`, a folder of our own (0700). What cannot be written is a `DestinationError`."""

    def __init__(self, root: Path) -> None:
        self._begin(root)
        private_directory(root, *_FOLDERS)

    def _begin(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "partial"
        self._ready = False  # to be written to
        self._lease: leases.Lease | None = None
        self._bad: set[Digest] = set()  # that could not be removed

    # ------------------------------------------------------------------------------------ places

    @property
    def scratch(self) -> Path:
        """The folder for temporary files, on the disk of the store; what killed processes leave there is removed."""
        return self._to_write()

    def _to_write(self) -> Path:
        if not self._ready:
            _files.directory(self.root / "blobs" / "sha256", PRIVATE)
            _files.directory(self._incoming, PRIVATE)
            _files.sweep(self._incoming, "", keep=PART)
            self._ready = True
        return self._incoming

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, if it is here."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def usage(self) -> tuple[int, int]:
        """Free and total bytes of the disk the store is on."""
        found = shutil.disk_usage(self.root)
        return found.free, found.total

    def on_disk(self) -> DirectoryStore:
        """This store, or the part of it in which everything is kept, or is an error."""
        return self

    def close(self) -> None:
        """The run that used the store is at its end."""
        self.release()

    def release(self) -> None:
        """Give the lease back: what was found until now may be collected."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    # ------------------------------------------------------------------------------------ blobs

    def size(self, digest: Digest) -> int | None:
        if digest in self._bad:
            return None
        self._use()
        path = self.path(digest)
        for again in (True, False):
            try:
                status = path.lstat()
            except OSError:
                if again and self._recovered(path):
                    continue
                return None
            if not stat.S_ISREG(status.st_mode):
                _files.clear(path)
                return None
            _note(path, status)
            return status.st_size
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
            if error.errno != errno.EIO:
                source.close()
                raise _files.translate(error, self.path(digest), "read") from error
        source.close()
        self.discard(digest)
        raise BlobMissingError(digest)

    def ingest(self) -> DirectoryIngest:
        self._use()
        try:
            return DirectoryIngest(self, self._to_write())
        except DestinationError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self._ready = False  # somebody removed the store: it is begun anew
            private_directory(self.root)
            return DirectoryIngest(self, self._to_write())

    def resumable(self, digest: Digest) -> PartialIngest | DirectoryIngest:
        self._use()
        part = PartialIngest.claimed(self._to_write() / f"{digest.hex}{PART}", digest, self.path(digest))
        return part if part is not None else DirectoryIngest(self, self._to_write())

    def discard(self, digest: Digest) -> None:
        """Remove a blob; where that is not possible, read it no more."""
        path = self.path(digest)
        _files.clear(path)
        if os.path.lexists(path):
            self._bad.add(digest)

    # ------------------------------------------------------------------------------------ records

    def record(self, kind: str, key: str) -> bytes | None:
        check_record_name(kind, key)
        self._use()
        try:
            source = self._reading(self.root / "records" / kind / key)
            if source is None:
                return None
            with source:
                return unseal(f"{kind}/{key}", source.read())
        except (OSError, DestinationError):
            return None

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        if self.record(kind, key) == value:
            return
        path, through = self.root / "records" / kind / key, self._to_write()
        _files.directory(path.parent, PRIVATE)
        with _files.TemporaryFile(through) as temporary:
            temporary.write(seal(f"{kind}/{key}", value))
            put_in_place(temporary, path)

    # ------------------------------------------------------------------------------------ reading

    def _use(self) -> None:
        if self._lease is None:
            self._lease = leases.take(self.root)

    def _open(self, digest: Digest) -> BinaryIO:
        self._use()
        source = None if digest in self._bad else self._reading(self.path(digest))
        if source is None:
            raise BlobMissingError(digest)
        return source

    def _reading(self, path: Path) -> io.FileIO | None:
        """The file at `path`; None where there is none. What is no file is removed."""
        for again in (True, False):
            try:
                descriptor = os.open(path, os.O_RDONLY | _files.PLAIN)
            except FileNotFoundError:
                if again and self._recovered(path):
                    continue
                return None
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise _files.translate(error, path, "read") from error
                _files.clear(path)
                return None
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                _note(path, status)
                return io.FileIO(descriptor)
            os.close(descriptor)
            _files.clear(path)
        return None

    def _recovered(self, path: Path) -> bool:
        """Whether what a collection took away from `path` may be there again: fetched back by us, or by another."""
        try:
            epochs = list((self.root / "trash").iterdir())
        except OSError:
            return False
        place = path.relative_to(self.root)
        for epoch in epochs:
            if os.path.lexists(epoch / place):
                try:
                    _files.move(epoch / place, path)
                    _files.freshen(path)
                except DestinationError:
                    pass  # another process was faster, or the collection was
        return bool(epochs)


def _note(path: Path, status: os.stat_result) -> None:
    """Note that a file is used, unless that was noted lately."""
    if time.time() - status.st_mtime > FRESH:
        _files.freshen(path)


class DirectoryIngest:
    """`Resumable` into a `DirectoryStore`: a temporary file, hashed while it is written, and never gone on with."""

    have = 0

    def __init__(self, store: DirectoryStore, folder: Path) -> None:
        self._store = store
        self._file = _files.TemporaryFile(folder, prefix="blob-", mode=0o400)
        self._hash, self._size = hasher(), 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        written = self._file.write(data)
        self._hash.update(data)
        self._size += written
        return written

    def restart(self) -> None:
        self._file.forget()
        self._hash, self._size = hasher(), 0

    def commit(self, digest: Digest | None = None, size: int | None = None) -> tuple[Digest, int]:
        found = Digest.from_hex(self._hash.hexdigest())
        if size is not None and size != self._size:
            raise SizeMismatchError(f"the blob {digest or found} has {self._size} bytes, not {size}")
        if digest is not None and digest.algorithm != "sha256":
            found = self._rehash(digest)
        if digest is not None and digest != found:
            raise DigestMismatchError(f"expected {digest}, but the bytes have the digest {found}")
        path = self._store.path(found)
        if found.algorithm != "sha256":
            _files.directory(path.parent, PRIVATE)
        put_in_place(self._file, path)
        self._store._bad.discard(found)
        return found, self._size

    def written(self) -> tuple[BinaryIO, int]:
        """What was written so far, for reading: a stream at its beginning, and how much of it counts."""
        self._file.file.seek(0)
        return self._file.file, self._size

    def below(self, folder: Path) -> bool:
        """Whether it is written below `folder`."""
        return self._file.path.is_relative_to(folder)

    def drop(self) -> None:
        """Keep nothing of it."""
        self.__exit__()

    def _rehash(self, digest: Digest) -> Digest:
        self._file.file.seek(0)
        return digest_of(self._file.file, digest)

    def __enter__(self) -> DirectoryIngest:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.__exit__(*exc)
