"""Downloads that a later run goes on with, and of which one process at a time fetches a digest."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble import _files, progress
from ociassemble.content import partial
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.verify import DigestMismatchError
from ociassemble.net.download import fetch
from ociassemble.net.errors import CutError
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from tests.net.scripted import Answer, Request, ScriptedServer, ranged

DATA = hashlib.shake_256(b"resume").digest(3 << 20)
DIGEST = Digest.of(DATA)
HALF = 3 << 19


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        running.on("GET", "/f", ranged(DATA))
        yield running


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def part(store: DirectoryStore, data: bytes | None = None) -> Path:
    """The download of an earlier run, with `data` in it."""
    path = store.scratch / f"{DIGEST.hex}.part"
    if data is not None:
        path.write_bytes(data)
    return path


def bring(server: ScriptedServer, store: DirectoryStore, size: int | None = len(DATA), **options: object) -> None:
    wire = Wire(sleep=lambda seconds: None)
    assert fetch(wire, [f"{server.url}/f"], DIGEST, size, store, **options) == len(DATA)  # type: ignore[arg-type]
    with store.open(DIGEST) as stream:
        assert stream.read() == DATA
    assert not part(store).exists()
    assert store.path(DIGEST).stat().st_mode & 0o777 == 0o400


def ranges(server: ScriptedServer) -> list[str]:
    return [request.headers.get("range", "") for request in server.requests]


_CHILD = """
import sys
from pathlib import Path
from ociassemble.content.directory import DirectoryStore
from ociassemble.net.download import fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
print(fetch(Wire(), [sys.argv[2]], Digest(sys.argv[3]), int(sys.argv[4]), DirectoryStore(Path(sys.argv[1]))))
"""


def child(server: ScriptedServer, store: DirectoryStore) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _CHILD, store.root, f"{server.url}/f", DIGEST, str(len(DATA))]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.spec("STORE-7")
def test_a_killed_download_is_gone_on_with(server: ScriptedServer, store: DirectoryStore) -> None:
    gate = threading.Event()

    def halting(request: Request) -> Answer:
        return Answer(body=DATA, cut=HALF) if not server.requests[1:] else (gate.wait(30), Answer(503))[1]

    server.on("GET", "/f", halting)
    running = child(server, store)
    until = time.monotonic() + 30
    while len(server.requests) < 2:  # it has the half, and asks for the rest
        assert time.monotonic() < until
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    gate.set()
    assert part(store).read_bytes() == DATA[:HALF]

    server.requests.clear()
    server.on("GET", "/f", ranged(DATA))
    bring(server, DirectoryStore(store.root))
    assert ranges(server) == [f"bytes={HALF}-"]


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize("size", [len(DATA), None])
@pytest.mark.parametrize(
    "prefix",
    [b"", DATA[:1], DATA[:HALF], DATA[:-1], DATA, b"x" + DATA[1:HALF], b"\0" * HALF, DATA + b"x", b"x" * len(DATA)],
    ids=["empty", "a byte", "half", "all but one", "all", "first byte bad", "zeros", "too long", "other"],
)
def test_whatever_an_earlier_run_left(
    server: ScriptedServer, store: DirectoryStore, prefix: bytes, size: int | None
) -> None:
    part(store, prefix)
    bring(server, store, size)
    good = DATA.startswith(prefix) and prefix
    if prefix == DATA and size:
        assert server.requests == []
    elif good and prefix != DATA:
        assert ranges(server) == [f"bytes={len(prefix)}-"]


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize("how", ["ignored", "416", "another range", "an error, then all"])
def test_servers_that_do_not_go_on(server: ScriptedServer, store: DirectoryStore, how: str) -> None:
    other = (("Content-Range", f"bytes 0-{len(DATA) - 1}/{len(DATA)}"),)
    whole = Answer(body=DATA)
    replies = {
        "ignored": (whole,),
        "416": (Answer(416), whole),
        "another range": (Answer(206, DATA, other), whole),
        "an error, then all": (Answer(503), whole),
    }[how]
    server.on("GET", "/f", *replies)
    part(store, DATA[:HALF])
    bring(server, store)


@pytest.mark.spec("STORE-7")
def test_a_place_with_other_bytes_leaves_nothing(server: ScriptedServer, store: DirectoryStore) -> None:
    server.on("GET", "/f", ranged(b"y" * len(DATA)))
    part(store, DATA[:HALF])
    with pytest.raises(DigestMismatchError):
        fetch(Wire(), [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert not part(store).exists()
    assert ranges(server) == [f"bytes={HALF}-", ""]


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize("received", [partial.WORTH - 1, partial.WORTH])
def test_what_is_kept_when_a_server_gives_up(server: ScriptedServer, store: DirectoryStore, received: int) -> None:
    server.on("GET", "/f", Answer(body=DATA, cut=received), Answer(206, cut=-1))
    with pytest.raises(CutError):
        fetch(Wire(sleep=lambda seconds: None), [f"{server.url}/f"], DIGEST, len(DATA), store)
    assert part(store).exists() == (received >= partial.WORTH)
    server.on("GET", "/f", ranged(DATA))
    bring(server, store)


def test_an_interrupted_download_is_kept(server: ScriptedServer, store: DirectoryStore) -> None:
    seen = 0

    def interrupt(event: progress.Event) -> None:
        nonlocal seen
        if isinstance(event, progress.Advanced):
            seen += event.amount
            if seen > HALF:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Wire(), [f"{server.url}/f"], DIGEST, len(DATA), store, progress=progress.Progress(interrupt))
    assert DATA.startswith(part(store).read_bytes())
    assert part(store).stat().st_size == seen


@pytest.mark.spec("STORE-8")
def test_one_of_many_fetches(server: ScriptedServer, store: DirectoryStore) -> None:
    """Threads of this process and other processes; who comes later waits, and asks the server nothing."""
    server.on("GET", "/f", Answer(body=DATA, delay=0.3))
    children = [child(server, store) for _ in range(3)]
    threads = [threading.Thread(target=lambda: fetch(Wire(), [f"{server.url}/f"], DIGEST, len(DATA), store))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for running in children:
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (0, b"%d\n" % len(DATA)), err
    assert len(server.requests) == 1
    bring(server, store)


@pytest.mark.spec("STORE-8")
def test_who_does_nothing_is_not_waited_for(
    server: ScriptedServer, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "PATIENCE", 0.2)
    held = store.resumable(DIGEST)
    held.write(DATA[:HALF])
    wire = Wire(sleep=lambda seconds: None)
    assert fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store) == len(DATA)
    assert store.open(DIGEST).read() == DATA
    held.write(DATA[HALF:])
    assert held.commit(DIGEST, len(DATA)) == (DIGEST, len(DATA))  # it wakes up: the same bytes once more
    held.__exit__(None, None, None)
    assert store.open(DIGEST).read() == DATA


@pytest.mark.parametrize("what", ["folder", "link", "pipe", "another's"])
def test_what_is_no_download(server: ScriptedServer, store: DirectoryStore, tmp_path: Path, what: str) -> None:
    path = part(store)
    (tmp_path / "other").write_bytes(b"not ours")
    if what == "folder":
        path.mkdir()
        (path / "file").write_bytes(b"")
    elif what == "link":
        path.symlink_to(tmp_path / "other")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(DATA[:HALF])
        path.chmod(0)
    bring(server, store)
    assert (tmp_path / "other").read_bytes() == b"not ours"


def test_without_locks_it_is_fetched_all_the_same(
    server: ScriptedServer, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*args: object, **named: object) -> bool:
        raise _files.translate(OSError(37, "no locks"), store.root, "lock")

    monkeypatch.setattr(_files, "held", no_locks)
    part(store, DATA[:HALF])
    wire = Wire(sleep=lambda seconds: None)
    assert fetch(wire, [f"{server.url}/f"], DIGEST, len(DATA), store) == len(DATA)
    assert store.open(DIGEST).read() == DATA
