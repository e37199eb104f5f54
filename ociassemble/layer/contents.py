"""The contents of layers (`image.contents`): noted while a layer is written, kept in the store by diff_id.

A layer of somebody else, or of an older version's store, is read once. Nothing here is needed by a build that finds
its verdict in the store.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ociassemble.content.store import Store
from ociassemble.image.contents import VERSION, Contents, Row, dump, read_contents
from ociassemble.image.image import Layer
from ociassemble.image.sample import FileFacts, Sample, dull
from ociassemble.layer.entry import Entry
from ociassemble.layer.told import ToldLayer
from ociassemble.oci.digest import Digest


class Recorder:
    """Notes what goes into one layer, in its order: the `Watch` of a `LayerWriter`."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._facts: list[tuple[int, FileFacts]] = []

    def begin(self, entry: Entry, first: bytes) -> _Noted | None:
        path, kind, mode, size, _, target, uid, gid, _ = entry  # not the content: it holds what it is read from
        self._rows.append((path, kind, mode & 0o1777, uid, gid, size, target))
        if not first or dull(path, first):
            return None
        return _Noted(entry, first, partial(self._note, len(self._rows) - 1))

    def _note(self, number: int, facts: FileFacts) -> None:
        self._facts.append((number, facts))

    def keep(self, store: Store, diff_id: Digest) -> None:
        """Put the record into the store: what was noted is what the tar `diff_id` holds."""
        store.put_record("contents", _name(diff_id), dump(self._rows, self._facts))


class _Noted(Sample):
    """A file on its way; what is worth it is noted at its end."""

    def __init__(self, entry: Entry, first: bytes, note: Callable[[FileFacts], object]) -> None:
        super().__init__(entry.path, entry.size, entry.content)
        self._to = note
        self.feed(first)

    def end(self) -> None:
        facts = self.facts()
        if facts is not None:
            self._to(facts)


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
