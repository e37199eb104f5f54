"""Bytes set aside until they are wanted in another order than they came in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ociassemble import _files

IN_MEMORY = 16 << 20  # bytes; what comes after them goes to a temporary file
_BLOCK = 256 << 10  # bytes handed out at once


class Spool:
    """Keeps pieces of known size, in memory first and then in one temporary file in `folder`.

    Use as a context manager: what was kept is gone afterwards. One thread writes; what `keep` returns may be read
    as often as one likes, by any thread.
    """

    def __init__(self, folder: Path | None = None, *, in_memory: int = IN_MEMORY) -> None:
        self._folder = folder
        self._left = in_memory
        self._file: _files.TemporaryFile | None = None
        self._end = 0

    def keep(self, size: int, chunks: Iterable[bytes]) -> Callable[[], Iterator[bytes]]:
        """Keep one piece, the `size` bytes of `chunks`; what is returned reads it from its beginning."""
        if size <= self._left:
            data = b"".join(chunks)
            self._left -= len(data)
            return partial(_slices, data)
        if self._file is None:
            self._file = _files.TemporaryFile(self._folder or Path(tempfile.gettempdir()), prefix="spool-")
        begin = self._end
        for chunk in chunks:
            self._end += self._file.write(chunk)
        return partial(self._read, begin, self._end - begin)

    def _read(self, offset: int, left: int) -> Iterator[bytes]:
        assert self._file is not None, "only what is in the file is read from there"
        while left:
            try:
                block = os.pread(self._file.file.fileno(), min(left, _BLOCK), offset)
            except OSError as error:
                raise _files.translate(error, self._file.path, "read") from error
            assert block, "written by this very object"
            offset += len(block)
            left -= len(block)
            yield block

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.__exit__(*exc)


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))
