"""What differs between two images, as values: one `Difference` a fact, found by `image.compare`.

Shapes and order are in specs/behaviour/verify.md (VERIFY-10 on).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

# What a difference is about, the gravest first: what programs read; what is said about it; in which order it
# stands; and nothing but how the same bytes were compressed.
Kind = Literal["content", "metadata", "order", "compression"]
KINDS: tuple[Kind, ...] = ("content", "metadata", "order", "compression")
MAX_KEPT = 10_000  # differences kept; further ones are counted

Where = Literal["index", "manifest", "config", "layer", "file"]


class LayerName(NamedTuple):
    """Which layer: its number from the bottom (0 is the lowest), and what people and plans call it."""

    number: int
    title: str = ""
    role: str = ""  # "base", "dependency", "application"; "" where nobody knows

    def __str__(self) -> str:
        words = [
            word for word in (f"`{self.title}`" if self.title else "", f"({self.role})" if self.role else "") if word
        ]
        return " ".join([f"layer {self.number + 1}", *words])


class Difference(NamedTuple):
    """One thing that differs; None stands for what is not there.

    `field` is a JSON pointer (RFC 6901) in documents; of a layer "presence", "position", "diff_id", "compression",
    "more" or "unreadable"; of a file "presence", "order", "content", or a field of its header ("mode", "mtime", "pax
    NAME"). `offset` is where contents begin to differ, in bytes.
    """

    kind: Kind
    where: Where
    field: str
    one: Any = None
    other: Any = None
    platform: str = ""
    layer: LayerName | None = None
    path: str = ""
    offset: int | None = None


class Comparison(NamedTuple):
    """All that differs, in the order of the image: documents, then layers from the bottom, then files as they stand."""

    differences: tuple[Difference, ...] = ()
    omitted: int = 0  # differences beyond `MAX_KEPT`

    @property
    def kind(self) -> Kind | None:
        """The gravest kind; None where nothing differs."""
        return next((kind for kind in KINDS if any(item.kind == kind for item in self.differences)), None)


class Findings:
    """Differences on their way to a `Comparison`; no more are kept than anyone would read."""

    def __init__(self) -> None:
        self._found: list[Difference] = []
        self._omitted = 0

    def add(self, found: Iterable[Difference], omitted: int = 0) -> None:
        """These, after those before."""
        self._omitted += omitted
        for item in found:
            if len(self._found) < MAX_KEPT:
                self._found.append(item)
            else:
                self._omitted += 1

    def __len__(self) -> int:
        return len(self._found) + self._omitted

    def comparison(self) -> Comparison:
        return Comparison(tuple(self._found), self._omitted)


def in_words(item: Difference, one: str = "image", other: str = "rebuild") -> str:
    """A difference on one line; `one` and `other` are what the two sides are called."""
    places = [item.platform, str(item.layer) if item.layer is not None else "", item.path and f"`{item.path}`"]
    if item.where in ("index", "manifest", "config"):
        places.append(f"{item.where} {item.field}")
    place = ": ".join(text for text in places if text)
    if item.field == "content":
        at = f" from byte {item.offset} on" if item.offset is not None else ""
        return f"{place}: content differs{at}: {one} {item.one}, {other} {item.other}"
    if item.field == "compression":
        return f"{place}: compressed differently: {one} {item.one}, {other} {item.other}"
    if item.field == "order":
        return f"{place}: stands elsewhere: {one} member {item.one}, {other} member {item.other}"
    if item.field == "more":
        return f"{place}: so many files stand elsewhere that no more were compared"
    if item.field == "unreadable":
        return f"{place}: cannot be read: {item.one}"
    if item.where in ("index", "manifest", "config", "layer", "file") and (item.one is None) != (item.other is None):
        side, value = (one, item.one) if item.other is None else (other, item.other)
        field = f"{item.field} " if item.where == "file" and item.field != "presence" else ""
        return f"{place}: {field}only in the {side} ({_value(value)})"
    if item.one is None:
        at = f", from byte {item.offset} on" if item.offset is not None else ""
        what = "the encoding" if item.field == "encoding" else f"the {item.field}"
        return f"{place}: {what} differs{at}"
    field = f"{item.field} " if item.where in ("layer", "file") else ""
    return f"{place}: {field}{one} {_value(item.one)}, {other} {_value(item.other)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if not value or not value.isprintable() or " " in value else value
    return json.dumps(value, ensure_ascii=False)
