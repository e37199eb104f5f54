"""`Node`, the graph of documents and blobs; `Layer` and `Image`, one of its manifests understood."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from ociassemble.content.blob import Blob
from ociassemble.content.verify import check
from ociassemble.errors import FormatError, NotFoundError, UsageError
from ociassemble.oci import mediatype
from ociassemble.oci._wire import MAX_DOCUMENT
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


def read_node(
    root: Descriptor,
    raw: bytes,
    fetch: Fetch,
    blob: OpenBlob,
    *,
    wanted: Collection[Platform] = (),
    depth: int = 0,
) -> Node:
    """The graph below a document, each document checked against the descriptor that named it; blobs stay closed.

    With `wanted`, manifests for other platforms are left out, and not asked for: such a node is for choosing an
    image from, not for writing.
    """
    check(raw, root.digest, root.size, f"the document {root.digest}")
    if root.media_type in mediatype.INDEXES:
        if depth >= MAX_DEPTH:
            raise FormatError("indexes are nested too deeply")
        index = Index.parse(raw, root.media_type)
        if len(index.manifests) > MAX_CHILDREN:
            raise FormatError(f"the index {root.digest} names more than {MAX_CHILDREN} manifests")
        chosen = [
            item
            for item in index.manifests
            if not wanted or item.platform is None or any(item.platform.matches(platform) for platform in wanted)
        ]
        children = tuple(read_node(item, fetch(item), fetch, blob, wanted=wanted, depth=depth + 1) for item in chosen)
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
    if config_blob.descriptor.size > MAX_DOCUMENT:
        raise FormatError(f"the image config is larger than {MAX_DOCUMENT >> 20} MiB")
    config = ImageConfig.parse(config_blob.read())
    if len(config.diff_ids) != len(manifest.layers):
        raise FormatError(
            f"the image {node.descriptor.digest} has {len(manifest.layers)} layers, but {len(config.diff_ids)} diff_ids"
        )
    layers = tuple(
        Layer(blob=blob, diff_id=diff_id) for blob, diff_id in zip(node.blobs[1:], config.diff_ids, strict=True)
    )
    return Image(manifest=manifest, config=config, config_blob=config_blob, layers=layers)


def select_platform(node: Node, wanted: Platform, name: str, kind: str = "image") -> Node:
    """The manifest node for `wanted`: the node itself, or the first match in an index.

    `name` and `kind` ("image", "base image") are for errors.
    """
    if not node.is_index:
        return node
    for child in node.walk():
        if child.is_index or child.blobs[0].descriptor.media_type not in mediatype.CONFIGS:
            continue  # an artifact has no platform
        platform = child.descriptor.platform
        if platform is None:
            platform = open_image(child).platform
        if platform.matches(wanted):
            return child
    raise platform_missing(name, wanted, platforms_of(node), kind)


def platform_missing(
    name: str, wanted: Platform, available: Collection[Platform], kind: str = "image"
) -> PlatformMissingError:
    """The error for an image that has no `wanted` variant; the nearest it has is in the hint."""
    # The nearest first: the same architecture, then one whose machines can often run the other as well.
    order = [wanted.architecture, _WIDER.get(wanted.architecture, "")]
    near = sorted(available, key=lambda item: (item.architecture != order[0], item.architecture != order[1], str(item)))
    other = "a base" if kind == "base image" else "an image"
    return PlatformMissingError(
        f"{'' if kind == 'image' else kind + ' '}`{name}` has no {wanted} variant",
        details=[f"available: {', '.join(sorted({str(item) for item in available}))}"] if near else [],
        hint=f"pass `--platform {near[0]}`, or choose {other} that has {wanted}" if near else None,
    )


_WIDER = {"arm": "arm64", "386": "amd64"}


def platforms_within(node: Node) -> tuple[Platform, ...]:
    """The platforms of the images in `node`, as they are asked for (no version of the system); reads what it must.

    Attestations and other artifacts have none, and what is no platform by its spelling can never be asked for.
    """
    found: dict[str, Platform] = {}
    for child in node.walk():
        if child.is_index or child.blobs[0].descriptor.media_type not in mediatype.CONFIGS:
            continue
        platform = child.descriptor.platform or open_image(child).platform
        try:
            asked = Platform.parse(str(platform))
        except UsageError:
            continue
        if asked.os != "unknown":
            found[str(asked)] = asked
    return tuple(found.values())


def platforms_of(node: Node) -> tuple[Platform, ...]:
    """Platforms an index announces, attestations left out; empty for a manifest."""
    if not node.is_index:
        return ()
    found = Index.parse(node.raw, node.descriptor.media_type).platforms()
    return tuple(item for item in found if item.os)
