"""What differs between two images, as values: one `Difference` a fact, found by `image.compare`.

Shapes and order are in specs/behaviour/verify.md (VERIFY-10 on); how it is told is in `image.told`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

# What a difference is about, the gravest first: what programs read; what is said about it; in which order it
# stands; and nothing but how the same bytes were compressed.
Kind = Literal["content", "metadata", "order", "compression"]
KINDS: tuple[Kind, ...] = ("content", "metadata", "order", "compression")
MAX_KEPT = 10_000  # differences kept; further ones are counted
_MIN_KEPT = 20  # of each layer, whatever those below it took

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


class Moved(NamedTuple):
    """A package with another version on each side; None where a side does not have it."""

    name: str
    one: str | None
    other: str | None


class LayerDifference(NamedTuple):
    """One layer that differs (VERIFY-19).

    `files` counts what differs in it beside directories; where `more`, at least so many do. `packages` are those whose
    versions are known to differ.
    """

    layer: LayerName
    platform: str = ""
    files: int = 0
    more: bool = False
    packages: tuple[Moved, ...] = ()


class Comparison(NamedTuple):
    """All that differs, in the order of the image: documents, then layers from the bottom, then files as they stand."""

    differences: tuple[Difference, ...] = ()
    omitted: int = 0  # differences beyond `MAX_KEPT`
    layers: tuple[LayerDifference, ...] = ()  # all that differ, whatever was omitted

    @property
    def kind(self) -> Kind | None:
        """The gravest kind; None where nothing differs."""
        return next((kind for kind in KINDS if any(item.kind == kind for item in self.differences)), None)


class Findings:
    """Differences on their way to a `Comparison`; no more are kept than anyone would read."""

    def __init__(self) -> None:
        self._found: list[Difference] = []
        self._omitted = 0
        self._layers: list[LayerDifference] = []

    def add(self, found: Iterable[Difference], omitted: int = 0) -> None:
        """These, after those before."""
        self._omitted += omitted
        for number, item in enumerate(found):
            if len(self._found) < MAX_KEPT or number < _MIN_KEPT:
                self._found.append(item)
            else:
                self._omitted += 1

    def add_layer(self, found: LayerDifference) -> None:
        """This layer, after those before; its differences are added apart."""
        self._layers.append(found)

    def __len__(self) -> int:
        return len(self._found) + self._omitted

    def comparison(self) -> Comparison:
        return Comparison(tuple(self._found), self._omitted, tuple(self._layers))
