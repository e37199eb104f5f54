"""What the store remembers of a proof."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest

from ociassemble.audit.verdict import proved
from ociassemble.content.blob import Blob
from ociassemble.content.memory import MemoryStore
from ociassemble.image.contents import read_contents
from ociassemble.image.image import Layer
from ociassemble.image.sample import KEEP, Sample
from ociassemble.layer.contents import Recorder, layer_contents
from ociassemble.layer.entry import Entry, constant
from ociassemble.layer.writer import LayerWriter
from ociassemble.oci.digest import Digest
from ociassemble.plan.locked import LockedFinding, Verdict
from ociassemble.testing.images import image, layer, program
from tests.debian_archive import elf
from tests.hostile.test_elf import made

STATIC = elf(kind=2)


def watched(one: Layer, opened: list[Digest]) -> Layer:
    """A layer that notes when it is read."""

    def source() -> BinaryIO:
        opened.append(one.diff_id)
        return one.blob.source()

    return Layer(blob=Blob(descriptor=one.descriptor, source=source), diff_id=one.diff_id)


@pytest.mark.spec("PROVE-1", "PROVE-2")
def test_what_was_proved_is_not_proved_again() -> None:
    opened: list[Digest] = []
    below, above = watched(layer({"a": program(STATIC)}), opened), watched(layer({"b": program(STATIC)}), opened)
    store, base = MemoryStore(), image([below])

    def codes(command: str, *layers: Layer, use_records: bool = True, **more: Any) -> list[str]:
        execution = {"Cmd": [command], "User": "1", **more}
        return [item.code for item in proved(base, layers, execution, store, use_records, 1)]

    assert codes("/b", above) == []
    assert sorted(opened) == sorted([below.diff_id, above.diff_id])
    opened.clear()
    store_of_verdicts = dict(store.records)
    assert codes("/b", above) == []
    assert codes("/b", above, Labels={"x": "y"}, ExposedPorts={"1/tcp": {}}) == []
    assert store.records == store_of_verdicts, "nothing that was asked is another question"
    for more in (
        {"User": "2"},
        {"WorkingDir": "/x"},
        {"Env": ["A=B"]},
        {"StopSignal": "SIGINT"},
        {"Entrypoint": ["/a"]},
    ):
        codes("/b", above, **more)
    assert len(store.records) == len(store_of_verdicts) + 5, "each of these is"
    assert codes("/b") == ["prove.program-missing"]
    assert codes("/b", above, use_records=False) == []
    assert opened == [], "layers that were looked into once are known"


def test_a_spoilt_record_is_made_anew() -> None:
    store, one = MemoryStore(), layer({"a": program(STATIC)})
    expected = layer_contents(one, store)
    for kind, key in list(store.records):
        store.put_record(kind, key, b'[["cut off')
    assert layer_contents(one, store) == expected
    assert proved(image([one]), [], {"Cmd": ["/a"]}, store, True, 1)[0].code == "prove.root"
    for kind, key in list(store.records):
        if kind == "verdicts":
            store.put_record(kind, key, b'[["one"]]')
    assert proved(image([one]), [], {"Cmd": ["/a"]}, store, True, 1)[0].code == "prove.root"


@pytest.mark.spec("PROVE-1")
def test_what_is_noted_while_writing_is_what_is_read_afterwards() -> None:
    entries = [
        Entry("app", "directory", 0o700, uid=3),
        Entry("app/run", mode=0o755, size=9, content=constant(b"#!/bin/x\n")),
        Entry("app/library.so", size=len(STATIC), content=constant(STATIC)),
        Entry("app/link", "symlink", target="run"),
        Entry("app/same", "hardlink", target="app/run"),
        Entry("app/empty"),
    ]
    tar, recorder = bytearray(), Recorder()
    writer = LayerWriter(tar.extend, watch=recorder)
    for entry in entries:
        writer.add(entry)
    writer.finish()
    one, store = layer(bytes(tar)), MemoryStore()
    recorder.keep(store, one.diff_id)

    noted, read = layer_contents(one, store), read_contents(one)
    assert [item.facts for item in noted.members] == [item.facts for item in read.members]
    assert [(item.path, item.item.kind, item.item.uid) for item in noted.members] == [
        (item.path, item.item.kind, item.item.uid) for item in read.members
    ]


def test_what_a_file_is_read_from_is_not_held() -> None:
    """A package that streamed by is let go when the next one comes, or a layer of many would hold all their readers."""

    class Reader:
        def chunks(self) -> Iterator[bytes]:
            yield b"#!/bin/sh\n"

    writer = LayerWriter(lambda data: None, watch=Recorder())
    reader = Reader()
    gone = weakref.ref(reader)
    writer.add(Entry("app/run", size=10, content=reader.chunks))
    del reader
    assert gone() is None


@pytest.mark.spec("PROVE-1")
def test_a_large_file_is_held_in_parts() -> None:
    """A library of 80 MiB: what is held of it while it streams by stays below the bound."""
    library = elf("libx.so", ["liby.so"])
    size, held = 80 << 20, 0
    block = bytes(1 << 20)
    sample = Sample("x", size)
    sample.feed(library + bytes(len(block) - len(library)))
    for _ in range(79):
        sample.feed(block)
        held = max(held, sum(map(len, sample._held)))
    facts = sample.facts()

    assert held <= KEEP + len(block)
    assert facts is not None
    assert facts.elf is not None
    assert (facts.elf.soname, facts.elf.needed) == ("libx.so", ("liby.so",))


def needy(name: str) -> bytes:
    """A library that needs one that is nowhere."""
    return elf(f"{name}.so", [f"no-{name}.so"])


@pytest.mark.spec("PROVE-20")
def test_a_lock_knows_what_its_dependencies_lack() -> None:
    """What it says stands in for looking into them, and for nothing else."""
    strings = b"/ld.so\0"
    at = 64 + 2 * 56
    start = made(segments=[(3, at, at, len(strings)), (1, 0, 0, 300)])[:at] + strings.ljust(200, b"\0")
    base = image([layer({"ld.so": program(elf("ld.so")), "start": program(start)})])
    dependency, application = layer({"x/dep.so": needy("dep")}), layer({"app/own.so": needy("own")})

    def said(known: list[LockedFinding] | None = None, **more: Any) -> list[tuple[str, bool]]:
        execution = {"Cmd": ["/start"], "User": "1", **more}
        locked = None if known is None else Verdict(base.digest, (dependency.diff_id,), ("/start",), tuple(known))
        found = proved(
            base, [dependency, application], execution, MemoryStore(), True, 1, dependencies=1, locked=locked
        )
        return sorted((item.message.split("`")[1], item.lasting) for item in found)

    assert said() == [("no-dep.so", True), ("no-own.so", False)]
    assert said([]) == [("no-own.so", False)]
    assert said([LockedFinding("prove.x", "warning", "needs `that`")]) == [("no-own.so", False), ("that", True)]
    assert said([], Env=["LD_LIBRARY_PATH=/x"]) == said(), "of which the lock does not know"
