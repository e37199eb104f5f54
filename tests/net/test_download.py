"""Downloads into a store: resumed, verified, bounded, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble import progress
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.memory import MemoryStore
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError
from ociassemble.errors import Error, NetworkError, NotFoundError, OfflineError, UnreachableError
from ociassemble.net.download import fetch, get
from ociassemble.net.errors import AnswerError, CutError
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from tests.net.scripted import Answer, Request, ScriptedServer, ranged

DATA = os.urandom(300_000)
DIGEST = Digest.of(DATA)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def wire() -> Wire:
    return Wire(sleep=lambda seconds: None)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def files(store: DirectoryStore) -> list[str]:
    """What is in the store, leases aside."""
    found = (path.relative_to(store.root) for path in store.root.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "leases")


def test_a_file_comes_into_the_store(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/f", Answer(body=DATA))
    events: list[progress.Event] = []
    size = fetch(
        wire, [f"{server.url}/f"], DIGEST, len(DATA), store, label="f", progress=progress.Progress(events.append)
    )
    assert size == len(DATA)
    with store.open(DIGEST) as stream:
        assert stream.read() == DATA
    assert isinstance(events[0], progress.Started)
    assert (events[0].label, events[0].total) == ("f", len(DATA))
    assert sum(event.amount for event in events if isinstance(event, progress.Advanced)) == len(DATA)
    assert files(store) == [f"blobs/sha256/{DIGEST.hex}"]


def test_what_is_there_is_not_asked_for(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/f", Answer(body=DATA))
    for size in (len(DATA), len(DATA), None, -1):
        assert fetch(wire, [f"{server.url}/f"], DIGEST, size, store) == len(DATA)
    assert len(server.requests) == 1
    assert fetch(Wire(offline=True), [f"{server.url}/f"], DIGEST, None, store) == len(DATA)


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_cut_is_resumed_where_it_was(
    server: ScriptedServer, wire: Wire, store: DirectoryStore, size: int | None
) -> None:
    server.on("GET", "/f", ranged(DATA, 1000, 200_000, 0, 5))
    assert fetch(wire, [f"{server.url}/f"], DIGEST, size, store) == len(DATA)
    asked = [request.headers.get("range") for request in server.requests]
    assert asked == [None, "bytes=1000-", "bytes=201000-", "bytes=201000-", "bytes=201005-"]


def test_a_server_without_ranges_is_asked_from_the_beginning(
    server: ScriptedServer, wire: Wire, store: DirectoryStore
) -> None:
    server.on("GET", "/f", Answer(body=DATA, cut=1000), Answer(body=DATA))
    assert fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store) == len(DATA)


@pytest.mark.parametrize("where", ["bytes 0-9/300000", "bytes 2000-299999/300000", "", "bytes */300000", "x" * 500])
def test_another_range_than_the_one_asked_for_is_refused(
    server: ScriptedServer, wire: Wire, store: DirectoryStore, where: str
) -> None:
    server.on("GET", "/f", Answer(body=DATA, cut=1000), Answer(206, DATA, (("Content-Range", where),)))
    with pytest.raises(AnswerError, match="another range"):
        fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert files(store) == []


def test_it_gives_up_when_nothing_comes(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/f", Answer(body=DATA, cut=0))
    with pytest.raises(CutError):
        fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert len(server.requests) == 5
    assert files(store) == []


def test_wrong_bytes_are_refused_and_named(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/f", Answer(body=b"x" * len(DATA)))
    with pytest.raises(DigestMismatchError) as caught:
        fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert caught.value.exit_code == 7
    assert caught.value.details == (f"from `{server.url}/f`",)
    assert files(store) == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=DATA + b"x"),
        Answer(body=DATA, endless=True),
        Answer(body=DATA[:-1]),
        Answer(body=DATA, length=len(DATA) + 1, cut=len(DATA)),
    ],
    ids=["longer", "endless", "shorter", "announced longer"],
)
def test_another_size_is_refused(server: ScriptedServer, wire: Wire, store: DirectoryStore, answer: Answer) -> None:
    server.on("GET", "/f", answer)
    with pytest.raises(SizeMismatchError):
        fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert files(store) == []


def test_the_next_place_is_tried(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/gone", Answer(404))
    server.on("GET", "/denied", Answer(403))
    server.on("GET", "/wrong", Answer(body=b"x" * len(DATA)))
    server.on("GET", "/right", Answer(body=DATA))
    places = [f"{server.url}/{name}" for name in ("gone", "denied", "wrong", "right")]
    assert fetch(wire, ["http://mirror.example/f", *places], DIGEST, len(DATA), store) == len(DATA)


def test_of_many_failures_the_wrong_bytes_come_first(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/wrong", Answer(body=b"x" * len(DATA)))
    with pytest.raises(DigestMismatchError) as caught:
        fetch(wire, [f"{server.url}/gone", f"{server.url}/wrong"], DIGEST, len(DATA), store)
    assert "does not exist" in caught.value.details[-1]
    with pytest.raises(NotFoundError):
        fetch(wire, [f"{server.url}/gone"], DIGEST, None, store)
    with pytest.raises(UnreachableError):
        fetch(wire, ["http://mirror.example/f"], DIGEST, None, store)
    with pytest.raises(NotFoundError, match="nobody says"):
        fetch(wire, [], DIGEST, None, store, label="f-1.whl")


def test_offline_says_so(server: ScriptedServer, store: DirectoryStore) -> None:
    with pytest.raises(OfflineError):
        fetch(Wire(offline=True), [f"{server.url}/f"], DIGEST, None, store)
    assert (server.requests, files(store)) == ([], [])


def test_an_interrupt_leaves_nothing(server: ScriptedServer, wire: Wire, store: DirectoryStore) -> None:
    server.on("GET", "/f", Answer(body=DATA))

    def interrupt(event: progress.Event) -> None:
        if isinstance(event, progress.Advanced):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(wire, [f"{server.url}/f"], DIGEST, None, store, progress=progress.Progress(interrupt))
    assert files(store) == []


def test_headers_go_along(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/f", Answer(body=DATA, cut=9), Answer(body=DATA))
    fetch(wire, [f"{server.url}/f"], DIGEST, None, MemoryStore(), headers=lambda url: {"X-A": "b"})
    assert [request.headers["x-a"] for request in server.requests] == ["b", "b"]


# --- small documents ------------------------------------------------------------------------------------------


def test_a_page_says_where_it_came_from(server: ScriptedServer, wire: Wire) -> None:
    server.on("GET", "/simple/x", Answer(301, headers=(("Location", "/simple/x/"),)))
    server.on("GET", "/simple/x/", Answer(body=b"<html>", headers=(("Content-Type", "text/html"),)))
    page = get(wire, f"{server.url}/simple/x", limit=100)
    assert page == (f"{server.url}/simple/x/", "text/html", b"<html>")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(404), "not-found.url"),
        (Answer(410), "not-found.url"),
        (Answer(401), "auth.url"),
        (Answer(403), "auth.url"),
        (Answer(400), "network.status"),
        (Answer(500), "network.status"),
        (Answer(204), "network.status"),
        (Answer(200, b"x", (("Content-Encoding", "gzip"),)), "network.answer"),
        (Answer(200, b"x" * 101), "network.answer"),
    ],
)
def test_pages_that_are_none(server: ScriptedServer, wire: Wire, answer: Answer, code: str) -> None:
    server.on("GET", "/", answer)
    with pytest.raises(Error) as caught:
        get(wire, f"{server.url}/", limit=100)
    assert caught.value.code == code


# --- properties -----------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5000), max_size=6), st.booleans())
def test_whatever_is_cut_the_file_is_whole_or_absent(cuts: list[int], honours_ranges: bool) -> None:
    data = DATA[:4096]
    store = MemoryStore()
    with ScriptedServer() as server:
        whole = ranged(data, *cuts)
        server.on("GET", "/f", whole if honours_ranges else lambda r: whole(Request(r.method, r.path, {}, b"")))
        try:
            fetch(Wire(sleep=lambda s: None), [f"{server.url}/f"], Digest.of(data), len(data), store)
        except NetworkError:
            assert not store.blobs
        else:
            assert store.blobs == {Digest.of(data): data}


_CHILD = """
import resource, sys
from pathlib import Path
from ociassemble.content.directory import DirectoryStore
from ociassemble.net.download import fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
store = DirectoryStore(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fetch(Wire(), [sys.argv[2] + "/small"], Digest.of(b"small"), None, store)
middle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fetch(Wire(), [sys.argv[2] + "/f"], Digest(sys.argv[3]), int(sys.argv[4]), store)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - middle)
"""


def test_memory_does_not_grow_with_the_file(server: ScriptedServer, tmp_path: Path) -> None:
    data = bytes(96 << 20)
    server.on("GET", "/f", Answer(body=data))
    server.on("GET", "/small", Answer(body=b"small"))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "s"), server.url, Digest.of(data), str(len(data))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 16 << 10  # KiB
