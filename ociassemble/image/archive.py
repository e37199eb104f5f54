"""Archives of images, as pieces in one fixed order: the OCI archive, and the one that `docker load` reads.

Pure: from a graph to names, sizes and contents, and on to the bytes of a tar; who writes them decides where to
(specs/behaviour/archives.md, ARCH-1 to ARCH-4). A docker archive is an OCI archive of one image with Docker's own
table of contents beside the other one: engines from before the containerd image store know only `manifest.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ociassemble.content.blob import Blob
from ociassemble.content.verify import blocks
from ociassemble.formats import tar
from ociassemble.image.image import Image, Node
from ociassemble.oci import _wire
from ociassemble.oci.annotations import CONTAINERD_NAME, REF_NAME
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.reference import Reference

MARK, INDEX, DOCKER = "oci-layout", "index.json", "manifest.json"


class Piece(NamedTuple):
    """One file of an archive. `digest` is None for the tables of contents, which no digest names."""

    path: str
    size: int
    content: bytes | Blob
    digest: Digest | None = None


class Name(NamedTuple):
    """A name of an image in an archive: the tag (or whatever else is asked for there), and the whole name, or ""."""

    tag: str
    whole: str = ""

    @classmethod
    def of(cls, reference: Reference) -> Name:
        return cls(reference.tag, str(reference._replace(digest=None)))


class Placed(NamedTuple):
    """A piece and where in the archive its header begins, and its content."""

    piece: Piece
    header: bytes
    start: int
    offset: int


def blob_path(digest: Digest) -> str:
    """Where a layout has a blob (image-layout.md)."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def oci_pieces(node: Node, names: Sequence[Name]) -> tuple[Piece, ...]:
    """An OCI layout of one image or index, under each of `names`; without any under the tag `latest`."""
    return _pieces(node, names or (Name("latest"),), {})


def docker_pieces(image: Image, names: Sequence[Reference]) -> tuple[Piece, ...]:
    """The same for one image, with `manifest.json`; engines load it as `names`, or under no name."""
    table = [
        {
            "Config": blob_path(image.manifest.config.digest),
            "RepoTags": [str(name) for name in names] or None,
            "Layers": [blob_path(layer.digest) for layer in image.manifest.layers],
        }
    ]
    # The table is a list, and our writer of documents writes objects.
    written = _wire.dump({"": table})[len('{"":') : -1]
    return _pieces(image.node, [Name.of(name) for name in names] or [Name("")], {DOCKER: written})


def place(pieces: Sequence[Piece]) -> tuple[tuple[Placed, ...], int]:
    """The pieces with their places, and the size of the whole archive, in bytes."""
    placed, start = [], 0
    for piece in pieces:
        header = tar.header(piece.path, size=piece.size)
        offset = start + len(header)
        placed.append(Placed(piece, header, start, offset))
        start = offset + piece.size + len(tar.padding(piece.size))
    return tuple(placed), start + len(tar.END)


def stream(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """The bytes of the archive; blobs are opened, and verified, as their turn comes."""
    for piece in pieces:
        yield tar.header(piece.path, size=piece.size)
        yield from chunks(piece)
        yield tar.padding(piece.size)
    yield tar.END


def chunks(piece: Piece) -> Iterator[bytes]:
    """The content of one piece."""
    if isinstance(piece.content, bytes):
        yield piece.content
        return
    with piece.content.open() as opened:
        yield from blocks(opened)


def layout_pieces(node: Node, entries: Sequence[Descriptor], tables: Mapping[str, bytes]) -> tuple[Piece, ...]:
    """An OCI layout of all that is below `node`, with `entries` in its `index.json`; `tables` are files besides.

    Tables of contents first, then documents, configs, layers: who reads a stream knows what is to come.
    """
    mark: Mapping[str, Any] = {"imageLayoutVersion": "1.0.0"}
    found = [
        Piece(path, len(data), data)
        for path, data in ((MARK, _wire.dump(mark)), (INDEX, Index.create(entries).raw), *sorted(tables.items()))
    ]
    parts = list(node.walk())
    contents: list[tuple[Descriptor, bytes | Blob]] = [(part.descriptor, part.raw) for part in reversed(parts)]
    contents += [(part.blobs[0].descriptor, part.blobs[0]) for part in parts if part.blobs]
    contents += [(blob.descriptor, blob) for part in parts for blob in part.blobs[1:]]
    seen: set[Digest] = set()
    for descriptor, content in contents:
        if descriptor.digest not in seen:
            seen.add(descriptor.digest)
            found.append(Piece(blob_path(descriptor.digest), descriptor.size, content, descriptor.digest))
    return tuple(found)


def _pieces(node: Node, names: Sequence[Name], tables: Mapping[str, bytes]) -> tuple[Piece, ...]:
    root = node.descriptor.bare()
    return layout_pieces(node, [root.with_(annotations=_annotations(name)) for name in names], tables)


def _annotations(name: Name) -> Mapping[str, str]:
    """How `index.json` says a name: containerd and docker want the whole one (not the specification)."""
    said = {CONTAINERD_NAME: name.whole, REF_NAME: name.tag}
    return {key: text for key, text in said.items() if text}
