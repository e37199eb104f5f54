"""`Node`, the graph of documents and blobs; `Layer` and `Image`, one of its manifests understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ociassemble.content.blob import Blob
from ociassemble.content.verify import check
from ociassemble.errors import FormatError, NotFoundError
from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform

MAX_CHILDREN = 1000  # manifests of one index
MAX_DEPTH = 4  # indexes within indexes


class PlatformMissingError(NotFoundError):
    """An index has no image for the platform that was asked for."""

    code = "not-found.platform"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A manifest or index with what it points at. `raw` is written as it is, after all that it names."""

    descriptor: Descriptor
    raw: bytes = field(repr=False)
    blobs: tuple[Blob, ...] = ()  # config first, then layers, of a manifest
    children: tuple[Node, ...] = ()  # manifests of an index

    def walk(self) -> Iterator[Node]:
        """This node and all below it, children before parents: the order of writing."""
        for child in self.children:
            yield from child.walk()
        yield self

    @property
    def is_index(self) -> bool:
        return self.descriptor.media_type in mediatype.INDEXES


Fetch = Callable[[Descriptor], bytes]  # a manifest's bytes by descriptor
OpenBlob = Callable[[Descriptor], Blob]


def read_node(root: Descriptor, raw: bytes, fetch: Fetch, blob: OpenBlob, *, depth: int = 0) -> Node:
    """The graph below a document, each document checked against the descriptor that named it; blobs stay closed."""
    check(raw, root.digest, root.size, f"the document {root.digest}")
    if root.media_type in mediatype.INDEXES:
        if depth >= MAX_DEPTH:
            raise FormatError("indexes are nested too deeply")
        index = Index.parse(raw, root.media_type)
        if len(index.manifests) > MAX_CHILDREN:
            raise FormatError(f"the index {root.digest} names more than {MAX_CHILDREN} manifests")
        children = tuple(read_node(item, fetch(item), fetch, blob, depth=depth + 1) for item in index.manifests)
        return Node(descriptor=root, raw=raw, children=children)
    manifest = Manifest.parse(raw, root.media_type)
    return Node(descriptor=root, raw=raw, blobs=tuple(blob(item) for item in (manifest.config, *manifest.layers)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer of an image: what its blob is, and the digest of the tar in it."""

    blob: Blob
    diff_id: Digest

    @property
    def descriptor(self) -> Descriptor:
        return self.blob.descriptor


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One image for one platform."""

    manifest: Manifest
    config: ImageConfig
    config_blob: Blob
    layers: tuple[Layer, ...]

    @property
    def descriptor(self) -> Descriptor:
        """How an index points at this image: with its platform."""
        return self.manifest.descriptor.with_(platform=self.config.platform)

    @property
    def digest(self) -> Digest:
        return self.manifest.digest

    @property
    def platform(self) -> Platform:
        return self.config.platform

    @property
    def node(self) -> Node:
        return Node(
            descriptor=self.descriptor,
            raw=self.manifest.raw,
            blobs=(self.config_blob, *(layer.blob for layer in self.layers)),
        )


def open_image(node: Node) -> Image:
    """The image a manifest node stands for; reads its config, leaves the layers closed."""
    manifest = Manifest.parse(node.raw, node.descriptor.media_type)
    if manifest.config.media_type not in mediatype.CONFIGS:
        raise FormatError(
            f"{node.descriptor.digest} is not an image: its config is of the type {manifest.config.media_type}"
        )
    config_blob = node.blobs[0]
    if config_blob.descriptor.size > 4 << 20:
        raise FormatError("the image config is larger than 4 MiB")
    config = ImageConfig.parse(config_blob.read())
    if len(config.diff_ids) != len(manifest.layers):
        raise FormatError(
            f"the image {node.descriptor.digest} has {len(manifest.layers)} layers, but {len(config.diff_ids)} diff_ids"
        )
    layers = tuple(
        Layer(blob=blob, diff_id=diff_id) for blob, diff_id in zip(node.blobs[1:], config.diff_ids, strict=True)
    )
    return Image(manifest=manifest, config=config, config_blob=config_blob, layers=layers)


def select_platform(node: Node, wanted: Platform, name: str) -> Node:
    """The manifest node for `wanted`: the node itself, or the first match in an index; `name` is for errors."""
    if not node.is_index:
        return node
    for child in node.children:
        if child.is_index:
            continue
        platform = child.descriptor.platform
        if platform is None:
            platform = open_image(child).platform
        if platform.matches(wanted):
            return child
    available = sorted({str(item) for item in platforms_of(node)})
    raise PlatformMissingError(
        f"`{name}` has no {wanted} variant",
        details=[f"available: {', '.join(available)}"] if available else [],
        hint=f"pass `--platform {available[0]}`, or choose an image that has {wanted}" if available else None,
    )


def platforms_of(node: Node) -> tuple[Platform, ...]:
    """Platforms an index announces, attestations left out; empty for a manifest."""
    found = (child.descriptor.platform for child in node.children)
    return tuple(item for item in found if item is not None and item.os not in ("", "unknown"))
