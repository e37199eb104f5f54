"""Blobs of registries: read from anywhere, and gone on with by a later run (STORE-7)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.base.resolve import kept_blob
from ociassemble.content.blob import Blob
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.partial import WORTH
from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import Error, IntegrityError
from ociassemble.net.download import fetch_blob
from ociassemble.net.errors import CutError
from ociassemble.net.wire import Wire
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.stream import BlobStream
from ociassemble.transports.local import LocalDestination
from tests.net.scripted import Answer, ranged
from tests.registry.chaos import ChaosRegistry, blob_of

DATA = hashlib.shake_256(b"layer").digest(3 << 20)
HALF = 3 << 19


@pytest.fixture
def registry() -> Iterator[ChaosRegistry]:
    with ChaosRegistry() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def layer(registry: ChaosRegistry) -> Blob:
    client = RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None)
    return client.blob(Reference.parse(f"{registry.host}/a/b:1"), registry.add_blob(DATA))


def part(store: DirectoryStore, blob: Blob, data: bytes | None = None) -> Path:
    """The download of an earlier run, with `data` in it."""
    path = store.scratch / f"{blob.descriptor.digest.hex}.part"
    if data is not None:
        path.write_bytes(data)
    return path


def ranges(registry: ChaosRegistry) -> list[str]:
    return [request.headers.get("range", "") for request in registry.requests if "/blobs/" in request.path]


def bring(blob: Blob, store: DirectoryStore) -> None:
    """As bases do."""
    assert kept_blob(blob, store).read() == DATA
    assert not part(store, blob).exists()
    with store.open(blob.descriptor.digest) as stream:
        assert stream.read() == DATA


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize("received", [WORTH - 1, HALF])
def test_a_later_run_asks_for_the_rest(registry: ChaosRegistry, store: DirectoryStore, received: int) -> None:
    blob = layer(registry)
    rules = list(registry.rules)
    registry.on("GET", ".*/blobs/.*", Answer(body=DATA, cut=received), Answer(206, cut=-1))
    with pytest.raises(CutError):
        kept_blob(blob, store).read()
    registry.rules[:] = rules
    registry.requests.clear()
    bring(blob, DirectoryStore(store.root))
    assert ranges(registry) == ([f"bytes={received}-"] if received >= WORTH else [""])


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (b"", [""]),
        (DATA[:HALF], [f"bytes={HALF}-"]),
        (DATA[:-1], [f"bytes={len(DATA) - 1}-"]),
        (DATA, []),
        (b"\0" * HALF, [f"bytes={HALF}-", ""]),
        (b"x" * len(DATA), [""]),
        (DATA + b"x", [""]),
    ],
    ids=["empty", "half", "all but one", "all", "other half", "other", "too long"],
)
def test_whatever_an_earlier_run_left(
    registry: ChaosRegistry, store: DirectoryStore, left: bytes, asked: list[str]
) -> None:
    blob = layer(registry)
    part(store, blob, left)
    bring(blob, store)
    assert ranges(registry) == asked


def lie(start: int, total: int | str, body: bytes) -> Answer:
    return Answer(206, body, (("Content-Range", f"bytes {start}-{start + len(body) - 1}/{total}"),))


@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(416),
        lie(0, len(DATA), DATA),
        lie(HALF + 1, len(DATA), DATA[HALF + 1 :]),
        lie(HALF, len(DATA) + 1, DATA[HALF:] + b"x"),
        lie(HALF, len(DATA) - 1, DATA[HALF:-1]),
        lie(HALF, "*", DATA[HALF:] + b"x"),
        lie(HALF, len(DATA), DATA[: len(DATA) - HALF]),
        Answer(206, DATA[HALF:]),
        Answer(206, DATA[HALF:], (("Content-Range", "bytes x"),)),
    ],
    ids=["416", "another start", "a byte late", "longer", "shorter", "too much", "other bytes", "no word", "nonsense"],
)
def test_registries_that_do_not_go_on(registry: ChaosRegistry, store: DirectoryStore, answer: Answer) -> None:
    blob = layer(registry)
    registry.on("GET", ".*/blobs/.*", answer, Answer(200, DATA))
    part(store, blob, DATA[:HALF])
    bring(blob, store)
    assert ranges(registry) == [f"bytes={HALF}-", ""]


@pytest.mark.spec("STORE-7")
def test_a_registry_that_knows_no_ranges_is_read_from_the_start(registry: ChaosRegistry, store: DirectoryStore) -> None:
    blob = layer(registry)
    registry.on("GET", ".*/blobs/.*", Answer(200, DATA))
    part(store, blob, DATA[:HALF])
    bring(blob, store)
    assert ranges(registry) == [f"bytes={HALF}-"]  # its 200 has all bytes: those that are here pass by


@pytest.mark.spec("STORE-7")
def test_other_bytes_leave_nothing(registry: ChaosRegistry, store: DirectoryStore) -> None:
    blob = layer(registry)
    registry.on("GET", ".*/blobs/.*", ranged(b"y" * len(DATA)))
    part(store, blob, DATA[:HALF])
    with pytest.raises(DigestMismatchError):
        kept_blob(blob, store).read()
    assert ranges(registry) == [f"bytes={HALF}-", ""]
    assert not part(store, blob).exists()
    assert store.size(blob.descriptor.digest) is None


@pytest.mark.spec("STORE-7")
def test_a_pull_goes_on_too(registry: ChaosRegistry, store: DirectoryStore) -> None:
    blob = layer(registry)
    part(store, blob, DATA[:HALF])
    destination = LocalDestination(store, Reference.parse("localhost/pulled:v1"))
    assert destination.put_blob(blob) == "written"
    assert destination.put_blob(blob) == "exists"
    assert ranges(registry) == [f"bytes={HALF}-"]
    assert store.open(blob.descriptor.digest).read() == DATA


@pytest.mark.parametrize("left", [b"", DATA[:HALF], b"\0" * HALF, DATA], ids=["none", "half", "other half", "all"])
def test_what_is_told_comes_to_its_size(registry: ChaosRegistry, store: DirectoryStore, left: bytes) -> None:
    blob = layer(registry)
    part(store, blob, left)
    told: list[int] = []
    fetch_blob(blob, store, told.append)
    assert sum(told) == len(DATA)


def test_a_source_that_begins_nowhere_else_is_read_from_the_start(store: DirectoryStore) -> None:
    blob = blob_of(DATA)
    deaf = io.BytesIO(DATA)
    deaf.seekable = lambda: False  # type: ignore[method-assign]
    part(store, blob, DATA[:HALF])
    told: list[int] = []
    fetch_blob(replace(blob, source=lambda: deaf), store, told.append)
    assert store.open(blob.descriptor.digest).read() == DATA
    assert sum(told) == len(DATA)


@pytest.mark.parametrize(
    "data", [DATA + b"x", DATA[:-1], b"", b"x" * len(DATA)], ids=["long", "short", "none", "other"]
)
def test_what_it_should_not_be_is_not_kept(store: DirectoryStore, data: bytes) -> None:
    blob = blob_of(DATA)
    with pytest.raises(IntegrityError):
        fetch_blob(replace(blob, source=lambda: io.BytesIO(data)), store)
    assert store.size(blob.descriptor.digest) is None
    assert not list(store.scratch.iterdir())


def test_a_source_that_brings_it_into_the_store_itself(store: DirectoryStore) -> None:
    blob = blob_of(DATA)
    fetch_blob(kept_blob(blob, store), store)  # nobody waits for himself
    assert store.open(blob.descriptor.digest).read() == DATA


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 40)),
        st.tuples(st.just("seek"), st.integers(0, 120)),
        st.tuples(st.just("on"), st.integers(-40, 40)),
        st.tuples(st.just("end"), st.integers(-100, 20)),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_it_reads_as_a_file_does(steps: list[tuple[str, int]]) -> None:
    data = bytes(range(100))
    model = io.BytesIO(data)

    def begin(offset: int) -> Iterator[bytes]:
        yield from (data[at : at + 17] for at in range(offset, len(data), 17))

    stream = BlobStream(begin, len(data))
    for step, number in steps:
        if step == "read":
            wanted = model.read(number)
            found = stream.read(number)
            while len(found) < len(wanted):  # a raw stream may give less
                more = stream.read(len(wanted) - len(found))
                assert more
                found += more
            assert found == wanted
        elif step == "on" and model.tell() + number < 0:
            with pytest.raises((ValueError, Error)):
                stream.seek(number, io.SEEK_CUR)
        else:
            whence = {"seek": io.SEEK_SET, "on": io.SEEK_CUR, "end": io.SEEK_END}[step]
            assert stream.seek(number, whence) == model.seek(number, whence)
        assert stream.tell() == model.tell()
