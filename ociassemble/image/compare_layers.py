"""What differs between two layers, file by file and header field by header field (VERIFY-13 on).

Both tars stream by at once and are merged by path: of files that stand side by side the contents are compared as they
pass; of one that stands elsewhere (or nowhere) in the other layer its header and sha256 are held, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any, BinaryIO, NamedTuple

from ociassemble.content.compress import open_reader
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.image.differences import MAX_KEPT, Difference
from ociassemble.image.filesystem import members
from ociassemble.image.image import Layer
from ociassemble.oci import mediatype

MAX_HELD = 40_000  # members without their counterpart that are held at once, of each layer
MAX_HELD_NAMES = 32 << 20  # characters of their paths and targets, likewise
_MAX_LOCATED = 4  # files that stand elsewhere whose first differing byte is looked for: each costs a pass
# What a file is said to be, in the order in which it is told.
_FIELDS = ("type", "mode", "uid", "gid", "mtime", "link target", "device", "name", "user name", "group name", "format")
_BLOCK = tar.BLOCK


class _Header(NamedTuple):
    """What one member's header says, one field for each of `_FIELDS`, and what is compared apart."""

    fields: tuple[Any, ...]
    size: int
    pax: Mapping[str, bytes]
    rest: bytes  # a hash of the block: what no field says

    @classmethod
    def of(cls, member: tar.Member, block: bytes) -> _Header:
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


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "backslashreplace")


class _Held(NamedTuple):
    """A member that waits for its counterpart."""

    position: int
    header: _Header
    sha256: str  # of a file's content, else ""


class _Watch:
    """The stream of a tar; remembers what was read last, and how much was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.last = b""
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        if data:
            self.last = data
            self.count += len(data)
        return data


class _Side:
    """One of the two layers: the member at hand, and those that wait."""

    def __init__(self, layer: Layer) -> None:
        self.held: dict[str, _Held] = {}
        self.names = 0
        self.position = -1
        self.furthest = -1  # position of the last member that had its counterpart
        self._watch: _Watch | None = None
        self._members = members(layer, self._through)

    def _through(self, stream: BinaryIO) -> Any:
        self._watch = _Watch(stream)
        return self._watch

    @property
    def read(self) -> int:
        """Bytes of the tar that were read."""
        return self._watch.count if self._watch is not None else 0

    def step(self) -> None:
        """Go to the next member."""
        self.member = next(self._members, None)
        self.position += 1
        if self.member is not None and self._watch is not None:
            self.header = _Header.of(self.member, self._watch.last)

    def close(self) -> None:
        self._members.close()  # type: ignore[attr-defined]

    def hold(self, member: tar.Member) -> bool:
        """Keep the member at hand for later; False where its path waits already."""
        if member.path in self.held:
            return False
        self.held[member.path] = _Held(self.position, self.header, _sha256(member))
        self.names += len(member.path) + len(member.target)
        return True

    def release(self, path: str) -> _Held:
        found = self.held.pop(path)
        self.names -= len(path) + len(found.header.fields[5])
        return found

    @property
    def full(self) -> bool:
        return len(self.held) > MAX_HELD or self.names > MAX_HELD_NAMES


def compare_layers(one: Layer, other: Layer) -> tuple[list[Difference], int]:
    """What differs between the tars of two layers, in the order of the first; and how many further ones there are.

    Reads both to the end, where digests are verified: `IntegrityError` for a layer that is not what it is said to be,
    or that is no tar.
    """
    found = _Found()
    with ExitStack() as stack:
        left, right = (stack.enter_context(closing(_Side(layer))) for layer in (one, other))
        left.step()
        right.step()
        while left.member is not None or right.member is not None:
            _advance(left, right, found)
            if left.full or right.full:
                found.add(left.position, Difference("order", "layer", "more", left.position, right.position))
                return found.sorted()
        ends = left.read, right.read
    for held, number in ((left.held, 0), (right.held, 1)):
        for path, item in held.items():
            found.add(item.position, _presence(path, item.header, number))
    found.locate(one, other)
    if not found:
        found.add(0, _residual(one, other, ends))
    return found.sorted()


def _advance(left: _Side, right: _Side, found: _Found) -> None:
    """Take one step on one side, or on both."""
    one, other = left.member, right.member
    if one is not None and other is not None and one.path == other.path:
        _matched(left, right, left.position, right.position, one.path, found)
        difference = _compare_contents(one, other)
        found.compared(left.position, one.path, left.header, right.header, difference)
        left.step()
        right.step()
        return
    if other is not None and other.path in left.held:
        held = left.release(other.path)
        _matched(left, right, held.position, right.position, other.path, found)
        found.apart(held.position, other.path, held.header, right.header, held.sha256, _sha256(other))
        right.step()
    elif one is not None and one.path in right.held:
        held = right.release(one.path)
        _matched(left, right, left.position, held.position, one.path, found)
        found.apart(left.position, one.path, left.header, held.header, _sha256(one), held.sha256)
        left.step()
    elif other is None or (one is not None and _place(one) < _place(other)):
        assert one is not None
        _wait(left, one, 0, found)
    else:
        _wait(right, other, 1, found)


def _wait(side: _Side, member: tar.Member, number: int, found: _Found) -> None:
    if not side.hold(member):
        found.add(side.position, _presence(member.path, side.header, number))
    side.step()


def _place(member: tar.Member) -> list[bytes]:
    """Where our writer puts a path: of two layers of ours the merge never has to hold more than what is missing."""
    return member.path.encode("utf-8", "surrogateescape").split(b"/")


def _matched(left: _Side, right: _Side, first: int, second: int, path: str, found: _Found) -> None:
    """Two members are counterparts: of all that have been, no two may stand the other way round."""
    if (first < left.furthest or second < right.furthest) and not found.disordered:
        found.disordered = True
        found.add(first, Difference("order", "file", "order", first + 1, second + 1, path=path))
    left.furthest, right.furthest = max(left.furthest, first), max(right.furthest, second)


class _Found:
    """The differences of one layer."""

    def __init__(self) -> None:
        self._items: list[tuple[int, Difference]] = []
        self._omitted = 0
        self._apart: list[int] = []  # where among `_items` are contents of which no offset is known
        self.disordered = False

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, position: int, difference: Difference) -> None:
        if len(self._items) < MAX_KEPT:
            self._items.append((position, difference))
        else:
            self._omitted += 1

    def compared(
        self, position: int, path: str, one: _Header, other: _Header, content: tuple[str, str, int] | None
    ) -> None:
        """Two members of one path."""
        for difference in _headers(path, one, other, content is not None):
            self.add(position, difference)
        if content is not None:
            first, second, offset = content
            self.add(position, Difference("content", "file", "content", first, second, path=path, offset=offset))

    def apart(self, position: int, path: str, one: _Header, other: _Header, first: str, second: str) -> None:
        """The same for two that do not stand side by side."""
        self.compared(position, path, one, other, None)
        if first != second and first and second:
            if len(self._items) < MAX_KEPT:
                self._apart.append(len(self._items))
            self.add(position, Difference("content", "file", "content", first, second, path=path))

    def locate(self, one: Layer, other: Layer) -> None:
        """Look for the offsets that a first pass could not see."""
        for number in self._apart[:_MAX_LOCATED]:
            position, difference = self._items[number]
            with ExitStack() as stack:
                first, second = (
                    _member_at(stack.enter_context(closing(members(layer))), difference.path)  # type: ignore[type-var]
                    for layer in (one, other)
                )
                contents = _compare_contents(first, second) if first is not None and second is not None else None
            if contents is not None:
                self._items[number] = position, difference._replace(offset=contents[2])

    def sorted(self) -> tuple[list[Difference], int]:
        return [difference for _, difference in sorted(self._items, key=lambda item: item[0])], self._omitted


def _member_at(found: Iterator[tar.Member], path: str) -> tar.Member | None:
    return next((member for member in found if member.path == path), None)


def _presence(path: str, header: _Header, number: int) -> Difference:
    """Only in the first layer (`number` 0), or only in the other."""
    said = header.fields[0]
    return Difference(
        "content", "file", "presence", said if number == 0 else None, said if number == 1 else None, path=path
    )


def _headers(path: str, one: _Header, other: _Header, content: bool) -> Iterator[Difference]:
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


def _sha256(member: tar.Member) -> str:
    if member.kind != "file":
        return ""
    hashed = hashlib.sha256()
    for chunk in member.chunks():
        hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def _compare_contents(one: tar.Member, other: tar.Member) -> tuple[str, str, int] | None:
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
    offset += _common(left, right)
    sums = []
    for hasher, rest, chunks in ((hashed.copy(), left, lefts), (hashed, right, rights)):
        hasher.update(rest)
        for chunk in chunks:
            hasher.update(chunk)
        sums.append(f"sha256:{hasher.hexdigest()}")
    return sums[0], sums[1], offset


def _common(left: bytes, right: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


# ------------------------------------------------------------------------------- what no field of a header says


def _residual(one: Layer, other: Layer, ends: tuple[int, int]) -> Difference:
    """Tars whose members are equal in every field, and which yet differ: where, and next to what."""
    offset = _first_difference(one, other)
    if offset is None:
        return Difference("metadata", "layer", "end of the archive", *ends)
    path, field = "", "end of the archive"
    with closing(_Side(one)) as side:
        side.step()
        while side.member is not None:
            if offset < side.read:
                within = offset >= side.read - _BLOCK
                path, field = side.member.path, "encoding" if within else "extended header"
                break
            path, body = side.member.path, side.read + side.member.size
            if offset < body + len(tar.padding(side.member.size)):
                field = "padding"
                break
            side.step()
        else:
            path = ""
    return Difference("metadata", "file" if path else "layer", field, path=path, offset=offset)


def _first_difference(one: Layer, other: Layer) -> int | None:
    """The offset at which the two tars begin to differ; where one is the beginning of the other, its end."""
    with ExitStack() as stack:
        left, right = (stack.enter_context(_plain(layer)) for layer in (one, other))
        offset = 0
        while True:
            first, second = left.read(1 << 18), right.read(1 << 18)
            if first != second:
                return offset + _common(first, second)
            if not first:
                return None
            offset += len(first)


def _plain(layer: Layer) -> BinaryIO:
    codec = mediatype.compression(layer.descriptor.media_type)
    if codec is None:
        raise FormatError(f"the layer {layer.descriptor.digest} has the unknown type {layer.descriptor.media_type}")
    return open_reader(layer.blob.open(), codec)
