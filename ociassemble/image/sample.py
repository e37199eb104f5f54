"""One file of a layer on its way: what a kernel or loader would read of it, noted as it streams by.

Of ELF files (`formats.elf`), of the first line of scripts, and of a few small files (accounts, the loader's cache,
Python's path files) something is kept, of all others nothing. Whoever keeps more bumps `image.contents.VERSION`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from ociassemble.errors import FormatError
from ociassemble.formats import elf, ldcache
from ociassemble.formats.elf import Elf

KEEP = 2 << 20  # bytes of the beginning of one ELF file that are held; of what lies beyond, likely parts are
_PART = 1 << 20  # bytes of the largest such part
FIRST_LINE = 256  # bytes a kernel reads of a file to find out how to start it (BINPRM_BUF_SIZE)
_HEAD = 64 << 10  # bytes in which program headers are looked for
_MAX_TEXT = 64 << 10
_MAX_CACHE = 4 << 20
_MAX_SOURCE = 4 << 20
_MAX_PARTS = 16
_MAX_RUNS = 8  # how often a file is read from its beginning once more

_CACHE = "etc/ld.so.cache"
_TEXTS = re.compile(
    r"etc/(?:passwd|group|ld-musl-[^/]+\.path)|(?:.*/)?(?:[^/]+\.pth|pyvenv\.cfg)|(?!(?:.*/)?node_modules/).*/package\.json"
)
_LOADER = re.compile(r"(?:.*/)?ld(?:64|-linux[^/]*|-[0-9][^/]*)?\.so[^/]*")
_FOLDERS = re.compile(rb"(?:/[A-Za-z0-9_./+-]{1,200}/\0){2,16}")
_SOURCES = re.compile(r"(?!(?:.*/)?(?:node_modules|site-packages|dist-packages|lib/python3[^/]*)/).*\.(?:py|[cm]?js)")
# What a program names that ends itself when it is told to, or leaves that to its server.
_SOURCE_ENDINGS = (".py", ".js", ".cjs", ".mjs")
_TEXT_ENDINGS = (".pth", "pyvenv.cfg", "/package.json")
_SIGNALS = re.compile(rb"SIGTERM|SIGINT|add_signal_handler|signal\.|uvicorn|gunicorn|hypercorn|run_app|serve_forever_")
# One of these is in each: looking for plain bytes first is ten times as fast.
_HINTS = (b"SIG", b"signal", b"corn", b"run_app", b"serve_forever_")


class FileFacts(NamedTuple):
    """What is known of one file beside its path; most files have none."""

    elf: Elf | None = None
    damaged: str = ""  # why a file that begins like an ELF file could not be read as one
    line: bytes = b""  # of a file that begins with `#!`, what a kernel reads of it
    text: str | None = None  # the content of a small file that is read as a whole
    cache: tuple[tuple[str, str], ...] | None = None  # the loader's cache: names and absolute paths
    folders: tuple[str, ...] = ()  # of a glibc loader: where it looks by itself
    signals: bool = False  # a source file that has to do with signals


Again = Callable[[], Iterable[bytes]]  # a file's content from its beginning


def dull(path: str, start: bytes) -> bool:
    """Whether nothing is kept of a file that begins with `start`: told fast, for most files are like that.

    Where there is doubt it is not: then a `Sample` tells.
    """
    if start[:2] in (b"#!", elf.MAGIC[:2]) or len(start) < 2:
        return False
    if path.endswith(_SOURCE_ENDINGS):
        return not path.startswith("etc/") and _packaged(path.rpartition("/")[0])
    return not path.endswith(_TEXT_ENDINGS) and not path.startswith("etc/")


@lru_cache(maxsize=4096)
def _packaged(folder: str) -> bool:
    """Whether sources in that folder are somebody else's."""
    return _SOURCES.fullmatch(f"{folder}/x.py") is None


class Sample:
    """One file on its way: `feed` every block while `open`, then ask `facts`.

    `again` reads the file anew where the ELF parts wanted lie beyond what is held (`KEEP`); without it such a file
    counts as damaged.
    """

    def __init__(self, path: str, size: int, again: Again | None = None) -> None:
        self._path, self._size, self._again = path, size, again
        self._held: list[bytes] = []
        self._position = 0
        self._kind = ""
        self._ranges: dict[int, bytearray] = {}
        self._wanted: list[tuple[int, int]] | None = None
        self.open = size > 0

    def feed(self, block: bytes) -> None:
        """The next block of the file."""
        if not self._kind:
            self._held.append(block)
            self._position += len(block)
            if self._position >= min(FIRST_LINE, self._size):
                self._kind = self._told(b"".join(self._held))
                self.open = self._kind not in ("", "line")
                if not self._kind:
                    self._held.clear()
            return
        if self._kind != "elf" or self._position < KEEP:
            self._held.append(block)
        else:
            self._beyond(block)
        self._position += len(block)

    def _told(self, head: bytes) -> str:
        if head.startswith(elf.MAGIC):
            return "elf"
        if self._path == _CACHE:
            return "cache" if self._size <= _MAX_CACHE else ""
        if _TEXTS.fullmatch(self._path):
            return "text" if self._size <= _MAX_TEXT else ""
        if self._size <= _MAX_SOURCE and _SOURCES.fullmatch(self._path):
            return "source"
        return "line" if head.startswith(b"#!") else ""

    def _beyond(self, block: bytes) -> None:
        """Keep what is sure to be asked for of a large file's far parts."""
        if self._wanted is None:
            try:
                found = elf.dynamic_ranges(self._head(_HEAD), _PART)[:_MAX_PARTS]
            except FormatError:
                found = ()
            # Names are asked for with some room for them, which reaches over the end of their part.
            self._wanted = [
                (at, size + elf.MAX_NAME) for at, size in found if at + size + elf.MAX_NAME > self._position
            ]
            held = b"".join(self._held)
            self._ranges = {at: bytearray(held[at:]) for at, _ in self._wanted if at < len(held)}
        for offset, size in self._wanted:
            first, last = max(offset, self._position), min(offset + size, self._position + len(block))
            if first < last:
                kept = self._ranges.setdefault(offset, bytearray())
                if len(kept) == first - offset:
                    kept += block[first - self._position : last - self._position]

    def _head(self, size: int) -> bytes:
        found = bytearray()
        for block in self._held:
            found += block
            if len(found) >= size:
                break
        return bytes(found[:size])

    def facts(self) -> FileFacts | None:
        """What is known of the file, once all of it has been seen."""
        if not self._kind and self._position and self._position >= self._size:
            self._kind = self._told(b"".join(self._held))
        if not self._kind:
            return None
        data = b"".join(self._held)
        self._held.clear()
        line = data[:FIRST_LINE] if data.startswith(b"#!") else b""
        if self._kind == "elf":
            return self._elf(data)
        if self._kind == "cache":
            return _cache(data)
        if self._kind == "text":
            return FileFacts(text=data.decode("utf-8", "replace"), line=line)
        source = self._kind == "source" and any(hint in data for hint in _HINTS)
        signals = source and _SIGNALS.search(data) is not None
        return FileFacts(line=line, signals=signals) if line or signals else None

    def _elf(self, data: bytes) -> FileFacts:
        reader = _Parts(data, self._size, {offset: bytes(kept) for offset, kept in self._ranges.items()}, self._again)
        try:
            found = elf.read(reader.fetch)
        except FormatError as error:
            return FileFacts(damaged=error.message)
        folders: tuple[str, ...] = ()
        if _LOADER.fullmatch(self._path) and (match := _FOLDERS.search(data)) is not None:
            folders = tuple(part.decode("ascii") for part in match[0].split(b"\0") if part)
        return FileFacts(elf=found, folders=folders)


def _cache(data: bytes) -> FileFacts | None:
    try:
        entries = ldcache.decode(data)
    except FormatError:
        return None
    # What is for certain processors only is not there for all.
    return FileFacts(cache=tuple((item.soname, item.path) for item in entries if "/glibc-hwcaps/" not in item.path))


class _Parts:
    """Parts of a file of which the beginning and some ranges are held; the rest is read anew, in few runs."""

    def __init__(self, head: bytes, size: int, ranges: Mapping[int, bytes], again: Again | None) -> None:
        self._head, self._size, self._ranges, self._again = memoryview(head), size, ranges, again
        self._runs = 0
        self._blocks: Iterator[bytes] = iter(())
        self._block, self._at = b"", size  # the block at hand, and where in the file it begins

    def fetch(self, offset: int, size: int) -> bytes | memoryview:
        """`size` bytes from `offset` on, fewer only at the file's end."""
        end = min(offset + size, self._size)
        if offset >= end:
            return b""
        if end <= len(self._head):
            return self._head[offset:end]
        for start, kept in self._ranges.items():
            if start <= offset and end <= start + len(kept):
                return kept[offset - start : end - start]
        return self._reread(offset, end)

    def _reread(self, offset: int, end: int) -> bytes:
        if offset < self._at:
            self._runs += 1
            if self._again is None or self._runs > _MAX_RUNS:
                raise elf.ElfFormatError("an ELF file whose tables are too far apart to be read")
            self._blocks, self._block, self._at = iter(self._again()), b"", 0
        result = bytearray()
        while offset < end:
            last = self._at + len(self._block)
            if offset < last:
                part = self._block[offset - self._at : end - self._at]
                result += part
                offset += len(part)
                continue
            block = next(self._blocks, None)
            if block is None:
                break
            self._block, self._at = block, last
        return bytes(result)
