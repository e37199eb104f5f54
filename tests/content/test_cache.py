"""The store of a run: whatever a disk refuses, at whatever moment, the run has what it kept, or says what it needs."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content.cache import CacheStore, NotWritableError
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import SpoiltError, ingest_all
from ociassemble.errors import DestinationError
from ociassemble.oci.digest import Digest

DATA = [bytes([number]) * 70_000 for number in range(3)]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """TMPDIR, in which nothing is left."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    _files.at_point = None
    gc.collect()
    assert list(folder.iterdir()) == []


class Refusing:
    """From the operation `at` on, all below `folders` that needs to write fails with `error`."""

    KINDS = frozenset({"open", "write", "truncate", "mkdir", "rename", "link", "chmod", "utime"})

    def __init__(self, at: int, error: int, *folders: Path) -> None:
        self.at, self.error, self.folders, self.seen = at, error, folders, 0

    def __call__(self, operation: str, path: Path) -> None:
        if operation in self.KINDS and any(path.is_relative_to(folder) for folder in self.folders):
            self.seen += 1
            if self.seen >= self.at:
                raise OSError(self.error, os.strerror(self.error))


def use(store: CacheStore) -> None:
    """What a run does with a store; all it kept is there."""
    digests = [Digest.of(data * 2) for data in DATA]
    for data, digest in zip(DATA[:2], digests, strict=False):
        with store.ingest() as ingest:
            ingest.write(data)
            ingest.write(data)
            assert ingest.commit(digest, 140_000) == (digest, 140_000)
    with store.resumable(digests[2]) as part:
        part.write(DATA[2])
        part.write(DATA[2])
        assert part.commit(digests[2], 140_000) == (digests[2], 140_000)
    store.put_record("kind", "key", b"value")
    assert store.record("kind", "key") == b"value"
    assert store.scratch.is_dir()
    for data, digest in zip(DATA, digests, strict=True):
        assert store.size(digest) == 140_000
        assert store.open(digest).read() == data * 2
        with store.open_seekable(digest) as stream:
            assert stream.read() == data * 2


def sound(root: Path) -> None:
    """Nothing in the store is anything else than it says."""
    for path in root.rglob("*"):
        if path.is_file() and path.parts[-3] == "blobs":
            assert Digest.of(path.read_bytes()).hex == path.name


@pytest.mark.spec("STORE-12")
@pytest.mark.parametrize(
    "error",
    [
        errno.ENOSPC,
        pytest.param(errno.EDQUOT, marks=pytest.mark.long),
        pytest.param(errno.EFBIG, marks=pytest.mark.long),
        errno.EROFS,
        pytest.param(errno.EACCES, marks=pytest.mark.long),
    ],
)
def test_a_disk_that_refuses_at_any_moment(tmp_path: Path, error: int) -> None:
    at = 1
    while True:
        root, told = tmp_path / str(at) / "store", list[str]()
        point = _files.at_point = Refusing(at, error, root.parent)
        store = CacheStore(root, told.append)
        use(store)
        store.close()
        _files.at_point = None
        sound(root)
        if point.seen < at:
            break
        assert len(told) <= 1 and all(os.strerror(error) in text for text in told), (at, told)
        again = CacheStore(root, told.append)
        use(again)  # the next run needs no clean-up
        again.close()
        at += 1
    assert at > 20 and not told


@pytest.mark.spec("STORE-12")
def test_where_nothing_can_be_kept_what_is_needed_is_said(tmp_path: Path, temporary: Path) -> None:
    store = CacheStore(tmp_path / "store", lambda text: None)
    with store.ingest() as ingest, pytest.raises(_files.DiskFullError) as caught:
        ingest.write(DATA[0])
        _files.at_point = Refusing(1, errno.ENOSPC, tmp_path / "store", temporary)
        ingest.write(DATA[1])
    assert str(tmp_path) in caught.value.message and caught.value.hint
    _files.at_point = None
    small = Refusing(1, errno.ENOSPC, tmp_path / "store")
    store = CacheStore(tmp_path / "store", lambda text: None)
    with store.ingest() as ingest:
        _files.at_point = small
        ingest.write(DATA[0])
        _files.at_point = Refusing(1, errno.ENOSPC, tmp_path / "store", temporary)
        with pytest.raises(_files.DiskFullError) as caught:
            ingest.write(DATA[1])
        assert caught.value.details == ("at least 140000 bytes are needed there",)
        _files.at_point = None
    store.close()


@pytest.mark.spec("STORE-12")
def test_what_is_there_is_read(tmp_path: Path) -> None:
    digest, _ = ingest_all(DirectoryStore(tmp_path / "store"), [b"x"])
    DirectoryStore(tmp_path / "store").put_record("kind", "key", b"old")
    bad, _ = ingest_all(DirectoryStore(tmp_path / "store"), [b"bad"])
    path = DirectoryStore(tmp_path / "store").path(bad)
    path.chmod(0o600)
    path.write_bytes(b"BAD")
    told: list[str] = []
    _files.at_point = read_only = Refusing(1, errno.EROFS, tmp_path / "store")
    read_only.KINDS |= {"unlink", "rmdir"}  # type: ignore[misc]
    store = CacheStore(tmp_path / "store", told.append)
    assert store.open(digest).read() == b"x"
    assert store.record("kind", "key") == b"old"
    assert told == []  # nothing had to be written yet
    with pytest.raises(SpoiltError):
        store.open(bad).read()
    ingest_all(store, [b"bad"])  # fetched once more: the one that cannot be removed is not in the way
    assert store.open(bad).read() == b"bad"
    store.put_record("kind", "key", b"new")
    assert store.record("kind", "key") == b"new"
    assert len(told) == 1
    store.close()


@pytest.mark.spec("STORE-13")
def test_names_need_the_disk(tmp_path: Path) -> None:
    _files.at_point = Refusing(1, errno.EROFS, tmp_path / "store")
    store = CacheStore(tmp_path / "store", lambda text: None)
    with pytest.raises(NotWritableError) as caught:
        store.on_disk()
    assert "Read-only file system" in caught.value.message and "-o oci:DIR" in (caught.value.hint or "")
    store.close()


@pytest.mark.spec("STORE-1")
def test_a_folder_that_others_may_write_to_is_no_case_for_another_place(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    with pytest.raises(DestinationError, match="writable by other users"):
        CacheStore(tmp_path / "store", lambda text: None, chosen=False)


def test_no_folder_at_all(tmp_path: Path) -> None:
    told: list[str] = []
    CacheStore(Path("/dev/null/cache/store"), told.append, chosen=False).close()
    assert len(told) == 1
    with pytest.raises(DestinationError, match="is not a folder"):
        CacheStore(Path("/dev/null/cache/store"), told.append)


def test_many_threads_are_told_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    told: list[str] = []
    store = CacheStore(tmp_path / "store", told.append)
    _files.at_point = Refusing(3, errno.ENOSPC, tmp_path / "store")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: ingest_all(store, [b"%d" % number * 1000] * 20)[0], range(40)))
    assert len(set(found)) == 40 and all(store.size(digest) for digest in found)
    assert len(told) == 1
    store.close()
