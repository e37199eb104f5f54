"""What a build under `--offline` would need and the store does not have: all of it at once (OFFLINE-5 to OFFLINE-8).

The lock and the plan say what a build reads; the store says what is there. Only what is really read counts: of a
finished layer nothing, of a layer to be built its packages, of the base its documents and layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ociassemble.base.names import expand
from ociassemble.base.resolve import BaseImage
from ociassemble.build import planned
from ociassemble.content.store import BlobMissingError, Store
from ociassemble.errors import Error, OfflineError
from ociassemble.image.image import Layer
from ociassemble.layer.build import find_layer
from ociassemble.layer.key import layer_key
from ociassemble.lock.application import Application, read_lock, recognise
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.operations.bundles import NoLockError, kind_of, name_of
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked import LockedPackage
from ociassemble.plan.locked_base import DebianBase, DebianPackage, RegistryBase
from ociassemble.plan.plan import LayerPlan, artifacts_of
from ociassemble.plan.release import Release
from ociassemble.plan.wants import Want, WantedBase, Wants
from ociassemble.progress import Progress
from ociassemble.session import PushOfflineError, Session
from ociassemble.session.inputs import codec_of, for_locked, lock_path, settings_of
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import Target, plan_on

_SHOWN = 40  # files in an error


class MissingError(OfflineError):
    """`--offline`, and what is not in the store, all of it."""

    code = "offline.missing"


class Needs(NamedTuple):
    """What one platform lacks. `base`: whether its image must be brought, pinned or by name."""

    base: bool = False
    files: tuple[Want, ...] = ()
    releases: tuple[Release, ...] = ()


def completed(error: Error, request: BuildRequest, session: Session) -> Error:
    """The error that names everything a build lacks, where `error` names one thing of it; else `error` itself."""
    if not session.options.offline or isinstance(error, MissingError | PushOfflineError):
        return error
    try:
        # Where nobody names platforms a build is for this host, and not for all that were locked.
        found = wants_of(
            session, request if settings_of(request).platforms else request.with_flags(platforms=("host",))
        )
    except Error:
        return error  # no lock that answers: nothing else is known to be missing
    return missing_error(found) if found else error


def missing_error(found: Wants) -> MissingError:
    """The error that names all of `found`."""
    lines = list(_lines(found))
    total = sum(want.artifact.size for want in found.files)
    what = f"{len(lines)} files" if len(lines) > 1 else "a file"
    verb = "are" if len(lines) > 1 else "is"
    size = f" ({total:,} bytes and what has no size yet)" if found.base or found.releases else f" ({total:,} bytes)"
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return MissingError(
        f"`--offline`, and {what}{size} that this build needs {verb} not in the store",
        details=[*lines[:_SHOWN], *more],
        hint="build once without `--offline`; or `ociassemble lock --missing > ../wants.json` here, "
        "`ociassemble bundle save --wants wants.json -o FILE` where there is a network, and "
        "`ociassemble bundle load FILE`",
    )


def _lines(found: Wants) -> Iterator[str]:
    if found.base is not None:
        for platform, pin in sorted(found.base.platforms.items()):
            digest = f" {pin.digest}" if pin is not None else ""
            yield f"base image {found.base.name} for {platform}{digest}"
    for want in sorted(found.files):
        yield f"{want.kind} {want.artifact.filename}: {want.artifact.size:,} bytes"
    for release in found.releases:
        yield f"release {' or '.join(item.artifact.filename for item in release.archives)}"


def wants_of(session: Session, request: BuildRequest) -> Wants:
    """What the store lacks for a build of `request`. No server is asked, nothing is told, nothing is written.

    Raises `NoLockError`, `LockStaleError`, and what is wrong with the project.
    """
    quiet = Session(session.environment, replace(session.options, offline=True), Progress())
    lock = read_lock(lock_path(request))
    if lock is None:
        raise NoLockError(
            "what a build needs is known from a lock, and there is none", hint="write one with `ociassemble lock`"
        )
    request = replace(for_locked(request, lock), locked=True, use_lock=True, run_steps=False)
    steps = Steps(quiet, request)
    application = recognise(steps.tree(), steps.settings, steps.platforms() or _all(lock), quiet.progress)
    found: dict[str, Needs] = {}
    for platform in application.platforms:
        found[str(platform)] = _Platform(quiet, request, application, lock, platform).needs()
    return _merged(application, lock, found)


def _all(lock: Lock) -> tuple[Platform, ...]:
    return tuple(map(Platform.parse, sorted(lock.platforms)))


def _merged(application: Application, lock: Lock, found: Mapping[str, Needs]) -> Wants:
    name = expand(application.base, overrides=application.settings.bases)
    lacking = {platform: _pin(lock.platforms[platform]) for platform, needs in sorted(found.items()) if needs.base}
    # A short name that only the project's settings know says nothing outside.
    said = name.expanded if name.written in application.settings.bases else name.written
    files = {want.artifact.digest: want for needs in found.values() for want in needs.files}
    releases = {release.archives: release for needs in found.values() for release in needs.releases}
    return Wants(
        name=name_of(application),
        base=WantedBase(said, application.settings.base_source, lacking) if lacking else None,
        files=tuple(sorted(files.values())),
        releases=tuple(releases.values()),
    )


def _pin(locked: LockedPlatform) -> RegistryBase | None:
    return locked.base if isinstance(locked.base, RegistryBase) else None


class _Platform:
    """One platform of a build, looked at."""

    def __init__(
        self, session: Session, request: BuildRequest, application: Application, lock: Lock, platform: Platform
    ) -> None:
        self._store = session.store
        self._steps = Steps(session, request.with_flags(platforms=(str(platform),)))
        self._application = application
        self._locked = lock.platforms[str(platform)]
        self._platform = platform

    def needs(self) -> Needs:
        """What is missing for it."""
        try:
            target = planned(self._steps).targets[0]
        except (OfflineError, BlobMissingError):
            base = self._without_base()
            layers, packages = self._locked_layers(), self._locked.packages
        else:
            base = self._of_base(target)
            layers, packages = target.plan.layers, target.packages
            bundles = {item.digest for item in target.base.facts.trust}  # read from the base's own layers
            packages = tuple(item for item in packages if item.artifact.digest not in bundles)
        wanted = self._artifacts(layers) if layers is not None else {item.artifact.digest for item in packages}
        files = self._packages([item for item in packages if item.artifact.digest in wanted])
        return base._replace(files=(*base.files, *files))

    def _without_base(self) -> Needs:
        """The base where it cannot be opened: all of what is pinned, or its name."""
        pin = self._locked.base
        if not isinstance(pin, DebianBase):
            return Needs(base=True)
        return self._debian(pin.packages, pin.releases, None)

    def _of_base(self, target: Target) -> Needs:
        """Layers of an opened base that are not in the store: all of a registry's base, or what they are made of."""
        base = target.base
        lacking = [layer for layer in base.image.layers if not _there(layer, self._store)]
        if base.source == "debian":
            return self._debian(base.packages, base.releases, self._sources(base, lacking)) if lacking else Needs()
        return Needs(base=bool(lacking) and base.source == "registry")

    def _sources(self, base: BaseImage, lacking: Sequence[Layer]) -> frozenset[Digest]:
        """The packages and archives that these layers of an assembled base are made of."""
        from ociassemble.base.debian.assemble import plan_base
        from ociassemble.base.debian.recipe import load

        pin = self._locked.base
        recipe, _, variant = (pin.recipe if isinstance(pin, DebianBase) else base.recipe).partition(":")
        plan = plan_base(load(), recipe, base.image.platform, base.packages, base.releases, variant=variant)
        digests = {layer.descriptor.digest for layer in lacking}
        pairs = zip(plan.layers, base.image.layers, strict=True)
        made = [layer for layer, have in pairs if have.descriptor.digest in digests]
        return frozenset(ref.digest for layer in made for ref in artifacts_of(layer))

    def _debian(
        self, packages: Sequence[DebianPackage], releases: Sequence[Release], wanted: frozenset[Digest] | None
    ) -> Needs:
        files = [
            Want.debian(item)
            for item in packages
            if (wanted is None or item.digest in wanted) and self._lacks(item.artifact)
        ]
        lacking = [
            item
            for item in releases
            if (wanted is None or any(archive.digest in wanted for archive in item.archives))
            and all(self._store.size(archive.digest) is None for archive in item.archives)
        ]
        return Needs(files=tuple(files), releases=tuple(lacking))

    def _locked_layers(self) -> tuple[LayerPlan, ...] | None:
        """The dependency layers without a base, from what the lock knows of it; None where that is not enough.

        Facts that only the base's config has are not there: the keys tell whether any layer depends on them.
        """
        config = ImageConfig.create({**self._platform.document(), "rootfs": {"type": "layers", "diff_ids": []}})
        facts = self._locked.facts.whole(self._platform, config)
        if facts is None:
            return None
        try:
            plan = plan_on(facts, self._application, self._locked.packages, self._steps.authorities)
        except Error:
            return None
        made = tuple(layer for layer in plan.layers if layer.role == "dependency")
        same = {layer_key(layer) for layer in made} == {layer.key for layer in self._locked.layers}
        return made if same else None

    def _artifacts(self, layers: Sequence[LayerPlan]) -> frozenset[Digest]:
        """What the layers that must be built read."""
        settings, use_cache = self._application.settings, self._steps.request.use_cache
        missing = [
            layer
            for layer in layers
            if not use_cache or find_layer(layer, codec_of(settings, layer.role), self._store) is None
        ]
        return frozenset(ref.digest for layer in missing for ref in artifacts_of(layer))

    def _packages(self, packages: Sequence[LockedPackage]) -> list[Want]:
        kind = kind_of(self._application)
        lacking = [item for item in packages if self._lacks(item.artifact)]
        known = self._npm_names() if lacking and kind == "npm" else {}
        return [
            Want(kind, known.get(item.name, item.name.rpartition("node_modules/")[2]), item.version, item.artifact)  # type: ignore[arg-type]
            for item in lacking
        ]

    def _npm_names(self) -> Mapping[str, str]:
        """What registries call the packages, by their places: an alias is called otherwise where it lies."""
        from ociassemble.kinds.node.entries import parse

        asked = self._application.request
        if asked is None:
            return {}
        entries = parse(self._application.tree.text(asked.primary), asked.primary).entries
        return {place: entry.name for place, entry in entries.items()}

    def _lacks(self, artifact: ArtifactRef) -> bool:
        return self._store.size(artifact.digest) != artifact.size


def _there(layer: Layer, store: Store) -> bool:
    return store.size(layer.descriptor.digest) == layer.descriptor.size
