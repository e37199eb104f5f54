"""Base + layers + config -> a new image (image-spec config.md, manifest.md). Pure: no clock, no host, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ociassemble.content.blob import Blob
from ociassemble.image.edit import padded_history, to_oci
from ociassemble.image.image import Image, Layer, Node
from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedLayer:
    """A layer to put on top, and what history says of it."""

    layer: Layer
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembly:
    """What an image is made of. `created` is RFC 3339; `execution` is the config's `config` object, complete."""

    platform: Platform
    base: Image | None
    layers: Sequence[AddedLayer]
    execution: Mapping[str, Any]
    created: str
    annotations: Mapping[str, str] = field(default_factory=dict)


def assemble(parts: Assembly) -> Image:
    """The image. Blobs of the base are passed on untouched; documents are serialised once, as OCI."""
    document: dict[str, Any] = {}
    history: list[Mapping[str, Any]] = []
    layers: list[Layer] = []
    if parts.base is not None:
        document = dict(parts.base.config.document)
        history += padded_history(parts.base.config, parts.created)
        layers += (_relabelled(layer) for layer in parts.base.layers)
    document |= parts.platform.document()
    layers += (item.layer for item in parts.layers)
    history += ({"created": parts.created, "created_by": f"ociassemble: {item.title}"} for item in parts.layers)
    document |= {
        "created": parts.created,
        "config": dict(parts.execution),
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [dict(item) for item in history],
    }
    # What Docker's builder kept about the container it committed; it describes a machine, not this image.
    for key in ("container", "container_config", "docker_version", "id", "parent", "author"):
        document.pop(key, None)
    config = ImageConfig.create(document)
    manifest = Manifest.create(
        config=config.descriptor,
        layers=[layer.descriptor for layer in layers],
        annotations=parts.annotations,
    )
    return Image(
        manifest=manifest,
        config=config,
        config_blob=Blob.of(config.raw, config.descriptor),
        layers=tuple(layers),
    )


def index_of(images: Sequence[Image], annotations: Mapping[str, str]) -> Node:
    """An index over images, sorted by platform."""
    ordered = sorted(images, key=lambda image: str(image.platform))
    index = Index.create([image.descriptor for image in ordered], annotations=annotations)
    return Node(descriptor=index.descriptor, raw=index.raw, children=tuple(image.node for image in ordered))


def _relabelled(layer: Layer) -> Layer:
    descriptor = to_oci(layer.descriptor).with_(urls=())
    if mediatype.compression(descriptor.media_type) is None:
        descriptor = layer.descriptor
    blob = Blob(descriptor=descriptor, source=layer.blob.source, repository=layer.blob.repository)
    return Layer(blob=blob, diff_id=layer.diff_id)
