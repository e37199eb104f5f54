"""A base's name -> one `BaseImage` a platform, wherever it comes from.

A tag is resolved exactly once; from then on everything is asked for by digest. When a registry cannot be reached at
all, a known distroless name may be assembled from signed Debian packages instead (design 4.10): said aloud,
recorded, and never called by the registry's name. An answer of any kind, be it a TLS error or a 404, is an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from ociassemble.base.names import BaseName
from ociassemble.content.blob import Blob
from ociassemble.content.store import Store
from ociassemble.errors import Error, IntegrityError, OfflineError, PolicyError, UnreachableError
from ociassemble.image.image import (
    Image,
    Node,
    PlatformMissingError,
    open_image,
    platform_missing,
    platforms_within,
    select_platform,
)
from ociassemble.net.url import is_loopback, origin
from ociassemble.oci import annotations as keys
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.layout import VERSION
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.locked_base import DebianBase, DebianPackage, RegistryBase
from ociassemble.progress import Progress
from ociassemble.transports.protocols import Source

if TYPE_CHECKING:
    from ociassemble.plan.release import Release


class FallbackError(PolicyError):
    """A base that stands in for an unreachable one, on its way to a registry that others read."""

    code = "policy.fallback"


class AssembledDiffersError(IntegrityError):
    """A base made of the locked packages is not the one the lock recorded."""

    code = "integrity.assembled-base"


class NoRecipeError(PolicyError):
    """`--base-source debian` for a base that no recipe describes."""

    code = "policy.no-recipe"


class BaseImage(NamedTuple):
    """A base for one platform: the image, and what is known about it.

    `source` is "registry", "oci", "local" or "debian"; `packages` and `releases` are those of an assembled base;
    `fell_back` says that the registry could not be reached and nobody had asked for Debian.
    """

    name: BaseName
    source: str
    image: Image
    facts: BaseFacts
    packages: tuple[DebianPackage, ...] = ()
    releases: tuple[Release, ...] = ()
    fell_back: bool = False
    asked: Digest | None = None  # what its name was when it was asked for; None where the lock or packages decide

    @property
    def recipe(self) -> str:
        """The recipe and variant of an assembled base, as the lock names it."""
        return f"{self.name.recipe}:{self.name.variant}" if self.source == "debian" else ""

    def annotations(self) -> dict[str, str]:
        """What the result's manifest says of its base (annotations.md). An assembled one has no registry's name."""
        said = {keys.BASE_DIGEST: str(self.image.digest)}
        if self.source == "debian":
            said[keys.BASE_SOURCE] = "debian"
        elif self.source == "registry":
            said[keys.BASE_NAME] = self.name.expanded
        return said


class Assembled(NamedTuple):
    """A base made from packages and upstream releases, and which."""

    image: Image
    packages: tuple[DebianPackage, ...]
    releases: tuple[Release, ...] = ()


class Assemble(Protocol):
    """What makes bases from packages."""

    def __call__(
        self, name: BaseName, platforms: Sequence[Platform], pinned: Mapping[str, DebianBase], /
    ) -> tuple[Assembled, ...]:
        """One base a platform; `pinned` is what the lock has of it, by platform."""

    def platforms(self, name: BaseName, /) -> tuple[Platform, ...]:
        """Every platform it can be made for."""


Pin = RegistryBase | DebianBase


class Resolver(NamedTuple):
    """What resolving needs: how to open a source (by name, or at a digest), how to assemble, where blobs are kept.

    `pins` are the lock's, by platform; what is pinned is never asked for by tag. `known` is what the lock knows of
    them, which spares reading their layers (LOCK-21).
    """

    open: Callable[[BaseName, Digest | None], Source]
    assembler: Callable[[], Assemble]  # asked only where a base is assembled
    pins: Mapping[str, Pin]
    store: Store
    progress: Progress
    jobs: int
    known: Mapping[str, LockedFacts] = MappingProxyType({})

    def resolve(self, name: BaseName, platforms: Sequence[Platform], base_source: str) -> tuple[BaseImage, ...]:
        """The base for each platform. `base_source` is "auto", "registry" or "debian"."""
        pins = [self.pins.get(str(platform)) for platform in platforms]
        if pins and isinstance(pins[0], RegistryBase):
            name = name.on_line(pins[0].repository)
        pinned = all(isinstance(pin, RegistryBase) for pin in pins)
        assembled = not pinned and (base_source == "debian" or all(isinstance(pin, DebianBase) for pin in pins))
        self.progress.info(f"base image: {name.written}{self._how(name, all(pins), assembled)}")
        if pinned:
            return tuple(self._pinned(name, platform) for platform in platforms)
        if assembled:
            return self._debian(name, platforms, fell_back=False)
        try:
            node = self.open(name, None).read(platforms)
        except (UnreachableError, OfflineError) as error:
            if base_source != "auto" or not name.recipe:
                raise _hinted(error, name) from None
            text = (
                f"{error}; assembling `{name.written}` from signed Debian packages instead "
                "(`--base-source debian` does so without asking the registry)"
            )
            offline = isinstance(error, OfflineError)
            if not offline:
                self.progress.warn(text)
            made = self._debian(name, platforms, fell_back=True)
            if offline:  # only where all that it takes is here
                self.progress.warn(text)
            return made
        asked = node.descriptor.digest
        return tuple(self._image(name, node, platform)._replace(asked=asked) for platform in platforms)

    def platforms(self, name: BaseName, base_source: str) -> tuple[Platform, ...]:
        """Every platform of the base that can be built upon, sorted; for an index that is one read of it."""
        if base_source == "debian":
            _require_recipe(name)
            return self.assembler().platforms(name)
        try:
            node = self.open(name, None).read()
        except (UnreachableError, OfflineError) as error:
            if base_source != "auto" or not name.recipe:
                raise _hinted(error, name) from None
            return self.assembler().platforms(name)  # as `resolve` falls back, and says so
        found = platforms_within(kept(node, self.store))
        others = sorted({str(item) for item in found if item.os != "linux"})
        if others:
            self.progress.info(f"`{name.written}` is left alone for {', '.join(others)}: images are built for linux")
        usable = {str(item): item for item in found if item.os == "linux"}
        if not usable:
            raise PlatformMissingError(
                f"base image `{name.expanded}` has no image for linux", hint="choose another base"
            )
        return tuple(usable[text] for text in sorted(usable))

    def _how(self, name: BaseName, pinned: bool, assembled: bool) -> str:
        """Where a base is from, for people; a lock that says nothing of it leaves it open to what its name is today."""
        registry = f" -> {name.expanded}" if name.expanded != name.written else ""
        place = ", assembled from Debian packages" if assembled and name.recipe else registry
        return place + (" (pinned by the lock)" if pinned else " (open in the lock)" if self.known else "")

    def _pinned(self, name: BaseName, platform: Platform) -> BaseImage:
        digest = self.pins[str(platform)].digest
        return self._image(name, self.open(name, digest).read([platform]), platform)

    def _image(self, name: BaseName, node: Node, platform: Platform) -> BaseImage:
        image = open_image(select_platform(kept(node, self.store), platform, name.expanded, "base image"))
        if not image.platform.matches(platform):
            raise platform_missing(name.expanded, platform, [image.platform], "base image")
        return BaseImage(name=name, source=name.location.transport, image=image, facts=self._facts(name, image))

    def _debian(self, name: BaseName, platforms: Sequence[Platform], *, fell_back: bool) -> tuple[BaseImage, ...]:
        _require_recipe(name)
        pins = {key: pin for key, pin in self.pins.items() if isinstance(pin, DebianBase)}
        made = self.assembler()(name, platforms, pins)
        for platform, item in zip(platforms, made, strict=True):
            if (pin := pins.get(str(platform))) is not None:
                self._as_locked(name, item.image, pin)
        return tuple(
            BaseImage(
                name=name,
                source="debian",
                image=item.image,
                facts=self._facts(name, item.image),
                packages=item.packages,
                releases=item.releases,
                fell_back=fell_back,
            )
            for item in made
        )

    def _as_locked(self, name: BaseName, image: Image, pin: DebianBase) -> None:
        """Hold an assembled base against the lock: the tars must be equal, compressed bytes may differ by codec."""
        if tuple(layer.diff_id for layer in image.layers) != tuple(layer.diff_id for layer in pin.layers):
            raise differs(f"`{name.written}`")
        if image.digest != pin.digest:
            self.progress.warn(f"`{name.written}` has the locked content, but was compressed by another codec")

    def _facts(self, name: BaseName, image: Image) -> BaseFacts:
        pin, known = self.pins.get(str(image.platform)), self.known.get(str(image.platform))
        if pin is not None and known is not None and known.layout is not None and pin.digest == image.digest:
            facts = known.whole(image.platform, image.config) if known.layout.version == VERSION else None
            if facts is not None:
                return facts
        from ociassemble.base.inspect import read_facts

        label = f"{name.written} {image.platform}"
        return read_facts(image, self.store, progress=self.progress, jobs=self.jobs, label=label)


def refuse_fallback(bases: Sequence[BaseImage], pushed: Sequence[Reference]) -> None:
    """Refuse to push what stands on a base nobody asked for, save to a registry on this very machine."""
    shared = [reference for reference in pushed if not is_loopback(origin(f"http://{reference.host}").host)]
    if shared and any(base.fell_back for base in bases):
        raise FallbackError(
            f"`{bases[0].name.expanded}` could not be reached; a base assembled from Debian packages would be "
            f"pushed to `{shared[0].host}` without your having asked for it",
            hint="pass `--base-source debian` if that is what you want, or try again when the registry answers",
        )


def differs(what: str) -> AssembledDiffersError:
    """The error for a base, or a layer of one, that its locked packages do not make."""
    return AssembledDiffersError(
        f"{what} assembled from the locked packages is not what was locked",
        hint="the rules of assembling changed: run `ociassemble lock` and look at what it says",
    )


def _require_recipe(name: BaseName) -> None:
    if not name.recipe:
        raise NoRecipeError(
            f"`{name.written}` cannot be assembled from Debian packages: there is no recipe for it",
            hint="`ociassemble base list` shows which bases have one",
        )


def kept(node: Node, store: Store) -> Node:
    """`node` with blobs that go through the store: fetched once, whoever reads them; the next run needs no network."""
    blobs = tuple(kept_blob(blob, store) for blob in node.blobs)
    return replace(node, blobs=blobs, children=tuple(kept(child, store) for child in node.children))


def kept_blob(blob: Blob, store: Store) -> Blob:
    """`blob`, opened from the store, and put there first if it is not."""
    digest, size = blob.descriptor.digest, blob.descriptor.size

    def source() -> BinaryIO:
        if store.size(digest) != size:
            from ociassemble.net.download import fetch_blob

            fetch_blob(blob, store)
        return store.open(digest)

    return replace(blob, source=source)


def _hinted(error: Error, name: BaseName) -> Error:
    if name.recipe:
        other = "`--base-source debian` assembles this base from signed Debian packages"
        error.hint = f"{error.hint}; {other}" if error.hint else other
    return error
