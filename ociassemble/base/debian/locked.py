"""A base whose packages, layers and codec a lock names: the very image, and no package read until a layer is (LOCK-22).

The recipe is data and putting an image together is pure, so that manifest and config are made again from the lock
alone. Where that gives the locked manifest, a layer's bytes are whatever has its digest: in the store, in the
repository the result goes to, in one that an image with this base is in, and only where it is nowhere, built of its
packages.
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
from ociassemble.errors import Error
from ociassemble.image.image import Image, Layer
from ociassemble.layer.build import BuiltLayer
from ociassemble.layer.key import layer_key
from ociassemble.net.download import fetch_blob
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked_base import BaseLayer, DebianBase
from ociassemble.plan.plan import LayerPlan

Build = Callable[[LayerPlan], BuiltLayer]  # writes one layer into the store
Elsewhere = Callable[[Descriptor, Platform], Blob | None]  # the same bytes in a registry, if they are known to be there


def locked_base(
    plan: BasePlan, pin: DebianBase, *, codec: Codec, store: Store, build: Build, elsewhere: Elsewhere
) -> Image | None:
    """The image of `pin`, its layers closed; None where recipe, rules or codec no longer make that manifest."""
    if codec.identity != pin.codec or len(plan.layers) != len(pin.layers):
        return None

    def there(descriptor: Descriptor) -> Blob | None:
        return elsewhere(descriptor, plan.platform) if store.size(descriptor.digest) != descriptor.size else None

    pairs = zip(plan.layers, pin.layers, strict=True)
    layers = [_layer(made, item, codec, store, build, there) for made, item in pairs]
    image = image_of(plan, layers)
    return image if image.digest == pin.digest else None


def _layer(
    plan: LayerPlan,
    locked: BaseLayer,
    codec: Codec,
    store: Store,
    build: Build,
    there: Callable[[Descriptor], Blob | None],
) -> Layer:
    said = {LAYER_CODEC: codec.identity, LAYER_KEY: str(layer_key(plan))}
    descriptor = Descriptor(media_type=codec.media_type, digest=locked.digest, size=locked.size, annotations=said)
    remote = there(descriptor)
    building = threading.Lock()  # who reads it at the same time waits for the one that builds

    def source() -> BinaryIO:
        with building:
            if store.size(locked.digest) != locked.size and not (remote is not None and _fetched(remote, store)):
                found = build(plan).layer
                if found.descriptor.digest != locked.digest:
                    raise differs(f"the base layer `{plan.title}`")
        return store.open(locked.digest)

    repository = remote.repository if remote is not None else ""
    return Layer(blob=Blob(descriptor=descriptor, source=source, repository=repository), diff_id=locked.diff_id)


def _fetched(remote: Blob, store: Store) -> bool:
    """Whether the bytes could be had; they can always be built."""
    try:
        fetch_blob(remote, store)
    except Error:
        return False
    return True
