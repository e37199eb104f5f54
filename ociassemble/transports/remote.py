"""Registries as places. Documents are kept in the store by digest; a tag is asked for once a run, and remembered.

The store answers a digest at any time. It answers a tag only where the user said so (`--offline`, `--pull missing`
or `never`), with what the tag was when it was last asked for.
"""

from __future__ import annotations

from collections.abc import Collection

from ociassemble import _pool
from ociassemble.content.blob import Blob
from ociassemble.content.memory import MemoryStore
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
from ociassemble.registry.errors import ContentMissingError
from ociassemble.registry.locations import Locations
from ociassemble.transports.repository import Repository, Tag


class NotKeptError(OfflineError):
    """A tag that may not be asked for, and that the store does not remember."""

    code = "offline.tag"


_TAGS = "tags"  # the store's records: by a reference with a tag, the digest it had


def remember(store: Store, reference: Reference, digest: Digest) -> None:
    """Keep what a tag was when it was asked for, for when it may not be asked."""
    store.put_record(_TAGS, _tag_key(reference), str(digest).encode())


def _tag_key(reference: Reference) -> str:
    return Digest.of(str(reference).encode()).hex


class RemoteSource:
    """One image of a registry. `pull` is "always", "missing" or "never".

    That the repository has what it was asked for is noted in `locations`.
    """

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        store: Store,
        *,
        pull: str,
        locations: Locations | None = None,
    ) -> None:
        self._client = client
        self._locations = locations
        self._asked = False
        self._reference = reference
        self._store = store
        self._pull = pull
        self.name = str(reference)

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        descriptor, raw = self._root()
        node = read_node(descriptor, raw, self._document, self._blob, wanted=wanted)
        if self._asked and self._locations is not None:
            self._locations.all_seen(_blobs(node), self._reference.host, self._reference.repository)
        return node

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
            remember(self._store, self._reference, descriptor.digest)
        return descriptor, raw

    def _remembered(self) -> Digest | None:
        raw = self._store.record(_TAGS, _tag_key(self._reference))
        try:
            return None if raw is None else Digest(raw.decode("ascii", "replace"))
        except Error:
            return None

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
        self._asked = True
        ingest_all(self._store, (raw,), descriptor.digest)


class RemoteDestination:
    """One tag of a registry's repository, looked at before anything is sent (specs/behaviour/registry-cache.md).

    With a `store` the documents that were pushed are kept: the next run knows by them what the repository has.
    `repository` is shared by all tags of one; without `background` nothing is sent before the end.
    """

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        store: Store | None = None,
        *,
        repository: Repository | None = None,
        background: _pool.Background | None = None,
    ) -> None:
        self._client = client
        self._reference = reference
        self._store: Store = MemoryStore() if store is None else store
        self._background = background
        self._node: Node | None = None
        self.repository = repository or Repository(client, reference)
        self.tag = self._unseen()
        self.name = str(reference)

    def offer(self, blob: Blob) -> None:
        if self._background is not None:
            self._background.begin(lambda: self._early(blob))

    def expect(self, node: Node) -> None:
        self._node = node
        self.tag.learn()
        root = self.tag.root()
        if root is not None and root.digest == node.descriptor.digest:
            self.repository.contains([part.descriptor.digest for part in node.walk()], _blobs(node))

    def _early(self, blob: Blob) -> None:
        self.tag.learn()
        self.repository.put(blob, early=True)

    def put_blob(self, blob: Blob) -> str:
        self.tag.learn()
        return self.repository.put(blob)

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        # The outermost document is put by its tag alone.
        if self._node is not None and descriptor.digest == self._node.descriptor.digest:
            return
        if not self.repository.has_document(descriptor.digest):
            self._put(descriptor, raw, str(descriptor.digest))

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        root = self.tag.root()
        if root is None or root.digest != descriptor.digest:
            self._put(descriptor, raw, "")
        for part in self._node.walk() if self._node is not None else ():
            ingest_all(self._store, (part.raw,), part.descriptor.digest)
        self.tag = self._unseen()

    def withdraw(self) -> None:
        # What no name points at, the registry forgets.
        if self._background is not None:
            self._background.drop()

    def result(self, descriptor: Descriptor) -> str:
        return f"{self._reference.name}@{descriptor.digest}"

    def _unseen(self) -> Tag:
        return Tag(self.repository, self._reference, self._store, ours=True)

    def _put(self, descriptor: Descriptor, raw: bytes, target: str) -> None:
        assumed = self.repository.assumed
        try:
            self._client.put_manifest(self._reference, raw, descriptor.media_type, target, patient=not assumed)
        except ContentMissingError:
            if not assumed or self._node is None:
                raise
            # What a tag reached is gone (a registry that was tidied, or lost something): ask for each blob.
            self.repository.forget()
            for part in self._node.walk():
                for blob in part.blobs:
                    self.repository.put(blob)
                if part.descriptor.digest != descriptor.digest and part is not self._node:
                    own = part.descriptor
                    self._client.put_manifest(self._reference, part.raw, own.media_type, str(own.digest))
            self._client.put_manifest(self._reference, raw, descriptor.media_type, target)


def _blobs(node: Node) -> list[Digest]:
    """What a repository with these documents has, as well."""
    return [blob.descriptor.digest for part in node.walk() for blob in part.blobs if not blob.descriptor.urls]
