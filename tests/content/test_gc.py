"""Taking away what nobody needs, while others work: leases, the trash, and what must stay."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content import gc, leases
from ociassemble.content.directory import FRESH, DirectoryStore
from ociassemble.content.gc import Collected, CollectingError, collect
from ociassemble.content.store import BlobMissingError, ingest_all
from ociassemble.oci.digest import Digest

DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def put(store: DirectoryStore, name: str, days: float = 0, size: int = 1000) -> Digest:
    """A blob that was last used `days` ago."""
    digest, _ = ingest_all(store, [name.encode().ljust(size, b".")])
    age(store.path(digest), days)
    return digest


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def run(store: DirectoryStore, *roots: Digest, days: float | None = 30, most: int | None = None) -> Collected:
    older = None if days is None else days * DAY
    return collect(store, lambda: set(roots), older_than=older, max_bytes=most)


def there(store: DirectoryStore) -> set[str]:
    """The digests of the blobs that lie in their places, without asking the store."""
    return {f"sha256:{path.name}" for path in (store.root / "blobs/sha256").iterdir()}


_USER = """
import sys
from pathlib import Path
from ociassemble.content.directory import DirectoryStore
from ociassemble.oci.digest import Digest
store = DirectoryStore(Path(sys.argv[1]))
for line in sys.stdin:
    print(store.size(Digest(line.strip())), flush=True)
"""


class User:
    """Another process that looks blobs up."""

    def __init__(self, store: DirectoryStore) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _USER, store.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def size(self, digest: Digest) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{digest}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def user(store: DirectoryStore) -> Iterator[Callable[[], User]]:
    started: list[User] = []

    def start() -> User:
        started.append(User(store))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.mark.spec("STORE-10")
def test_what_was_not_used_for_long_goes(store: DirectoryStore) -> None:
    old, young, root = put(store, "old", 31), put(store, "young", 29), put(store, "root", 400)
    store.put_record("layers", "old", b"x")
    store.put_record("layers", "young", b"y")
    age(store.root / "records/layers/old", 31)
    done = run(store, root)
    assert there(store) == {young, root}
    assert (done.freed > 1000, done.waiting) == (True, 0)
    assert {item.path.name for item in done.items} == {old.hex, "old"}
    assert store.record("layers", "old") is None and store.record("layers", "young") == b"y"
    assert not (store.root / "trash").exists()


@pytest.mark.spec("STORE-10")
def test_to_a_size_the_least_used_go_first(store: DirectoryStore) -> None:
    found = [put(store, str(days), days) for days in (5, 3, 1, 4, 2)]
    done = run(store, found[0], days=None, most=2500)
    assert there(store) == {found[0], found[2]}
    assert done.kept == 2000


def test_a_dry_run_takes_nothing(store: DirectoryStore) -> None:
    put(store, "old", 31)
    done = collect(store, set, older_than=DAY, dry_run=True)
    assert (done.freed, len(done.items)) == (1000, 1)
    assert len(there(store)) == 1


@pytest.mark.spec("STORE-9")
def test_a_hit_is_noted_once_an_hour(store: DirectoryStore) -> None:
    digest = put(store, "x", 10)
    for use in (store.size, store.open, store.open_seekable):
        age(store.path(digest), 10)
        use(digest)
        assert time.time() - store.path(digest).stat().st_mtime < 60
    lately = (FRESH - 100) / DAY
    age(store.path(digest), lately)
    before = store.path(digest).stat().st_mtime
    store.size(digest)
    assert store.path(digest).stat().st_mtime == before
    store.put_record("kind", "key", b"x")
    age(store.root / "records/kind/key", 10)
    assert store.record("kind", "key") == b"x"
    assert time.time() - (store.root / "records/kind/key").stat().st_mtime < 60


@pytest.mark.spec("STORE-9", "STORE-11")
def test_what_a_living_process_found_stays(store: DirectoryStore, user: Callable[[], User]) -> None:
    """Even where its use was noted up to an hour before the process began, and all is asked for."""
    used, other = put(store, "used", 0.9 * FRESH / DAY), put(store, "other", 40)
    one = user()
    assert one.size(used) == "1000"
    done = run(store, days=float("-inf"))
    assert there(store) == {used}
    assert (done.freed, done.waiting) == (0, 1000)
    one.kill()
    assert run(store, days=float("-inf")).freed == 2000
    assert there(store) == set()
    assert one.size is not None and other not in there(store)


@pytest.mark.spec("STORE-11")
def test_a_reader_fetches_back_what_was_taken(store: DirectoryStore, user: Callable[[], User]) -> None:
    kept = put(store, "kept", 40)
    store.put_record("kind", "key", b"x")
    age(store.root / "records/kind/key", 40)
    waiting = user()
    assert waiting.size(Digest.of(b"")) == "None"  # it has a lease now
    done = run(store)
    assert done.waiting > 1000 and there(store) == set()
    assert waiting.size(kept) == "1000"
    assert there(store) == {kept}
    assert store.record("kind", "key") == b"x"
    assert run(store).waiting == 0  # what is left of the trash is empty
    assert waiting.size(kept) == "1000"
    again = put(store, "again", 40)
    run(store)
    with store.open(again) as stream:
        assert len(stream.read()) == 1000
    with store.open_seekable(again) as stream:
        assert len(stream.read()) == 1000


@pytest.mark.spec("STORE-11")
def test_a_name_given_while_it_was_taken(store: DirectoryStore, user: Callable[[], User]) -> None:
    """A build that found a blob, named it and ended, all between the look and the move."""
    blob = put(store, "blob", 40)
    living = user()
    living.size(Digest.of(b""))
    run(store)
    assert there(store) == set()
    living.kill()
    run(store, blob)
    assert there(store) == {blob}


@pytest.mark.spec("STORE-11")
def test_a_collection_that_was_killed(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = put(store, "blob", 40)
    monkeypatch.setattr(gc, "_close", lambda trash: None)
    monkeypatch.setattr(gc, "_empty", lambda *rest: (0, 0))
    run(store)
    monkeypatch.undo()
    assert there(store) == set()
    assert store.size(blob) == 1000  # a reader has it back
    age(store.path(blob), 40)
    run(store)
    with pytest.raises(BlobMissingError):
        store.open(blob)
    assert not (store.root / "trash").exists()


def test_one_at_a_time(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "_WAIT", 0.1)
    with _files.locked(store.root / "lock", shared=False), pytest.raises(CollectingError):
        run(store)
    run(store)


def test_downloads_that_are_being_written_stay(store: DirectoryStore) -> None:
    digest = Digest.of(b"x")
    part = store.resumable(digest)
    part.write(b"x" * (2 << 20))
    assert run(store, days=float("-inf")).items == ()
    part.__exit__(None, None, None)
    path = store.scratch / f"{digest.hex}.part"
    assert path.exists()
    assert [item.kind for item in run(store, days=float("-inf")).items] == ["partial"]
    assert not path.exists()


@pytest.mark.spec("STORE-9")
def test_leases_end_with_the_process(store: DirectoryStore, user: Callable[[], User]) -> None:
    assert leases.living(store.root) == []
    one, two = user(), user()
    one.size(Digest.of(b""))
    two.size(Digest.of(b""))
    (slot,) = set(leases.living(store.root))
    assert time.time() - 2 * leases.SLOT < slot <= time.time()
    one.kill()
    assert leases.living(store.root) == [slot]
    two.kill()
    assert leases.living(store.root) == []
    assert list((store.root / "leases").iterdir()) == []


def test_a_lease_is_had_while_slots_are_looked_at(store: DirectoryStore) -> None:
    """Whoever takes one meets those who remove it: it is never on a file that is gone."""
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            leases.living(store.root)

    store.size(Digest.of(b""))
    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            lease = leases.take(store.root)
            assert leases.living(store.root)
            lease.release()
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("what", ["folder", "link", "pipe", "junk", "unreadable"])
def test_leases_that_are_none(store: DirectoryStore, tmp_path: Path, what: str) -> None:
    now = store.root / "leases" / str(int(time.time()) // leases.SLOT * leases.SLOT)
    now.parent.mkdir()
    if what == "folder":
        now.mkdir()
    elif what == "link":
        now.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(now)
    else:
        now.write_bytes(b"\xff" * 100)
        now.chmod(0 if what == "unreadable" else 0o600)
        (now.parent / "what is this").write_bytes(b"")
    old = put(store, "old", 40)
    with store.open(old) as stream:
        assert len(stream.read()) == 1000
    store.release()
    age(store.path(old), 40)
    run(store)
    assert there(store) == set()
