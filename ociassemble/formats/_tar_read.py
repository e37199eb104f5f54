"""The strict reader of tar archives: old v7, USTAR, star, GNU and PAX, as docker, buildkit, bazel and apko write them.

It streams, never seeks, holds one header at a time, and refuses what readers disagree about, so that an archive
means here what it means to every runtime. The rules and their reasons are in specs/behaviour/layer-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import BinaryIO, Literal, NamedTuple

from ociassemble.formats import _pax
from ociassemble.formats._exactly import exactly
from ociassemble.formats._pax import TarFormatError
from ociassemble.formats.paths import MAX_PATH

BLOCK = 512
MAX_SIZE = (1 << 63) - 1
MAX_ID = (1 << 32) - 1

AnyKind = Literal["file", "directory", "symlink", "hardlink", "character-device", "block-device", "fifo"]

_KIND: dict[bytes, AnyKind] = {
    b"0": "file",
    b"\0": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "character-device",
    b"4": "block-device",
    b"5": "directory",
    b"6": "fifo",
}
_EXTENDED = frozenset({b"x", b"g", b"L", b"K"})
_CHUNK = 1 << 18  # bytes of content handed on at once
_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_COVERED = frozenset({"path", "linkpath", "size", "uid", "gid", "mtime"})
# Go's readers (docker, containerd) do not apply global records to the members that follow; GNU's and Python's do.
_NOT_GLOBAL = _COVERED - {"mtime"} | {"hdrcharset"}
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Member(NamedTuple):
    """One member of an archive.

    `path` is normalised (`./a//b/` is `a/b`, the root is ``); whiteouts are files like any other. `size` is in
    bytes and 0 but for files; `target` as in `header`; `mtime` in seconds since 1970; `pax` holds its records
    that are not covered by the other fields, such as `SCHILY.xattr.*`. Names that are not UTF-8 keep their bytes
    as surrogates. `name` is the path as the archive spells it, for those who must tell `./a` from `a`.
    """

    path: str
    kind: AnyKind
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    mtime: int
    pax: Mapping[str, bytes]
    device: tuple[int, int]
    body: Callable[[], Iterator[bytes]]
    name: str

    def chunks(self) -> Iterator[bytes]:
        """The content, once, and before the next member is asked for."""
        return self.body()


class _Source:
    """The stream, and how much of the current member's content is still in it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = stream.read
        self._remaining = 0
        self._padding = 0
        self._serial = 0

    def exactly(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end of the stream."""
        return exactly(self._read, size)

    def need(self, size: int, what: str) -> bytes:
        data = self.exactly(size)
        if len(data) != size:
            raise TarFormatError(f"the archive ends in the middle of {what}")
        return data

    def begin(self, size: int) -> Callable[[], Iterator[bytes]]:
        """The member's content begins here; what is returned opens it."""
        self._remaining = size
        self._padding = -size % BLOCK
        self._serial += 1
        return partial(self._body, self._serial)

    def _body(self, serial: int) -> Iterator[bytes]:
        if serial != self._serial:
            raise RuntimeError("the content of a member was asked for after the next member")
        while self._remaining and serial == self._serial:
            data = self._read(min(self._remaining, _CHUNK))
            if not data:
                raise TarFormatError("the archive ends in the middle of a file")
            self._remaining -= len(data)
            yield data

    def skip(self) -> None:
        """Go to the next header."""
        for _ in self._body(self._serial):
            pass
        # Writers that forget to close an archive (umoci did) leave out the padding of the last file with the end.
        if self._padding and len(self.exactly(self._padding)) not in (0, self._padding):
            raise TarFormatError("the archive ends in the middle of a file's padding")
        self._padding = 0


def read(stream: BinaryIO) -> Iterator[Member]:
    """The members of the archive in `stream`, which is read to its end; ustar, GNU, PAX and the old format."""
    source = _Source(stream)
    pending = _Pending()
    while True:
        block = source.exactly(BLOCK)
        if not block.strip(b"\0"):
            break
        if len(block) != BLOCK:
            raise TarFormatError("the archive ends in the middle of a header")
        _check_sum(block)
        typeflag = block[156:157]
        if typeflag in _EXTENDED:
            size = _number(block[124:136], "size", MAX_SIZE)
            if size > _pax.LIMIT:
                raise TarFormatError(f"an extended header of {size} bytes is over the limit of {_pax.LIMIT}")
            data = source.need(size, "an extended header")
            source.need(-size % BLOCK, "an extended header")
            pending.add(typeflag, data)
            continue
        member = _member(block, pending, source)
        pending = _Pending()
        yield member
        source.skip()
    if pending:
        raise TarFormatError("the archive ends after an extended header")
    _check_end(source, block)


class _Pending:
    """The extended headers that came before a member: GNU's long names, or one set of PAX records."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.name: bytes | None = None
        self.link: bytes | None = None
        self._seen = b""

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, typeflag: bytes, data: bytes) -> None:
        if typeflag == b"g":
            if self._seen:
                raise TarFormatError("a global header stands between an extended header and its member")
            for key in _pax.decode(data):
                if key in _NOT_GLOBAL:
                    raise TarFormatError(f"a global header sets `{key}`, which readers disagree about")
            return
        if typeflag in self._seen or (self._seen and b"x" in (typeflag, self._seen)):
            raise TarFormatError("a member has two extended headers, which readers disagree about")
        self._seen += typeflag
        if typeflag == b"x":
            self.records = _pax.decode(data)
        elif typeflag == b"L":
            self.name = data.partition(b"\0")[0]
        else:
            self.link = data.partition(b"\0")[0]


def _member(block: bytes, pending: _Pending, source: _Source) -> Member:
    typeflag = block[156:157]
    kind = _KIND.get(typeflag)
    if kind is None:
        raise TarFormatError(f"a member of type {typeflag!r} is not supported")
    records = pending.records
    name = records.get("path") or pending.name or _name(block)
    link = records.get("linkpath") or pending.link or _text(block[157:257])
    size = _number(block[124:136], "size", MAX_SIZE)
    if records:
        size = _either(_pax.number(records, "size", MAX_SIZE), size)
    if name.endswith(b"/") and kind != "directory":
        if typeflag != b"\0":
            raise TarFormatError(f"a {kind} has a name that ends in a slash: {name!r:.200}")
        kind = "directory"  # how archives said it before there was a type for it
    path = _path(name)
    if not path and kind != "directory":
        raise TarFormatError(f"a {kind} takes the place of the root folder")
    if kind != "file" and size:
        # Some readers skip that much, some do not: they would see different members after this one.
        raise TarFormatError(f"`{path:.200}` is a {kind}, and yet has a size of {size}")
    target = ""
    if kind in ("hardlink", "symlink"):
        target = _decode(link) if kind == "symlink" or not link else _path(link)
        if not target:
            raise TarFormatError(f"the {kind} `{path:.200}` has no target")
        if len(link) >= MAX_PATH:
            raise TarFormatError(f"the {kind} `{path:.200}` has a target of {len(link)} bytes, which no system takes")
    uid = _number(block[108:116], "uid", MAX_ID)
    gid = _number(block[116:124], "gid", MAX_ID)
    mtime = _number(block[136:148], "mtime", MAX_SIZE, signed=True)
    others = _NOTHING
    if records:
        uid = _either(_pax.number(records, "uid", MAX_ID), uid)
        gid = _either(_pax.number(records, "gid", MAX_ID), gid)
        mtime = _either(_pax.seconds(records, "mtime"), mtime)
        others = MappingProxyType({key: value for key, value in records.items() if key not in _COVERED})
    device = (0, 0)
    if kind in ("character-device", "block-device"):
        device = (_number(block[329:337], "device", MAX_ID), _number(block[337:345], "device", MAX_ID))
    mode = _number(block[100:108], "mode", MAX_ID) & 0o7777
    return Member(path, kind, mode, uid, gid, size, target, mtime, others, device, source.begin(size), _decode(name))


def _either(first: int | None, second: int) -> int:
    return second if first is None else first


def _name(block: bytes) -> bytes:
    name = _text(block[:100])
    if block[257:263] != b"ustar\0":
        return name  # GNU's and older headers have other things where USTAR has the prefix
    if block[263:265] != b"00" and block[345]:
        raise TarFormatError("a header has a prefix, but is of another version of ustar: readers disagree about it")
    prefix = _text(block[345:476] if block[508:512] == b"tar\0" else block[345:500])
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decode(text: bytes) -> str:
    if b"\0" in text:
        raise TarFormatError(f"a name has a zero byte in it: {text!r:.200}")
    return text.decode("utf-8", "surrogateescape")


def _path(name: bytes) -> str:
    """The normalised path inside the image; runtimes read `/a` and `./a` as `a`, and refuse to climb."""
    path = _decode(name)
    if not path:
        raise TarFormatError("a member has no name")
    if len(path) > 4096:
        raise TarFormatError(f"a path is longer than 4096 characters: {path!r:.200}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for part in parts:
        if part == "..":
            raise TarFormatError(f"a path climbs with `..`: {path!r:.200}")
        check_part(part)
    return "/".join(parts)


def check_part(part: str) -> None:
    """Refuse what no file system can hold as one name."""
    if len(part) > 60 and len(part.encode("utf-8", "surrogateescape")) > 255:  # 4 bytes a character at most
        raise TarFormatError(f"a part of a path is longer than 255 bytes: {part!r:.200}")


def _number(field: bytes, what: str, limit: int, *, signed: bool = False) -> int:
    """An octal number, or GNU's base-256: the first bit set, then a big-endian two's complement number."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") - (1 << (8 * len(field) - 1))
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        found = _OCTAL.fullmatch(field)
        if found is None:
            more = ": not a tar archive, or a damaged one" if what == "checksum" else f": {field!r}"
            raise TarFormatError(f"the {what} of a member is not a number{more}")
        value = int(found[1] or b"0", 8)
    if not (-limit if signed else 0) <= value <= limit:
        raise TarFormatError(f"the {what} of a member is out of range: {value}")
    return value


def _check_sum(block: bytes) -> None:
    """The sum of the header's bytes, its own field read as spaces; old writers summed them as signed numbers."""
    wanted = _number(block[148:156], "checksum", MAX_ID)
    found = sum(block) - sum(block[148:156]) + 8 * 0x20
    if wanted != found and wanted != found - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127):
        raise TarFormatError("the checksum of a header is wrong: not a tar archive, or a damaged one")


def _check_end(source: _Source, block: bytes) -> None:
    """After the last member: nothing but zeros. Writers differ in how many; two blocks is the rule, 20 usual."""
    lone = len(block) == BLOCK
    while block := source.exactly(_CHUNK):
        if block.strip(b"\0"):
            what = "a lone block of zeros, then more" if lone and block[:BLOCK].strip(b"\0") else "data after its end"
            raise TarFormatError(f"the archive has {what}, which readers disagree about")
        lone = False
