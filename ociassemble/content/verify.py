"""Readers that hash what passes through them: nothing is used before its digest and size were checked here."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from ociassemble.errors import IntegrityError
from ociassemble.oci.digest import Digest

BLOCK = 1 << 20  # bytes a read
_BUFFER = 128 << 10  # bytes that are hashed at once
_FILLS = (io.FileIO, io.BufferedIOBase)  # streams that read into somebody's buffer without a copy


class DigestMismatchError(IntegrityError):
    """Bytes hash to another digest than the one they were asked for by."""

    code = "integrity.digest"


class SizeMismatchError(IntegrityError):
    """More or fewer bytes than announced."""

    code = "integrity.size"


class Hash(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def hasher(digest: Digest | None = None) -> Hash:
    """A fresh hash object of the digest's algorithm (sha256 without one)."""
    return hashlib.new(digest.algorithm if digest is not None else "sha256", usedforsecurity=True)


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """What is left of `stream`, `BLOCK` bytes at a time."""
    while block := stream.read(BLOCK):
        yield block


def digest_of(stream: BinaryIO, like: Digest | None = None) -> Digest:
    """The digest of what is left of `stream`, of the same algorithm as `like` (sha256 without one)."""
    hashed = hasher(like)
    if isinstance(stream, _FILLS):
        # One buffer that stays in the processor's cache, instead of a new one for every block.
        view = memoryview(bytearray(_BUFFER))
        while size := stream.readinto(view):
            hashed.update(view[:size])
    else:
        for block in blocks(stream):
            hashed.update(block)
    return Digest(f"{like.algorithm if like is not None else 'sha256'}:{hashed.hexdigest()}")


class VerifyingReader(io.RawIOBase):
    """Hands on `source` and raises at its end, before the last byte is believed, if digest or size differ.

    `size` in bytes; None where nothing announced one. A source that runs past its size is an error at once.
    """

    def __init__(self, source: BinaryIO, digest: Digest, size: int | None, what: str = "") -> None:
        self._source = source
        self._fill = source.readinto if isinstance(source, _FILLS) else None
        self._digest = digest
        self._size = size
        self._what = what or f"the blob {digest}"
        self._hash = hasher(digest)
        self._read = 0
        self._checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer)
        if self._fill is not None:
            length = self._fill(view)
        else:
            data = self._source.read(len(view))
            length = len(data)
            view[:length] = data
        if not length:
            self._finish()
            return 0
        self._hash.update(view[:length])
        self._read += length
        if self._size is not None and self._read > self._size:
            raise SizeMismatchError(f"{self._what} is larger than its {self._size} bytes")
        return length

    def expect(self, digest: Digest, size: int) -> bool:
        """Whether this reads all of the blob `digest`, and checks, too, that it has `size` bytes."""
        return digest == self._digest and size == self._size and not self._read

    def _finish(self) -> None:
        if self._checked:
            return
        if self._size is not None and self._read != self._size:
            raise SizeMismatchError(f"{self._what} ends after {self._read} of {self._size} bytes")
        found = f"{self._digest.algorithm}:{self._hash.hexdigest()}"
        if found != self._digest:
            raise DigestMismatchError(f"{self._what} has the digest {found}")
        self._checked = True

    def close(self) -> None:
        self._source.close()
        super().close()


def verified(source: BinaryIO, digest: Digest, size: int) -> BinaryIO:
    """`source` through a `VerifyingReader`: through its own, where it has one for this very blob."""
    raw = getattr(source, "raw", None)
    if isinstance(raw, VerifyingReader) and raw.expect(digest, size):
        return source
    return io.BufferedReader(VerifyingReader(source, digest, size), BLOCK)


def check(data: bytes, digest: Digest, size: int | None, what: str) -> bytes:
    """`data`, if it has this digest and size."""
    if size is not None and len(data) != size:
        raise SizeMismatchError(f"{what} has {len(data)} bytes, not {size}")
    hashed = hasher(digest)
    hashed.update(data)
    if f"{digest.algorithm}:{hashed.hexdigest()}" != digest:
        raise DigestMismatchError(f"{what} has the digest {digest.algorithm}:{hashed.hexdigest()}, not {digest}")
    return data
