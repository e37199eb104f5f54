"""What differs between two images, for people: a line a layer, then details of every one of them (VERIFY-19)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ociassemble.image.differences import Comparison, Difference, LayerDifference, LayerName

_PACKAGES = 8  # of a layer that are named; the rest is counted

# What is said of a layer of which no file differs, by the field of its first difference.
_WHOLE = {
    "compression": "compressed differently",
    "diff_id": "of another base",
    "more": "too many files stand elsewhere to be compared",
    "position": "stands elsewhere",
    "unreadable": "cannot be read",
}


def told(comparison: Comparison, limit: int, one: str = "image", other: str = "rebuild") -> list[str]:
    """Lines: each layer that differs, then `limit` details, of which every layer and the documents have their share.

    `one` and `other` are what the two sides are called.
    """
    groups: dict[tuple[str, LayerName | None], list[int]] = {}
    for number, item in enumerate(comparison.differences):
        groups.setdefault((item.platform, item.layer) if item.layer is not None else ("", None), []).append(number)
    layers = comparison.layers[:limit]
    lines = []
    for layer in layers:
        numbers = groups.get((layer.platform, layer.layer), [])
        lines.append(_layer(layer, [comparison.differences[number] for number in numbers], one, other))
    if len(comparison.layers) > len(layers):
        lines.append(f"and {len(comparison.layers) - len(layers)} more layers")
    shown = sorted(_shared([*groups.values()], limit))
    lines += (in_words(comparison.differences[number], one, other) for number in shown)
    more = len(comparison.differences) - len(shown) + comparison.omitted
    if more:
        lines.append(f"and {more} more differences: `--format json` tells of them")
    return lines


def _shared(groups: Sequence[Sequence[int]], limit: int) -> Iterator[int]:
    """`limit` members of the groups, the first of each first: what a small one leaves over goes to the larger."""
    left = limit
    waiting = sorted(groups, key=len)
    for number, group in enumerate(waiting):
        share = left // (len(waiting) - number)
        yield from group[:share]
        left -= min(share, len(group))


def _layer(found: LayerDifference, differences: Sequence[Difference], one: str, other: str) -> str:
    place = f"{found.platform}: {found.layer}" if found.platform else f"{found.layer}"
    said = [_moved(item.name, item.one, item.other, one, other) for item in found.packages[:_PACKAGES]]
    if len(found.packages) > _PACKAGES:
        said.append(f"{len(found.packages) - _PACKAGES} more packages")
    if found.files:
        count = f"more than {found.files}" if found.more else f"{found.files}"
        said.append(f"{count} file{'s differ' if found.files > 1 or found.more else ' differs'}")
    elif differences:
        first = differences[0]
        sided = first.where == "layer" and first.field == "presence"
        side = one if first.other is None else other
        described = "its description differs" if first.where == "manifest" else "its folders or headers differ"
        said.append(f"only in the {side}" if sided else _WHOLE.get(first.field, described))
    return f"{place}: {', '.join(said)}"


def _moved(name: str, before: str | None, after: str | None, one: str, other: str) -> str:
    if before is None or after is None:
        return f"{name} {before or after} only in the {one if after is None else other}"
    return f"{name} ({one} {before}, {other} {after})"


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
