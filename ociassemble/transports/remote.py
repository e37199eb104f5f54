"""Registries as places. Documents are kept in the store by digest; a tag is asked for once a run, and remembered.

The store answers a digest at any time. It answers a tag only where the user said so (`--offline`, `--pull missing`
or `never`), with what the tag was when it was last asked for.
"""

from __future__ import annotations

from collections.abc import Collection

from ociassemble.content.blob import Blob
from ociassemble.content.store import Store, ingest_all
from ociassemble.errors import Error, NotFoundError, OfflineError
from ociassemble.image.image import Node, read_node
from ociassemble.oci import _wire
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import describe
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient


class NotKeptError(OfflineError):
    """A tag that may not be asked for, and that the store does not remember."""

    code = "offline.tag"


class RemoteSource:
    """One image of a registry. `pull` is "always", "missing" or "never"."""

    def __init__(self, client: RegistryClient, reference: Reference, store: Store, *, pull: str) -> None:
        self._client = client
        self._reference = reference
        self._store = store
        self._pull = pull
        self.name = str(reference)

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        descriptor, raw = self._root()
        return read_node(descriptor, raw, self._document, self._blob, wanted=wanted)

    def _root(self) -> tuple[Descriptor, bytes]:
        digest = self._reference.digest
        if digest is None and self._pull != "always":
            digest = self._remembered()
        if digest is not None:
            raw = self._kept(digest)
            if raw is not None:
                return describe(raw, "", f"`{self.name}`"), raw
        if self._pull == "never" and self._reference.digest is None:
            raise NotKeptError(
                f"`{self._reference}` is not in the store, and may not be asked for",
                hint="run once without `--offline` (or `--pull never`), or name the image by digest",
            )
        descriptor, raw = self._client.resolve(self._reference)
        self._keep(descriptor, raw)
        if self._reference.digest is None:
            self._store.put_record("tags", self._key(), str(descriptor.digest).encode())
        return descriptor, raw

    def _remembered(self) -> Digest | None:
        raw = self._store.record("tags", self._key())
        try:
            return None if raw is None else Digest(raw.decode("ascii", "replace"))
        except Error:
            return None

    def _key(self) -> str:
        return Digest.of(str(self._reference).encode()).hex

    def _document(self, descriptor: Descriptor) -> bytes:
        raw = self._kept(descriptor.digest)
        if raw is None:
            raw = self._client.manifest(self._reference, descriptor)
            self._keep(descriptor, raw)
        return raw

    def _blob(self, descriptor: Descriptor) -> Blob:
        remote = self._client.blob(self._reference, descriptor)
        if self._store.size(descriptor.digest) != descriptor.size:
            return remote
        return Blob(
            descriptor=descriptor, source=lambda: self._store.open(descriptor.digest), repository=remote.repository
        )

    def _kept(self, digest: Digest) -> bytes | None:
        size = self._store.size(digest)
        if size is None or size > _wire.MAX_DOCUMENT:
            return None
        try:
            with self._store.open_seekable(digest) as stream:
                return stream.read()
        except NotFoundError:
            return None

    def _keep(self, descriptor: Descriptor, raw: bytes) -> None:
        ingest_all(self._store, (raw,), descriptor.digest)


class RemoteDestination:
    """One tag of a registry's repository."""

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        self._client = client
        self._reference = reference
        self.name = str(reference)

    def expect(self, node: Node) -> None:
        pass

    def put_blob(self, blob: Blob) -> str:
        return self._client.push_blob(self._reference, blob)

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        self._client.put_manifest(self._reference, raw, descriptor.media_type, str(descriptor.digest))

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        self._client.put_manifest(self._reference, raw, descriptor.media_type)

    def withdraw(self) -> None:
        pass  # what no name points at, the registry forgets

    def result(self, descriptor: Descriptor) -> str:
        return f"{self._reference.name}@{descriptor.digest}"
