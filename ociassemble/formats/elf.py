"""ELF files, as far as packaging asks: machine and class, the names a library has and needs (gABI chapters 4 and 5).

Only what the dynamic loader itself reads is read: program headers and the dynamic segment, never sections. Total:
whatever the bytes are, the answer is a value or `ElfFormatError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ociassemble.errors import FormatError

MAGIC = b"\x7fELF"
SHARED = 3  # e_type
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
_MAX_HEADERS = 256
_MAX_DYNAMIC = 8192  # entries
_MAX_NAME = 4096  # bytes


class ElfFormatError(FormatError):
    """Not an ELF file, or one a loader could not use."""

    code = "integrity.format.elf"


class Elf(NamedTuple):
    """What a file says of itself. `soname` and `interpreter` are "" where it names none."""

    bits: int  # 32 or 64
    little: bool
    machine: int  # e_machine
    type: int  # e_type
    flags: int  # e_flags
    dynamic: bool  # whether the loader has anything to do with it
    soname: str
    needed: tuple[str, ...]
    interpreter: str
    search: tuple[str, ...]  # DT_RUNPATH, else DT_RPATH, split at colons

    @property
    def architecture(self) -> str:
        """GOARCH's name, or "" for a machine we do not know."""
        name = MACHINES.get(self.machine, "")
        return "ppc64le" if name == "ppc64" and self.little else name


class _Segment(NamedTuple):
    type: int
    offset: int
    address: int
    size: int  # bytes in the file


def parse(data: bytes | bytearray | memoryview) -> Elf:
    """Read the whole file `data`."""
    view = memoryview(data)
    if view[:4] != MAGIC:
        raise ElfFormatError("not an ELF file")
    if len(view) < 20 or view[4] not in (1, 2) or view[5] not in (1, 2) or view[6] != 1:
        raise ElfFormatError("an ELF file of a class, byte order or version nobody defined")
    wide, little = view[4] == 2, view[5] == 1
    order = "<" if little else ">"
    kind, machine = _unpack(view, order + "HH", 16)
    # e_phoff, e_flags, e_phentsize, e_phnum
    (table,) = _unpack(view, order + ("Q" if wide else "I"), 32 if wide else 28)
    flags, _, entry, count = _unpack(view, order + "IHHH", 48 if wide else 36)
    if count and (entry != (56 if wide else 32) or count > _MAX_HEADERS):
        raise ElfFormatError(f"an ELF file with {count} program headers of {entry} bytes")
    segments = [_segment(view, order, wide, table + number * entry) for number in range(count)]
    interpreter = next((_text(view, item.offset, item.size) for item in segments if item.type == _INTERPRETER), "")
    dynamic = next((item for item in segments if item.type == _DYNAMIC), None)
    needed: list[int] = []
    names: dict[int, int] = {}
    if dynamic is not None:
        for tag, value in _entries(view, order, wide, dynamic):
            if tag == _NEEDED:
                needed.append(value)
            else:
                names.setdefault(tag, value)
    strings = _offset(segments, names[_STRTAB]) if _STRTAB in names else None
    if strings is None and (needed or _SONAME in names):
        raise ElfFormatError("an ELF file whose dynamic segment has no strings")

    def named(value: int | None) -> str:
        return "" if value is None or strings is None else _text(view, strings + value, _MAX_NAME)

    search = named(names.get(_RUNPATH, names.get(_RPATH)))
    return Elf(
        bits=64 if wide else 32,
        little=little,
        machine=machine,
        type=kind,
        flags=flags,
        dynamic=dynamic is not None,
        soname=named(names.get(_SONAME)),
        needed=tuple(named(value) for value in needed),
        interpreter=interpreter,
        search=tuple(part for part in search.split(":") if part),
    )


def _unpack(view: memoryview, form: str, offset: int) -> tuple[int, ...]:
    if offset < 0 or offset + struct.calcsize(form) > len(view):
        raise ElfFormatError("an ELF file that ends too early")
    return struct.unpack_from(form, view, offset)


def _segment(view: memoryview, order: str, wide: bool, offset: int) -> _Segment:
    if wide:
        kind, _, position, address, _, size = _unpack(view, order + "IIQQQQ", offset)
    else:
        kind, position, address, _, size = _unpack(view, order + "IIIII", offset)
    return _Segment(kind, position, address, size)


def _entries(view: memoryview, order: str, wide: bool, segment: _Segment) -> Iterator[tuple[int, int]]:
    form = order + ("qQ" if wide else "iI")
    size = struct.calcsize(form)
    for number in range(min(segment.size // size, _MAX_DYNAMIC)):
        tag, value = _unpack(view, form, segment.offset + number * size)
        if tag == 0:
            return
        yield tag, value


def _offset(segments: list[_Segment], address: int) -> int | None:
    """Where in the file a virtual address is."""
    for segment in segments:
        if segment.type == _LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    return None


def _text(view: memoryview, offset: int, limit: int) -> str:
    """The zero-terminated string at `offset`."""
    if not 0 <= offset < len(view):
        raise ElfFormatError("an ELF file with a name outside of the file")
    raw = bytes(view[offset : offset + min(limit, _MAX_NAME)])
    end = raw.find(b"\0")
    if end < 0:
        raise ElfFormatError("an ELF file with a name that does not end")
    return raw[:end].decode("utf-8", "surrogateescape")
