"""Images made to order: layers from dictionaries, OCI or Docker schema 2, single or in an index, laid out or pushed.

    base = image([layer({"etc/os-release": "ID=debian\\n", "lib": Link("usr/lib"), "tmp": Folder(0o1777)})])
    push(index([base, other]), "127.0.0.1:5000/library/base:1")

Archives are written with the standard library's `tarfile`, not with the code under test, and hold exactly what is
asked for, in the order given: parents nobody named are missing, a path named twice is there twice, and a layer may
lie about its diff_id.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.writer import CompressingWriter
from ociassemble.image.image import Image, Layer, Node
from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.progress import Progress
from ociassemble.transports.transfer import write

if TYPE_CHECKING:
    from ociassemble.registry.client import RegistryClient

MTIME = 1_700_000_000  # 2023-11-14T22:13:20Z, on everything: layers in the wild are of any time but ours

Dialect = Literal["ustar", "gnu", "pax"]

_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
_DOCKER = {mediatype.to_oci(item): item for item in (mediatype.DOCKER_LAYER, mediatype.DOCKER_LAYER_GZIP)}


class File(NamedTuple):
    """A file; `records` are PAX records (`SCHILY.xattr.*`), which only the dialect `pax` can hold."""

    data: bytes | str = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    records: Mapping[str, str] = {}


class Folder(NamedTuple):
    """A folder, without what is in it."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class Link(NamedTuple):
    """A symbolic link; `target` is its text."""

    target: str


class Hardlink(NamedTuple):
    """A second name of an earlier file of the same layer; `target` is relative to the root."""

    target: str
    mode: int = 0o644


class Device(NamedTuple):
    """A character device, or a FIFO with `kind=tarfile.FIFOTYPE`."""

    kind: bytes = tarfile.CHRTYPE


Content = bytes | str | File | Folder | Link | Hardlink | Device
Entries = Mapping[str, Content] | Iterable[tuple[str, Content]]


def program(data: bytes | str = b"\x7fELF") -> File:
    """A file that may be executed."""
    return File(data, 0o755)


def whiteout(path: str) -> str:
    """The name that removes `path` of the layers below."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.wh.{name}"


def opaque(folder: str) -> str:
    """The name that removes all that the layers below have in `folder`."""
    return f"{folder}/.wh..wh..opq".lstrip("/")


def archive(entries: Entries, *, dialect: Dialect = "gnu", prefix: str = "") -> bytes:
    """A tar of the entries, in their order; `prefix` goes before each name (dpkg and bazel write `./`)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=_FORMATS[dialect]) as tar:
        for path, content in entries.items() if isinstance(entries, Mapping) else entries:
            member, data = _member(prefix + path, content)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def layer(
    entries: Entries | bytes,
    *,
    compression: str = "gzip:1",
    dialect: Dialect = "gnu",
    prefix: str = "",
    diff_id: Digest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Layer:
    """A layer from entries, or from a tar as it is. `compression` as on the command line; `diff_id` may be a lie."""
    plain = entries if isinstance(entries, bytes) else archive(entries, dialect=dialect, prefix=prefix)
    codec = compress.parse(compression)
    buffer = bytearray()
    with CompressingWriter(buffer.extend, codec, cores=Cores(1)) as writer:
        writer.write(plain)
        writer.finish()
    data = bytes(buffer)
    descriptor = Descriptor(
        media_type=codec.media_type, digest=Digest.of(data), size=len(data), annotations=dict(annotations or {})
    )
    return Layer(blob=Blob.of(data, descriptor), diff_id=diff_id or Digest.of(plain))


def image(
    layers: Sequence[Layer],
    *,
    platform: str = "linux/amd64",
    execution: Mapping[str, Any] | None = None,
    created: str | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
    docker: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """An image over `layers`. `execution` is the config's `config`; `more` are further top-level keys of the config.

    Without `created` and `history` the config has neither, as Bazel's. `docker` makes it Docker schema 2, layers
    included (zstd has no name there).
    """
    document: dict[str, Any] = dict(Platform.parse(platform).document())
    if created is not None:
        document["created"] = created
    document["config"] = dict(execution or {})
    document["rootfs"] = {"type": "layers", "diff_ids": [str(item.diff_id) for item in layers]}
    if history is not None:
        document["history"] = [dict(item) for item in history]
    raw = _dump(document | dict(more or {}))
    config = ImageConfig.parse(raw)
    kind = mediatype.DOCKER_CONFIG if docker else mediatype.OCI_CONFIG
    descriptor = config.descriptor.with_(media_type=kind)
    layers = [_as_docker(item) for item in layers] if docker else layers
    if docker:
        manifest = Manifest.parse(
            _dump(
                {
                    "schemaVersion": 2,
                    "mediaType": mediatype.DOCKER_MANIFEST,
                    "config": descriptor.document(),
                    "layers": [item.descriptor.document() for item in layers],
                }
            )
        )
    else:
        manifest = Manifest.create(
            config=descriptor, layers=[item.descriptor for item in layers], annotations=dict(annotations or {})
        )
    return Image(manifest=manifest, config=config, config_blob=Blob.of(raw, descriptor), layers=tuple(layers))


def index(
    images: Iterable[Image | Node], *, docker: bool = False, annotations: Mapping[str, str] | None = None
) -> Node:
    """An index of images (with their platforms) and other nodes (as their descriptors say); `docker`: a list."""
    children = tuple(item if isinstance(item, Node) else item.node for item in images)
    if not docker:
        made = Index.create([child.descriptor for child in children], annotations=dict(annotations or {}))
    else:
        manifests = [child.descriptor.document() for child in children]
        made = Index.parse(_dump({"schemaVersion": 2, "mediaType": mediatype.DOCKER_INDEX, "manifests": manifests}))
    return Node(descriptor=made.descriptor, raw=made.raw, children=children)


def lay_out(what: Image | Node, folder: Path, tag: str = "latest") -> str:
    """Write to an OCI layout; its name for the command line: `oci:DIR:TAG`."""
    from ociassemble.transports.layout import LayoutDestination

    destination = LayoutDestination(folder, tag)
    write(_node(what), destination, progress=Progress(), jobs=1)
    return destination.name


def push(what: Image | Node, name: str, client: RegistryClient | None = None) -> str:
    """Push to a registry (without a client: anonymously, as to one on loopback); `HOST/REPO@sha256:...`."""
    from ociassemble.net.wire import Wire
    from ociassemble.oci.reference import Reference
    from ociassemble.registry.client import RegistryClient
    from ociassemble.transports.remote import RemoteDestination

    destination = RemoteDestination(client or RegistryClient(Wire()), Reference.parse(name))
    return write(_node(what), destination, progress=Progress(), jobs=4).line


def _node(what: Image | Node) -> Node:
    return what if isinstance(what, Node) else what.node


def _dump(document: Mapping[str, Any]) -> bytes:
    # With line breaks, as Docker writes its documents: what was fetched must be passed on byte for byte.
    return json.dumps(document, indent=3).encode()


def _as_docker(item: Layer) -> Layer:
    descriptor = item.descriptor.with_(media_type=_DOCKER[item.descriptor.media_type], annotations={})
    return replace(item, blob=replace(item.blob, descriptor=descriptor))


def _member(path: str, content: Content) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.mtime = MTIME
    data = b""
    if isinstance(content, bytes | str):
        content = File(content)
    if isinstance(content, Folder):
        member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, *content
    elif isinstance(content, Link):
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, content.target
    elif isinstance(content, Hardlink):
        member.type, member.mode, member.linkname = tarfile.LNKTYPE, content.mode, content.target
    elif isinstance(content, Device):
        member.type = content.kind
    else:
        data = content.data.encode() if isinstance(content.data, str) else content.data
        member.mode, member.uid, member.gid, member.size = content.mode, content.uid, content.gid, len(data)
        member.pax_headers = dict(content.records)
    return member, data
