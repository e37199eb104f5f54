"""Bytes set aside: in memory, then in one file that is gone afterwards."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ociassemble import _files
from ociassemble.content.spool import Spool
from ociassemble.errors import Error


def test_pieces_come_back_in_any_order_and_as_often_as_one_likes(tmp_path: Path) -> None:
    pieces = [bytes([number]) * (number * 70_000) for number in range(1, 9)]
    with Spool(tmp_path, in_memory=500_000) as spool:
        kept = [spool.keep(len(piece), iter([piece[:100], piece[100:]])) for piece in pieces]

        assert len(list(tmp_path.iterdir())) == 1
        for _ in range(2):
            assert [b"".join(read()) for read in reversed(kept)] == list(reversed(pieces))
        one, other = kept[7](), kept[6]()
        assert (next(one)[:1], next(other)[:1], next(one)[:1]) == (b"\x08", b"\x07", b"\x08")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_memory_is_enough(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        assert b"".join(spool.keep(3, [b"abc"])()) == b"abc"
        assert b"".join(spool.keep(0, [])()) == b""
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with Spool(tmp_path / "missing", in_memory=0) as spool, pytest.raises(Error, match="missing"):
        spool.keep(1, [b"a"])


def test_what_was_kept_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Spool(tmp_path, in_memory=0) as spool:
        spool.keep(1, [b"a"])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.spec("STORE-12")
@pytest.mark.parametrize("at", range(1, 12))
def test_a_full_disk_moves_what_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """What was kept before stays readable, and the piece in between is whole."""
    full, spare = tmp_path / "full", tmp_path / "spare"
    full.mkdir()
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    seen = 0

    def refuse(operation: str, path: Path) -> None:
        nonlocal seen
        seen += path.is_relative_to(full) and operation in ("open", "write")
        if path.is_relative_to(full) and seen >= at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files, "at_point", refuse)
    pieces = [[bytes([number, turn]) * 5000 for turn in range(3)] for number in range(3)]
    with Spool(full, in_memory=0) as spool:
        readers = [spool.keep(30_000, chunks) for chunks in pieces]
        for _ in range(2):
            assert [b"".join(read()) for read in readers] == [b"".join(chunks) for chunks in pieces]
        monkeypatch.undo()
    assert list(full.iterdir()) == list(spare.iterdir()) == []
