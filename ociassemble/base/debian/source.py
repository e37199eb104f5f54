"""Debian's archive, and upstream releases -> base images: the newest signed packages, or the pinned ones, assembled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ociassemble.base.debian import remembered
from ociassemble.base.debian.assemble import BasePlan, base_layers, image_of, plan_base, resolve_packages
from ociassemble.base.debian.locked import Elsewhere, locked_base
from ociassemble.base.debian.recipe import load
from ociassemble.base.names import BaseName
from ociassemble.base.resolve import Assembled
from ociassemble.content import compress
from ociassemble.content.store import Store
from ociassemble.errors import OfflineError
from ociassemble.image.image import Image
from ociassemble.layer.build import BuiltLayer
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import DebianBase, DebianPackage
from ociassemble.plan.plan import LayerPlan
from ociassemble.plan.release import Release, ReleaseArchive
from ociassemble.progress import Progress

if TYPE_CHECKING:  # what asks archives is loaded where one is asked: a pinned base is mostly in the store
    from ociassemble.net import download
    from ociassemble.net.wire import Wire
    from ociassemble.sources.npmrc import NpmSettings

Fetch = Callable[[tuple[ArtifactRef, ...]], None]


class BaseOfflineError(OfflineError):
    """`--offline`, and files that a base is made of are not in the store."""

    code = "offline.base"


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianBases:
    """Assembles bases.

    `mirror` is what the user configured for Debian; None finds the one apt uses on this host. `upstream` is where the
    user has upstream releases; None is where the recipe says. `npm` is asked for only where something is there.
    """

    mirror: str | None
    upstream: str | None
    npm: Callable[[], NpmSettings]
    offline: bool
    wire: Callable[[], Wire]
    store: Store
    use_records: bool
    jobs: int
    transfers: int
    progress: Progress
    elsewhere: Elsewhere = lambda descriptor, platform: None  # which registry has a locked layer

    def __call__(
        self, name: BaseName, platforms: Sequence[Platform], pinned: Mapping[str, DebianBase]
    ) -> tuple[Assembled, ...]:
        """One base a platform: from what is pinned for each (by platform), or from the newest where that is nothing."""
        recipe = load()
        pins = [pinned[str(platform)] for platform in platforms if str(platform) in pinned]
        if len(pins) == len(platforms):
            packages = tuple(pin.packages for pin in pins)
            upstream = [pin.releases for pin in pins]
            # A name may stand for a newer line by now (`distroless/nodejs`); the lock says what it stood for.
            images = [pin.recipe.partition(":")[::2] for pin in pins]
        else:
            upstream = [recipe.releases(name.recipe, platform) for platform in platforms]
            packages = self._newest(name, platforms)
            images = [(name.recipe, name.variant)] * len(platforms)
        made = []
        for platform, (image_name, variant), found, released in zip(platforms, images, packages, upstream, strict=True):
            plan = plan_base(recipe, image_name, platform, found, released, variant=variant)
            pin = pinned.get(str(platform)) if len(pins) == len(platforms) else None
            image = self._image(plan, pin, self._fetcher(found, released))
            made.append(Assembled(image=image, packages=found, releases=released))
        return tuple(made)

    def _image(self, plan: BasePlan, pin: DebianBase | None, fetch: Fetch) -> Image:
        """What is locked is named by the lock, and built only where its bytes are asked for (LOCK-22)."""
        codec = compress.codec("gzip", role="base")

        def layers(plans: tuple[LayerPlan, ...]) -> tuple[BuiltLayer, ...]:
            return base_layers(
                plans,
                codec=codec,
                store=self.store,
                fetch=fetch,
                use_records=self.use_records,
                jobs=self.jobs,
                progress=self.progress,
            )

        if pin is not None and self.use_records:
            image = locked_base(
                plan,
                pin,
                codec=codec,
                store=self.store,
                build=lambda layer: layers((layer,))[0],
                elsewhere=self.elsewhere,
            )
            if image is not None:
                return image
        return image_of(plan, [made.layer for made in layers(plan.layers)])

    def platforms(self, name: BaseName) -> tuple[Platform, ...]:
        """Every platform that the base can be assembled for."""
        return load().offered(name.recipe)

    def bring(self, packages: Sequence[DebianPackage], upstream: Sequence[Release]) -> None:
        """Make these packages, and one archive of each of these releases, be in the store."""
        refs = [item.artifact for item in packages]
        refs += [archive.artifact for release in upstream for archive in release.archives]
        self._fetcher(packages, upstream)(tuple(refs))

    def _newest(self, name: BaseName, platforms: Sequence[Platform]) -> tuple[tuple[DebianPackage, ...], ...]:
        if self.offline:
            kept = [remembered.remembered(self.store, name.recipe, platform) for platform in platforms]
            found = tuple(packages for packages in kept if packages is not None)
            if len(found) == len(platforms):
                self.progress.info(f"Debian packages of {name.written}: as they were when last asked for (`--offline`)")
                return found
            raise _not_remembered(name)
        found = self._resolved(name, platforms)
        for platform, packages in zip(platforms, found, strict=True):
            remembered.remember(self.store, name.recipe, platform, packages)
        return found

    def _resolved(self, name: BaseName, platforms: Sequence[Platform]) -> tuple[tuple[DebianPackage, ...], ...]:
        from ociassemble.attest.openpgp import verify_release
        from ociassemble.sources import debian

        with self.progress.task("resolve", f"Debian packages of {name.written}"):
            return resolve_packages(
                load(),
                name.recipe,
                platforms,
                debian.discover(self.mirror),
                fetch=self._document,
                verify=verify_release,
                now=time.time(),
                jobs=self.transfers,
                store=self.store,
            )

    def _document(self, url: str, limit: int) -> bytes:
        from ociassemble.net import download

        return download.get(self.wire(), url, limit=limit).data

    def _fetcher(self, packages: Sequence[DebianPackage], upstream: Sequence[Release]) -> Fetch:
        by_digest = {package.digest: package for package in packages}

        def one(urls: Sequence[str], ref: ArtifactRef) -> None:
            self._download(urls, ref, None)

        def fetch(artifacts: tuple[ArtifactRef, ...]) -> None:
            from ociassemble.sources import debian, releases

            wanted = {ref.digest for ref in artifacts}
            missing = [by_digest[ref.digest] for ref in artifacts if self._lacks(ref, by_digest)]
            lacking = [item for item in upstream if not wanted.isdisjoint(archive.digest for archive in item.archives)]
            lacking = [item for item in lacking if not releases.here(item, self.store)]
            if self.offline and (missing or lacking):
                raise _offline(missing, lacking)
            for release in lacking:
                self._bring(release)
            if missing:  # only then does anybody need a mirror
                largest = sorted(missing, key=lambda package: -package.size)
                debian.fetch_packages(largest, debian.discover(self.mirror), one, jobs=self.transfers)

        return fetch

    def _lacks(self, ref: ArtifactRef, packages: Mapping[Digest, DebianPackage]) -> bool:
        return ref.digest in packages and self.store.size(ref.digest) != ref.size

    def _bring(self, release: Release) -> None:
        from ociassemble.sources import releases

        home = f"{self.upstream.rstrip('/')}/" if self.upstream else load().archives[release.name].home

        def locate(archive: ReleaseArchive) -> str:
            return releases.url(archive, release, home=home, registry=lambda package: self.npm().registry_of(package))

        def one(urls: Sequence[str], ref: ArtifactRef) -> None:
            # Only what is asked of npm's registry may carry npm's credentials.
            archive = next(item for item in release.archives if item.digest == ref.digest)
            self._download(urls, ref, self.npm().headers if archive.place == "npm" else None)

        releases.bring(release, locate, one, store=self.store, progress=self.progress)

    def _download(self, urls: Sequence[str], ref: ArtifactRef, headers: download.Headers | None) -> None:
        from ociassemble.net import download

        wire, label = self.wire(), ref.filename
        download.fetch(
            wire, urls, ref.digest, ref.size, self.store, label=label, progress=self.progress, headers=headers
        )


def _not_remembered(name: BaseName) -> BaseOfflineError:
    return BaseOfflineError(
        f"which Debian packages `{name.written}` is made of must be asked, and `--offline` forbids it",
        hint="run `ociassemble lock` where there is a network: it pins the base, and `bundle save` brings it here",
    )


def _offline(packages: Sequence[DebianPackage], upstream: Sequence[Release]) -> BaseOfflineError:
    names = [package.artifact.filename for package in packages]
    names += (" or ".join(item.artifact.filename for item in release.archives) for release in upstream)
    count = f"{len(names)} files" if len(names) > 1 else "a file"
    return BaseOfflineError(
        f"`--offline`, and {count} that the base is made of {'are' if len(names) > 1 else 'is'} not in the store",
        details=names,
        hint="run once without `--offline`: what was fetched is kept",
    )
