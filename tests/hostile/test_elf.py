"""ELF files made to hurt a reader: cut off, overlapping, going round, counting too far."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.audit import loader
from ociassemble.audit.prove import prove
from ociassemble.audit.table import Table
from ociassemble.errors import FormatError
from ociassemble.formats import elf
from ociassemble.image import sample as sampling
from ociassemble.image.contents import Contents, read_contents
from ociassemble.image.sample import FileFacts, Sample
from ociassemble.oci.platform import Platform
from ociassemble.testing import images

NEEDED, STRTAB, SONAME, RPATH, RUNPATH, VERDEF, VERNEED = 1, 5, 14, 15, 29, 0x6FFFFFFC, 0x6FFFFFFE


def made(
    tags: Sequence[tuple[int, int]] = (),
    tables: bytes = b"",
    *,
    wide: bool = True,
    little: bool = True,
    kind: int = 3,
    machine: int = 62,
    flags: int = 0,
    segments: Sequence[tuple[int, int, int, int]] | None = None,
) -> bytes:
    """A file of one load segment at address 0 with `tables` after the headers, and the dynamic `tags` after these.

    Values of tags are addresses; `table(n)` is where byte n of `tables` is.
    """
    order = "<" if little else ">"
    at = table(0, wide)
    dynamic = b"".join(struct.pack(order + ("qQ" if wide else "iI"), tag, value) for tag, value in (*tags, (0, 0)))
    size = at + len(tables) + len(dynamic)
    parts = segments or [(1, 0, 0, size), (2, at + len(tables), at + len(tables), len(dynamic))]
    ident = elf.MAGIC + bytes((2 if wide else 1, 1 if little else 2, 1)) + bytes(9)
    header = struct.calcsize("<HHIQQQ" if wide else "<HHIIII")
    assert header
    head = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        kind, machine, 1, 0, 64 if wide else 52, 0, flags, 64 if wide else 52, 56 if wide else 32, len(parts), 0, 0, 0,
    )  # fmt: skip
    body = b""
    for type_, offset, address, length in parts:
        if wide:
            body += struct.pack(order + "IIQQQQQQ", type_, 4, offset, address, address, length, length, 1)
        else:
            body += struct.pack(order + "IIIIIIII", type_, offset, address, address, length, length, 4, 1)
    return (ident + head + body).ljust(at, b"\0") + tables + dynamic


def table(number: int, wide: bool = True) -> int:
    return (64 + 2 * 56 if wide else 52 + 2 * 32) + number


STRINGS = b"\0libx.so\0libc.so.6\0$ORIGIN/a:/b\0V_1\0V_2\0"
NAMES = {"libx.so": 1, "libc.so.6": 9, "$ORIGIN/a:/b": 19, "V_1": 32, "V_2": 36}


def need(entries: Sequence[tuple[int, Sequence[tuple[int, int]]]], order: str = "<") -> bytes:
    """.gnu.version_r: (name of the file, [(flags, name of the version)])."""
    result = b""
    for number, (file, versions) in enumerate(entries):
        size = 16 * (1 + len(versions))
        last = number + 1 == len(entries)
        result += struct.pack(order + "HHIII", 1, len(versions), file, 16, 0 if last else size)
        for place, (flags, name) in enumerate(versions):
            result += struct.pack(order + "IHHII", 0, flags, 2, name, 0 if place + 1 == len(versions) else 16)
    return result


def define(names: Sequence[int], order: str = "<") -> bytes:
    """.gnu.version_d."""
    result = b""
    for number, name in enumerate(names):
        following = 0 if number + 1 == len(names) else 28
        result += struct.pack(order + "HHHHIII", 1, 0, number + 1, 1, 0, 20, following) + struct.pack(
            order + "II", name, 0
        )
    return result


@pytest.mark.parametrize("wide", [True, False], ids=["64", "32"])
@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
def test_every_shape(wide: bool, little: bool) -> None:
    order = "<" if little else ">"
    wanted = need([(9, [(0, 32), (2, 36)])], order)
    offered = define([1, 32, 36], order)
    at = table(0, wide)
    tags = [
        (NEEDED, 9), (SONAME, 1), (RPATH, 19), (RUNPATH, 19), (STRTAB, at),
        (VERNEED, at + len(STRINGS)), (VERDEF, at + len(STRINGS) + len(wanted)),
    ]  # fmt: skip
    machine = {(True, True): 183, (True, False): 22, (False, True): 40, (False, False): 40}[wide, little]
    data = made(tags, STRINGS + wanted + offered, wide=wide, little=little, machine=machine, flags=0x5000400)
    found = elf.parse(data)

    assert (found.bits, found.little, found.machine, found.flags) == (64 if wide else 32, little, machine, 0x5000400)
    assert (found.soname, found.needed) == ("libx.so", ("libc.so.6",))
    assert (found.rpath, found.runpath, found.search) == ("$ORIGIN/a:/b", "$ORIGIN/a:/b", ("$ORIGIN/a", "/b"))
    assert found.wants == (("libc.so.6", ("V_1",)),), "what is weak is not insisted on"
    assert found.offers == ("libx.so", "V_1", "V_2")
    assert found.extent == len(data)
    for cut in range(len(data)):
        with contextlib.suppress(FormatError):
            assert elf.parse(data[:cut]).extent > cut, "a file that is cut off says that it should be longer"


def hostile() -> Iterator[tuple[str, bytes]]:
    at = table(0)
    strings = (STRTAB, at)
    yield "as many names as there is room for", made([*[(NEEDED, 1)] * 9000, strings], STRINGS)
    long = b"\0" + b"x" * 4000 + b"\0"
    yield "names of a gigabyte in all", made([*[(NEEDED, number) for number in range(1, 4000)], strings], long)
    yield (
        "a version table that is its own next",
        made([strings, (VERNEED, at + len(STRINGS))], STRINGS + struct.pack("<HHIII", 1, 1, 9, 0, 1) * 4),
    )
    yield (
        "versions that overlap",
        made([strings, (VERDEF, at + len(STRINGS))], STRINGS + struct.pack("<HHHHIII", 1, 1, 1, 1, 1, 1, 1) * 8),
    )
    yield (
        "versions without an end",
        made(
            [strings, (VERDEF, at + len(STRINGS))],
            STRINGS + struct.pack("<HHHHIII", 1, 1, 1, 1, 1, 1, 20) * 20_000,
        ),
    )
    yield (
        "a name table without an end",
        made(
            [strings, (VERNEED, at + len(STRINGS))],
            STRINGS + struct.pack("<HHIII", 1, 1, 9, 16, 0) + struct.pack("<IHHII", 0, 0, 0, 1, 16) * 20_000,
        ),
    )
    yield "a dynamic segment of all memory", made(segments=[(1, 0, 0, 1 << 63), (2, 64, 64, 1 << 62)])
    yield (
        "a segment that ends after all addresses",
        made([strings], STRINGS, segments=[(1, (1 << 64) - 1, 0, (1 << 64) - 1), (2, table(len(STRINGS)), 0, 32)]),
    )
    yield "an interpreter of all memory", made(segments=[(3, 0, 0, 1 << 62), (1, 0, 0, 10)])
    yield "an interpreter far away", made(segments=[(3, 1 << 62, 0, 20), (1, 0, 0, 10)])
    yield "addresses of no segment", made([(STRTAB, 1 << 40), (NEEDED, 1)], STRINGS)
    yield "names far away", made([strings, (NEEDED, (1 << 64) - 1)], STRINGS)
    yield "versions far away", made([strings, (VERNEED, (1 << 64) - 1), (VERDEF, 1 << 50)], STRINGS)


@pytest.mark.parametrize(("name", "data"), list(hostile()), ids=[name for name, _ in hostile()])
def test_hostile_files(name: str, data: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(FormatError):
        elf.parse(data)
    assert time.process_time() - began < 2, "bounded, whatever the counts say"


def test_a_far_table_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that lie so that each part asked for is before the last cost a bounded number of readings."""
    monkeypatch.setattr(sampling, "KEEP", 4096)
    monkeypatch.setattr(sampling, "_PART", 128)
    at = table(0)
    backwards = bytearray(b"\0" * 60_000)
    tags = [(STRTAB, at + 30_000), (VERNEED, at + 20_000), (VERDEF, at + 10_000), (NEEDED, 1)]
    backwards[20_000:20_032] = need([(9, [(0, 1)])])
    backwards[10_000:10_028] = define([1])
    backwards[30_000 : 30_000 + len(STRINGS)] = STRINGS
    data = made(tags, bytes(backwards))
    begun = []

    def again() -> Iterator[bytes]:
        begun.append(True)
        yield from blocks

    blocks = [data[place : place + 512] for place in range(0, len(data), 512)]
    sample = Sample("x", len(data), again)
    for block in blocks:
        sample.feed(block)
    facts = sample.facts()

    assert facts is not None
    assert facts.elf == elf.parse(data)
    assert 1 <= len(begun) <= 8
    alone = Sample("x", len(data))
    for block in blocks:
        alone.feed(block)
    assert alone.facts() == FileFacts(damaged="an ELF file whose tables are too far apart to be read")


@pytest.mark.parametrize("start", [1 << 20, 3 << 19, 3 << 20], ids=["held", "half held", "beyond"])
def test_names_at_the_end_of_a_large_file_are_kept_while_it_passes(start: int) -> None:
    """patchelf puts the names it changed into a loaded part of their own, behind all else."""
    here, size = 1 << 40, 900 << 10  # address and size of that part
    strings = bytes(size - len(STRINGS)) + STRINGS
    tags = [(STRTAB, here + size - len(STRINGS)), (NEEDED, 1)]
    segments = [(1, start, here, size), (2, start + size, here + size, 48)]
    data = made(tags, bytes(start - table(0)) + strings, segments=segments) + bytes(3 << 20)

    sample = Sample("x", len(data))  # which cannot read it anew
    for place in range(0, len(data), 1 << 18):
        sample.feed(data[place : place + (1 << 18)])
    facts = sample.facts()

    assert facts == FileFacts(elf=elf.parse(data))
    assert facts.elf is not None
    assert facts.elf.needed == ("libx.so",)


@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_total_on_noise(noise: bytes, seed: int) -> None:
    at = table(0)
    whole = made([(NEEDED, 1), (STRTAB, at), (VERNEED, at + 60), (VERDEF, at + 120)], STRINGS.ljust(60, b"\0") + noise)
    changed = bytearray(whole)
    chance = random.Random(seed)
    for _ in range(chance.randrange(6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    with contextlib.suppress(FormatError):
        elf.parse(bytes(changed))


@given(st.binary(max_size=300))
def test_a_record_of_anything_is_read_or_not(raw: bytes) -> None:
    found = Contents.load(raw)
    assert found is None or isinstance(found, Contents)


NO_RECORDS = (
    b"", b"[]", b"[[],[]]", b"[[1],[]]", b'[[["a","x",0,0,0,0]],[]]', b'[[],[[0,{"no":1}]]]', b'[[],[[0,{"elf":[1]}]]]',
    b"[" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("raw", NO_RECORDS)
def test_records_that_are_none(raw: bytes) -> None:
    assert Contents.load(raw) in (None, Contents(()))


def test_a_library_that_has_a_loader_search_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of names in hundreds of folders: the search ends, and what it did not find is no error."""
    monkeypatch.setattr(loader, "_MAX_LOOKS", 5_000)
    at = 64 + 3 * 56
    names = b"\0/ld.so\0" + b":".join(b"/d%d" % number for number in range(250)) + b"\0"
    wanted = [len(names) + number * 6 for number in range(2000)]
    strings = names + b"".join(b"l%04d\0" % number for number in range(2000))
    tags = [*((NEEDED, offset) for offset in wanted), (RUNPATH, 8), (STRTAB, at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = at + len(strings) + len(dynamic)
    segments = [(1, 0, 0, size), (2, at + len(strings), at + len(strings), len(dynamic)), (3, at + 1, at + 1, 7)]
    program = images.program(made(segments=segments)[:at] + strings + dynamic)
    layer = read_contents(images.layer({"a": program, "ld.so": images.program(made())}))
    began = time.process_time()
    found = prove(Table([layer], 0), {"Cmd": ["/a"], "User": "1"}, Platform.parse("linux/amd64"))

    assert time.process_time() - began < 10
    assert {item.severity for item in found} == {"warning"}


def test_names_that_are_no_text_are_told_all_the_same() -> None:
    at = 64 + 2 * 56
    path = b"/\xff\xfe.so\0"
    program = images.program(made(segments=[(3, at, at, len(path)), (1, 0, 0, 10)])[:at] + path)
    layer = read_contents(images.layer({"a": program}))
    (found,) = prove(Table([layer], 0), {"Cmd": ["/a"], "User": "1"}, Platform.parse("linux/amd64"))

    assert "`/\\udcff\\udcfe.so`" in found.message
