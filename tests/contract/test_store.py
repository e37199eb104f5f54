"""What every store of blobs promises (`content.store`), run over each there is."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content.cache import CacheStore
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import BlobMissingError, Store, ingest_all
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError
from ociassemble.errors import Error, IntegrityError
from ociassemble.oci.digest import Digest

DATA = b"layer " * 100_000
DIGEST = Digest("sha256:" + hashlib.sha256(DATA).hexdigest())
DIGEST512 = Digest("sha512:" + hashlib.sha512(DATA).hexdigest())
OTHER = Digest.of(b"other")


class Harness:
    """A store, and the two things a test wants to do behind its back."""

    def __init__(
        self, store: Store, spoil: Callable[[Digest, bytes], None], leftovers: Callable[[], list[str]]
    ) -> None:
        self.store = store
        self.spoil = spoil  # put other bytes in the place of a blob
        self.leftovers = leftovers  # what is neither a finished blob nor a record


def memory(tmp_path: Path) -> Harness:
    store = MemoryStore()
    return Harness(store, store.blobs.__setitem__, list)


def directory(tmp_path: Path) -> Harness:
    return on_disk(DirectoryStore(tmp_path / "store"), tmp_path / "store")


def cache(tmp_path: Path) -> Harness:
    """The store of a run, on a disk that takes what it is given."""
    return on_disk(CacheStore(tmp_path / "store", unexpected), tmp_path / "store")


def read_only(tmp_path: Path) -> Harness:
    """The store of a run whose folder takes nothing: all is kept for the run."""
    told: list[str] = []
    _files.at_point = RefusedBelow(tmp_path / "store")
    store = CacheStore(tmp_path / "store", told.append)
    assert len(told) == 1
    return on_disk(store, store.spare.root)


def unexpected(text: str) -> None:
    raise AssertionError(text)


class RefusedBelow:
    """A disk that is read-only below a folder, and full for it."""

    def __init__(self, folder: Path, error: int = errno.EROFS) -> None:
        self.folder = folder
        self.error = error
        self.refused = 0

    def __call__(self, operation: str, path: Path) -> None:
        if path.is_relative_to(self.folder):
            self.refused += 1
            raise OSError(self.error, os.strerror(self.error))


def on_disk(store: DirectoryStore, root: Path) -> Harness:
    place = DirectoryStore(root)

    def spoil(digest: Digest, data: bytes) -> None:
        path = place.path(digest)
        path.chmod(0o600)
        path.write_bytes(data)

    def leftovers() -> list[str]:
        folders = [root, root / "partial", *(root / "blobs").glob("*")]
        files = [path for folder in folders for path in folder.glob("*") if path.is_file()]
        return [path.name for path in files if path.parent.parent.name != "blobs" or len(path.name) not in (64, 128)]

    return Harness(store, spoil, leftovers)


@pytest.fixture(params=[memory, directory, cache, read_only], ids=["memory", "directory", "cache", "read-only"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    try:
        yield request.param(tmp_path)
    finally:
        _files.at_point = None


@pytest.fixture
def store(harness: Harness) -> Store:
    return harness.store


def test_it_is_a_store(store: Store) -> None:
    assert isinstance(store, Store)


@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_what_is_written_is_read(store: Store, data: bytes) -> None:
    digest, size = ingest_all(store, [data[:1], data[1:1000], data[1000:]])
    assert (digest, size) == (Digest.of(data), len(data))
    assert store.size(digest) == len(data)
    for _ in range(2):
        with store.open(digest) as stream:
            assert stream.read() == data
        with store.open_seekable(digest) as stream:
            assert stream.read() == data
            stream.seek(-min(3, len(data)), 2)
            assert stream.read() == data[-3:]


def test_a_blob_is_fetched_piece_by_piece(harness: Harness) -> None:
    with harness.store.resumable(DIGEST) as part:
        assert part.have == 0
        part.write(b"x" * 5000)
        part.restart()
        assert part.have == 0
        part.write(DATA[:1000])
        assert harness.store.size(DIGEST) is None
        part.write(DATA[1000:])
        assert part.commit(DIGEST, len(DATA)) == (DIGEST, len(DATA))
    assert harness.store.open(DIGEST).read() == DATA
    assert harness.leftovers() == []


@pytest.mark.parametrize("digest", [OTHER, Digest("sha512:" + "0" * 128)])
def test_a_blob_that_is_another_one_is_not_kept(harness: Harness, digest: Digest) -> None:
    with pytest.raises(IntegrityError), harness.store.resumable(digest) as part:
        part.write(DATA[:1000])
        part.commit(digest, 1000)
    with pytest.raises(SizeMismatchError), harness.store.resumable(Digest.of(DATA[:1000])) as part:
        part.write(DATA[:1000])
        part.commit(None, 1001)
    assert harness.store.size(digest) is None
    assert harness.store.size(Digest.of(DATA[:1000])) is None
    assert harness.leftovers() == []


def test_any_buffer_may_be_written(store: Store) -> None:
    with store.ingest() as ingest:
        assert ingest.write(bytearray(b"ab")) == 2
        assert ingest.write(memoryview(b"xcdx")[1:3]) == 2
        assert ingest.write(b"") == 0
        assert ingest.commit(Digest.of(b"abcd"), 4) == (Digest.of(b"abcd"), 4)


def test_the_writers_buffer_may_be_used_again(store: Store) -> None:
    buffer = bytearray(b"one")
    with store.ingest() as ingest:
        ingest.write(buffer)
        buffer[:] = b"two"
        ingest.write(buffer)
        assert ingest.commit()[0] == Digest.of(b"onetwo")


def test_what_is_not_there(store: Store) -> None:
    assert store.size(OTHER) is None
    for read in (store.open, store.open_seekable):
        with pytest.raises(BlobMissingError) as caught:
            read(OTHER)
        assert caught.value.digest == OTHER
        assert caught.value.exit_code == 4


@pytest.mark.spec("STORE-4")
def test_nothing_is_there_before_commit(harness: Harness) -> None:
    with harness.store.ingest() as ingest:
        ingest.write(DATA)
        assert harness.store.size(DIGEST) is None
    assert harness.store.size(DIGEST) is None
    assert harness.leftovers() == []


def test_an_exception_leaves_nothing(harness: Harness) -> None:
    with pytest.raises(ZeroDivisionError), harness.store.ingest() as ingest:
        ingest.write(DATA)
        raise ZeroDivisionError
    assert harness.store.size(DIGEST) is None
    assert harness.leftovers() == []


@pytest.mark.parametrize(
    ("digest", "size", "error"),
    [
        (OTHER, None, DigestMismatchError),
        (OTHER, len(DATA), DigestMismatchError),
        (DIGEST, len(DATA) - 1, SizeMismatchError),
        (DIGEST, 0, SizeMismatchError),
        (None, len(DATA) + 1, SizeMismatchError),
        (Digest("sha512:" + "0" * 128), None, DigestMismatchError),
    ],
)
def test_other_bytes_than_announced_are_not_kept(
    harness: Harness, digest: Digest | None, size: int | None, error: type[Error]
) -> None:
    with pytest.raises(error), harness.store.ingest() as ingest:
        ingest.write(DATA)
        ingest.commit(digest, size)
    assert harness.store.size(DIGEST) is None
    assert harness.store.size(OTHER) is None
    assert harness.leftovers() == []


def test_sha512(harness: Harness) -> None:
    assert ingest_all(harness.store, [DATA], DIGEST512) == (DIGEST512, len(DATA))
    assert harness.store.open(DIGEST512).read() == DATA
    assert harness.store.open_seekable(DIGEST512).read() == DATA
    harness.spoil(DIGEST512, DATA[:-1])
    with pytest.raises(BlobMissingError):
        harness.store.open_seekable(DIGEST512)


SPOILT = {
    "a byte": b"L" + DATA[1:],
    "the last byte": DATA[:-1] + b"!",
    "cut": DATA[:-1],
    "more": DATA + b"x",
    "empty": b"",
}


@pytest.mark.spec("STORE-2")
@pytest.mark.parametrize("how", SPOILT)
def test_a_blob_that_went_bad_is_noticed_and_healed(harness: Harness, how: str) -> None:
    store = harness.store
    ingest_all(store, [DATA])
    harness.spoil(DIGEST, SPOILT[how])
    with store.open(DIGEST) as stream, pytest.raises(IntegrityError):
        stream.read()
    assert store.size(DIGEST) is None
    ingest_all(store, [DATA])
    harness.spoil(DIGEST, SPOILT[how])
    with pytest.raises(BlobMissingError):
        store.open_seekable(DIGEST)
    assert store.size(DIGEST) is None
    ingest_all(store, [DATA], DIGEST)
    assert store.open(DIGEST).read() == DATA


def test_a_bad_blob_may_be_overwritten_by_a_good_one(harness: Harness) -> None:
    ingest_all(harness.store, [DATA])
    harness.spoil(DIGEST, b"bad")
    ingest_all(harness.store, [DATA])
    assert harness.store.open(DIGEST).read() == DATA


def test_the_same_blob_twice_is_one(store: Store) -> None:
    assert ingest_all(store, [DATA]) == ingest_all(store, [DATA]) == (DIGEST, len(DATA))


def test_a_reader_outlives_its_blob_being_replaced(store: Store) -> None:
    ingest_all(store, [DATA])
    with store.open(DIGEST) as stream:
        first = stream.read(10)
        ingest_all(store, [DATA])
        assert first + stream.read() == DATA


def test_many_threads_write_and_read(harness: Harness) -> None:
    store, errors = harness.store, []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            barrier.wait(10)
            for turn in range(5):
                data = b"%d" % (turn if number % 2 else number * 100 + turn) * 10_000
                digest, _ = ingest_all(store, [data])
                assert store.open(digest).read() == data
                store.put_record("kind", "shared", data[:100])
                assert store.record("kind", "shared") is not None
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert harness.leftovers() == []


def test_records(store: Store) -> None:
    assert store.record("layers", "key") is None
    store.put_record("layers", "key", b"one")
    store.put_record("layers", "key.2", b"")
    store.put_record("other", "key", b"three")
    store.put_record("layers", "key", b"two")
    assert store.record("layers", "key") == b"two"
    assert store.record("layers", "key.2") == b""
    assert store.record("other", "key") == b"three"
    assert store.record("layers", "a" * 201) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/a", "A", "a b", "a\0", "a\n", "é", "a" * 202, "-a"])
def test_names_that_are_none(store: Store, name: str) -> None:
    for kind, key in [(name, "key"), ("kind", name)]:
        with pytest.raises(IntegrityError):
            store.record(kind, key)
        with pytest.raises(IntegrityError):
            store.put_record(kind, key, b"x")
