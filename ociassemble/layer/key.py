"""The key of a layer: sha256 of the canonical JSON of what decides its bytes, and of nothing else.

Equal key, equal diff_id, on every machine. Left out of the key: titles and roles (for people), sizes, file names
and places in the project (an artifact is its sha256); the archives of a release, whose files are pinned themselves.
"""

from __future__ import annotations

from typing import Any

from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import ASSEMBLY_VERSION, ArchiveSource, FileItem, FilesSource, LayerPlan, document


def layer_key(layer: LayerPlan) -> Digest:
    """The key, as a digest."""
    return Digest.of(_wire.canonical(key_document(layer)))


def key_document(layer: LayerPlan) -> dict[str, Any]:
    """What the key is made of, as JSON: what `ociassemble plan` shows when one asks why a layer is new."""
    return {
        "assemblyVersion": ASSEMBLY_VERSION,
        "sources": [_source(source) for source in layer.sources],
        "links": [list(link) for link in layer.links],
        "directories": [list(item) for item in layer.directories],
    }


def _source(source: Any) -> Any:
    if isinstance(source, FilesSource):
        # Not through `document`: there may be tens of thousands, and most of it would be thrown away.
        return {**document(source._replace(items=())), "items": [_item(item) for item in source.items]}
    if isinstance(source, ArchiveSource):
        return {"type": "archive", "files": [[item.path, item.mode, item.digest] for item in source.files]}
    body = document(source)
    for name, value in zip(source._fields, source, strict=True):
        if isinstance(value, ArtifactRef):
            body[name] = value.digest.hex
        elif isinstance(value, tuple) and value and isinstance(value[0], ArtifactRef):
            body[name] = [item.digest.hex for item in value]
    return body


def _item(item: FileItem) -> list[Any]:
    return [item.path, item.kind, item.mode, item.digest, item.target, item.uid, item.gid]
