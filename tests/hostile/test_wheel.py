"""Wheels that climb out, pretend, or were changed after they were built: each is refused with an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ociassemble.errors import Error, IntegrityError
from ociassemble.layer import wheel as module
from ociassemble.layer.wheel import RecordError, WheelError
from tests.formats.zip_builder import Member
from tests.hostile.test_zip import NAMES
from tests.layer.wheel_builder import (
    DATA,
    INFO,
    METADATA,
    NAME,
    SCHEME,
    SITE,
    WHEEL,
    content,
    everything,
    installed,
    row,
    wheel,
)

ENTRY_POINTS = f"{INFO}/entry_points.txt"


def refused(data: bytes, why: str = "", kind: type[Error] = IntegrityError) -> Error:
    with pytest.raises(kind) as caught:
        everything(data)
    assert NAME in str(caught.value), "an error names the wheel"
    assert why in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    return caught.value


# --- names that climb out, wherever a wheel can put one

PLACES: dict[str, Callable[[str], bytes]] = {
    "member": lambda name: wheel({"x": b""}, more=[Member(name, b"evil")]),
    "script": lambda name: wheel({"x": b""}, more=[Member(f"{DATA}/scripts/{name}", b"evil")]),
    "data": lambda name: wheel({"x": b""}, more=[Member(f"{DATA}/data/{name}", b"evil")]),
    "header": lambda name: wheel({"x": b""}, more=[Member(f"{DATA}/headers/{name}", b"evil")]),
    "RECORD": lambda name: wheel({"x": b""}, rows=[row(name, b"evil")]),
    "entry point": lambda name: wheel({ENTRY_POINTS: f"[console_scripts]\n{name} = a:b\n".encode()}),
}
CLIMBING = {
    "parent": "../x",
    "passwd": "../../etc/passwd",
    "far": "../" * 40 + "etc/passwd",
    "inside": "a/../../../x",
    "parent last": "a/..",
    "parent alone": "..",
    "self": "./x",
    "absolute": "/etc/passwd",
    "two slashes": "//etc/passwd",
    "empty part": "a//b",
    "backslash": "..\\..\\x",
    "nul": "a\0b",
    "escape": "a\x1b[2Jb",
    "bidi": "a\u202egpj.py",
    "long": "x" * 256,
}


@pytest.mark.spec("WHEEL-3", "WHEEL-7", "WHEEL-11")
@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("place", PLACES)
def test_names_that_climb_out(place: str, name: str) -> None:
    refused(PLACES[place](CLIMBING[name]))


@pytest.mark.spec("WHEEL-7")
@pytest.mark.parametrize(
    "case", [key for key, (name, _) in NAMES.items() if isinstance(name, str) and name and "\r" not in name]
)
def test_every_bad_name_is_refused_in_a_record_too(case: str) -> None:
    name = NAMES[case][0]
    assert isinstance(name, str)
    quoted = f'"{name}",,'
    refused(wheel({"x": b""}, rows=[quoted]), kind=RecordError)


@pytest.mark.spec("WHEEL-11")
@pytest.mark.parametrize(
    "line",
    [
        "foo = a",
        "foo =",
        "foo",
        "= a:b",
        "foo = :b",
        "foo = a:",
        "foo = a:b:c",
        "foo = a b:c",
        "foo = a:b c",
        "foo = a..b:c",
        "foo = .a:b",
        "foo = a:b.",
        "foo = a-b:c",
        "foo = 1a:b",
        "foo = a:b()",
        "foo = a;b:c",
        "foo = os:system('x')#:x",
        "foo = a:b, c:d",
        "foo = a:b\\nimport os",
        "foo = import:b",
        "foo = a:lambda",
        "foo = a:b [x",
        "foo = a:b x]",
        "foo = a:b [x] y",
        "foo = __import__('os'):b",
        "foo/bar = a:b",
        ".wh.foo = a:b",
        ".wh..wh..opq = a:b",
        ". = a:b",
        "fo\to = a:b",
        "foo\u202e = a:b",
    ],
)
def test_entry_points_that_are_no_commands(line: str) -> None:
    found = refused(wheel({ENTRY_POINTS: f"[console_scripts]\n{line}\n".encode()}), "entry point")
    assert found.code == "integrity.wheel.entry-point"


@pytest.mark.spec("WHEEL-11")
def test_entry_points_that_contradict_each_other() -> None:
    refused(wheel({ENTRY_POINTS: b"[console_scripts]\nfoo = a:b\n[gui_scripts]\nfoo = a:c\n"}), "two entry points")
    refused(wheel({ENTRY_POINTS: b"[console_scripts]\n\xff\xfe = a:b\n"}), "not UTF-8")


# --- files that would replace others


def _twins() -> Iterator[tuple[str, bytes, str]]:
    purelib, platlib = f"{DATA}/purelib/x.py", f"{DATA}/platlib/x.py"
    yield "site and purelib", wheel({"x.py": b"1", purelib: b"2"}), "two files"
    yield "purelib and platlib", wheel({purelib: b"1", platlib: b"1"}), "two files"
    yield "metadata by purelib", wheel({f"{DATA}/purelib/{INFO}/METADATA": b""}), "two files"
    yield "INSTALLER by purelib", wheel({f"{DATA}/purelib/{INFO}/INSTALLER": b"pip"}), "two files"
    yield "RECORD by purelib", wheel({f"{DATA}/purelib/{INFO}/RECORD": b""}), "two files"
    yield "site by data", wheel({"x.py": b"1", f"{DATA}/data/{SITE[10:]}/x.py": b"2"}), "two files"
    yield "script and data", wheel({f"{DATA}/scripts/x": b"1", f"{DATA}/data/bin/x": b"2"}), "two files"
    points = {ENTRY_POINTS: b"[console_scripts]\nx = a:b\n"}
    yield "launcher and data", wheel({**points, f"{DATA}/data/bin/x": b"2"}), "two files"
    deep = {f"{DATA}/data/include/python3.13/foo-bar/x.h": b"1", f"{DATA}/headers/x.h": b"2"}
    yield "header and data", wheel(deep), "two files"


TWINS = {name: rest for name, *rest in _twins()}


@pytest.mark.spec("WHEEL-9")
@pytest.mark.parametrize("case", TWINS)
def test_two_files_for_one_path(case: str) -> None:
    data, why = TWINS[case]
    refused(data, why, WheelError)


@pytest.mark.spec("WHEEL-9")
@pytest.mark.parametrize("files", [{f"{DATA}/scripts/python3": b"x"}, {f"{DATA}/data/bin/python3": b"x"},
                                   {ENTRY_POINTS: b"[console_scripts]\npython3 = a:b\n"}])  # fmt: skip
def test_the_interpreter_stays(files: dict[str, bytes]) -> None:
    scheme = SCHEME._replace(interpreter="/usr/local/bin/python3")
    with pytest.raises(WheelError, match="replace the image's interpreter"):
        installed(wheel(files), scheme=scheme)
    assert installed(wheel(files))


# --- what a layer or an image cannot have


@pytest.mark.spec("WHEEL-9")
@pytest.mark.parametrize(
    "name",
    [
        ".wh.x",
        "pkg/.wh.x",
        "pkg/.wh..wh..opq",
        ".wh..wh..opq",
        ".wh.etc/passwd",
        f"{DATA}/data/.wh.bin",
        f"{DATA}/scripts/.wh.sh",
        ".wh.",
    ],
)
def test_whiteouts(name: str) -> None:
    refused(wheel({name: b""}), "would delete files", WheelError)


@pytest.mark.spec("WHEEL-9")
@pytest.mark.parametrize("name", ["link", f"{DATA}/data/lib", f"{INFO}/RECORD.jws", "pkg/__pycache__/x"])
@pytest.mark.parametrize("target", [b"/etc/passwd", b"../../x", b"x.py"])
def test_symbolic_links(name: str, target: bytes) -> None:
    found = refused(wheel({name: target}, modes={name: 0o120777}), "symbolic link", WheelError)
    assert found.hint


# --- not the package it says


def _pretenders() -> Iterator[tuple[str, bytes, str]]:
    yield "no dist-info", wheel(info="foo_bar-1.0.egg-info"), "must have one .dist-info folder, and has none"
    other = "evil-1.0.dist-info"
    yield "another package", wheel(info=other), "does not hold what its name says"
    yield "another version", wheel(info="foo_bar-1.1.dist-info"), "does not hold what its name says"
    yield "no version", wheel(info="foo_bar.dist-info"), "does not hold what its name says"
    yield "no name", wheel(info="-1.0.dist-info"), "does not hold what its name says"
    yield "nothing but the suffix", wheel(info=".dist-info"), "does not hold what its name says"
    yield "a version that is none", wheel(info="foo_bar-one.dist-info"), "does not hold what its name says"
    yield "two dist-infos", wheel({f"{other}/METADATA": METADATA}), "must have one .dist-info"
    yield "twins by case", wheel({"FOO_BAR-1.0.dist-info/METADATA": METADATA}), "must have one .dist-info"
    yield "twins by spelling", wheel({"foo.bar-1.0.dist-info/METADATA": METADATA}), "must have one .dist-info"
    yield "dist-info below", wheel(info=f"pkg/{INFO}"), "must have one .dist-info"
    yield "METADATA of another", wheel({f"{INFO}/METADATA": METADATA.replace(b"foo-bar", b"evil")}), "METADATA is of"
    yield "METADATA of another version", wheel({f"{INFO}/METADATA": METADATA.replace(b"1.0\n\n", b"2\n\n")}), "METADATA"
    yield "METADATA with two names", wheel({f"{INFO}/METADATA": b"Name: foo-bar\n" + METADATA}), "one name"
    yield "METADATA without name", wheel({f"{INFO}/METADATA": b"Version: 1.0\n"}), "one name"
    yield "METADATA without version", wheel({f"{INFO}/METADATA": b"Name: foo-bar\n"}), "one version"
    yield "METADATA with its name in the body", wheel({f"{INFO}/METADATA": b"\n" + METADATA}), "one name"
    yield "empty METADATA", wheel({f"{INFO}/METADATA": b""}), "one name"
    yield "no METADATA", wheel({f"{INFO}/METADATA": None}), "has no METADATA"
    yield "no WHEEL", wheel({f"{INFO}/WHEEL": None}), "has no WHEEL"
    for version in (b"2.0", b"0.9", b"10.0", b"1", b"", b"1.0.0", b"1.x", "\u0661.\u0660".encode()):
        text = WHEEL.replace(b"1.0", version)
        yield f"WHEEL of version {version!r}", wheel({f"{INFO}/WHEEL": text}), "format version"
    yield "WHEEL without version", wheel({f"{INFO}/WHEEL": b"Generator: x\n"}), "format version none"
    yield "WHEEL with two versions", wheel({f"{INFO}/WHEEL": WHEEL + b"Wheel-Version: 1.0\n"}), "format version"
    yield "binary WHEEL", wheel({f"{INFO}/WHEEL": bytes(range(256))}), "format version"
    yield "data of another", wheel({"evil-1.0.data/scripts/sh": b"x"}), "data folder of another"
    yield "data in another spelling", wheel({"foo.bar-1.0.data/scripts/sh": b"x"}), "data folder of another"
    for kind in ("x", "stdlib", "platinclude", "SCRIPTS", "script"):
        yield f"scheme {kind}", wheel({f"{DATA}/{kind}/sh": b"x"}), "goes nowhere"
    yield "a file for a scheme", wheel({f"{DATA}/scripts": b"x"}), "goes nowhere"
    yield "a file for the data folder", wheel({DATA: b"x"}), "goes nowhere"


PRETENDERS = {name: rest for name, *rest in _pretenders()}


@pytest.mark.spec("WHEEL-6", "WHEEL-9")
@pytest.mark.parametrize("case", PRETENDERS)
def test_wheels_that_are_not_what_they_say(case: str) -> None:
    data, why = PRETENDERS[case]
    refused(data, why, WheelError)


# --- RECORD


def _records() -> Iterator[tuple[str, bytes, str]]:
    meta = [row(f"{INFO}/WHEEL", WHEEL), row(f"{INFO}/METADATA", METADATA)]
    good = ["x," + row("x", b"1").split(",", 1)[1], *meta, f"{INFO}/RECORD,,"]

    def with_x(line: str) -> bytes:
        return wheel({"x": b"1"}, without=["x"], rows=[line])

    yield "a file not listed", wheel({"x": b"1"}, without=["x"]), "does not list"
    yield "an added file", wheel({"x": b"1"}, more=[Member("evil.pth", b"import os")]), "does not list"
    yield "an added script", wheel(more=[Member(f"{DATA}/scripts/sh", b"x")]), "does not list"
    yield "METADATA not listed", wheel(without=[f"{INFO}/METADATA"]), "does not list"
    yield "an added file in dist-info", wheel(more=[Member(f"{INFO}/entry_points.txt", b"")]), "does not list"
    yield "a jws elsewhere", wheel(more=[Member("pkg/RECORD.jws", b"{}")]), "does not list"
    yield "a file that is not there", wheel(rows=[row("gone.py", b"1")]), "not there"
    yield "a name in another case", with_x("X," + row("x", b"1").split(",", 1)[1]), ""
    yield "another content", wheel({"x": b"1"}, without=["x"], rows=[row("x", b"2")]), "another content"
    yield (
        "another content in WHEEL",
        wheel(without=[f"{INFO}/WHEEL"], rows=[row(f"{INFO}/WHEEL", WHEEL[::-1])]),
        "content",
    )
    yield "another size", with_x(row("x", b"1")[:-1] + "2"), "RECORD says 2"
    yield "a size that is none", with_x(row("x", b"1")[:-1] + "one"), "the size"
    yield "a negative size", with_x(row("x", b"1")[:-1] + "-1"), "the size"
    yield "a size in other digits", with_x(row("x", b"1")[:-1] + "\u0661"), "the size"
    yield "a size of many digits", with_x(row("x", b"1")[:-1] + "1" * 5000), "the size"
    for algorithm in ("md5", "sha1", "sha224"):
        yield f"{algorithm}", with_x(row("x", b"1", algorithm)), "sha256 or stronger"
    for algorithm in ("SHA256", "sha-256", "blake2b", "crc32", "", "none", "shake_128"):
        line = f"x,{algorithm}=" + row("x", b"1").split("=")[1]
        yield f"an algorithm {algorithm!r}", with_x(line), ""
    yield "no hash", with_x("x,,1"), "without a hash"
    yield "an empty hash", with_x("x,sha256=,1"), "without a hash"
    yield "a hash without algorithm", with_x("x," + row("x", b"1").split("=")[1]), ""
    yield "half a hash", with_x(row("x", b"1").replace(",1", "")[:-20] + ",1"), "another content"
    yield (
        "a hash in hex",
        with_x("x,sha256=6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b,1"),
        "content",
    )
    yield "listed twice, differently", wheel({"x": b"1"}, rows=[row("x", b"2")]), "twice, and differently"
    yield "listed twice, once without hash", wheel({"x": b"1"}, rows=["x,,"]), "twice, and differently"
    yield "two fields", wheel({"x": b"1"}, rows=["x,"]), "2 fields"
    yield "four fields", wheel({"x": b"1"}, rows=["x,,,"]), "4 fields"
    yield "an open quote", wheel({"x": b"1"}, rows=['"x,,']), ""
    yield "text after a quote", wheel({"x": b"1"}, rows=['"x"y,,']), "cannot be read"
    yield "a huge field", wheel({"x": b"1"}, rows=["y" * 200_000 + ",,"]), "cannot be read"
    yield "a NUL", wheel(record=b"x\0,,\n"), ""
    yield "not UTF-8", wheel(record=b"\xff\xfe,,\n"), "cannot be read"
    yield "UTF-16", wheel(record="\n".join(good).encode("utf-16")), "cannot be read"
    yield "a byte order mark", wheel({"x": b"1"}, record="\n".join(good).encode("utf-8-sig")), ""
    yield (
        "more lines than files can be",
        wheel(record=b"".join(b"%x,,\n" % n for n in range(200_001))),
        "more than 200000",
    )
    yield "empty", wheel(record=b""), "does not list"
    yield "a name with a slash at its end", with_x("x/" + row("x", b"1")[1:]), ""


RECORDS = {name: rest for name, *rest in _records()}


@pytest.mark.spec("WHEEL-7", "WHEEL-8")
@pytest.mark.parametrize("case", RECORDS)
def test_records_that_are_wrong(case: str) -> None:
    data, why = RECORDS[case]
    found = refused(data, why, RecordError)
    assert found.code == "integrity.wheel.record" and found.hint


@pytest.mark.spec("WHEEL-7")
def test_a_wheel_without_record() -> None:
    refused(wheel().replace(f"{INFO}/RECORD".encode(), f"{INFO}/RECORE".encode()), "has no RECORD", RecordError)


@pytest.mark.spec("WHEEL-8")
@pytest.mark.parametrize("size", [1, 1000, 1 << 18, (1 << 18) + 1, 3 << 20])
def test_no_wrong_file_is_ever_handed_out_whole(size: int) -> None:
    data = wheel({"big": bytes(size)}, without=["big"], rows=[row("big", bytes(size - 1) + b"1")])
    entry = installed(data)[f"{SITE}/big"]
    seen = 0
    with pytest.raises(RecordError, match="`big` with another content"):
        for block in entry.content():
            seen += len(block)
    assert seen < size


@pytest.mark.spec("WHEEL-5", "WHEEL-8")
def test_damaged_data_is_seen_while_it_is_read() -> None:
    data = wheel({"big": bytes(range(256)) * 4096})
    entries = installed(data)
    start = data.index(b"big") + 3
    spoilt = data[: start + 500] + bytes([data[start + 500] ^ 0x40]) + data[start + 501 :]
    assert content(entries[f"{SITE}/big"])
    found = refused(spoilt)
    assert "`big`" in str(found)


def test_huge_metadata_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METADATA", 1000)
    refused(wheel({"x": b"1"}, rows=[f"__pycache__/{number}," for number in range(200)]), "1000 are read", WheelError)
    refused(wheel({f"{INFO}/entry_points.txt": b"#" * 1001}), "1000 are read", WheelError)
    refused(wheel({f"{DATA}/scripts/x": b"#!python\n" + b"#" * 1001}), "1000 are read", WheelError)
    assert everything(wheel({f"{DATA}/scripts/x": b"#!/bin/sh\n" + b"#" * 1001, "y": bytes(1001)}))
