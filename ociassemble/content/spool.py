"""Bytes set aside until they are wanted in another order than they came in."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ociassemble import _files
from ociassemble.errors import DestinationError

IN_MEMORY = 16 << 20  # bytes; what comes after them goes to a temporary file
_BLOCK = 256 << 10  # bytes handed out at once


class Spool:
    """Keeps pieces of known size, in memory first and then in one temporary file in `folder`; where that cannot be
    written to any more, in another one in TMPDIR.

    Use as a context manager: what was kept is gone afterwards. One thread writes; what `keep` returns may be read
    as often as one likes, by any thread.
    """

    def __init__(self, folder: Path | None = None, *, in_memory: int = IN_MEMORY) -> None:
        self._places = [] if folder is None else [folder]
        self._left = in_memory
        self._files: list[_files.TemporaryFile] = []  # the last one is written to
        self._end = 0  # of it

    def keep(self, size: int, chunks: Iterable[bytes]) -> Callable[[], Iterator[bytes]]:
        """Keep one piece, the `size` bytes of `chunks`; what is returned reads it from its beginning."""
        if size <= self._left:
            data = b"".join(chunks)
            self._left -= len(data)
            return partial(_slices, data)
        if not self._files:
            self._open(())
        begin = self._end
        for chunk in chunks:
            try:
                self._end += self._files[-1].write(chunk)
            except DestinationError as error:
                if not self._places or not _files.unwritable(error):
                    raise
                self._places.clear()
                self._open(itertools.chain(_read(self._files[-1], begin, self._end - begin), (chunk,)))
                begin = 0
        return partial(_read, self._files[-1], begin, self._end - begin)

    def _open(self, begun: Iterable[bytes]) -> None:
        """Go on in a new file, which begins with `begun`."""
        try:
            made = _files.TemporaryFile(self._places[0] if self._places else _files.temporary_folder(), prefix="spool-")
        except DestinationError as error:
            if not self._places or not _files.unwritable(error):
                raise
            self._places.clear()
            made = _files.TemporaryFile(_files.temporary_folder(), prefix="spool-")
        self._files.append(made)
        self._end = sum(made.write(block) for block in begun)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files:
            file.__exit__(*exc)


def _read(file: _files.TemporaryFile, offset: int, left: int) -> Iterator[bytes]:
    while left:
        try:
            block = os.pread(file.file.fileno(), min(left, _BLOCK), offset)
        except OSError as error:
            raise _files.translate(error, file.path, "read") from error
        assert block, "written by this very object"
        offset += len(block)
        left -= len(block)
        yield block


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))
