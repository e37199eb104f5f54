"""npm packages: from the text of a package-lock.json to tarballs in the store (specs/behaviour/npm.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ociassemble.content.store import Store
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest, WantedPackage
from ociassemble.lock.application import Application
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.progress import Progress

if TYPE_CHECKING:  # where every package is in the store, nothing of what asks registries is loaded
    from ociassemble.sources.npm import Registries, Tarball


class NpmSupply:
    """`Supply` of the packages that a package-lock.json names: no npm, no question to a registry but for tarballs.

    `registries` is called where something must be downloaded, and not otherwise.
    """

    def __init__(
        self,
        application: Application,
        *,
        registries: Callable[[], Registries],
        wire: Callable[[], Wire],
        store: Store,
        progress: Progress,
        jobs: int,
    ) -> None:
        self._application = application
        self._ask = registries
        self._wire = wire
        self._store = store
        self._progress = progress
        self._jobs = jobs

    def given(self) -> Sequence[LockedPackage]:
        return ()

    def resolve(self, request: ResolveRequest, facts: Sequence[BaseFacts]) -> Resolution:
        from ociassemble.sources import npm

        text = self._application.tree.text(request.primary, npm.MAX_LOCK)
        wanted = self._wanted(text, facts)
        tarballs = {package.key: _tarball(package) for package in sorted(wanted, reverse=True)}
        found = npm.obtain(
            tarballs.values(),
            lambda: self._registries,
            folder=self._application.tree.root,
            wire=self._wire(),
            store=self._store,
            progress=self._progress,
            jobs=self._jobs,
        )
        artifacts = {key: found[item] for key, item in tarballs.items()}
        self._check_addons(text, artifacts, facts)
        return Resolution(request.form, text, artifacts)

    def _check_addons(self, text: str, artifacts: Mapping[str, ArtifactRef], facts: Sequence[BaseFacts]) -> None:
        from ociassemble.kinds.node.lockfile import scripted
        from ociassemble.lock import addons

        for item in facts:
            suspects = scripted(text, self._application.settings, item)
            addons.check(suspects, artifacts, item, self._store, self._progress)

    def fetch(
        self, artifacts: Sequence[ArtifactRef], packages: Iterable[LockedPackage], facts: Sequence[BaseFacts]
    ) -> None:
        from ociassemble.sources import npm
        from ociassemble.sources.fetch import bring

        def locate(missing: Sequence[ArtifactRef]) -> Mapping[Digest, Sequence[str]]:
            return npm.locate(
                self._named(missing, packages, facts),
                lambda: self._registries,
                folder=self._application.tree.root,
                wire=self._wire(),
                store=self._store,
            )

        bring(
            artifacts,
            locate,
            wire=self._wire(),
            store=self._store,
            progress=self._progress,
            jobs=self._jobs,
            headers=lambda url: self._registries.settings.headers(url),
        )

    @cached_property
    def _registries(self) -> Registries:
        return self._ask()

    def _named(
        self, missing: Sequence[ArtifactRef], packages: Iterable[LockedPackage], facts: Sequence[BaseFacts]
    ) -> dict[Digest, Tarball]:
        """What the package-lock.json says of each artifact that is not here, found by its place in node_modules."""
        from ociassemble.sources import npm

        request = self._application.request
        assert request is not None, "packages come from a package-lock.json"
        text = self._application.tree.text(request.primary, npm.MAX_LOCK)
        places = {package.name: _tarball(package) for package in self._wanted(text, facts)}
        digests = {item.digest for item in missing}
        named = {
            package.artifact.digest: places[package.name]
            for package in packages
            if package.artifact.digest in digests and package.name in places
        }
        if lost := [item for item in missing if item.digest not in named]:
            raise npm.NpmMissingError(
                f"`{request.primary}` says nothing of `{lost[0].filename}`",
                details=[item.filename for item in lost[1:]],
                hint="lock again with `ociassemble lock`",
            )
        return named

    def _wanted(self, text: str, facts: Sequence[BaseFacts]) -> set[WantedPackage]:
        from ociassemble.kinds.node.lockfile import wanted

        return {package for item in facts for package in wanted(text, self._application.settings, item)}


def _tarball(package: WantedPackage) -> Tarball:
    from ociassemble.sources.npm import Tarball

    return Tarball(package.package, package.version, package.integrity, package.url)
