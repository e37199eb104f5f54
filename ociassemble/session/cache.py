"""Which places may have the finished layers of one build, and what is recorded for the next (registry-cache.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ociassemble import _pool
from ociassemble.errors import AuthError, Error, UsageError
from ociassemble.layer.build import BuiltLayer, find_layer
from ociassemble.layer.key import layer_key
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.plan.created import rfc3339
from ociassemble.session.inputs import codec_of
from ociassemble.transports.locate import locate

if TYPE_CHECKING:
    from ociassemble.content.blob import Blob
    from ociassemble.content.codec import Codec
    from ociassemble.oci.descriptor import Descriptor
    from ociassemble.oci.platform import Platform
    from ociassemble.plan.lock import Lock
    from ociassemble.plan.plan import LayerPlan
    from ociassemble.project.settings import Settings
    from ociassemble.session import Session
    from ociassemble.session.request import BuildRequest
    from ociassemble.session.target import Planned, Target
    from ociassemble.transports.cacherepo import CacheRepository
    from ociassemble.transports.layercache import Wanted
    from ociassemble.transports.repository import Repository, Tag


class Caches(NamedTuple):
    """The places that one build may have finished layers of, and those that it brings them to."""

    session: Session
    request: BuildRequest
    settings: Settings

    def elsewhere(
        self, lock: Lock | None, target: Target
    ) -> Callable[[Sequence[LayerPlan]], Sequence[BuiltLayer | None]]:
        """What finds layers the store does not have, by key and codec. Raises `UsageError` for what is no place."""
        session = self.session
        self._froms()  # also where nothing will be looked for
        if self.settings.cache_repo:
            cache_reference(self.settings.cache_repo)

        def find(plans: Sequence[LayerPlan]) -> Sequence[BuiltLayer | None]:
            asking = self._asking
            tags = self._tags()
            locked = lock.platforms[str(target.plan.platform)] if lock is not None else None
            if locked is None and not tags and not (asking and self.settings.cache_repo):
                return [None] * len(plans)
            from ociassemble.transports.layercache import LayerCache, Wanted

            def wanted(plan: LayerPlan) -> Wanted | None:
                key = layer_key(plan)
                found = locked.layer(key) if locked is not None else None
                if plan.role == "application":
                    return None  # its files are at hand
                if locked is not None and found is None and locked.base is not None:
                    return None  # where there is a lock, nobody else says what is in an image
                return Wanted(plan.title, key, self._codec(plan), found)

            def known(digest: Digest) -> Iterator[Repository]:
                for host in dict.fromkeys(reference.host for reference in self._pushed()) if asking else ():
                    for name in session.locations.of(digest, host):
                        with suppress(Error):
                            yield session.repository(Reference.parse(f"{host}/{name}"))

            cache = LayerCache(
                tags=tags,
                known=known,
                records=self._records() if asking else None,
                store=session.store,
                distrusted=session.distrusted,
                broken=session.broken,
                progress=session.progress,
                jobs=session.transfers,
            )
            asked = [wanted(plan) for plan in plans]
            found = iter(cache.find([item for item in asked if item is not None], target.plan.platform))
            return [None if item is None else next(found) for item in asked]

        return find

    def base_layers(self) -> Callable[[Descriptor, Platform], Blob | None]:
        """What finds the layers of a locked base in the images that are replaced, or that `--cache-from` names.

        The lock says which bytes are wanted; a place that fails is passed over, and told when layers are looked for.
        """
        tags = self._tags() if self.request.use_cache else []
        broken: list[Tag] = []

        def find(wanted: Descriptor, platform: Platform) -> Blob | None:
            for tag in tags:
                try:
                    manifest = tag.manifest(platform) if tag not in broken else None
                except Error:
                    broken.append(tag)
                    continue
                for layer in manifest.layers if manifest is not None else ():
                    if (layer.digest, layer.size) == (wanted.digest, wanted.size) and not layer.urls:
                        return tag.repository.client.blob(tag.repository.reference, layer.bare())
            return None

        return find

    def share(self, plan: Planned) -> str | None:
        """Record the layers of a finished build in `--cache-repo`, where it pushes; what goes wrong is told.

        Returns one of the records that are there now, "" where none is to be: nothing of this build, or we may not
        write there. None: it went wrong, and another build should try.
        """
        session, records = self.session, self._records()
        if records is None or not self.request.push or not self.request.use_cache:
            return ""

        def made_here(layer: LayerPlan, built: BuiltLayer) -> bool:
            # What the lock of one application calls so is not for others to believe.
            found = find_layer(layer, self._codec(layer), session.store)
            return found is not None and found.layer.descriptor == built.layer.descriptor

        layers = {
            (layer_key(layer), built.codec): (layer, built)
            for target in plan.targets
            for layer, built in zip(target.plan.layers, target.layers, strict=True)
            if layer.role != "application" and built.origin in ("built", "store") and made_here(layer, built)
        }
        created = rfc3339(int(time.time()))

        def keep(item: tuple[LayerPlan, BuiltLayer]) -> bool:
            layer, built = item
            return records.keep(layer_key(layer), self._codec(layer), built.layer, session.store, created)

        try:
            written = sum(_pool.each(keep, layers.values(), jobs=session.transfers))
        except Error as error:
            session.progress.warn(f"layers could not be recorded in `{records.name}`: {error}")
            return "" if isinstance(error, AuthError) else None
        if written:
            session.progress.info(f"{written} finished layer{'' if written == 1 else 's'} recorded in `{records.name}`")
        names = [records.name_of(layer_key(layer), self._codec(layer)) for layer, _ in layers.values()]
        return min(names, default="")

    def offers(self) -> Callable[[BuiltLayer], None]:
        """What begins to bring a finished layer to the registries of a build."""
        destinations = [self.session.pushed(reference) for reference in self._pushed()]

        def offer(built: BuiltLayer) -> None:
            for destination in destinations:
                destination.offer(built.layer.blob)

        return offer

    # --- which ---

    @property
    def _asking(self) -> bool:
        """Whether registries may be asked for layers, and are believed."""
        return self.request.believe and not self.session.options.offline

    def _tags(self) -> list[Tag]:
        """The images that are replaced, and those of `--cache-from`."""
        if not self._asking:
            return []
        from ociassemble.transports.repository import Tag

        session = self.session
        return [
            *(session.pushed(reference).tag for reference in self._pushed()),
            *(Tag(session.repository(item), item, session.store, ours=False) for item in self._froms()),
        ]

    def _froms(self) -> tuple[Reference, ...]:
        return _references(self.settings.cache_from, "--cache-from")

    def _pushed(self) -> tuple[Reference, ...]:
        return tuple(dict.fromkeys(_references(self.request.tags, "-t"))) if self.request.push else ()

    def _records(self) -> CacheRepository | None:
        if not self.settings.cache_repo:
            return None
        return self.session.records(cache_reference(self.settings.cache_repo))

    def _codec(self, layer: LayerPlan) -> Codec:
        return codec_of(self.settings, layer.role)


def cache_reference(text: str, option: str = "--cache-repo") -> Reference:
    """The repository that `option` names: no tag, no digest."""
    (reference,) = _references((text,), option)
    if reference.digest is not None or ":" in text.rpartition("/")[2]:
        raise UsageError(
            f"`{option} {text}` has a tag or a digest: it is a repository", hint=f"write `{reference.name}`"
        )
    return reference


def _references(texts: Sequence[str], option: str) -> tuple[Reference, ...]:
    found = []
    for text in texts:
        place = locate(text)
        if place.transport != "registry" or place.reference is None:
            if option == "-t":
                continue
            raise UsageError(f"`{option} {text}` is no image of a registry", hint="write `HOST/REPOSITORY`")
        found.append(place.reference)
    return tuple(found)
