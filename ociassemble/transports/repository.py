"""A registry's repository and its tags, as far as this run knows them: what is known is not asked for again.

A manifest that a tag points at proves that its blobs are there: registries keep what a tag reaches. That is taken on
trust when pushing; a registry that then misses something says so, and all is asked after all (CACHE-8).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from contextlib import suppress

from ociassemble.content.blob import Blob
from ociassemble.content.store import Store, ingest_all
from ociassemble.errors import Error, NotFoundError
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import describe
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.locations import Locations


class Repository:
    """Which blobs and manifests a repository has. Thread-safe; each blob is asked for and sent once.

    What its registry shows of it is noted in `locations` as well, for other repositories and other runs.
    """

    def __init__(self, client: RegistryClient, reference: Reference, locations: Locations | None = None) -> None:
        self.client = client
        self.reference = reference
        self._locations = locations
        self.name = reference.name  # "host/repository"
        self._lock = threading.Lock()
        self._busy: dict[Digest, threading.Lock] = {}
        self._contained: set[Digest] = set()  # of manifests that tags point at: not asked for
        self._asked: dict[Digest, bool] = {}
        self._put: dict[Digest, str] = {}

    @property
    def assumed(self) -> bool:
        """Whether something was taken to be there without having asked."""
        return bool(self._contained)

    def contains(self, documents: Collection[Digest], blobs: Collection[Digest]) -> None:
        """These are there: a tag points at the documents, and they name the blobs."""
        with self._lock:
            self._contained.update(documents, blobs)
        self.seen(blobs)

    def seen(self, blobs: Iterable[Digest]) -> None:
        """A manifest of the repository names them, or it was asked: others may have them from here (CACHE-12)."""
        if self._locations is not None:
            self._locations.all_seen(blobs, self.reference.host, self.reference.repository)

    def has_document(self, digest: Digest) -> bool:
        """Whether a manifest or index is known to be there."""
        return digest in self._contained

    def has(self, descriptor: Descriptor, *, sure: bool = False) -> bool:
        """Whether the blob is there, by one HEAD at most; `sure`: ask even where a tag's manifest names it.

        Raises where it is not to be found out.
        """
        digest = descriptor.digest
        with self._guard(digest):
            if digest in self._put or (digest in self._contained and not sure):
                return True
            if digest not in self._asked:
                self._asked[digest] = self.client.blob_exists(self.reference, descriptor)
                if self._asked[digest]:
                    self.seen((digest,))
            return self._asked[digest]

    def put(self, blob: Blob, *, early: bool = False) -> str:
        """Make the blob be there: "exists", "mounted" or "uploaded"; what was done `early` is told by the next call."""
        digest = blob.descriptor.digest
        with self._guard(digest):
            if digest not in self._put:
                there = self._asked.get(digest)
                if digest in self._contained or there:
                    self._put[digest] = "exists"
                else:
                    self._put[digest] = self.client.push_blob(self.reference, blob, absent=there is False)
            done = self._put[digest]
            if not early:
                self._put[digest] = "exists"
            return done

    def forget(self) -> None:
        """What was believed turned out wrong: from now on the registry is asked for everything."""
        with self._lock:
            self._contained.clear()
            self._asked.clear()
            self._put.clear()

    def _guard(self, digest: Digest) -> threading.Lock:
        with self._lock:
            return self._busy.setdefault(digest, threading.Lock())


class Tag:
    """A tag of a repository, looked at once. With `ours` it is one that is pushed to: no mirror answers for it."""

    def __init__(self, repository: Repository, reference: Reference, store: Store, *, ours: bool) -> None:
        self.repository = repository
        self.name = str(reference)
        self.ours = ours
        self._reference = reference
        self._store = store
        self._lock = threading.Lock()
        self._root: tuple[Descriptor | None] | None = None
        self._learnt = False
        self._read: dict[Digest, bytes] = {}

    def root(self) -> Descriptor | None:
        """What the tag points at, as the registry says; None where there is nothing."""
        with self._lock:
            if self._root is None:
                self._root = (self._look(),)
            return self._root[0]

    @property
    def absent(self) -> bool:
        """Whether its registry was asked, and has no such tag."""
        return self._root == (None,)

    def learn(self) -> None:
        """The repository has what the tag reaches, as far as documents that the store has tell: one HEAD, once."""
        root = self.root()
        with self._lock:
            if root is not None and not self._learnt:
                documents: set[Digest] = set()
                blobs: set[Digest] = set()
                self._below(root, documents, blobs, 0)
                self.repository.contains(documents, blobs)
            self._learnt = True

    def manifest(self, platform: Platform) -> Manifest | None:
        """The manifest of the tag's image for a platform; its documents are fetched, verified and kept.

        None: there is no tag, or no image for this platform. Raises what reading may raise.
        """
        root = self.root()
        if root is None:
            return None
        raw = self._document(root)
        if root.media_type not in mediatype.INDEXES:
            return self._parsed(raw, root)
        for child in Index.parse(raw, root.media_type).manifests:
            if child.platform is not None and child.platform.matches(platform) and not _is_index(child):
                return self._parsed(self._document(child), child)
        return None

    def blob(self, descriptor: Descriptor) -> bytes:
        """A small blob of the tag's image, verified; read once."""
        with self._lock:
            if descriptor.digest not in self._read:
                self._read[descriptor.digest] = self.repository.client.blob(self._reference, descriptor).read()
            return self._read[descriptor.digest]

    def _look(self) -> Descriptor | None:
        client = self.repository.client
        if self.ours:
            return client.pushed(self._reference)
        try:
            descriptor, raw = client.resolve(self._reference)
        except NotFoundError:
            return None
        ingest_all(self._store, (raw,), descriptor.digest)
        return descriptor

    def _document(self, descriptor: Descriptor) -> bytes:
        raw = self._kept(descriptor)
        if raw is None:
            raw = self.repository.client.manifest(self._reference, descriptor)
            ingest_all(self._store, (raw,), descriptor.digest)
        return raw

    def _kept(self, descriptor: Descriptor) -> bytes | None:
        size = self._store.size(descriptor.digest)
        if size is None or size != descriptor.size or size > _wire.MAX_DOCUMENT:
            return None
        try:
            with self._store.open_seekable(descriptor.digest) as stream:
                return stream.read()
        except NotFoundError:
            return None

    def _parsed(self, raw: bytes, descriptor: Descriptor) -> Manifest:
        manifest = Manifest.parse(raw, descriptor.media_type)
        self.repository.seen(_blobs(manifest))
        return manifest

    def _below(self, descriptor: Descriptor, documents: set[Digest], blobs: set[Digest], depth: int) -> None:
        """Add what a document reaches, itself included, as far as the store has the documents."""
        documents.add(descriptor.digest)
        raw = self._kept(descriptor)
        if raw is None or depth > 4:
            return
        with suppress(Error):
            if describe(raw, descriptor.media_type, f"`{self.name}`").media_type in mediatype.INDEXES:
                for child in Index.parse(raw, descriptor.media_type).manifests:
                    self._below(child, documents, blobs, depth + 1)
            else:
                blobs.update(_blobs(Manifest.parse(raw, descriptor.media_type)))


def _blobs(manifest: Manifest) -> list[Digest]:
    """What a repository with this manifest has, as well."""
    return [part.digest for part in (manifest.config, *manifest.layers) if not part.urls]


def _is_index(descriptor: Descriptor) -> bool:
    return descriptor.media_type in mediatype.INDEXES
