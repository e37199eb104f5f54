"""The tar format: the one encoding of the layers we write, and a strict reader of the archives of others.

The writer is a grammar without state: `header(...)`, the content, `padding(size)`, and `END` after the last
(specs/behaviour/layer-format.md). The reader (`read`) streams, and is in `_tar_read.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from ociassemble.formats import _pax
from ociassemble.formats._pax import TarFormatError
from ociassemble.formats._tar_read import BLOCK, MAX_ID, MAX_SIZE, Member, check_part, read
from ociassemble.formats.paths import ordinary

__all__ = ["BLOCK", "END", "MTIME", "Kind", "Member", "TarFormatError", "check_path", "header", "padding", "read"]

END = bytes(2 * BLOCK)
MTIME = 315619200  # 1980-01-02T00:00:00Z: not before 1980 in any time zone, because zip cannot say less

Kind = Literal["file", "directory", "symlink", "hardlink"]

_TYPEFLAG = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}
_PAX_NAME = b"././@PaxHeader"  # the name older readers would give the records; constant, so that it says nothing
_OCTAL_SIZE = 8 << 30  # bytes; sizes from here on need a PAX record
_OCTAL_ID = 1 << 21


def header(
    path: str, kind: Kind = "file", *, mode: int = 0o644, size: int = 0, target: str = "", uid: int = 0, gid: int = 0
) -> bytes:
    """The block or blocks before the content of one member: USTAR, with PAX records only where USTAR cannot say it.

    `path` is relative and normalised, without trailing slash; `size` is in bytes and 0 but for files; `target` is
    the text of a symlink or the path a hardlink shares.
    """
    # Nearly all are files and folders with nothing unusual about them.
    if len(path) < 100 and ordinary(path):
        frame = None
        name = path.encode("ascii")
        if kind == "file" and 0 <= size < _OCTAL_SIZE:
            frame = _frame(kind, mode, uid, gid)
        elif kind == "directory" and not size:
            frame = _frame(kind, mode, uid, gid)
            name += b"/"
        if frame is not None:
            return _plain(name, size, frame)
    return _any(path, kind, mode, size, target, uid, gid)


def _plain(name: bytes, size: int, frame: tuple[bytes, bytes, bytes, int]) -> bytes:
    """The block of a name of 100 bytes at most, and a size that octal digits can say."""
    digits = b"%011o" % size
    front, middle, back, total = frame
    return b"%b%b%b%b%06o\0 %b" % (
        name.ljust(100, b"\0"), front, digits, middle, total + sum(name) + sum(digits), back
    )  # fmt: skip


@lru_cache(maxsize=64)
def _frame(kind: Kind, mode: int, uid: int, gid: int) -> tuple[bytes, bytes, bytes, int] | None:
    """What stands before the size, between size and checksum, and after it; and the sum of all that. None where an
    owner or mode is out of the ordinary.
    """
    if not 0 <= uid < _OCTAL_ID or not 0 <= gid < _OCTAL_ID or not 0 <= mode <= 0o7777:
        return None
    block = _ustar(b"", b"", _TYPEFLAG[kind], mode=mode, size=0, uid=uid, gid=gid)
    parts = block[100:124], block[135:148], block[156:]
    return *parts, sum(map(sum, parts)) + 8 * 0x20


def _any(path: str, kind: Kind, mode: int, size: int, target: str, uid: int, gid: int) -> bytes:
    records: list[tuple[str, bytes]] = []
    encoded = _encode(path, "path")
    check_path(path)
    if kind == "directory":
        encoded += b"/"
    name, prefix = _split(encoded)
    if not name:
        records.append(("path", encoded))
        name = _ascii(encoded)
    link = b""
    if kind in ("symlink", "hardlink"):
        if not target or "\0" in target:
            raise TarFormatError(f"the {kind} `{path}` has no usable target")
        link = _encode(target, "link target")
        if kind == "hardlink":
            check_path(target)
        if len(link) > 100 or not link.isascii():
            records.append(("linkpath", link))
            link = _ascii(link)
    if kind == "symlink":
        mode = 0o777
    if kind != "file" and size:
        raise TarFormatError(f"`{path}` is a {kind} and has no content, but a size of {size}")
    if not 0 <= size <= MAX_SIZE or not 0 <= uid <= MAX_ID or not 0 <= gid <= MAX_ID or not 0 <= mode <= 0o7777:
        raise TarFormatError(f"`{path}` has a size, owner or mode out of range")
    if size >= _OCTAL_SIZE:
        records.append(("size", b"%d" % size))
        size = 0
    if uid >= _OCTAL_ID:
        records.append(("uid", b"%d" % uid))
        uid = 0
    if gid >= _OCTAL_ID:
        records.append(("gid", b"%d" % gid))
        gid = 0
    block = _ustar(name, prefix, _TYPEFLAG[kind], mode=mode, size=size, link=link, uid=uid, gid=gid)
    if not records:
        return block
    body = _pax.encode(records)
    return _ustar(_PAX_NAME, b"", b"x", mode=0o644, size=len(body)) + body + padding(len(body)) + block


def padding(size: int) -> bytes:
    """The zero bytes after `size` bytes of content."""
    return bytes(-size % BLOCK)


def _ustar(
    name: bytes, prefix: bytes, typeflag: bytes, *, mode: int, size: int, link: bytes = b"", uid: int = 0, gid: int = 0
) -> bytes:
    block = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\x0000%b0000000\x000000000\x00%b" % (
        name.ljust(100, b"\0"),
        mode,
        uid,
        gid,
        size,
        MTIME,
        typeflag,
        link.ljust(100, b"\0"),
        bytes(64),
        prefix.ljust(167, b"\0"),
    )
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _split(path: bytes) -> tuple[bytes, bytes]:
    """USTAR's name and prefix for `path`; an empty name where there is none."""
    if not path.isascii():
        return b"", b""
    if len(path) <= 100:
        return path, b""
    # The first slash that leaves no more than 100 bytes: the shortest prefix. A directory's last slash is no cut.
    cut = path.find(b"/", len(path) - 101, -1)
    return (path[cut + 1 :], path[:cut]) if 0 < cut <= 155 else (b"", b"")


def _ascii(text: bytes) -> bytes:
    return bytes(byte if byte < 128 else 0x3F for byte in text[:100])


def _encode(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TarFormatError(f"the {what} {text!r:.200} is not UTF-8") from None


def check_path(path: str) -> None:
    """Refuse what is no path of a layer: it must be relative, normalised and of sane length."""
    parts = path.split("/")
    if not path or "\0" in path or len(path) > 4096 or "" in parts or "." in parts or ".." in parts:
        raise TarFormatError(f"not a normal path inside an image: {path!r:.200}")
    for part in parts:
        check_part(part)
