"""Control files and package indexes."""

from __future__ import annotations

import io

import pytest

from ociassemble.formats import deb822
from ociassemble.formats.deb822 import ControlFormatError


def test_stanzas_fields_and_folded_lines() -> None:
    text = b"Package: a\nDepends: b,\n c (>= 1),\n d\nEMPTY:\n\n\n\nPackage:b\n"

    assert deb822.parse(text, "it") == [
        {"package": "a", "depends": "b,\n c (>= 1),\n d", "empty": ""},
        {"package": "b"},
    ]


def test_comments_only_where_they_are_allowed() -> None:
    text = b"Types: deb\n# a comment: here\nURIs: x\n"

    assert deb822.parse(text, "it", comments=True) == [{"types": "deb", "uris": "x"}]
    with pytest.raises(ControlFormatError):
        deb822.parse(text, "it")


@pytest.mark.parametrize(
    "text",
    [
        b" folded first\n",
        b"no colon\n",
        b"A: 1\nA: 2\n",
        b"A: 1\na: 2\n",
        b": x\n",
        b"A B: x\n",
        b"\xff: x\n",
        b"-A: x\n",
    ],
)
def test_broken_stanzas(text: bytes) -> None:
    with pytest.raises(ControlFormatError, match="it"):
        deb822.parse(text, "it")


def test_exactly_one_stanza() -> None:
    with pytest.raises(ControlFormatError, match="2 stanzas"):
        deb822.parse_one(b"A: 1\n\nB: 2\n", "it")
    with pytest.raises(ControlFormatError, match="0 stanzas"):
        deb822.parse_one(b"", "it")


def index(names: list[str]) -> bytes:
    return "\n".join(f"Package: {name}\nVersion: 1\nDescription: Package: zlib1g\n" for name in names).encode()


class Slow(io.BytesIO):
    """Hands out `step` bytes a read."""

    step = 7

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.step)


@pytest.mark.parametrize("step", [1, 7, 64, 1 << 20])
def test_scan_finds_wanted_packages_wherever_blocks_are_cut(step: int) -> None:
    stream = Slow(index(["a0", "zlib1g", "b0", "libc6", "libc6-dev", "zlib1g", "last"]))
    stream.step = step
    found = deb822.scan(stream, {"zlib1g", "libc6", "last", "absent"}, "it")

    assert [stanza["package"] for stanza in found] == ["zlib1g", "libc6", "zlib1g", "last"]


def test_scan_finds_a_package_whose_name_is_not_its_first_field() -> None:
    text = b"Version: 1\nPackage: ab\nSize: 3\n\nVersion: 2\nPackage: cd\n"

    assert list(deb822.scan(io.BytesIO(text), {"ab"}, "it")) == [{"version": "1", "package": "ab", "size": "3"}]


def test_scan_does_not_take_names_as_patterns() -> None:
    assert list(deb822.scan(io.BytesIO(index(["libstdcxx6"])), {"libstdc++6"}, "it")) == []
    assert len(list(deb822.scan(io.BytesIO(index(["libstdc++6"])), {"libstdc++6"}, "it"))) == 1
    with pytest.raises(ControlFormatError):
        list(deb822.scan(io.BytesIO(b""), {"a|b"}, "it"))


def test_scan_bounds_a_stanza() -> None:
    with pytest.raises(ControlFormatError, match="KiB"):
        list(deb822.scan(io.BytesIO(b"Package: ab\n" + b" x\n" * (1 << 20)), {"ab"}, "it"))


def test_checksums() -> None:
    text = f"\n {'a' * 64}      12 main/x\n {'b' * 64} 0 y"

    assert deb822.checksums({"sha256": text}, "it") == {"main/x": ("a" * 64, 12, "main/x"), "y": ("b" * 64, 0, "y")}
    for bad in ("zz 1 x", f"{'a' * 64} -1 x", f"{'a' * 64} 1", f"{'A' * 64} 1 x"):
        with pytest.raises(ControlFormatError):
            deb822.checksums({"sha256": bad}, "it")
    with pytest.raises(ControlFormatError, match="twice"):
        deb822.checksums({"sha256": f"{'a' * 64} 1 x\n{'b' * 64} 1 x"}, "it")
