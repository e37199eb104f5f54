"""Annotation keys (image-spec annotations.md) and our own."""

from __future__ import annotations

REF_NAME = "org.opencontainers.image.ref.name"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
CREATED = "org.opencontainers.image.created"
# Whole names in an archive's `index.json`: what containerd and docker look for, since REF_NAME is but a tag.
CONTAINERD_NAME = "io.containerd.image.name"

# The key of the `LayerPlan` a layer was built from: lets a later build recognise the layer in a manifest.
LAYER_KEY = "dev.ociassemble.layer.key"
# What compressed it, as the lock names it: equal key and equal codec mean equal bytes.
LAYER_CODEC = "dev.ociassemble.layer.codec"
# The digest of its tar: on records of finished layers (`--cache-repo`), which have no config to say it.
LAYER_DIFF_ID = "dev.ociassemble.layer.diff-id"
# Where an assembled base came from: "debian".
BASE_SOURCE = "dev.ociassemble.base.source"
