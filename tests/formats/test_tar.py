"""The encoding of layers, byte by byte, and what the reader accepts (specs/behaviour/layer-format.md)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from ociassemble.formats import tar
from tests.formats import tar_builder as raw


def members(data: bytes) -> list[tuple[tar.Member, bytes]]:
    return [(member, b"".join(member.chunks())) for member in tar.read(io.BytesIO(data))]


def one(data: bytes) -> tar.Member:
    found = members(data + raw.END)
    assert len(found) == 1
    return found[0][0]


# --- the writer ----------------------------------------------------------------------------------------------


@pytest.mark.spec("LAYER-2", "LAYER-3", "LAYER-4")
def test_a_header_is_these_bytes() -> None:
    expected = (
        b"app/main.py".ljust(100, b"\0")
        + b"0000755\0"
        + b"0001750\0"
        + b"0001751\0"
        + b"00000000005\0"
        + b"02263773600\0"
        + b"011360\0 "
        + b"0"
        + bytes(100)
        + b"ustar\x0000"
        + bytes(64)
        + b"0000000\x00"
        + b"0000000\x00"
        + bytes(167)
    )
    assert tar.header("app/main.py", mode=0o755, size=5, uid=1000, gid=1001) == expected
    assert tar.MTIME == 315619200 == 0o2263773600


@pytest.mark.spec("LAYER-1")
def test_the_end_is_two_blocks() -> None:
    assert bytes(1024) == tar.END


@pytest.mark.spec("LAYER-2")
@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511), (1 << 40, 0)])
def test_content_is_padded_to_a_block(size: int, zeros: int) -> None:
    assert tar.padding(size) == bytes(zeros)


@pytest.mark.spec("LAYER-5", "LAYER-6", "LAYER-19")
def test_types() -> None:
    assert tar.header("a")[156:157] == b"0"
    assert tar.header("a", "hardlink", target="b/c")[156:161] == b"1b/c\0"
    link = tar.header("a", "symlink", mode=0o644, target="../b")
    assert (link[156:162], link[100:108]) == (b"2../b\0", b"0000777\0")
    folder = tar.header("a", "directory", mode=0o1777)
    assert (folder[156:157], folder[:3], folder[100:108]) == (b"5", b"a/\0", b"0001777\0")


@pytest.mark.spec("LAYER-7")
@pytest.mark.parametrize(
    ("path", "kind", "name", "prefix"),
    [
        ("n" * 100, "file", "n" * 100, ""),
        ("n" * 99, "directory", "n" * 99 + "/", ""),
        ("d/" + "n" * 99, "file", "n" * 99, "d"),
        ("d/" + "n" * 99, "directory", "n" * 99 + "/", "d"),
        ("d" * 155 + "/" + "n" * 100, "file", "n" * 100, "d" * 155),
        # The first place that leaves 100 bytes or fewer, not the last.
        ("aa/bb/" + "n" * 96, "file", "bb/" + "n" * 96, "aa"),
        ("aa/bb/" + "n" * 98, "file", "n" * 98, "aa/bb"),
    ],
)
def test_long_paths_are_split(path: str, kind: tar.Kind, name: str, prefix: str) -> None:
    header = tar.header(path, kind)
    assert len(header) == 512
    assert header[:100].rstrip(b"\0").decode() == name
    assert header[345:500].rstrip(b"\0").decode() == prefix


@pytest.mark.spec("LAYER-8", "LAYER-9", "LAYER-10", "LAYER-11")
def test_records_where_ustar_cannot_say_it() -> None:
    path, target = "é/" + "n" * 120, "ü" * 60
    extended = tar.header(path, "hardlink", target=target, uid=1 << 21, gid=1000650000)
    assert len(extended) == 512 * 3
    head, body, main = extended[:512], extended[512:1024], extended[1024:]
    assert head[:15] == b"././@PaxHeader\0"
    assert head[156:157] == b"x"
    assert head[100:124] == b"0000644\x000000000\x000000000\x00"
    assert head[136:148] == main[136:148] == b"02263773600\0"
    assert body.rstrip(b"\0").decode() == (
        f"18 gid=1000650000\n135 linkpath={target}\n133 path={path}\n15 uid=2097152\n"
    ).replace("135 ", f"{len(target.encode()) + 14} ").replace("133 ", f"{len(path.encode()) + 10} ")
    assert main[:100] == b"??/" + b"n" * 97
    assert main[345:500] == bytes(155)
    assert main[108:124] == b"0000000\x000000000\x00"
    assert main[157:257] == b"?" * 100


@pytest.mark.spec("LAYER-8")
@pytest.mark.parametrize(
    ("fields", "extended"),
    [
        ({"uid": 2097151}, False),
        ({"uid": 2097152}, True),
        ({"gid": 2097151}, False),
        ({"gid": 2097152}, True),
        ({"size": (8 << 30) - 1}, False),
        ({"size": 8 << 30}, True),
        ({"kind": "symlink", "target": "t" * 100}, False),
        ({"kind": "symlink", "target": "t" * 101}, True),
        ({"kind": "symlink", "target": "é"}, True),
        ({"path": "n" * 101}, True),
        ({"path": "n" * 100, "kind": "directory"}, True),
        ({"path": "d" * 156 + "/" + "n" * 99}, True),
        ({"path": "d" * 155 + "/" + "n" * 101}, True),
        ({"path": "é"}, True),
    ],
)
def test_records_are_written_only_where_needed(fields: dict[str, object], extended: bool) -> None:
    header = tar.header(**{"path": "a", **fields})  # type: ignore[arg-type]
    assert (len(header) > 512) is extended


@pytest.mark.spec("LAYER-11")
@pytest.mark.parametrize("length", [*range(80, 110), *range(980, 1010)])
def test_the_length_of_a_record_counts_itself(length: int) -> None:
    target = "t" * length
    header = tar.header("a", "symlink", target=target)
    assert one(header).target == target
    if length > 100:
        digits, _, rest = header[512:].partition(b" ")
        assert len(digits) + 1 + rest.index(b"\n") + 1 == int(digits)


@pytest.mark.spec("LAYER-5", "LAYER-6")
@pytest.mark.parametrize(
    "fields",
    [
        {"path": ""},
        {"path": "/a"},
        {"path": "a/"},
        {"path": "a//b"},
        {"path": "./a"},
        {"path": "a/../b"},
        {"path": ".."},
        {"path": "a\0b"},
        {"path": "a" * 256},
        {"path": "é" * 128},
        {"path": "\ud800"},
        {"path": "\udcff" * 90},
        {"path": "a/" * 2048 + "a"},
        {"path": "a", "kind": "symlink"},
        {"path": "a", "kind": "symlink", "target": "x\0y"},
        {"path": "a", "kind": "symlink", "target": "\udc80"},
        {"path": "a", "kind": "hardlink", "target": "../b"},
        {"path": "a", "kind": "hardlink", "target": "/b"},
        {"path": "a", "kind": "hardlink"},
        {"path": "a", "kind": "directory", "size": 1},
        {"path": "a", "size": -1},
        {"path": "a", "size": 1 << 63},
        {"path": "a", "uid": -1},
        {"path": "a", "gid": 1 << 32},
        {"path": "a", "mode": 0o10000},
        {"path": "a", "mode": -1},
    ],
    ids=repr,
)
def test_what_no_layer_can_have_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(tar.TarFormatError):
        tar.header(**fields)  # type: ignore[arg-type]


# --- the reader ----------------------------------------------------------------------------------------------


@pytest.mark.spec("LAYER-32")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a", "a"),
        (b"/a", "a"),
        (b"./a", "a"),
        (b"./a//b/./c", "a/b/c"),
        (b"a/.wh.b", "a/.wh.b"),
        (b".wh..wh..opq", ".wh..wh..opq"),
        (b"a\\b", "a\\b"),
        (b"...", "..."),
        ("é/ü".encode(), "é/ü"),
        (b"caf\xe9", "caf\udce9"),
    ],
)
def test_paths_are_normalised(name: bytes, path: str) -> None:
    assert one(raw.file(name)).path == path


@pytest.mark.spec("LAYER-32")
@pytest.mark.parametrize("name", [b"./", b".", b"/", b"/./"])
def test_the_root_is_the_empty_path(name: bytes) -> None:
    assert one(raw.block(name, type=b"5"))[:2] == ("", "directory")


def test_every_kind() -> None:
    data = b"".join(
        (
            raw.file(b"file", b"12345"),
            raw.block(b"hard", type=b"1", link=b"./file"),
            raw.block(b"soft", type=b"2", link=b"../x//y/"),
            raw.block(b"null", type=b"3", device=b"0000001\x000000003\x00"),
            raw.block(b"disk", type=b"4", device=b"0000010\x000000001\x00"),
            raw.block(b"dir/", type=b"5", mode=b"0041777\0"),
            raw.block(b"pipe", type=b"6"),
            raw.END,
        )
    )
    found = members(data)
    assert [(m.path, m.kind, m.target, m.device, content) for m, content in found] == [
        ("file", "file", "", (0, 0), b"12345"),
        ("hard", "hardlink", "file", (0, 0), b""),
        ("soft", "symlink", "../x//y/", (0, 0), b""),
        ("null", "character-device", "", (1, 3), b""),
        ("disk", "block-device", "", (8, 1), b""),
        ("dir", "directory", "", (0, 0), b""),
        ("pipe", "fifo", "", (0, 0), b""),
    ]
    assert found[5][0].mode == 0o1777


DIALECTS = {
    "ustar": raw.file(prefix=b"p"),
    "gnu": raw.file(b"p/a", magic=raw.GNU),
    "gnu with times where ustar has the prefix": raw.file(b"p/a", magic=raw.GNU, prefix=b"01234567012"),
    "v7": raw.file(b"p/a", magic=raw.OLD),
    "v7 with bytes where ustar has the prefix": raw.file(b"p/a", magic=raw.OLD, prefix=b"junk"),
    "v7 with no type": raw.file(b"p/a", magic=raw.OLD, type=b"\0"),
    "ustar of a version nobody wrote": raw.file(b"p/a", magic=b"ustar\x00  "),
    "star, whose prefix is shorter": raw.file(prefix=b"p".ljust(131, b"\0") + b"000000000011", tail=b"tar\0"),
    "pax path": raw.pax((b"path", b"p/a")) + raw.file(b"other"),
    "pax path of GNU tar, with times": raw.pax((b"path", b"p/a"), (b"atime", b"1.5"), (b"ctime", b"2")) + raw.file(),
    "pax path given twice": raw.pax((b"path", b"q"), (b"path", b"p/a")) + raw.file(),
    "pax path that is empty counts as absent": raw.pax((b"path", b"")) + raw.file(b"p/a"),
    "pax size": raw.pax((b"size", b"5")) + raw.block(b"p/a") + raw.pad(b"hello"),
    "long name": raw.long(b"p/a") + raw.file(b"other", magic=raw.GNU),
    "long name and link": raw.long(b"p/a") + raw.long(b"x", type=b"K") + raw.file(b"other", magic=raw.GNU),
    "global header with a comment": raw.pax((b"comment", b"0123abcd"), type=b"g") + raw.file(b"p/a"),
    "size in base 256": raw.block(b"p/a", size=raw.binary(5, 12), magic=raw.GNU) + raw.pad(b"hello"),
    "numbers with spaces": raw.file(b"p/a", mode=b"   644 \0", uid=b"     0 \0", gid=b"\0" * 8),
    "numbers without an end": raw.block(b"p/a", size=b"000000000005") + raw.pad(b"hello"),
    "signed checksum": raw.long(b"p/a") + raw.file(b"caf\xe9", signed=True),
    "no end": raw.file(b"p/a"),
    "no end and no padding": raw.file(b"p/a")[:517],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(dialect: str) -> None:
    end = b"" if dialect.startswith("no end") else raw.END
    ((member, content),) = members(DIALECTS[dialect] + end)
    assert (member.path, member.kind, member.size, content, member.mode) == ("p/a", "file", 5, b"hello", 0o644)


@pytest.mark.parametrize("zeros", [0, 1, 511, 512, 1024, 10240, 1 << 20])
def test_any_number_of_zeros_may_end_an_archive(zeros: int) -> None:
    assert len(members(raw.file() + bytes(zeros))) == 1
    assert members(bytes(zeros)) == []


@pytest.mark.spec("LAYER-33")
def test_pax_goes_before_the_header() -> None:
    data = raw.pax(
        (b"linkpath", b"l" * 200),
        (b"uid", b"1000650000"),
        (b"gid", b"4294967295"),
        (b"mtime", b"-1.25"),
        (b"SCHILY.xattr.security.capability", b"\x01\0\0\x02="),
    )
    member = one(data + raw.block(b"a", type=b"2", link=b"other"))
    assert (member.target, member.uid, member.gid, member.mtime) == ("l" * 200, 1000650000, 4294967295, -2)
    assert dict(member.pax) == {"SCHILY.xattr.security.capability": b"\x01\0\0\x02="}


@pytest.mark.parametrize(
    ("field", "mtime"),
    [(raw.octal(1700000000, 12), 1700000000), (raw.binary(-1, 12), -1), (raw.binary(1 << 40, 12), 1 << 40)],
)
def test_times_may_be_before_1970(field: bytes, mtime: int) -> None:
    assert one(raw.block(mtime=field)).mtime == mtime


def test_an_old_file_with_a_slash_is_a_directory() -> None:
    assert one(raw.block(b"d/", type=b"\0", magic=raw.OLD))[:2] == ("d", "directory")


class Trickle(io.RawIOBase):
    """Gives a byte or two at a time, and cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._parts: Iterator[bytes] = (data[at : at + 2] for at in range(0, len(data), 2))
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        self._left = self._left or next(self._parts, b"")
        data, self._left = self._left[:size], self._left[size:]
        return data


def test_streams_that_give_little_and_cannot_seek() -> None:
    data = raw.long(b"n" * 250) + raw.file(magic=raw.GNU) + raw.file(b"b", b"x" * 1500) + raw.END
    found = [(m.path, b"".join(m.chunks())) for m in tar.read(Trickle(data))]  # type: ignore[arg-type]
    assert found == [("n" * 250, b"hello"), ("b", b"x" * 1500)]


def test_content_may_be_left_unread_or_half_read() -> None:
    data = raw.file(b"a", b"x" * 600_000) + raw.file(b"b", b"y" * 600_000) + raw.file(b"c") + raw.END
    reader = tar.read(io.BytesIO(data))
    assert next(reader).path == "a"
    second = next(reader)
    assert set(next(second.chunks())) == {ord("y")}
    assert b"".join(next(reader).chunks()) == b"hello"
    with pytest.raises(RuntimeError):
        next(second.chunks())


def test_content_comes_in_pieces() -> None:
    size = 3 << 20
    for member in tar.read(io.BytesIO(raw.file(b"a", bytes(size)))):
        pieces = [len(piece) for piece in member.chunks()]
        assert sum(pieces) == size
        assert max(pieces) <= 1 << 20


# --- against Python's own ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_pythons_tarfile_writes(format: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for number, name in enumerate(["a", "b/" + "n" * 90, "p" * 90 + "/" + "q" * 90, "é/ü"]):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.mtime = 700 * number, 0o4750, 1000, 1234567890
            archive.addfile(info, io.BytesIO(b"z" * info.size))
        for kind, name in [(tarfile.DIRTYPE, "d"), (tarfile.SYMTYPE, "s"), (tarfile.LNKTYPE, "h")]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "" if kind == tarfile.DIRTYPE else "a"
            archive.addfile(info)
    found = members(buffer.getvalue())
    buffer.seek(0)
    kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink"}
    with tarfile.open(fileobj=buffer) as archive:
        expected = [
            (i.name, kinds.get(i.type, "hardlink"), i.mode, i.uid, i.size, i.linkname, int(i.mtime)) for i in archive
        ]
    assert [(m.path, m.kind, m.mode, m.uid, m.size, m.target, m.mtime) for m, _ in found] == expected
    assert [len(content) for _, content in found] == [m.size for m, _ in found]
