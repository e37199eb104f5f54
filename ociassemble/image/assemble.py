"""Base + layers + config -> a new image (image-spec config.md, manifest.md). Pure: no clock, no host, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ociassemble.content.blob import Blob
from ociassemble.image.edit import padded_history, to_oci
from ociassemble.image.image import Image, Layer, Node
from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform


def assemble(
    *,
    platform: Platform,
    base: Image | None,
    added: Iterable[tuple[str, Layer]],
    execution: Mapping[str, Any],
    created: str,
    annotations: Mapping[str, str],
) -> Image:
    """The image: `added` (title, layer) on top of the base, `execution` as the config's whole `config` object.

    `created` is RFC 3339. Blobs of the base are passed on untouched; documents are serialised once, as OCI.
    """
    added = tuple(added)
    document: dict[str, Any] = {}
    history: list[Mapping[str, Any]] = []
    layers: list[Layer] = []
    if base is not None:
        document = dict(base.config.document)
        history += padded_history(base.config, created)
        layers += (_relabelled(layer) for layer in base.layers)
    document |= platform.document()
    layers += (layer for _, layer in added)
    history += ({"created": created, "created_by": f"ociassemble: {title}"} for title, _ in added)
    document |= {
        "created": created,
        "config": dict(execution),
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
        annotations=annotations,
    )
    return Image(
        manifest=manifest,
        config=config,
        config_blob=Blob.of(config.raw, config.descriptor),
        layers=tuple(layers),
    )


def image_or_index(images: Sequence[Image], annotations: Mapping[str, str]) -> Node:
    """The one image, or an index over several, sorted by platform."""
    if len(images) == 1:
        return images[0].node
    ordered = sorted(images, key=lambda image: str(image.platform))
    index = Index.create([image.descriptor for image in ordered], annotations=annotations)
    return Node(descriptor=index.descriptor, raw=index.raw, children=tuple(image.node for image in ordered))


def _relabelled(layer: Layer) -> Layer:
    descriptor = to_oci(layer.descriptor).with_(urls=())
    if mediatype.compression(descriptor.media_type) is None:
        descriptor = layer.descriptor
    blob = Blob(descriptor=descriptor, source=layer.blob.source, repository=layer.blob.repository)
    return Layer(blob=blob, diff_id=layer.diff_id)
