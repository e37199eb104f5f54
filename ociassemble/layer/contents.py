"""The contents of layers (`image.contents`): noted while a layer is written, kept in the store by diff_id.

A layer of somebody else, or of an older version's store, is read once. Nothing here is needed by a build that finds
its verdict in the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ociassemble.content.store import Store
from ociassemble.image.contents import VERSION, Contents, FileFacts, Sample, dull, read_contents
from ociassemble.image.filesystem import Found, Path
from ociassemble.image.image import Layer
from ociassemble.layer.entry import Entry
from ociassemble.layer.told import ToldLayer
from ociassemble.oci.digest import Digest


class Recorder:
    """Notes what goes into one layer, in its order."""

    def __init__(self) -> None:
        self._members: list[Found] = []

    def watched(self, entry: Entry) -> Entry:
        """`entry` (at its real place), noted; of a file's content is noted what matters when it is written."""
        item = Path(entry.kind, entry.mode & 0o1777, entry.uid, entry.gid, entry.size, entry.target, 0)
        number = len(self._members)
        self._members.append(Found(entry.path, item))
        if entry.kind != "file" or not entry.size:
            return entry

        def content() -> Iterator[bytes]:
            blocks = iter(entry.content())
            first = next(blocks, b"")
            if dull(entry.path, first):
                yield first
                yield from blocks
                return
            sample = Sample(entry.path, entry.size, entry.content)
            for block in chain((first,), blocks):
                sample.feed(block)
                yield block
                if not sample.open:
                    break
            yield from blocks
            self._note(number, sample.facts())

        return Entry(
            entry.path, entry.kind, entry.mode, entry.size, content, entry.target, entry.uid, entry.gid, entry.origin
        )

    def _note(self, number: int, facts: FileFacts | None) -> None:
        if facts is not None:
            self._members[number] = self._members[number]._replace(facts=facts)

    def keep(self, store: Store, diff_id: Digest) -> None:
        """Put the record into the store: what was noted is what the tar `diff_id` holds."""
        store.put_record("contents", _name(diff_id), Contents(tuple(self._members)).dump())


def layer_contents(layer: Layer, store: Store) -> Contents:
    """What `layer` holds: as noted, else as read from it now."""
    raw = store.record("contents", _name(layer.diff_id))
    found = Contents.load(raw) if raw is not None else None
    if found is None and isinstance(layer, ToldLayer):
        told = layer.told()
        if told is not None and (found := Contents.load(told)) is not None:
            return found
    if found is None:
        found = read_contents(layer)
        store.put_record("contents", _name(layer.diff_id), found.dump())
    return found


def contents_record(layer: Layer, store: Store) -> bytes | None:
    """The record of what `layer` holds, if the store has one."""
    return store.record("contents", _name(layer.diff_id))


def _name(diff_id: Digest) -> str:
    return f"{diff_id.hex}.v{VERSION}"
