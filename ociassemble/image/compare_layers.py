"""What differs between two layers, file by file and header field by header field (VERIFY-13 on).

Both tars stream by at once and are merged by path: of files that stand side by side the contents are compared as they
pass; of one that stands elsewhere (or nowhere) in the other layer its header and sha256 are held, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, BinaryIO, NamedTuple

from ociassemble.content.compress import open_reader
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.image.compare_members import (
    Header,
    common_bytes,
    compare_contents,
    compare_headers,
    presence,
    sha256_of,
)
from ociassemble.image.differences import MAX_KEPT, Difference
from ociassemble.image.filesystem import members
from ociassemble.image.image import Layer
from ociassemble.oci import mediatype

MAX_HELD = 40_000  # members without their counterpart that are held at once, of each layer
MAX_HELD_NAMES = 32 << 20  # characters of their paths and targets, likewise
_MAX_LOCATED = 4  # files that stand elsewhere whose first differing byte is looked for: each costs a pass
_BLOCK = tar.BLOCK


class _Held(NamedTuple):
    """A member that waits for its counterpart."""

    position: int
    header: Header
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
            self.header = Header.of(self.member, self._watch.last)

    def close(self) -> None:
        self._members.close()  # type: ignore[attr-defined]

    def hold(self, member: tar.Member) -> bool:
        """Keep the member at hand for later; False where its path waits already."""
        if member.path in self.held:
            return False
        self.held[member.path] = _Held(self.position, self.header, sha256_of(member))
        self.names += len(member.path) + len(member.target)
        return True

    def release(self, path: str) -> _Held:
        found = self.held.pop(path)
        self.names -= len(path) + len(found.header.target)
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
            found.add(item.position, presence(path, item.header, number))
    found.locate(one, other)
    if not found:
        found.add(0, _residual(one, other, ends))
    return found.sorted()


def _advance(left: _Side, right: _Side, found: _Found) -> None:
    """Take one step on one side, or on both."""
    one, other = left.member, right.member
    if one is not None and other is not None and one.path == other.path:
        _matched(left, right, left.position, right.position, one.path, found)
        difference = compare_contents(one, other)
        found.compared(left.position, one.path, left.header, right.header, difference)
        left.step()
        right.step()
        return
    if other is not None and other.path in left.held:
        held = left.release(other.path)
        _matched(left, right, held.position, right.position, other.path, found)
        found.apart(held.position, other.path, held.header, right.header, held.sha256, sha256_of(other))
        right.step()
    elif one is not None and one.path in right.held:
        held = right.release(one.path)
        _matched(left, right, left.position, held.position, one.path, found)
        found.apart(left.position, one.path, left.header, held.header, sha256_of(one), held.sha256)
        left.step()
    elif other is None or (one is not None and _place(one) < _place(other)):
        assert one is not None
        _wait(left, one, 0, found)
    else:
        _wait(right, other, 1, found)


def _wait(side: _Side, member: tar.Member, number: int, found: _Found) -> None:
    if not side.hold(member):
        found.add(side.position, presence(member.path, side.header, number))
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
        self, position: int, path: str, one: Header, other: Header, content: tuple[str, str, int] | None
    ) -> None:
        """Two members of one path."""
        for difference in compare_headers(path, one, other, content is not None):
            self.add(position, difference)
        if content is not None:
            first, second, offset = content
            self.add(position, Difference("content", "file", "content", first, second, path=path, offset=offset))

    def apart(self, position: int, path: str, one: Header, other: Header, first: str, second: str) -> None:
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
                contents = compare_contents(first, second) if first is not None and second is not None else None
            if contents is not None:
                self._items[number] = position, difference._replace(offset=contents[2])

    def sorted(self) -> tuple[list[Difference], int]:
        return [difference for _, difference in sorted(self._items, key=lambda item: item[0])], self._omitted


def _member_at(found: Iterator[tar.Member], path: str) -> tar.Member | None:
    return next((member for member in found if member.path == path), None)


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
                return offset + common_bytes(first, second)
            if not first:
                return None
            offset += len(first)


def _plain(layer: Layer) -> BinaryIO:
    codec = mediatype.compression(layer.descriptor.media_type)
    if codec is None:
        raise FormatError(f"the layer {layer.descriptor.digest} has the unknown type {layer.descriptor.media_type}")
    return open_reader(layer.blob.open(), codec)
