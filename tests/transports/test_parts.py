"""A bundle in parts: cut, put together, and every way in which parts go wrong on their way."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error, FormatError
from ociassemble.transports import parts
from ociassemble.transports.bundle import BundleArchive, read_bundle
from ociassemble.transports.bundle_write import write_bundle
from tests.transports.bundles import small, written

SIZE = 1 << 16


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """`x` in three parts or more."""
    write_bundle(small(bytes(range(256)) * 600), tmp_path / "x", split=SIZE)
    return tmp_path / "x"


@pytest.mark.spec("BUNDLE-7")
def test_parts_one_after_another_are_the_bundle(split: Path, tmp_path: Path) -> None:
    whole = written(small(bytes(range(256)) * 600), tmp_path / "whole").read_bytes()
    found = sorted(path for path in tmp_path.iterdir() if path.name.startswith("x."))

    assert [path.name for path in found] == ["x.001", "x.002", "x.003", "x.parts.json"]
    assert b"".join(path.read_bytes() for path in found[:-1]) == whole
    assert [path.stat().st_size for path in found[:-1]] == [SIZE, SIZE, len(whole) - 2 * SIZE]
    for name in ("x.001", "x.003", "x.parts.json", "x"):
        assert read_bundle(BundleArchive(str(tmp_path / name))).files[0].size == 256 * 600
    with parts.open_parts(f"{split}.002") as joined:
        assert joined.read() == whole
        joined.seek(SIZE - 3)
        assert joined.read(6) == whole[SIZE - 3 : SIZE + 3]


@pytest.mark.spec("BUNDLE-7")
def test_what_went_wrong_with_parts_is_named(split: Path) -> None:
    second, third = Path(f"{split}.002"), Path(f"{split}.003")
    data = second.read_bytes()
    second.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(parts.PartError) as bad:
        read_bundle(BundleArchive(str(split)))
    assert bad.value.details == ("x.002",)
    second.unlink()
    third.unlink()
    with pytest.raises(parts.PartMissingError) as missing:
        read_bundle(BundleArchive(f"{split}.001"))
    assert missing.value.details == ("x.002", "x.003")
    Path(f"{split}.parts.json").unlink()
    with pytest.raises(parts.PartMissingError, match=r"x\.parts\.json"):
        read_bundle(BundleArchive(f"{split}.001"))


@pytest.mark.spec("BUNDLE-7", "BUNDLE-12")
@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"parts": []},
        {"parts": "x.001"},
        {"parts": [{"filename": "../x.001", "size": 1, "sha256": "0" * 64}]},
        {"parts": [{"filename": "x.001", "size": -1, "sha256": "0" * 64}]},
        {"parts": [{"filename": "x.001", "size": "1", "sha256": "zz"}]},
        {"parts": [{"filename": "x.001"}]},
        {"parts": [7]},
        {"parts": [{"filename": "x.001", "size": 1, "sha256": "0" * 64}] * 2},
        {"parts": [{"filename": "x.001", "size": 1, "sha256": "0" * 64}] * 1001},
    ],
)
def test_lists_of_parts_that_are_none(split: Path, change: dict[str, object]) -> None:
    listed = Path(f"{split}.parts.json")
    listed.write_text(json.dumps({**json.loads(listed.read_bytes()), **change}))

    with pytest.raises(FormatError):
        parts.open_parts(f"{split}.001")


@pytest.mark.spec("BUNDLE-12")
def test_a_size_beyond_all_numbers(split: Path) -> None:
    listed = Path(f"{split}.parts.json")
    listed.write_text(listed.read_text().replace('"size": ', '"size": 1e99', 9))
    with pytest.raises(FormatError, match="a number beyond"):
        parts.open_parts(f"{split}.001")


@pytest.mark.spec("BUNDLE-12")
@pytest.mark.parametrize("name", ["001", "parts.json"])
def test_pipes_are_not_waited_for(split: Path, name: str) -> None:
    place = Path(f"{split}.{name}")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(parts.PartMissingError):
        parts.open_parts(f"{split}.002")


@given(st.binary(max_size=200))
def test_any_bytes_as_a_list_of_parts(raw: bytes) -> None:
    with contextlib.suppress(Error):
        parts._parse(raw, "x.parts.json")


@pytest.mark.parametrize(
    ("text", "size"), [("64K", 65536), ("700M", 700 << 20), ("4GiB", 4 << 30), ("650000000", 650000000)]
)
def test_sizes(text: str, size: int) -> None:
    assert parts.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "1", "-1M", "1.5G", "0", "9" * 50, "M"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(parts.SplitSizeError):
        parts.parse_size(text)


@pytest.mark.spec("BUNDLE-7")
def test_too_many_parts_are_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(parts.SplitSizeError, match="999"):
        parts.write(tmp_path / "x", [b""], SIZE, SIZE * 1000)
    assert list(tmp_path.iterdir()) == []
