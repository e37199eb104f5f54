"""Findings about documents: what the image-spec asks for and an image gets wrong. Pure; returns, never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ociassemble.errors import Error
from ociassemble.image.image import Node
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def validate_node(node: Node) -> tuple[str, ...]:
    """Findings about a graph's documents; blobs other than embedded ones are not read."""
    return tuple(_node(node))


def _node(node: Node) -> Iterator[str]:
    for child in node.children:
        yield from _node(child)
    here = str(node.descriptor.digest)
    try:
        if node.is_index:
            Index.parse(node.raw, node.descriptor.media_type)
            return
        manifest = Manifest.parse(node.raw, node.descriptor.media_type)
    except Error as error:
        yield f"{here}: {error}"
        return
    if not manifest.layers:
        yield f"{here}: a manifest should have at least one layer"
    docker = {item.media_type.startswith("application/vnd.docker.") for item in (manifest.config, *manifest.layers)}
    if len(docker) > 1:
        yield f"{here}: mixes Docker and OCI media types"


def validate_config(config: ImageConfig, layers: int) -> tuple[str, ...]:
    """Findings about an image config that stands over `layers` layers (config.md)."""
    found: list[str] = []
    if len(config.diff_ids) != layers:
        found.append(f"{len(config.diff_ids)} diff_ids for {layers} layers")
    filled = sum(1 for item in config.history if not item.get("empty_layer"))
    if config.history and filled != layers:
        found.append(f"{filled} history entries that are not empty for {layers} layers")
    if config.created and not _RFC3339.fullmatch(config.created):
        found.append(f"`created` is not RFC 3339: {config.created}")
    found += [f"Env entry without `=`: {item}" for item in config.execution.get("Env") or () if "=" not in item]
    for key in ("ExposedPorts", "Volumes"):
        value = config.execution.get(key)
        if value is not None and not (isinstance(value, dict) and all(item == {} for item in value.values())):
            found.append(f"`{key}` is not a map to empty objects")
    return tuple(found)
