"""The ar reader: what a .deb is wrapped in."""

from __future__ import annotations

import io

import pytest

from ociassemble.formats import ar
from tests.debian_archive import ar as archive


def read(data: bytes) -> list[tuple[str, bytes]]:
    return [(member.name, member.stream.read()) for member in ar.read(io.BytesIO(data))]


def test_members_in_order_with_odd_and_even_sizes() -> None:
    members = [("debian-binary", b"2.0\n"), ("odd", b"abc"), ("empty", b""), ("last", b"x")]

    assert read(archive(members)) == members


def test_gnu_names_lose_their_slash() -> None:
    assert read(archive([("data.tar/", b"xy")])) == [("data.tar", b"xy")]


def test_a_member_that_nobody_reads_is_passed_over() -> None:
    names = [member.name for member in ar.read(io.BytesIO(archive([("a", bytes(300_001)), ("b", b"x")])))]

    assert names == ["a", "b"]


def test_a_member_half_read_is_passed_over() -> None:
    found = {}
    for member in ar.read(io.BytesIO(archive([("a", b"x" * 200_000), ("b", b"yz")]))):
        found[member.name] = member.stream.read(2)

    assert found == {"a": b"xx", "b": b"yz"}


GOOD = archive([("debian-binary", b"2.0\n"), ("odd", b"abc")])


@pytest.mark.spec("DEBIAN-DEB-1")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>",
        b"!<thin>\n" + GOOD[8:],
        GOOD[:8] + b"x",
        GOOD[:-1],
        GOOD[:-2],
        GOOD[:-1] + b"\0",
        GOOD + b"x",
        GOOD + b"\n",
        GOOD.replace(b"`\n", b"`\r"),
        GOOD.replace(b"4         `", b"-4        `"),
        GOOD.replace(b"4         `", b"0x4       `"),
        GOOD.replace(b"4         `", b" 4        `"),
        GOOD.replace(b"4         `", b"+4        `"),
        GOOD.replace(b"4         `", b"4 4       `"),
        GOOD.replace(b"4         `", b"9999999999`"),
        GOOD.replace(b"4         `", b"\xd9\xa4        `"),
        GOOD.replace(b"odd      ", b"../odd   "),
        GOOD.replace(b"odd      ", b"#1/20    "),
        GOOD.replace(b"odd      ", b"/        "),
        GOOD.replace(b"odd      ", b"//       "),
        GOOD.replace(b"odd      ", b"o d      "),
        GOOD.replace(b"100644", b"10064x"),
    ],
)
def test_what_readers_disagree_about_is_refused(data: bytes) -> None:
    with pytest.raises(ar.ArFormatError):
        read(data)
