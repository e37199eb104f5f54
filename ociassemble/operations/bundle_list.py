"""What is in a bundle, for people who must know before it passes: one line a file (specs/behaviour/bundle.md).

`lacks` is what a bundle names and its file does not have: what a delta leaves to the bundle that it completes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ociassemble.image.image import Node
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.transports.bundle import Bundle

_HEAD = ("kind", "name", "version", "size", "sha256", "licence", "file")
_HERE = "here"  # the column of a delta: whether the file has it, or it is in the bundle that this one completes
_HEX = 4  # the column of the sha256


def rows(bundle: Bundle) -> Iterator[tuple[str, ...]]:
    """Kind, name, version, bytes, sha256, licence and file name of everything it names; "-" for what is unknown."""
    for node in bundle.base.walk() if bundle.base is not None else ():
        platform = node.descriptor.platform
        where = f"{bundle.base_name or 'assembled'}{f' {platform}' if platform is not None else ''}"
        for kind, digest, size in _documents(node):
            yield (kind, where, "-", str(size), digest, "-", "-")
    for file in bundle.files:
        row = (file.kind, file.name, file.version, str(file.size), file.digest.hex, file.licence, file.filename)
        yield tuple(text or "-" for text in row)


def _documents(node: Node) -> Iterator[tuple[str, str, int]]:
    what = "index" if node.descriptor.media_type in mediatype.INDEXES else "manifest"
    yield (f"base-{what}", node.descriptor.digest.hex, node.descriptor.size)
    for number, blob in enumerate(node.blobs):
        yield ("base-layer" if number else "base-config", blob.descriptor.digest.hex, blob.descriptor.size)


def names(bundle: Bundle) -> Mapping[str, str]:
    """What each file is, in the words of its line, by its sha256: "wheel alpha 1.0 alpha-1.0-py3-none-any.whl"."""
    return {row[_HEX]: " ".join(text for text in (*row[:3], row[-1] if row[-1] != "-" else row[_HEX]) if text != "-")
            for row in rows(bundle)}  # fmt: skip


def count(bundle: Bundle) -> int:
    """How many files it has, each counted once: the number under the list."""
    return len(_sizes(rows(bundle)))


def _sizes(found: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return {row[_HEX]: int(row[3]) for row in found}


def text(bundle: Bundle, lacks: Collection[Digest] = ()) -> str:
    """The list as lines for people: what the bundle is, a table, and the sum."""
    found = list(rows(bundle))
    sizes = _sizes(found)
    lines = [f"bundle {bundle.name} {bundle.digest}"]
    totals = [f"{len(sizes)} files, {sum(sizes.values())} bytes"]
    table: list[tuple[str, ...]] = [_HEAD, *found]
    if bundle.since is not None or lacks:
        gone = {digest.hex for digest in lacks}
        table = [(_HERE, *_HEAD), *(("no" if row[_HEX] in gone else "yes", *row) for row in found)]
        here = [size for digest, size in sizes.items() if digest not in gone]
        totals.append(f"here: {len(here)} of them, {sum(here)} bytes")
    if bundle.since is not None:
        lines.append(f"completes {bundle.since}, which has what is not here")
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, "", *shown, "", *totals]) + "\n"


def document(bundle: Bundle, lacks: Collection[Digest] = ()) -> dict[str, Any]:
    """The list as JSON."""
    gone = {digest.hex for digest in lacks}
    found = list(rows(bundle))
    return {
        "name": bundle.name,
        "digest": str(bundle.digest),
        "since": None if bundle.since is None else str(bundle.since),
        "base": bundle.base_name,
        "sizeHere": sum(size for digest, size in _sizes(found).items() if digest not in gone),
        "files": [
            {
                **{
                    key: int(cell) if key == "size" else (cell if cell != "-" else "")
                    for key, cell in zip(_HEAD, row, strict=True)
                },
                _HERE: row[_HEX] not in gone,
            }
            for row in found
        ],
    }
