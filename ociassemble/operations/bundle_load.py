"""`bundle load`: what a bundle has into the store, or into a registry (specs/behaviour/bundle.md, BUNDLE-20 on).

A bundle is read as if a registry that lies had sent it: each blob is hashed on its way in and cut off at the size that
its descriptor states; what nothing names is not looked at; what is missing is told before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ociassemble.base.debian import remembered
from ociassemble.content.blob import Blob
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.verify import digest_of
from ociassemble.errors import Error, IntegrityError, NotFoundError, UsageError
from ociassemble.image.image import Node
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import DEFAULT_TAG, Reference
from ociassemble.operations import bundle_list
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.plan.strict import Invalid
from ociassemble.session import PushOfflineError, Session
from ociassemble.transports import parts
from ociassemble.transports.bundle import (
    COPY_ANEW,
    Bundle,
    BundleArchive,
    BundleFormatError,
    read_bundle,
    understood,
)
from ociassemble.transports.bundle_write import TOOL
from ociassemble.transports.local import LocalDestination
from ociassemble.transports.locate import locate
from ociassemble.transports.protocols import Written
from ociassemble.transports.remote import remember
from ociassemble.transports.transfer import write

PLACES = ("docker://", "oci:", "oci-archive:", "local:")  # a bundle may also be where images are
_SHOWN = 20


class BundleIncompleteError(NotFoundError):
    """A bundle stands upon an older one whose content is not here."""

    code = "not-found.bundle-content"


class BundleDamagedError(IntegrityError):
    """Files of a bundle have other bytes than the bundle says."""

    code = "integrity.bundle-content"


class Opened(NamedTuple):
    """A bundle whose documents were verified, blobs closed; its archive, None for one that is where images are."""

    bundle: Bundle
    archive: BundleArchive | None

    @property
    def lacks(self) -> frozenset[Digest]:
        """The blobs that it names and does not have."""
        return self.archive.lacks(self.bundle) if self.archive is not None else frozenset()

    @property
    def not_here(self) -> frozenset[Digest]:
        """The files that it lacks; the tool's wheels are there a second time, by their names."""
        if self.archive is None:
            return frozenset()
        tools = {item.digest: self.archive.find(TOOL + item.filename)
                 for item in self.bundle.files if item.kind == "tool"}  # fmt: skip
        return self.lacks - {digest for digest, place in tools.items() if place is not None}


class Loaded(NamedTuple):
    """What was loaded, and where to."""

    bundle: Bundle
    written: tuple[Written, ...]


def load(session: Session, place: str, to: str = "") -> Loaded:
    """The bundle at `place` (a file, one of its parts, or where images are) into the store, or to `to`.

    `to` is a registry and a prefix, "registry.example/mirror". Raises `BundleFormatError`, `BundleIncompleteError`,
    `BundleDamagedError`.
    """
    to = to.rstrip("/")
    if to:
        _may_push(session, to)
    found = opened(session, place)
    root = _whole(found, session.store)
    try:
        return _loaded(session, found.bundle, root, to)
    except IntegrityError as error:
        damaged = _damaged(found)
        if not damaged:
            raise
        assert found.archive is not None
        raise BundleDamagedError(
            f"`{found.archive.name}` is damaged: {len(damaged)} of its files {'has' if len(damaged) == 1 else 'have'} "
            "other bytes than it says",
            details=[*_some(damaged), *error.details],
            hint=COPY_ANEW,
        ) from error


def _loaded(session: Session, bundle: Bundle, root: Node, to: str) -> Loaded:
    if to:
        return Loaded(bundle, tuple(_pushed(session, bundle, root, to)))
    destination = LocalDestination(
        session.store, Reference.parse(f"localhost/bundles/{bundle.name}:{bundle.digest.short}")
    )
    done = write(root, destination, progress=session.progress, jobs=session.jobs)
    _remember(session, bundle)
    return Loaded(bundle, (done,))


def _may_push(session: Session, to: str) -> None:
    """Refuse a registry under `--offline` before anything is read (OFFLINE-3)."""
    if session.options.offline and locate(f"{to}/bundles/any").transport == "registry":
        raise PushOfflineError(
            f"`--to {to}` is in a registry, and `--offline` forbids to ask one",
            hint="run it without `--offline`; without `--to` the bundle is loaded into the store of this machine",
        )


def one_of(places: Sequence[str]) -> str:
    """The one bundle that `places` are: a file, or parts of one as a shell lists them (`FILE.0*`)."""
    stems = {parts.stem(place) for place in places}
    if len(places) > 1 and (len(stems) > 1 or not all(parts.is_part(place) for place in places)):
        hint = "load them one after another, an older one first"
        if len(places) == 2 and _in_registry(places[1].removeprefix("docker://")):
            hint = f"a registry is named with `--to`: `ociassemble bundle load {places[0]} --to {places[1]}`"
        raise UsageError("several bundles were named", hint=hint)
    return places[0]


def _in_registry(place: str) -> bool:
    """Whether this is no file, and its first word looks like a registry's: "registry.example/app", "localhost/app"."""
    host, slash, _ = place.partition("/")
    looks = bool(slash) and (host == "localhost" or ":" in host or "." in host.strip("."))
    try:
        return looks and not os.path.lexists(host) and bool(Reference.parse(place))
    except Error:
        return False


def opened(session: Session, place: str) -> Opened:
    """The bundle at `place`; its documents were verified, its blobs are closed."""
    if place.startswith(PLACES):
        return Opened(understood(session.source(place).read(), place), None)
    archive = BundleArchive(place.removeprefix("bundle:"))
    try:
        return Opened(read_bundle(archive), archive)
    except NotFoundError as error:
        if error.hint is None and _in_registry(place):
            error.hint = f"what is in a registry is named `docker://{place}`"
        raise


def _damaged(found: Opened) -> list[str]:
    """The files of the archive whose bytes are not what it says, as `bundle list` calls them."""
    if found.archive is None:
        return []
    names, lacks = bundle_list.names(found.bundle), found.lacks
    blobs = {blob.descriptor.digest: blob for node in found.bundle.root.walk() for blob in node.blobs}
    damaged = []
    for digest, blob in blobs.items():
        if digest in lacks:
            continue
        with blob.source() as stream:
            if digest_of(stream, digest) != digest:
                damaged.append(names.get(digest.hex, str(digest)))
    return damaged


def _whole(found: Opened, store: DirectoryStore) -> Node:
    """The graph, with blobs that a delta left out taken from the store; an error that names what is nowhere."""
    bundle, lacks = found.bundle, found.lacks
    if found.archive is None:
        return bundle.root
    missing: dict[str, int] = {}

    def one(blob: Blob) -> Blob:
        digest, size = blob.descriptor.digest, blob.descriptor.size
        if digest not in lacks:
            return blob
        if store.size(digest) != size:
            missing[str(digest)] = size
        return replace(blob, source=lambda: store.open(digest))

    def node(here: Node) -> Node:
        return replace(here, blobs=tuple(map(one, here.blobs)), children=tuple(map(node, here.children)))

    root = node(bundle.root)
    if missing:
        names = {str(file.digest): file.filename for file in bundle.files}
        details = [f"{names.get(digest, digest)}: {size:,} bytes" for digest, size in sorted(missing.items())]
        older = f"it completes the bundle {bundle.since}" if bundle.since else "it was cut off, or never whole"
        raise BundleIncompleteError(
            f"{len(missing)} blobs ({sum(missing.values()):,} bytes) of `{found.archive.name}` are neither in it "
            "nor in the store",
            details=_some(details),
            hint=f"{older}: load that first" if bundle.since else f"{older}: {COPY_ANEW}",
        )
    return root


def _some(lines: Sequence[str]) -> list[str]:
    """The first of `lines`, and how many more there are."""
    return [*lines[:_SHOWN], *([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])]


def _pushed(session: Session, bundle: Bundle, root: Node, prefix: str) -> Iterator[Written]:
    """The base where `--registry-mirror HOST=PREFIX` looks for it, and the whole bundle beside it."""
    places = {}
    if bundle.base is not None:
        base = next(child for child in root.children if child.descriptor.digest == bundle.base.descriptor.digest)
        places[f"{prefix}/{_base_place(bundle)}"] = base
    places[f"{prefix}/bundles/{bundle.name}:{DEFAULT_TAG}"] = root
    for text, node in places.items():
        yield write(node, session.destination(text), progress=session.progress, jobs=session.transfers)


def _base_place(bundle: Bundle) -> str:
    if not bundle.base_name:
        return f"bundles/{bundle.name}-base:{DEFAULT_TAG}"
    named = Reference.parse(bundle.base_name)
    return f"{named.repository}:{named.tag or DEFAULT_TAG}"


def _remember(session: Session, bundle: Bundle) -> None:
    """What the names of unpinned bases are from now on, where nobody may be asked: told, for nothing else says it."""
    say = session.progress.info
    if bundle.base_name and bundle.base is not None:
        named = Reference.parse(bundle.base_name)
        if named.digest is None:
            remember(session.store, named, bundle.base.descriptor.digest)
            say(f"offline, `{named}` is {bundle.base.descriptor.digest} from now on: the bundle says so")
    for recipe, platform, packages in _pins(session.store, bundle):
        remembered.remember(session.store, recipe, platform, packages)
        say(f"offline, `distroless/{recipe}` for {platform} is made of {len(packages)} packages that the bundle names")


def _pins(store: DirectoryStore, bundle: Bundle) -> Iterator[tuple[str, Platform, tuple[DebianPackage, ...]]]:
    for file in bundle.files:
        if file.kind != "pins":
            continue
        with store.open_seekable(file.digest) as stream:
            raw = stream.read(_wire.MAX_DOCUMENT + 1)
        try:
            document = _wire.parse(raw, f"`{file.filename}`")
            recipe, platforms = str(document["recipe"]), dict(document["platforms"])
            found = [(recipe, Platform.parse(name), remembered.parse(item)) for name, item in platforms.items()]
        except (KeyError, ValueError, TypeError, Invalid, Error) as error:
            raise BundleFormatError(f"the bundle's `{file.filename}` is not as it should be: {error}") from error
        yield from found
