"""Where blobs are known to be: what is remembered, and how little is written for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.content.directory import DirectoryStore
from ociassemble.content.memory import MemoryStore
from ociassemble.oci.digest import Digest
from ociassemble.registry import locations
from ociassemble.registry.locations import KIND, MOST, MOST_BLOBS, Locations

HOST, OTHER = "registry.example", "other.example:5000"
ONE, TWO, THREE = (Digest.of(text) for text in (b"one", b"two", b"three"))
KEY = Digest.of(HOST.encode()).hex


class Counting(MemoryStore):
    """Says what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[str, str]] = []

    def put_record(self, kind: str, key: str, value: bytes) -> None:
        self.written.append((kind, key))
        super().put_record(kind, key, value)


@pytest.fixture
def store() -> Counting:
    return Counting()


def run(store: Counting, **seen: tuple[Digest, ...]) -> None:
    """One run that sees these blobs in these repositories of the host."""
    found = Locations(lambda: store)
    for repository, digests in seen.items():
        found.all_seen(digests, HOST, repository)
    found.keep()


@pytest.mark.spec("CACHE-12")
def test_a_run_writes_one_record_a_host_and_none_for_what_is_known(store: Counting) -> None:
    run(store, app=(ONE, TWO), base=(THREE,))
    assert store.written == [(KIND, KEY)]
    run(store, app=(TWO, ONE))
    run(store)
    assert len(store.written) == 1
    found = Locations(lambda: store)
    found.all_seen((ONE,), HOST, "app")
    found.seen(ONE, OTHER, "app")
    found.keep()
    found.keep()
    assert store.written[1:] == [(KIND, Digest.of(OTHER.encode()).hex)]
    assert Locations(lambda: store).of(THREE, HOST) == ("base",)
    assert Locations(lambda: store).of(THREE, OTHER) == ()


@pytest.mark.spec("CACHE-12")
def test_the_newest_come_first_and_eight_are_remembered(store: Counting) -> None:
    for number in range(MOST + 2):
        run(store, **{f"app{number}": (ONE,)})
    names = [f"app{number}" for number in range(MOST + 1, 1, -1)]
    found = Locations(lambda: store)
    assert list(found.of(ONE, HOST)) == names
    found.seen(ONE, HOST, "last")
    found.gone(ONE, HOST, "app9")
    assert list(found.of(ONE, HOST)) == ["last", *names[1:]]  # also before it is written
    found.keep()
    assert list(Locations(lambda: store).of(ONE, HOST)) == ["last", *names[1:]]


@pytest.mark.spec("CACHE-12")
def test_what_is_gone_everywhere_is_forgotten(store: Counting) -> None:
    run(store, app=(ONE, TWO))
    found = Locations(lambda: store)
    found.gone(ONE, HOST, "app")
    found.gone(THREE, HOST, "app")
    assert found.of(ONE, HOST) == ()
    found.keep()
    assert str(ONE).encode() not in (store.record(KIND, KEY) or b"")
    assert Locations(lambda: store).of(TWO, HOST) == ("app",)


@pytest.mark.spec("CACHE-12")
def test_what_was_not_seen_for_long_goes_first(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BLOBS >= 500  # some fifty images
    monkeypatch.setattr(locations, "MOST_BLOBS", 3)
    layers = [Digest.of(b"application %d" % number) for number in range(5)]
    for layer in layers:
        run(store, app=(ONE, layer))  # each build has the dependencies of the last
    found = Locations(lambda: store)
    assert [digest for digest in (ONE, *layers) if found.of(digest, HOST)] == [ONE, *layers[3:]]
    run(store, app=tuple(layers))  # more than there is room for
    written = len(store.written)
    run(store, app=tuple(layers))
    assert len(store.written) == written


def test_two_runs_at_once_keep_what_both_saw(store: Counting) -> None:
    first, second = Locations(lambda: store), Locations(lambda: store)
    assert first.of(ONE, HOST) == second.of(ONE, HOST) == ()
    first.seen(ONE, HOST, "first")
    second.seen(ONE, HOST, "second")
    first.keep()
    second.keep()
    assert Locations(lambda: store).of(ONE, HOST) == ("second", "first")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"a": 1}', b'{"%s": [1, null]}' % ONE.encode(), b"\xff", b"[" * 9999]
)
def test_a_record_that_is_none_says_nothing(store: Counting, raw: bytes) -> None:
    MemoryStore.put_record(store, KIND, KEY, raw)
    assert Locations(lambda: store).of(ONE, HOST) == ()
    run(store, app=(ONE,))
    assert Locations(lambda: store).of(ONE, HOST) == ("app",)


def test_a_store_that_fails_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = Locations(lambda: DirectoryStore(tmp_path / "file" / "store"))
    found.seen(ONE, HOST, "app")
    assert found.of(ONE, HOST) == ("app",)
    found.keep()
