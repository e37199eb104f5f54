"""Finding finished layers in registries, without building them (specs/behaviour/registry-cache.md).

What a lock says of a layer decides alone: a registry is only asked whether it has that blob. Without a lock a manifest
is believed where it names key and codec of the wanted layer; only manifests at names that the user gave are read. A
place that fails is told and passed over; it never fails a build. Bytes are read when somebody needs them, through the
store; what then turns out wrong is forgotten for the rest of the run, and the layer is built.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from ociassemble import _pool
from ociassemble.content.blob import Blob
from ociassemble.content.codec import Codec
from ociassemble.content.compress import open_reader
from ociassemble.content.store import BlobMissingError, Store
from ociassemble.content.verify import blocks
from ociassemble.errors import Error, FormatError, IntegrityError, UnreachableError
from ociassemble.image.image import Layer
from ociassemble.layer.build import BuiltLayer, layer_descriptor
from ociassemble.layer.told import ToldLayer
from ociassemble.net.download import fetch_blob
from ociassemble.oci._wire import MAX_DOCUMENT
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked import LockedLayer
from ociassemble.progress import Progress
from ociassemble.transports.repository import Repository, Tag

if TYPE_CHECKING:
    from ociassemble.transports.cacherepo import CacheRepository, Record

T = TypeVar("T")


class Wanted(NamedTuple):
    """A layer that is looked for. `locked` is what the lock says of its key: then nothing else is believed."""

    title: str
    key: Digest
    codec: Codec
    locked: LockedLayer | None = None

    @property
    def descriptor(self) -> Descriptor | None:
        """The locked layer's, where its codec is ours."""
        if self.locked is None or self.locked.codec != self.codec.identity:
            return None
        return layer_descriptor(self.key, self.codec, self.locked.digest, self.locked.size)


class LayerCache:
    """Where finished layers may be: `tags` in their order, then places `known` to have a blob, then `records`.

    `distrusted` and `broken` outlive this object: digests of layers that were found before and were not what they
    seemed; names of places, and hosts, that were told to be of no use.
    """

    def __init__(
        self,
        *,
        tags: Sequence[Tag],
        known: Callable[[Digest], Iterable[Repository]],
        records: CacheRepository | None,
        store: Store,
        distrusted: set[Digest],
        broken: set[str],
        progress: Progress,
        jobs: int,
    ) -> None:
        self._tags = tuple(tags)
        self._known = known
        self._records = records
        self._store = store
        self._distrusted = distrusted
        self._progress = progress
        self._jobs = jobs
        self._broken = broken
        self._lock = threading.Lock()

    def find(self, wanted: Sequence[Wanted], platform: Platform) -> list[BuiltLayer | None]:
        """The layers that are somewhere, None for those that must be built; in the order of `wanted`."""
        if not wanted:
            return []
        seen = [
            (tag, manifest)
            for tag in self._tags
            if (manifest := self._ask(tag.name, lambda tag=tag: tag.manifest(platform))) is not None  # type: ignore[misc]
        ]
        for tag in self._tags:
            if tag.ours or self._is_broken(tag.name) or any(tag is found for found, _ in seen):
                continue
            if tag.absent:
                self._broken.add(tag.name)
                self._progress.warn(f"`{tag.name}` does not exist: it is of no use as a cache")
            else:
                self._progress.info(f"`{tag.name}` is no image for {platform}: no layer is taken from there")

        def one(item: Wanted) -> BuiltLayer | None:
            return self._locked(item, seen) if item.locked is not None else self._believed(item, seen)

        found = _pool.each(one, wanted, jobs=self._jobs)
        self._tell(found)
        return found

    # --- with a lock ---

    def _locked(self, item: Wanted, seen: Sequence[tuple[Tag, Manifest]]) -> BuiltLayer | None:
        descriptor = item.descriptor
        if descriptor is None or descriptor.digest in self._distrusted or item.locked is None:
            return None
        diff_id = item.locked.diff_id
        if self._store.size(descriptor.digest) == descriptor.size:
            return self._layer(item, descriptor, diff_id, None)
        for tag, manifest in seen:
            if self._agrees(item, descriptor, tag, manifest):
                return self._layer(item, descriptor, diff_id, tag.repository)
        for repository in (*(tag.repository for tag in self._tags), *self._known(descriptor.digest)):
            if self._has(repository, descriptor):
                return self._layer(item, descriptor, diff_id, repository)
        records, record = self._records, self._record(item)
        if records is None or record is None:
            return None
        if (record.descriptor.digest, record.descriptor.size, record.diff_id) != (*_identity(descriptor), diff_id):
            self._differs(records.name, item)
            return None
        return self._layer(item, descriptor, diff_id, records.repository)

    def _agrees(self, item: Wanted, descriptor: Descriptor, tag: Tag, manifest: Manifest) -> bool:
        """Whether the manifest has the locked layer; one that calls another layer by its key is told."""
        there = [layer for layer in manifest.layers if layer.digest == descriptor.digest]
        if there:
            if all(layer.size == descriptor.size and layer.media_type == descriptor.media_type for layer in there):
                return True
            self._differs(tag.name, item)
        elif any(_is(item, layer) for layer in manifest.layers):
            self._differs(tag.name, item)
        return False

    # --- without ---

    def _believed(self, item: Wanted, seen: Sequence[tuple[Tag, Manifest]]) -> BuiltLayer | None:
        for tag, manifest in seen:
            for number, layer in enumerate(manifest.layers):
                if not _is(item, layer) or layer.digest in self._distrusted:
                    continue
                diff_ids = self._ask(tag.name, lambda tag=tag, manifest=manifest: _diff_ids(tag, manifest))  # type: ignore[misc]
                if diff_ids is not None and self._usable(tag.name, tag.repository, item, layer):
                    return self._layer(item, layer, diff_ids[number], tag.repository)
        records, record = self._records, self._record(item)
        if records is None or record is None or record.descriptor.digest in self._distrusted:
            return None
        if not self._usable(records.name, records.repository, item, record.descriptor):
            return None
        return self._layer(item, record.descriptor, record.diff_id, records.repository, record.contents)

    def _usable(self, name: str, repository: Repository, item: Wanted, layer: Descriptor) -> bool:
        """Whether a layer that somebody calls the wanted one is of its type, and there in its size."""
        if layer.media_type != item.codec.media_type or layer.urls:
            self._miss(name, item, f"is of the type {layer.media_type:.80}")
        elif self._has(repository, layer, sure=True):
            return True
        elif not self._is_broken(repository.name):
            self._miss(name, item, "is not there any more, or of another size")
        return False

    def _record(self, item: Wanted) -> Record | None:
        records = self._records
        if records is None:
            return None
        return self._ask(records.name, lambda: records.find(item.key, item.codec))

    # --- what was found ---

    def _layer(
        self,
        item: Wanted,
        there: Descriptor,
        diff_id: Digest,
        repository: Repository | None,
        contents: Callable[[], bytes | None] | None = None,
    ) -> BuiltLayer:
        descriptor = layer_descriptor(item.key, item.codec, *_identity(there))
        if repository is None:
            blob = Blob(descriptor=descriptor, source=lambda: self._store.open(descriptor.digest))
            return BuiltLayer(Layer(blob=blob, diff_id=diff_id), item.codec.identity, "store")
        checked = threading.Event()
        if item.locked is not None:
            checked.set()  # it is the lock that says which tar is in it

        def source() -> BinaryIO:
            if self._store.size(descriptor.digest) != descriptor.size or not checked.is_set():
                self._bring(item, descriptor, repository, None if checked.is_set() else diff_id)
                checked.set()
            return self._store.open(descriptor.digest)

        blob = Blob(descriptor=descriptor, source=source, repository=repository.name)
        if contents is not None:
            told = ToldLayer(blob=blob, diff_id=diff_id, told=cache(lambda: self._ask(repository.name, contents)))
            return BuiltLayer(told, item.codec.identity, repository.name)
        return BuiltLayer(Layer(blob=blob, diff_id=diff_id), item.codec.identity, repository.name)

    def _bring(self, item: Wanted, descriptor: Descriptor, repository: Repository, diff_id: Digest | None) -> None:
        """Put the bytes into the store. What cannot be had, or is not what it was called, is not believed again."""
        try:
            if self._store.size(descriptor.digest) != descriptor.size:
                self._download(item, descriptor, repository)
            if diff_id is not None:
                self._check(descriptor, diff_id, item)
        except Error as error:
            self._distrusted.add(descriptor.digest)
            self._progress.warn(f"`{item.title}` could not be had from `{repository.name}`: {error}")
            raise BlobMissingError(descriptor.digest) from error

    def _download(self, item: Wanted, descriptor: Descriptor, repository: Repository) -> None:
        remote = repository.client.blob(repository.reference, descriptor.bare())
        with self._progress.task("download", item.title, descriptor.size) as task:
            fetch_blob(remote, self._store, task.advance)

    def _check(self, descriptor: Descriptor, diff_id: Digest, item: Wanted) -> None:
        """Nobody but the place it came from has said which tar is in this layer."""
        hashed = hashlib.sha256()
        with open_reader(self._store.open(descriptor.digest), item.codec.name) as plain:
            for block in blocks(plain):
                hashed.update(block)
        if Digest.from_hex(hashed.hexdigest()) != diff_id:
            raise IntegrityError(f"the tar in the layer {descriptor.digest} is not {diff_id}, as was said there")

    # --- asking ---

    def _has(self, repository: Repository, descriptor: Descriptor, *, sure: bool = False) -> bool:
        return bool(self._ask(repository.name, lambda: repository.has(descriptor, sure=sure)))

    def _ask(self, name: str, question: Callable[[], T]) -> T | None:
        """The answer, None where there is none; what failed once is told, and not asked again."""
        if self._is_broken(name):
            return None
        try:
            return question()
        except Error as error:
            with self._lock:
                first = not self._is_broken(name)
                if isinstance(error, UnreachableError):
                    self._broken.add(_host(name))
                elif not isinstance(error, FormatError):
                    self._broken.add(name)
            if first:
                self._progress.warn(f"`{name}` is of no use as a cache: {error}")
            return None

    def _is_broken(self, name: str) -> bool:
        return name in self._broken or _host(name) in self._broken

    def _differs(self, name: str, item: Wanted) -> None:
        self._progress.warn(f"`{name}` has another layer for `{item.title}` than the lock: it is not used")

    def _miss(self, name: str, item: Wanted, why: str) -> None:
        self._progress.warn(f"the layer for `{item.title}` that `{name}` names {why}: it is not used")

    def _tell(self, found: Sequence[BuiltLayer | None]) -> None:
        places = [item.origin for item in found if item is not None]
        for place in dict.fromkeys(places):
            number = places.count(place)
            where = "in the store" if place == "store" else f"at `{place}`"
            self._progress.info(f"{number} finished layer{'' if number == 1 else 's'} {where}")


def _is(item: Wanted, layer: Descriptor) -> bool:
    """Whether a manifest calls this layer the wanted one."""
    said = layer.annotations
    return said.get(LAYER_KEY) == item.key and said.get(LAYER_CODEC) == item.codec.identity


def _host(name: str) -> str:
    """The host of a place: its tags, repositories and records are out of reach together."""
    return name.partition("/")[0]


def _identity(descriptor: Descriptor) -> tuple[Digest, int]:
    return descriptor.digest, descriptor.size


def _diff_ids(tag: Tag, manifest: Manifest) -> tuple[Digest, ...]:
    """What the config says of the layers, one each."""
    if manifest.config.size > MAX_DOCUMENT:
        raise FormatError(f"the image config is larger than {MAX_DOCUMENT >> 20} MiB")
    found = ImageConfig.parse(tag.blob(manifest.config)).diff_ids
    if len(found) != len(manifest.layers):
        raise FormatError(f"its manifest has {len(manifest.layers)} layers, and its config {len(found)} diff_ids")
    return found
