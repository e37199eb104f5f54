"""The loader's cache, `/etc/ld.so.cache`, in the format `glibc-ld.so.cache1.1` (glibc 2.32 and later).

What `ldconfig` writes on a system, we write without running anything (specs/behaviour/debian-base.md, DEBIAN-CACHE).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from functools import cmp_to_key
from typing import NamedTuple

from ociassemble.errors import FormatError

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")  # magic, entries, bytes of strings, flags, offset of the extensions
_ENTRY = struct.Struct("<iIIIQ")  # flags, key, value, os version, hardware capabilities
_LITTLE_ENDIAN = 2
_EXTENSION = struct.Struct("<II")  # magic, sections
_SECTION = struct.Struct("<IIII")  # tag, flags, offset, size
_EXTENSION_MAGIC = 0xEAA42174
_GENERATOR_TAG = 0
_GENERATOR = b"ldconfig (ociassemble)"
_MAX_ENTRIES = 1 << 16

# What the loader of each architecture wants to see in an entry's flags: a libc6 library (3) of its own ABI.
FLAGS = {"amd64": 0x0303, "arm64": 0x0A03, "riscv64": 0x1003, "ppc64le": 0x0503, "s390x": 0x0403}

_RUNS = re.compile(rb"[0-9]+|[^0-9]")


class CacheFormatError(FormatError):
    """Not a loader cache of this format."""

    code = "integrity.format.ldcache"


class Library(NamedTuple):
    """One entry: whoever asks for `soname` gets the file `path` (absolute in the image)."""

    soname: str
    path: str
    flags: int


def encode(libraries: Iterable[Library]) -> bytes:
    """The cache. Entries of one name keep their order, which is the loader's preference.

    The order over names is the one the loader's binary search expects: descending, digits compared as numbers.
    """
    entries = sorted(libraries, key=cmp_to_key(_compare), reverse=True)
    strings = bytearray()
    offsets: dict[str, int] = {}
    for entry in entries:
        for text in (entry.soname, entry.path):
            if text not in offsets:
                offsets[text] = len(strings)
                strings += text.encode("utf-8", "surrogateescape") + b"\0"
    base = _HEADER.size + _ENTRY.size * len(entries)
    extensions = base + len(strings) + (-(base + len(strings)) % 4)
    result = bytearray(_HEADER.pack(_MAGIC, len(entries), len(strings), _LITTLE_ENDIAN, extensions))
    for entry in entries:
        result += _ENTRY.pack(entry.flags, base + offsets[entry.soname], base + offsets[entry.path], 0, 0)
    result += strings
    result += bytes(extensions - len(result))
    result += _EXTENSION.pack(_EXTENSION_MAGIC, 1)
    result += _SECTION.pack(_GENERATOR_TAG, 0, extensions + _EXTENSION.size + _SECTION.size, len(_GENERATOR))
    return bytes(result + _GENERATOR)


def decode(data: bytes) -> tuple[Library, ...]:
    """The entries of a cache, in its order."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise CacheFormatError("not a loader cache of the format `glibc-ld.so.cache1.1`")
    _, count, size, flags, _ = _HEADER.unpack_from(data)
    if flags & 3 not in (0, _LITTLE_ENDIAN):
        raise CacheFormatError("a loader cache of another byte order")
    if count > _MAX_ENTRIES or _HEADER.size + count * _ENTRY.size + size > len(data):
        raise CacheFormatError("a loader cache that ends too early")
    return tuple(_entries(data, count))


def _entries(data: bytes, count: int) -> Iterator[Library]:
    for number in range(count):
        flags, key, value, _, _ = _ENTRY.unpack_from(data, _HEADER.size + number * _ENTRY.size)
        yield Library(_string(data, key), _string(data, value), flags)


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    if end < 0:
        raise CacheFormatError("a loader cache with a name outside of it")
    return data[offset:end].decode("utf-8", "surrogateescape")


def _compare(one: Library, other: Library) -> int:
    """Ascending order of names, as the loader compares them, then of flags."""
    return compare(one.soname, other.soname) or one.flags - other.flags


def compare(one: str, other: str) -> int:
    """The loader's order of two names: runs of digits as numbers, and a digit after everything that is none."""
    left = _RUNS.findall(one.encode("utf-8", "surrogateescape"))
    right = _RUNS.findall(other.encode("utf-8", "surrogateescape"))
    for a, b in zip(left, right, strict=False):
        if a[:1].isdigit() and b[:1].isdigit():
            difference = _number(a, b)
        elif a[:1].isdigit() or b[:1].isdigit():
            return 1 if a[:1].isdigit() else -1
        else:
            difference = a[0] - b[0]
        if difference:
            return difference
    if len(left) == len(right):
        return 0
    # The loader compares the end of the shorter name, a zero byte, with what the longer one has there.
    return 1 if len(left) > len(right) else -1


def _number(a: bytes, b: bytes) -> int:
    a, b = a.lstrip(b"0"), b.lstrip(b"0")
    return len(a) - len(b) or (a > b) - (a < b)
