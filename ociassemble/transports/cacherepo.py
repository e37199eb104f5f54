"""A repository of finished layers: one tag a key and codec, for applications to share (CACHE-20 on).

Each tag is an OCI manifest with the layer, and a second blob that says what is in it, so that nobody needs to read the
layer to prove that an image starts. Its annotations repeat key, codec and diff_id. Whoever may write there may write
anything: it is believed by those who name it, and nowhere against a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.codec import Codec
from ociassemble.content.store import Store
from ociassemble.content.writer import CompressingWriter
from ociassemble.errors import FormatError, NotFoundError
from ociassemble.image.contents import VERSION
from ociassemble.image.image import Layer
from ociassemble.layer.contents import contents_record
from ociassemble.oci import mediatype
from ociassemble.oci.annotations import CREATED, LAYER_CODEC, LAYER_DIFF_ID, LAYER_KEY
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.transports.repository import Repository

ARTIFACT = "application/vnd.ociassemble.layer.v1"
CONTENTS = f"application/vnd.ociassemble.layer.contents.v{VERSION}+gzip"
_EMPTY = b"{}"
_LARGEST = 64 << 20  # bytes of what is said about a layer


class Record(NamedTuple):
    """What a tag says of one layer."""

    descriptor: Descriptor
    diff_id: Digest
    created: str  # RFC 3339, "" where it does not say
    contents: Callable[[], bytes | None]  # as `layer.contents` keeps it


class CacheRepository:
    """`--cache-repo`. Thread-safe."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.name = repository.name
        self._lock = threading.Lock()
        self._good: set[str] = set()
        self._known: set[str] = set()  # tags that were read, good or not

    def find(self, key: Digest, codec: Codec) -> Record | None:
        """What is recorded of the layer with this key and codec, by one GET.

        Raises `FormatError` where the record is about something else, or none; and what asking raises.
        """
        tag = tag_of(key, codec)
        with self._lock:
            self._known.add(tag)
        reference = self._tagged(tag)
        try:
            descriptor, raw = self.repository.client.resolve(reference)
        except NotFoundError:
            return None
        if descriptor.media_type != mediatype.OCI_MANIFEST:
            raise FormatError(f"`{reference}` is no record of a layer")
        record = self.read(Manifest.parse(raw, descriptor.media_type), f"`{reference}`", key, codec)
        self.repository.seen((record.descriptor.digest,))
        with self._lock:
            self._good.add(tag)
        return record

    def read(self, manifest: Manifest, what: str, key: Digest, codec: Codec) -> Record:
        """The record that a manifest is, if it is about this key and codec."""
        said = manifest.annotations
        if manifest.artifact_type != ARTIFACT or len(manifest.layers) not in (1, 2):
            raise FormatError(f"{what} is no record of a layer")
        if (said.get(LAYER_KEY), said.get(LAYER_CODEC)) != (key, codec.identity):
            raise FormatError(f"{what} is about another layer")
        layer, *others = manifest.layers
        diff_id = Digest(said.get(LAYER_DIFF_ID, ""))

        def contents() -> bytes | None:
            if not others or others[0].media_type != CONTENTS or others[0].size > _LARGEST:
                return None
            raw = self.repository.client.blob(self.repository.reference, others[0]).read()
            with compress.open_reader(Blob.of(raw, others[0]).open(), "gzip", limit=_LARGEST) as plain:
                return plain.read()

        return Record(layer, diff_id, said.get(CREATED, ""), contents)

    def keep(self, key: Digest, codec: Codec, layer: Layer, store: Store, created: str) -> bool:
        """Record a finished layer, if it is not there; whether it was written. Raises what pushing raises."""
        tag = tag_of(key, codec)
        reference = self._tagged(tag)
        if tag in self._good or (tag not in self._known and self.repository.client.pushed(reference) is not None):
            return False
        blobs = [layer.blob]
        if (raw := contents_record(layer, store)) is not None:
            packed = _gzip(raw)
            blobs.append(Blob.of(packed, Descriptor(media_type=CONTENTS, digest=Digest.of(packed), size=len(packed))))
        config = Descriptor(media_type=mediatype.OCI_EMPTY, digest=Digest.of(_EMPTY), size=len(_EMPTY))
        for blob in (Blob.of(_EMPTY, config), *blobs):
            self.repository.put(blob)
        said = {LAYER_KEY: str(key), LAYER_CODEC: codec.identity, LAYER_DIFF_ID: str(layer.diff_id), CREATED: created}
        manifest = Manifest.create(
            config=config,
            layers=[blob.descriptor for blob in blobs],
            annotations=said,
            artifact_type=ARTIFACT,
        )
        self.repository.client.put_manifest(reference, manifest.raw, manifest.media_type)
        with self._lock:
            self._good.add(tag)
        return True

    def name_of(self, key: Digest, codec: Codec) -> str:
        """The name of the record with this key and codec."""
        return str(self._tagged(tag_of(key, codec)))

    def _tagged(self, tag: str) -> Reference:
        return self.repository.reference.with_tag(tag)


def tag_of(key: Digest, codec: Codec) -> str:
    """The tag of a layer: its key, and which codec in short."""
    return f"{key.hex}.{Digest.of(codec.identity.encode()).short}"


def _gzip(data: bytes) -> bytes:
    """The same bytes for the same data, as in layers."""
    found: list[bytes] = []
    with CompressingWriter(found.append, compress.codec("gzip"), cores=Cores(1)) as writer:
        writer.write(data)
        writer.finish()
    return b"".join(found)
