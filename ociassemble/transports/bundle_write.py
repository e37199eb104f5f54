"""Writing bundles: the graph over a base and files, and the archive of it (specs/behaviour/bundle.md, BUNDLE-1 on).

The same base and files give the same bytes: entries and files are sorted, and no clock is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.image import archive
from ociassemble.image.archive import Piece
from ociassemble.image.image import Node
from ociassemble.oci import mediatype
from ociassemble.oci.annotations import CONTAINERD_NAME, REF_NAME
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.transports import bundle as keys
from ociassemble.transports import parts
from ociassemble.transports.bundle import MEDIA_TYPES, Bundle, File, Kind

TOOL = "tool/"  # where in the archive the tool's wheels are a second time, by their names: `tar` and pip are enough
MAX_FILES = 2000  # of one artifact: its manifest stays below what every registry takes
_STAGE = ".ociassemble-bundle-"
_EMPTY = b"{}"

Open = Callable[[Digest], BinaryIO]


class Saved(NamedTuple):
    """What was written: the bundle, its bytes, and the blobs that are not in it, but in an older one."""

    bundle: Bundle
    size: int
    left_out: frozenset[Digest]
    parts: tuple[parts.Part, ...] = ()


def bundle_of(
    name: str, base: Node | None, base_name: str, files: Sequence[File], open_blob: Open, since: Bundle | None = None
) -> Bundle:
    """The bundle over `base` and `files`, whose bytes `open_blob` opens. `base_name`: "" but for a registry's base."""
    ordered = tuple(sorted(dict.fromkeys(files), key=lambda file: (list(MEDIA_TYPES).index(file.kind), file[1:])))
    children = [_entry(base, base_name)] if base is not None else []
    for kind in MEDIA_TYPES:
        groups = _groups([file for file in ordered if file.kind == kind])
        children += (_artifact(cast(Kind, kind), group, open_blob) for group in groups)
    said = {keys.VERSION: "1", keys.NAME: name} | ({keys.SINCE: str(since.digest)} if since is not None else {})
    index = Index.create([child.descriptor for child in children], annotations=said)
    root = Node(descriptor=index.descriptor, raw=index.raw, children=tuple(children))
    return Bundle(name, root, children[0] if base is not None else None, base_name, ordered, since and since.digest)


def _entry(base: Node, name: str) -> Node:
    said = {keys.KIND: keys.BASE} | ({keys.BASE_NAME: name} if name else {})
    return Node(
        descriptor=base.descriptor.with_(annotations=said), raw=base.raw, blobs=base.blobs, children=base.children
    )


def _groups(files: Sequence[File]) -> list[list[File]]:
    """`files` cut into artifacts in which every title is there once."""
    groups: list[dict[str, File]] = []
    for file in files:
        fits = (group for group in groups if len(group) < MAX_FILES and file.filename not in group)
        group = next(fits, None)
        if group is None:
            groups.append(group := {})
        group[file.filename] = file
    return [list(group.values()) for group in groups]


def _artifact(kind: Kind, files: Sequence[File], open_blob: Open) -> Node:
    empty = Descriptor(media_type=mediatype.OCI_EMPTY, digest=Digest.of(_EMPTY), size=len(_EMPTY))
    blobs = [_blob(file, open_blob) for file in files]
    manifest = Manifest.create(
        config=empty, layers=[blob.descriptor for blob in blobs], artifact_type=keys.ARTIFACT_TYPE.format(kind=kind)
    )
    descriptor = manifest.descriptor.with_(artifact_type=manifest.artifact_type, annotations={keys.KIND: kind})
    return Node(descriptor=descriptor, raw=manifest.raw, blobs=(Blob.of(_EMPTY, empty), *blobs))


def _blob(file: File, open_blob: Open) -> Blob:
    said = {
        keys.TITLE: file.filename,
        keys.PACKAGE: file.name,
        keys.PACKAGE_VERSION: file.version,
        keys.LICENCE: file.licence,
    }
    descriptor = Descriptor(
        media_type=MEDIA_TYPES[file.kind],
        digest=file.digest,
        size=file.size,
        annotations={key: text for key, text in said.items() if text},
    )
    return Blob(descriptor=descriptor, source=lambda: open_blob(file.digest))


def write_bundle(bundle: Bundle, path: Path, *, since: Bundle | None = None, split: int | None = None) -> Saved:
    """Write `bundle` as `path`, or in parts of `split` bytes beside it; without the blobs that `since` has.

    Durable, and all at once: before the last byte is written there is nothing of these names.
    """
    left = since.contents() if since is not None else frozenset()
    every = _pieces(bundle)
    left_out = frozenset(piece.digest for piece in every if piece.digest is not None and _left_out(piece, left))
    left_out -= {file.digest for file in bundle.files if file.kind == "tool"}  # there all the same, by their names
    pieces = [piece for piece in every if not _left_out(piece, left)]
    size = archive.place(pieces)[1]
    if split is not None:
        parts.sweep(path.parent)
        return Saved(bundle, size, left_out, parts.write(path, archive.stream(pieces), split, size))
    _files.sweep(path.parent, _STAGE)
    with _files.TemporaryFile(path.parent, prefix=_STAGE, mode=0o644) as temporary:
        for chunk in archive.stream(pieces):
            temporary.write(chunk)
        temporary.commit(path, durable=True)
    return Saved(bundle, size, left_out)


def _pieces(bundle: Bundle) -> tuple[Piece, ...]:
    """The members of the archive: a layout that names the bundle and its base, and the tool as plain files."""
    entries = [bundle.root.descriptor.bare().with_(annotations={REF_NAME: keys.ROOT})]
    if bundle.base is not None:
        said = {REF_NAME: keys.BASE} | ({CONTAINERD_NAME: bundle.base_name} if bundle.base_name else {})
        entries.append(bundle.base.descriptor.bare().with_(annotations=said))
    return (*archive.layout_pieces(bundle.root, entries, {}), *_tool(bundle))


def _tool(bundle: Bundle) -> Iterator[Piece]:
    wheels = {file.digest: file for file in bundle.files if file.kind == "tool"}
    for node in bundle.root.children:
        if node.descriptor.annotations.get(keys.KIND) == "tool":
            for blob in node.blobs[1:]:
                file = wheels[blob.descriptor.digest]
                yield Piece(TOOL + file.filename, file.size, blob)


def _left_out(piece: Piece, left: frozenset[Digest]) -> bool:
    """Documents are always there: who reads a delta sees all that it names."""
    return piece.digest in left and isinstance(piece.content, Blob)
