"""The local image store: names over the blob store, one file a name.

It is where a build's result goes when nobody says otherwise, and what `run`, `push` and `inspect` find by name. Each
file carries its own check: what a damaged one says is nothing, and never another image (specs/behaviour/store.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.partial import put_in_place
from ociassemble.content.place import PRIVATE
from ociassemble.content.sealed import seal, unseal
from ociassemble.content.store import BlobMissingError, ingest_all
from ociassemble.errors import Error, FormatError, IntegrityError, NotFoundError
from ociassemble.image.image import Node, read_node
from ociassemble.net.download import fetch_blob
from ociassemble.oci import _wire
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import describe
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import DEFAULT_TAG, DOCKER_HUB, Reference

_DEPTH = 8  # of indexes in indexes
_SMALL = 1 << 20  # bytes; read in less than a millisecond


class LocalMissingError(NotFoundError):
    """No image of this name in the local store."""

    code = "not-found.local"


class SpoiltNameError(IntegrityError):
    """The file of a local name went bad: which image it was nobody knows."""

    code = "integrity.local-name"


class Named(NamedTuple):
    """A name of the local store: what it points at, and all that is known to belong to it. None: it went bad."""

    name: str
    path: Path
    digest: Digest | None
    parts: frozenset[Digest]  # `digest` among them


class LocalSource:
    """An image of the local store by name, or by digest where the name has one."""

    def __init__(self, store: DirectoryStore, reference: Reference) -> None:
        self._store = store
        self._reference = reference
        self.name = f"local:{reference}"

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        descriptor = self._descriptor()
        return read_node(descriptor, self._document(descriptor), self._document, self._blob, wanted=wanted)

    def _descriptor(self) -> Descriptor:
        digest = self._reference.digest
        if digest is not None and self._store.size(digest) is not None:
            with self._store.open_seekable(digest) as stream:
                return describe(stream.read(_wire.MAX_DOCUMENT + 1), "", f"`{self._reference}`").with_(digest=digest)
        path = _ref_path(self._store, self._reference)
        try:
            found = _read(path)
        except OSError as error:
            raise LocalMissingError(
                f"no image `{self._reference}` in the local store",
                hint=hint_for(self._store, self._reference)
                or "`ociassemble ls` shows what is there; `ociassemble pull` fetches from a registry",
            ) from error
        if digest is not None and found.digest != digest:
            raise LocalMissingError(f"`{self._reference}` is not in the local store; the name is now {found.digest}")
        return found

    def _document(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > _wire.MAX_DOCUMENT:
            raise FormatError(f"the document {descriptor.digest} is larger than {_wire.MAX_DOCUMENT >> 20} MiB")
        with self._store.open(descriptor.digest) as stream:
            return stream.read()

    def _blob(self, descriptor: Descriptor) -> Blob:
        return Blob(descriptor=descriptor, source=lambda: self._store.open(descriptor.digest))


class LocalDestination:
    """A name of the local store, which has to be written to: an image is no memory that could do without it."""

    def __init__(self, store: DirectoryStore, reference: Reference) -> None:
        self._store = store.on_disk()
        self._reference = reference
        self.name = f"local:{reference}"

    def offer(self, blob: Blob) -> None:
        pass  # nothing is far away

    def expect(self, node: Node) -> None:
        pass

    def put_blob(self, blob: Blob) -> str:
        if self._has(blob.descriptor):
            return "exists"
        fetch_blob(blob, self._store)
        return "written"

    def _has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here; a small one is read, so that building an image again heals its config."""
        if self._store.size(descriptor.digest) != descriptor.size:
            return False
        if descriptor.size > _SMALL:
            return True
        try:
            self._store.open_seekable(descriptor.digest).close()
        except BlobMissingError:
            return False
        return True

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        ingest_all(self._store, (raw,), descriptor.digest, descriptor.size)

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        path = _ref_path(self._store, self._reference)
        _files.directory(path.parent, PRIVATE)
        document = seal(path.name, _wire.dump(descriptor.bare().document()))
        with _files.TemporaryFile(self._store.scratch) as temporary:
            temporary.write(document)
            put_in_place(temporary, path, durable=True)

    def withdraw(self) -> None:
        pass  # blobs without a name are what a store is made of

    def result(self, descriptor: Descriptor) -> str:
        return f"{self._reference.name}@{descriptor.digest}"


def names(store: DirectoryStore) -> tuple[tuple[str, Digest], ...]:
    """Every name of the local store with its digest, sorted; not those that went bad."""
    found = []
    for path in _paths(store):
        with contextlib.suppress(Error, OSError):
            found.append((unquote(path.name), _read(path).digest))
    return tuple(found)


def all_named(store: DirectoryStore) -> tuple[Named, ...]:
    """Every name of the local store with what belongs to it, as far as that can be read; sorted."""
    found = []
    for path in _paths(store):
        try:
            digest = _read(path).digest
        except (Error, OSError):
            found.append(Named(unquote(path.name), path, None, frozenset()))
            continue
        parts: set[Digest] = set()
        _reach(store, digest, parts, 0)
        found.append(Named(unquote(path.name), path, digest, frozenset(parts)))
    return tuple(found)


def _reach(store: DirectoryStore, digest: Digest, found: set[Digest], depth: int) -> None:
    """Add `digest` and all that its document names. What is not there, or makes no sense, names nothing."""
    if digest in found or depth > _DEPTH:
        return
    found.add(digest)
    size = store.size(digest)
    if size is None or size > _wire.MAX_DOCUMENT:
        return
    try:
        with store.open_seekable(digest) as stream:
            document = _wire.parse(stream.read(), str(digest))
    except Error:
        return
    for child in _digests(document, "manifests"):
        _reach(store, child, found, depth + 1)
    found.update(_digests({"all": [document.get("config"), document.get("subject")]}, "all"))
    found.update(_digests(document, "layers"))


def _digests(document: Any, key: str) -> Iterator[Digest]:
    listed = document.get(key) if isinstance(document, dict) else None
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            with contextlib.suppress(Error):
                yield Digest(item.get("digest", ""))


def _paths(store: DirectoryStore) -> list[Path]:
    folder = store.root / "refs"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _read(path: Path) -> Descriptor:
    """What the file of a name says. Raises `OSError` where there is none."""
    raw = path.read_bytes() if path.is_file() or not path.exists() else b""
    value = unseal(path.name, raw)
    if value is None:
        raise SpoiltNameError(
            f"the file of the local name `{unquote(path.name)}` had gone bad", hint="build or pull the image again"
        )
    return Descriptor.from_document(_wire.parse(value, f"the local name {path.name}"), "the local name")


def hint_for(store: DirectoryStore, reference: Reference) -> str | None:
    """What to say where `reference` was not found elsewhere, and the store has it or what was probably meant.

    A folder's name (`localhost/web`) and a lone word (`docker.io/library/web`) are easily taken for each other.
    """
    known = [name for name, _ in names(store)]
    if (name := _name(reference)) in known:
        return f"the local store has it: `local:{name}`"
    word = reference.repository.rpartition("/")[2]
    if reference.host == DOCKER_HUB:
        for name in known:
            if name.rpartition("/")[2] == f"{word}:{reference.tag or DEFAULT_TAG}":
                return f"the local store has `local:{name}`"
    return None


def _name(reference: Reference) -> str:
    return str(reference._replace(digest=None))


def _ref_path(store: DirectoryStore, reference: Reference) -> Path:
    return store.root / "refs" / quote(_name(reference), safe="")
