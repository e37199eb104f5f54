"""What a layer holds, as far as starting programs goes: its paths, and of some files what a kernel or loader reads.

Made while a layer is written, or read from its blob; kept beside the blob by diff_id, of which it is a function. What
is kept of a file is told by `image.sample`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ociassemble.errors import Error
from ociassemble.formats.elf import Elf, Wanted
from ociassemble.image.filesystem import Found, Path, members
from ociassemble.image.image import Layer
from ociassemble.image.sample import FileFacts, Sample

VERSION = 1  # bumped when `image.sample` keeps more of a file: records of older versions are then not looked at


class Contents(NamedTuple):
    """One layer: its members in their order, and the facts of files by the path they have there."""

    members: tuple[Found, ...]

    def dump(self) -> bytes:
        """The record of it, as JSON."""
        rows = ((path, *item[:-1]) for path, item, _, _ in self.members)
        return dump(rows, [(number, item.facts) for number, item in enumerate(self.members) if item.facts])

    @classmethod
    def load(cls, raw: bytes) -> Contents | None:
        """From `dump`'s form; None for anything else."""
        try:
            rows, facts = json.loads(raw)
            found = {number: _facts(document) for number, document in facts}
            return cls(
                tuple(
                    Found(path, Path(_KINDS[kind], mode, uid, gid, size, target, 0), None, found.get(number))
                    for number, (path, kind, mode, uid, gid, size, target) in enumerate(map(_whole, rows))
                )
            )
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, Error):
            return None


_KINDS = {"f": "file", "d": "directory", "l": "symlink", "h": "hardlink", "o": "other"}
_LETTERS = {name: letter for letter, name in _KINDS.items()}


Row = tuple[str, str, int, int, int, int, str]  # path, kind, mode, uid, gid, size, target


def dump(rows: Iterable[Row], facts: Iterable[tuple[int, FileFacts]]) -> bytes:
    """The record of a layer's members, and of the facts of some by their number, as JSON."""
    short = [
        # What most files have in common is left out.
        (path, _LETTERS.get(kind, "o"), *numbers, target) if target else (path, _LETTERS.get(kind, "o"), *numbers)
        for path, kind, *numbers, target in rows
    ]
    told = [(number, _facts_document(item)) for number, item in facts]
    return json.dumps((short, told), separators=(",", ":")).encode("ascii")


def _whole(row: list[Any]) -> list[Any]:
    return row if len(row) == 7 else [*row, ""]


def _facts_document(facts: FileFacts) -> dict[str, Any]:
    result = {
        name: value for name, value in zip(facts._fields, facts, strict=True) if value not in (None, "", (), False)
    }
    result.pop("line", None)
    if facts.line:
        result["line"] = facts.line.decode("latin-1")
    return result


def _facts(document: Mapping[str, Any]) -> FileFacts:
    values = dict(document)
    if "elf" in values:
        one = Elf(*values["elf"])
        values["elf"] = one._replace(
            needed=tuple(one.needed),
            wants=tuple(Wanted(library, tuple(versions)) for library, versions in one.wants),
            offers=tuple(one.offers),
        )
    if "cache" in values:
        values["cache"] = tuple((soname, path) for soname, path in values["cache"])
    if "folders" in values:
        values["folders"] = tuple(values["folders"])
    if "line" in values:
        values["line"] = values["line"].encode("latin-1")
    return FileFacts(**values)


def read_contents(layer: Layer) -> Contents:
    """The contents of a layer, from its blob, which is verified on the way."""
    found = []
    for member in members(layer):
        item = Path(member.kind, member.mode, member.uid, member.gid, member.size, member.target, 0)
        facts = None
        if member.kind == "file" and member.size:
            sample = Sample(member.path, member.size)
            for block in member.chunks():
                sample.feed(block)
                if not sample.open:
                    break
            facts = sample.facts()
        found.append(Found(member.path, item, None, facts))
    return Contents(tuple(found))
