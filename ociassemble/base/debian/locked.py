"""A base whose packages, layers and codec a lock names: the very image, and no package read until a layer is (LOCK-22).

The recipe is data and putting an image together is pure, so that manifest and config are made again from the lock
alone. Where that gives the locked manifest, a layer's bytes are whatever has its digest: in the store, in the
repository the result goes to, and only where it is nowhere, built of its packages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO

from ociassemble.base.debian.assemble import BasePlan, image_of
from ociassemble.base.resolve import differs
from ociassemble.content.blob import Blob
from ociassemble.content.compress import Codec
from ociassemble.content.store import Store
from ociassemble.image.image import Image, Layer
from ociassemble.layer.build import BuiltLayer
from ociassemble.layer.key import layer_key
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.descriptor import Descriptor
from ociassemble.plan.locked_base import BaseLayer, DebianBase
from ociassemble.plan.plan import LayerPlan

Build = Callable[[LayerPlan], BuiltLayer]  # writes one layer into the store


def locked_base(plan: BasePlan, pin: DebianBase, *, codec: Codec, store: Store, build: Build) -> Image | None:
    """The image of `pin`, its layers closed; None where recipe, rules or codec no longer make that manifest."""
    if codec.identity != pin.codec or len(plan.layers) != len(pin.layers):
        return None
    layers = [_layer(made, item, codec, store, build) for made, item in zip(plan.layers, pin.layers, strict=True)]
    image = image_of(plan, layers)
    return image if image.digest == pin.digest else None


def _layer(plan: LayerPlan, locked: BaseLayer, codec: Codec, store: Store, build: Build) -> Layer:
    building = threading.Lock()  # who reads it at the same time waits for the one that builds

    def source() -> BinaryIO:
        with building:
            if store.size(locked.digest) != locked.size:
                found = build(plan).layer
                if found.descriptor.digest != locked.digest:
                    raise differs(f"the base layer `{plan.title}`")
        return store.open(locked.digest)

    said = {LAYER_CODEC: codec.identity, LAYER_KEY: str(layer_key(plan))}
    descriptor = Descriptor(media_type=codec.media_type, digest=locked.digest, size=locked.size, annotations=said)
    return Layer(blob=Blob(descriptor=descriptor, source=source), diff_id=locked.diff_id)
