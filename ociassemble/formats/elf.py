"""ELF files, as far as loaders ask: machine and class, names and versions a library has and needs (gABI 4 and 5).

Only what the dynamic loader itself reads is read: program headers, the dynamic segment and what it points at, never
sections. Total: whatever the bytes are, the answer is a value or `ElfFormatError`, after a bounded number of reads.
Symbol versions are those of the LSB's "Symbol Versioning"; why not pyelftools: specs/decisions/0007-elf-reader.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ociassemble.errors import FormatError

MAGIC = b"\x7fELF"
EXECUTABLE, SHARED = 2, 3  # e_type: at a fixed address, and wherever there is room (libraries and PIE programs)
MACHINES = {
    3: "386",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
    258: "loong64",
}  # e_machine -> GOARCH's name (byte order and class still tell ppc64le from ppc64)

_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 1, 5, 14, 15, 29
_VERDEF, _VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
_WEAK = 2  # VER_FLG_WEAK: the loader does without
_MAX_HEADERS = 256
_MAX_DYNAMIC = 8192  # entries
MAX_NAME = 4096  # bytes
_MAX_VERSIONS = 8192  # records of one table; libstdc++ has some hundred
_MAX_NAMES = 1 << 20  # bytes of all names of one file; the largest real ones have some thousand

Fetch = Callable[[int, int], "bytes | memoryview"]  # (offset, size) -> that many bytes, fewer only at the file's end


class ElfFormatError(FormatError):
    """Not an ELF file, or one a loader could not use."""

    code = "integrity.format.elf"


class Wanted(NamedTuple):
    """Versions that must be defined by the library `library` (as in `needed`)."""

    library: str
    versions: tuple[str, ...]


class Elf(NamedTuple):
    """What a file says of itself. `soname` and `interpreter` are "" where it names none."""

    bits: int  # 32 or 64
    little: bool
    machine: int  # e_machine
    type: int  # e_type
    flags: int  # e_flags
    dynamic: bool  # whether the loader has anything to do with it
    soname: str = ""
    needed: tuple[str, ...] = ()
    interpreter: str = ""
    rpath: str = ""
    runpath: str = ""
    wants: tuple[Wanted, ...] = ()
    offers: tuple[str, ...] = ()  # versions it defines; empty for a library without any
    extent: int = 0  # bytes of the file that are loaded: a shorter file is cut off
    entry: int = 0  # e_entry, where it begins to run; 0 for most libraries

    @property
    def architecture(self) -> str:
        """GOARCH's name, or "" for a machine we do not know."""
        name = MACHINES.get(self.machine, "")
        return "ppc64le" if name == "ppc64" and self.little else name

    @property
    def search(self) -> tuple[str, ...]:
        """DT_RUNPATH, else DT_RPATH, split at colons."""
        return tuple(part for part in (self.runpath or self.rpath).split(":") if part)


class Segment(NamedTuple):
    """One program header. Sizes and offsets in bytes of the file."""

    type: int
    offset: int
    address: int
    size: int


def parse(data: bytes | bytearray | memoryview) -> Elf:
    """Read the whole file `data`."""
    view = memoryview(data)
    return read(lambda offset, size: view[offset : offset + size])


def read(fetch: Fetch) -> Elf:
    """Read a file of which `fetch` gives parts; they are asked for in few ascending runs."""
    return _Reader(fetch).elf()


def dynamic_ranges(head: bytes | bytearray | memoryview, small: int) -> tuple[tuple[int, int], ...]:
    """(offset, size) of what is likely to be asked for beyond the program headers, which must be in `head`.

    That is the dynamic segment, and loaded parts of `small` bytes at most: where patchelf puts the names it changed.
    """
    view = memoryview(head)
    reader = _Reader(lambda offset, size: view[offset : offset + size])
    kinds = (_DYNAMIC, _INTERPRETER, _LOAD)
    return tuple((item.offset, item.size) for item in reader.segments if item.type in kinds and 0 < item.size <= small)


class _Reader:
    """One file: header and segments are read at once, the rest by `elf`."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        head = bytes(fetch(0, 64))
        if head[:4] != MAGIC:
            raise ElfFormatError("not an ELF file")
        if len(head) < 20 or head[4] not in (1, 2) or head[5] not in (1, 2) or head[6] != 1:
            raise ElfFormatError("an ELF file of a class, byte order or version nobody defined")
        self.wide, self.little = head[4] == 2, head[5] == 1
        self.order = "<" if self.little else ">"
        self.type, self.machine = self._unpack("HH", 16)
        # e_entry, e_phoff, e_flags, e_phentsize, e_phnum
        self.entry, table = self._unpack("QQ" if self.wide else "II", 24)
        self.flags, _, entry, count = self._unpack("IHHH", 48 if self.wide else 36)
        if count and (entry != (56 if self.wide else 32) or count > _MAX_HEADERS):
            raise ElfFormatError(f"an ELF file with {count} program headers of {entry} bytes")
        raw = self._exactly(table, count * entry)
        self.segments = [self._segment(raw, number * entry) for number in range(count)]

    def elf(self) -> Elf:
        interpreter = ""
        for item in self.segments:
            if item.type == _INTERPRETER:
                interpreter = self._text(item.offset, min(item.size, MAX_NAME))
                break
        dynamic = next((item for item in self.segments if item.type == _DYNAMIC), None)
        needed: list[int] = []
        tags: dict[int, int] = {}
        for tag, value in self._entries(dynamic) if dynamic is not None else ():
            if tag == _NEEDED:
                needed.append(value)
            else:
                tags.setdefault(tag, value)
        wants = self._wants(tags)
        offers = self._offers(tags)
        single = [tags[tag] for tag in (_SONAME, _RPATH, _RUNPATH) if tag in tags]
        names = self._names(tags, [*needed, *single, *offers, *(at for file, found in wants for at in (file, *found))])
        return Elf(
            bits=64 if self.wide else 32,
            little=self.little,
            machine=self.machine,
            type=self.type,
            flags=self.flags,
            dynamic=dynamic is not None,
            soname=names.get(tags.get(_SONAME, -1), ""),
            needed=tuple(names[value] for value in needed),
            interpreter=interpreter,
            rpath=names.get(tags.get(_RPATH, -1), ""),
            runpath=names.get(tags.get(_RUNPATH, -1), ""),
            wants=tuple(Wanted(names[file], tuple(names[at] for at in found)) for file, found in wants),
            offers=tuple(names[at] for at in offers),
            entry=self.entry,
            extent=max((item.offset + item.size for item in self.segments if item.type == _LOAD), default=0),
        )

    # ------------------------------------------------------------------------------------ tables

    def _entries(self, segment: Segment) -> Iterator[tuple[int, int]]:
        form = struct.Struct(self.order + ("qQ" if self.wide else "iI"))
        raw = self._fetch(segment.offset, min(segment.size, _MAX_DYNAMIC * form.size) // form.size * form.size)
        for at in range(0, len(raw) - form.size + 1, form.size):
            tag, value = form.unpack_from(raw, at)
            if tag == 0:
                return
            yield tag, value
        if len(raw) < min(segment.size // form.size, _MAX_DYNAMIC) * form.size:
            raise ElfFormatError("an ELF file that ends too early")

    def _wants(self, tags: dict[int, int]) -> list[tuple[int, list[int]]]:
        """.gnu.version_r: for each library the offsets of its name and of the versions it must have."""
        if _VERNEED not in tags:
            return []
        here, result, left = self._offset(tags[_VERNEED], "versions"), [], _MAX_VERSIONS
        while True:
            left = _counted(left)
            _, _, file, aux, following = self._unpack("HHIII", here)
            found, at = [], here + aux
            while True:
                left = _counted(left)
                _, flags, _, name, after = self._unpack("IHHII", at)
                if not flags & _WEAK:
                    found.append(name)
                if not after:
                    break
                at += after
            result.append((file, found))
            if not following:
                return result
            here += following

    def _offers(self, tags: dict[int, int]) -> list[int]:
        """.gnu.version_d: the offsets of the names of the versions it defines."""
        if _VERDEF not in tags:
            return []
        here, result, left = self._offset(tags[_VERDEF], "versions"), [], _MAX_VERSIONS
        while True:
            left = _counted(left)
            _, _, _, _, _, aux, following = self._unpack("HHHHIII", here)
            (name,) = self._unpack("I", here + aux)
            result.append(name)
            if not following:
                return result
            here += following

    def _names(self, tags: dict[int, int], wanted: Iterable[int]) -> dict[int, str]:
        """The strings at these offsets of the string table, read in the order they have in the file."""
        offsets = sorted(set(wanted))
        if not offsets:
            return {}
        if _STRTAB not in tags:
            raise ElfFormatError("an ELF file whose dynamic segment has no strings")
        base = self._offset(tags[_STRTAB], "strings")
        result, left = {}, _MAX_NAMES
        for offset in offsets:
            text = result[offset] = self._text(base + offset, MAX_NAME)
            left -= len(text)
            if left < 0:
                raise ElfFormatError("an ELF file with more names than any loader reads")
        return result

    # ------------------------------------------------------------------------------------ bytes

    def _segment(self, raw: bytes | memoryview, at: int) -> Segment:
        if self.wide:
            kind, _, position, address, _, size = struct.unpack_from(self.order + "IIQQQQ", raw, at)
        else:
            kind, position, address, _, size = struct.unpack_from(self.order + "IIIII", raw, at)
        return Segment(kind, position, address, size)

    def _offset(self, address: int, what: str) -> int:
        """Where in the file a virtual address is."""
        for segment in self.segments:
            if segment.type == _LOAD and segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        raise ElfFormatError(f"an ELF file whose dynamic segment has no {what}")

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        form = self.order + form
        return struct.unpack(form, self._exactly(offset, struct.calcsize(form)))

    def _exactly(self, offset: int, size: int) -> bytes | memoryview:
        data = self._fetch(offset, size)
        if len(data) != size:
            raise ElfFormatError("an ELF file that ends too early")
        return data

    def _text(self, offset: int, limit: int) -> str:
        """The zero-terminated string at `offset`."""
        raw = bytes(self._fetch(offset, limit))
        if not raw:
            raise ElfFormatError("an ELF file with a name outside of the file")
        end = raw.find(b"\0")
        if end < 0:
            raise ElfFormatError("an ELF file with a name that does not end")
        return raw[:end].decode("utf-8", "surrogateescape")


def _counted(left: int) -> int:
    if left == 0:
        raise ElfFormatError(f"an ELF file with more than {_MAX_VERSIONS} versions")
    return left - 1
