"""What differs between two members of a tar: header field by header field, and in content (VERIFY-13, VERIFY-14)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ociassemble.formats import tar
from ociassemble.image.differences import Difference

# What a file is said to be, in the order in which it is told.
_FIELDS = ("type", "mode", "uid", "gid", "mtime", "link target", "device", "name", "user name", "group name", "format")


class Header(NamedTuple):
    """What one member's header says, one field for each of `_FIELDS`, and what is compared apart."""

    fields: tuple[Any, ...]
    size: int
    pax: Mapping[str, bytes]
    rest: bytes  # a hash of the block: what no field says

    @classmethod
    def of(cls, member: tar.Member, block: bytes) -> Header:
        said = (
            member.kind,
            f"{member.mode:04o}",
            member.uid,
            member.gid,
            member.mtime,
            member.target,
            f"{member.device[0]},{member.device[1]}",
            member.name.rstrip("/"),
            _text(block[265:297]),
            _text(block[297:329]),
            _text(block[257:265]),
        )
        return cls(said, member.size, member.pax, hashlib.sha256(block).digest()[:16])

    @property
    def target(self) -> str:
        """Where a link leads, else ""."""
        return str(self.fields[_FIELDS.index("link target")])


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "backslashreplace")


def presence(path: str, header: Header, number: int) -> Difference:
    """Only in the first layer (`number` 0), or only in the other."""
    said = header.fields[0]
    return Difference(
        "content", "file", "presence", said if number == 0 else None, said if number == 1 else None, path=path
    )


def compare_headers(path: str, one: Header, other: Header, content: bool) -> Iterator[Difference]:
    """The fields that differ; bytes that no field says are told where nothing else is, `content` included."""
    if one.fields == other.fields and one.size == other.size and one.pax == other.pax:
        if one.rest != other.rest and not content:
            yield Difference("metadata", "file", "encoding", path=path)
        return
    for name, first, second in zip(_FIELDS, one.fields, other.fields, strict=True):
        if first != second:
            # What a name leads to, or is, is what programs read.
            kind: Any = "content" if name in ("type", "link target") else "metadata"
            yield Difference(kind, "file", name, first, second, path=path)
    if one.size != other.size:
        yield Difference("content", "file", "size", one.size, other.size, path=path)
    for key in sorted({*one.pax, *other.pax}):
        if one.pax.get(key) != other.pax.get(key):
            values = (_shown(one.pax.get(key)), _shown(other.pax.get(key)))
            yield Difference("metadata", "file", f"pax {key}", *values, path=path)


def _shown(value: bytes | None) -> str | None:
    return None if value is None else value[:1000].decode("utf-8", "backslashreplace")


def sha256_of(member: tar.Member) -> str:
    """Of a file's content, which is read; "" for what is no file."""
    if member.kind != "file":
        return ""
    hashed = hashlib.sha256()
    for chunk in member.chunks():
        hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def compare_contents(one: tar.Member, other: tar.Member) -> tuple[str, str, int] | None:
    """Both sha256 and the first offset at which two files differ; None where they do not, or are not both files."""
    if one.kind != "file" or other.kind != "file":
        return None
    lefts, rights = one.chunks(), other.chunks()
    hashed, offset = hashlib.sha256(), 0
    left = right = b""
    while True:
        left, right = left or next(lefts, b""), right or next(rights, b"")
        size = min(len(left), len(right))
        if not size or left[:size] != right[:size]:
            break
        hashed.update(left[:size])
        offset += size
        left, right = left[size:], right[size:]
    if not left and not right:
        return None
    offset += common_bytes(left, right)
    sums = []
    for hasher, rest, chunks in ((hashed.copy(), left, lefts), (hashed, right, rights)):
        hasher.update(rest)
        for chunk in chunks:
            hasher.update(chunk)
        sums.append(f"sha256:{hasher.hexdigest()}")
    return sums[0], sums[1], offset


def common_bytes(left: bytes, right: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
