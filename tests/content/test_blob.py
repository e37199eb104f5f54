"""Blobs verify themselves, whoever reads them below."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from ociassemble.content.blob import Blob
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import SpoiltError, ingest_all
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError, VerifyingReader
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest

DATA = b"a layer" * 100_000
DIGEST = Digest.of(DATA)


class Plain(io.RawIOBase):
    """A stream that can be read and nothing else, as those of the network."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1000) if size >= 0 else size)


def blob(source: BinaryIO, digest: Digest = DIGEST, size: int = len(DATA)) -> Blob:
    return Blob(
        descriptor=Descriptor(media_type="application/octet-stream", digest=digest, size=size),
        source=lambda: source,
    )


@pytest.mark.parametrize("kind", [io.BytesIO, Plain])
def test_any_source_is_verified(kind: type) -> None:
    assert blob(kind(DATA)).read() == DATA
    for wrong, error in [
        (DATA + b"x", SizeMismatchError),
        (DATA[:-1], SizeMismatchError),
        (b"b" + DATA[1:], DigestMismatchError),
    ]:
        with pytest.raises(error):
            blob(kind(wrong)).read()


def test_what_the_store_verifies_is_not_hashed_again_and_its_size_is_checked(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    ingest_all(store, (DATA,))
    with blob(store.open(DIGEST)).open() as stream:
        raw = stream.raw  # type: ignore[attr-defined]
        assert isinstance(raw, VerifyingReader) and not isinstance(raw._source, io.BufferedReader)
        assert stream.read() == DATA
    for size in (len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(SizeMismatchError):
            blob(store.open(DIGEST), size=size).read()
        assert store.size(DIGEST) == len(DATA)  # nothing is wrong with it
    other = Digest.of(b"another")
    with pytest.raises(DigestMismatchError):
        blob(store.open(DIGEST), digest=other).read()


@pytest.mark.parametrize("data", [DATA, DATA + b"x"], ids=["whole", "damaged"])
def test_of_one_that_is_larger_than_announced_nothing_too_much_is_handed_out(tmp_path: Path, data: bytes) -> None:
    store = DirectoryStore(tmp_path / "store")
    ingest_all(store, (DATA,))
    path = store.path(DIGEST)
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(SizeMismatchError if data == DATA else SpoiltError):
        blob(store.open(DIGEST), size=1).open().read(2)
    assert store.size(DIGEST) == (len(DATA) if data == DATA else None)


def test_one_that_was_begun_is_verified_anew(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    ingest_all(store, (DATA,))
    source = store.open(DIGEST)
    assert source.read(1)
    with pytest.raises(SizeMismatchError):
        blob(source).read()


@pytest.mark.parametrize("damaged", [b"b" + DATA[1:], DATA[:-1], DATA + b"x", b""])
def test_a_damaged_one_is_told_as_the_stores(tmp_path: Path, damaged: bytes) -> None:
    store = DirectoryStore(tmp_path / "store")
    digest, _ = ingest_all(store, (DATA,))
    path = store.path(digest)
    path.chmod(0o600)
    path.write_bytes(damaged)
    with pytest.raises(SpoiltError):
        blob(store.open(digest)).read()
    assert store.size(digest) is None
