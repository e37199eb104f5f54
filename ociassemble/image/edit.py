"""Functional edits of images: each returns a new value, and keys nobody asked about survive (config.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor


def to_oci(descriptor: Descriptor) -> Descriptor:
    """The same blob under its OCI media type (layer.md: Docker's and OCI's layers are interchangeable)."""
    return descriptor.with_(media_type=mediatype.to_oci(descriptor.media_type))


def padded_history(config: ImageConfig, created: str) -> tuple[Mapping[str, Any], ...]:
    """The config's history with exactly one filled entry a layer.

    Bases in the wild have none (Bazel) or a short one, on which `docker history` fails. Missing entries follow the
    ones that are there; a history with too many is worth nothing and is replaced.
    """
    layers = len(config.diff_ids)
    history = config.history
    filled = sum(1 for item in history if not item.get("empty_layer"))
    if filled > layers:
        history, filled = (), 0
    placeholder = {"created": created, "created_by": "base layer"}
    return (*history, *(placeholder for _ in range(layers - filled)))
