"""Tar archives made to mislead, exhaust or crash their reader: each is refused with our error and its reason."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from ociassemble.errors import FormatError
from ociassemble.formats import tar
from tests.formats import tar_builder as raw

GOOD = raw.file(b"good")


def read(data: bytes) -> list[str]:
    return [member.path for member in tar.read(io.BytesIO(data))]


def refused(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        read(data)
    assert caught.value.code == "integrity.format.tar"
    return str(caught.value)


NAMES: dict[str, bytes] = {
    "climbs": b"../x",
    "climbs from inside": b"a/../../x",
    "climbs and comes back": b"a/../a",
    "absolute and climbs": b"/../etc/passwd",
    "is two dots": b"..",
    "ends in two dots": b"a/..",
    "dots among slashes": b".//..//x",
    "no name": b"",
}


@pytest.mark.spec("LAYER-32")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["header", "pax", "gnu", "link", "pax link", "gnu link"])
def test_names(name: str, how: str) -> None:
    text = NAMES[name]
    if how == "header":
        data = raw.file(text)
    elif how == "pax":
        data = raw.pax((b"path", text)) + raw.file(b"" if not text else b"a")
    elif how == "gnu":
        data = raw.long(text) + raw.file(b"" if not text else b"a", magic=raw.GNU)
    elif how == "link":
        data = raw.block(type=b"1", link=text)
    elif how == "pax link":
        data = raw.pax((b"linkpath", text)) + raw.block(type=b"1", link=b"" if not text else b"a")
    else:
        data = raw.long(text, type=b"K") + raw.block(type=b"1", link=b"" if not text else b"a")
    refused(GOOD + data + raw.END)


def pax(*records: tuple[bytes, bytes]) -> bytes:
    return raw.pax(*records) + raw.file()


def raw_pax(text: bytes) -> bytes:
    return raw.raw_pax(text) + raw.file()


def header(**fields: object) -> bytes:
    return raw.block(**fields)  # type: ignore[arg-type]


CASES: dict[str, tuple[bytes, str]] = {
    # Names
    "part too long": (pax((b"path", b"n" * 256)), "255"),
    "part too long in UTF-8": (pax((b"path", "é".encode() * 128)), "255"),
    "path too long": (pax((b"path", b"d/" * 2049 + b"x")), "4096"),
    "NUL in a pax path": (pax((b"path", b"a\0b")), "zero byte"),
    "NUL in a pax link": (raw.pax((b"linkpath", b"a\0b")) + header(type=b"2", link=b"x"), "zero byte"),
    "climbs through the prefix": (raw.file(b"x", prefix=b".."), "climbs"),
    "climbs where prefix and name meet": (raw.file(b"../../x", prefix=b"a"), "climbs"),
    "file in place of the root": (raw.file(b"./"), "slash"),
    "file in place of the root, by a dot": (raw.file(b"."), "root"),
    "link in place of the root": (header(name=b".", type=b"2", link=b"/etc"), "root"),
    "file with a slash at its end": (raw.file(b"d/"), "slash"),
    "link with a slash at its end": (header(name=b"d/", type=b"2", link=b"x"), "slash"),
    "symlink without target": (header(type=b"2"), "target"),
    "hard link without target": (header(type=b"1"), "target"),
    "hard link to the root": (header(type=b"1", link=b"./"), "target"),
    "prefix of another ustar": (raw.file(b"x", prefix=b"p", magic=b"ustar\x0001"), "version"),
    # Numbers
    "size negative in base 256": (header(size=raw.binary(-512, 12)), "range"),
    "size minus one": (header(size=raw.binary(-1, 12)), "range"),
    "size over 63 bits": (header(size=raw.binary(1 << 63, 12)), "range"),
    "size of all ones": (header(size=b"\xff" * 12), "range"),
    "size with a minus": (header(size=b"-0000000005\0"), "number"),
    "size in decimal": (header(size=b"00000000008\0"), "number"),
    "size in hexadecimal": (header(size=b"0x000000005\0"), "number"),
    "size with digits after its end": (header(size=b"5\x000000000000"), "number"),
    "size with a space inside": (header(size=b"000 0000005\0"), "number"),
    "size not ASCII": (header(size=b"\x7f0000000000\0"[:12]), "number"),
    "owner negative": (header(uid=raw.binary(-1, 8)), "range"),
    "owner over 32 bits": (header(gid=raw.binary(1 << 32, 8)), "range"),
    "mode negative": (header(mode=raw.binary(-1, 8)), "range"),
    "mode not a number": (header(mode=b"rwxr-xr-"), "number"),
    "device negative": (header(type=b"3", device=raw.binary(-1, 8) + bytes(8)), "range"),
    "pax size negative": (pax((b"size", b"-1")), "range"),
    "pax size with a plus": (pax((b"size", b"+1")), "range"),
    "pax size with an underscore": (pax((b"size", b"1_0")), "range"),
    "pax size in other digits": (pax((b"size", "\uff15".encode())), "range"),
    "pax size over 63 bits": (pax((b"size", b"9223372036854775808")), "range"),
    "pax size of a thousand digits": (pax((b"size", b"9" * 1000)), "range"),
    "pax uid over 32 bits": (pax((b"uid", b"4294967296")), "range"),
    "pax gid as text": (pax((b"gid", b"root")), "range"),
    "pax mtime as text": (pax((b"mtime", b"now")), "time"),
    "pax mtime in scientific notation": (pax((b"mtime", b"1e9")), "time"),
    "pax mtime with two dots": (pax((b"mtime", b"1.2.3")), "time"),
    "pax mtime of a thousand digits": (pax((b"mtime", b"9" * 1000)), "time"),
    # Sizes that make readers see different members (desynchronisation)
    "directory with a size": (header(name=b"d/", type=b"5", size=512) + raw.block(b"hidden"), "size"),
    "symlink with a size": (header(type=b"2", link=b"x", size=512) + raw.block(b"hidden"), "size"),
    "hard link with a size": (header(type=b"1", link=b"x", size=512) + raw.block(b"hidden"), "size"),
    "device with a size": (header(type=b"3", size=512) + raw.block(b"hidden"), "size"),
    "fifo with a size": (header(type=b"6", size=512) + raw.block(b"hidden"), "size"),
    "directory with a pax size": (raw.pax((b"size", b"512")) + header(type=b"5") + raw.block(b"hidden"), "size"),
    "two pax headers": (raw.pax((b"size", b"0")) + raw.pax((b"path", b"x")) + raw.file(), "two extended"),
    "two long names": (raw.long(b"x") + raw.long(b"y") + raw.file(), "two extended"),
    "two long links": (raw.long(b"x", type=b"K") + raw.long(b"y", type=b"K") + raw.file(), "two extended"),
    "pax, then a long name": (raw.pax((b"path", b"x")) + raw.long(b"y") + raw.file(), "two extended"),
    "a long name, then pax": (raw.long(b"y") + raw.pax((b"path", b"x")) + raw.file(), "two extended"),
    "global between pax and its member": (
        raw.pax((b"path", b"x")) + raw.pax((b"comment", b"x"), type=b"g") + raw.file(),
        "global",
    ),
    "global path": (raw.pax((b"path", b"x"), type=b"g") + raw.file(), "global"),
    "global link": (raw.pax((b"linkpath", b"x"), type=b"g") + raw.file(), "global"),
    "global size": (raw.pax((b"size", b"0"), type=b"g") + raw.file(), "global"),
    "global owner": (raw.pax((b"uid", b"0"), type=b"g") + raw.file(), "global"),
    "global character set": (raw.pax((b"hdrcharset", b"BINARY"), type=b"g") + raw.file(), "global"),
    "pax at the end": (raw.pax((b"path", b"x")), "after an extended"),
    "long name at the end": (raw.long(b"x"), "after an extended"),
    # Extended headers
    "pax of eight GiB": (header(type=b"x", size=(8 << 30) - 1), "limit"),
    "pax over the limit by one": (header(type=b"x", size=(1 << 20) + 1), "limit"),
    "global pax of eight GiB": (header(type=b"g", size=(8 << 30) - 1), "limit"),
    "long name of eight GiB": (header(type=b"L", size=(8 << 30) - 1), "limit"),
    "long name of a negative size": (header(type=b"L", size=raw.binary(-1, 12)), "range"),
    "pax without a length": (raw_pax(b"path=x\n"), "length"),
    "pax with a length of zero": (raw_pax(b"0 path=x\n"), "as long"),
    "pax with a length that is too short": (raw_pax(b"5 path=x\n"), "as long"),
    "pax with a length into the next record": (raw_pax(b"12 path=x\n9 uid=1\n"), "as long"),
    "pax with a length past the end": (raw_pax(b"99 path=x\n"), "as long"),
    "pax with a negative length": (raw_pax(b"-9 path=x\n"), "length"),
    "pax with a length of many digits": (raw_pax(b"9" * 5000 + b" path=x\n"), "length"),
    "pax with a length in other digits": (raw_pax("\uff110 path=x\n".encode()), "length"),
    "pax without a newline": (raw_pax(b"9 path=xx"), "as long"),
    "pax without an equals sign": (raw_pax(b"9 path x\n"), "key and value"),
    "pax without a key": (raw_pax(b"5 =x\n"), "key and value"),
    "pax with a key that is not UTF-8": (raw_pax(b"6 \xff=x\n"), "UTF-8"),
    "pax of NULs": (raw_pax(bytes(20)), "length"),
    "pax with NULs after its records": (raw_pax(b"9 path=x\n" + bytes(3)), "length"),
    "sparse 0.0": (pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.offset", b"0")), "sparse"),
    "sparse 0.1": (pax((b"GNU.sparse.map", b"0,1")), "sparse"),
    "sparse 1.0": (pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")), "sparse"),
    "sparse with another name": (pax((b"GNU.sparse.name", b"../x")), "sparse"),
    # Types
    "old sparse": (raw.file(type=b"S", magic=raw.GNU), "type"),
    "contiguous": (raw.file(type=b"7"), "type"),
    "multi-volume": (raw.file(type=b"M", magic=raw.GNU), "type"),
    "volume label": (header(type=b"V", magic=raw.GNU), "type"),
    "directory dump": (raw.file(type=b"D", magic=raw.GNU), "type"),
    "old long names": (raw.file(type=b"N", magic=raw.GNU), "type"),
    "Solaris extended header": (raw.file(type=b"X"), "type"),
    "access control list": (raw.file(type=b"A"), "type"),
    "type not ASCII": (raw.file(type=b"\xff"), "type"),
    # Checksums and what is no archive
    "checksum off by one": (header(checksum=b"011071\0 "), "checksum"),
    "checksum zero": (header(checksum=b"000000\0 "), "checksum"),
    "checksum empty": (header(checksum=b" " * 8), "checksum"),
    "checksum of letters": (header(checksum=b"checksum"), "number"),
    "checksum negative": (header(checksum=b"\xff" * 8), "range"),
    "text": (b"Lorem ipsum dolor sit amet, " * 40, "checksum"),
    "a zip archive": (b"PK\x03\x04" + b"\x14\x00" * 400, "checksum"),
    "gzip not unpacked": (b"\x1f\x8b\x08" + b"\x00\x03x" * 400, "checksum"),
}


@pytest.mark.spec("LAYER-34")
@pytest.mark.parametrize("case", CASES)
def test_archives(case: str) -> None:
    data, reason = CASES[case]
    assert reason in refused(data + raw.END)
    if "checksum" not in reason:
        assert reason in refused(GOOD + data + raw.END)


@pytest.mark.spec("LAYER-34")
def test_an_archive_cut_anywhere_inside_is_refused() -> None:
    data = raw.pax((b"path", b"x")) + raw.file(b"a", b"q" * 700) + raw.long(b"y") + raw.file(b"b", magic=raw.GNU)
    padded, last = 1024 + 512 + 1024, len(data) - 507  # where the content ends
    whole = {0, padded - 324, padded, last, len(data)}  # without the padding, as some write it, and with it
    for end in range(0, len(data) + 1, 7):
        if end not in whole:
            refused(data[:end])
    for end in whole:
        read(data[:end])


@pytest.mark.spec("LAYER-34")
@pytest.mark.parametrize("after", [b"x", bytes(511) + b"x", bytes(5000) + b"x", raw.file(b"hidden")])
@pytest.mark.parametrize("zeros", [512, 1024, 10240])
def test_nothing_hides_behind_the_end(zeros: int, after: bytes) -> None:
    assert "disagree" in refused(GOOD + bytes(zeros) + after)


def test_a_second_archive_behind_the_first_is_refused() -> None:
    refused(GOOD + raw.END + GOOD + raw.END)


def test_a_huge_extended_header_is_refused_before_it_is_read() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            data = raw.block(type=b"x", size=(8 << 30) - 1) if not self.given else b"9" * size
            self.given += len(data)
            return data

    stream = Endless()
    with pytest.raises(FormatError):
        list(tar.read(stream))  # type: ignore[arg-type]
    assert stream.given == 512


def test_many_members_take_no_memory() -> None:
    one = raw.block(b"a") * 64

    class Many(io.RawIOBase):
        left = 60

        def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            if not self.left:
                return b""
            assert size <= len(one)
            self._rest = getattr(self, "_rest", b"") or one
            data, self._rest = self._rest[:size], self._rest[size:]
            self.left -= not self._rest
            return data

    tracemalloc.start()
    try:
        count = sum(1 for _ in tar.read(Many()))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 60 * 64
    assert peak < 1 << 20
