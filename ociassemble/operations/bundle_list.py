"""What is in a bundle, for people who must know before it passes: one line a file (specs/behaviour/bundle.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ociassemble.image.image import Node
from ociassemble.oci import mediatype
from ociassemble.transports.bundle import Bundle

_HEAD = ("kind", "name", "version", "size", "sha256", "licence", "file")


def rows(bundle: Bundle) -> Iterator[tuple[str, ...]]:
    """Kind, name, version, bytes, sha256, licence and file name of everything in it; "-" for what is unknown."""
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


def count(bundle: Bundle) -> int:
    """How many files it has, each counted once: the number under the list."""
    return len(_sizes(rows(bundle)))


def _sizes(found: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return {row[4]: int(row[3]) for row in found}


def text(bundle: Bundle) -> str:
    """The list as lines for people: what the bundle is, a table, and the sum."""
    found = list(rows(bundle))
    widths = [max(len(row[column]) for row in (_HEAD, *found)) for column in range(len(_HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in found]
    head = "  ".join(cell.ljust(width) for cell, width in zip(_HEAD, widths, strict=True)).rstrip()
    sizes = _sizes(found)
    lines = [f"bundle {bundle.name} {bundle.digest}"]
    if bundle.since is not None:
        lines.append(f"completes {bundle.since}, and has what is new since")
    return "\n".join([*lines, "", head, *table, "", f"{len(sizes)} files, {sum(sizes.values())} bytes"]) + "\n"


def document(bundle: Bundle) -> dict[str, Any]:
    """The list as JSON."""
    return {
        "name": bundle.name,
        "digest": str(bundle.digest),
        "since": None if bundle.since is None else str(bundle.since),
        "base": bundle.base_name,
        "files": [
            {
                key: int(cell) if key == "size" else (cell if cell != "-" else "")
                for key, cell in zip(_HEAD, row, strict=True)
            }
            for row in rows(bundle)
        ],
    }
