"""The packages of an application, one set a platform: from the lock, or resolved now; and where their files are."""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.content.store import Store
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.lock.application import Application
from ociassemble.lock.supply import Supply
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.lock import Lock
from ociassemble.progress import Progress


class Packages:
    """The answer to "which packages", for one application. `supply` None: its kind knows of no packages."""

    def __init__(self, application: Application, supply: Supply | None, *, store: Store, progress: Progress) -> None:
        self._application = application
        self._supply = supply
        self._store = store
        self._progress = progress
        self._facts: tuple[BaseFacts, ...] = ()
        self._chosen: tuple[LockedPackage, ...] = ()  # of all platforms

    def of(self, facts: Sequence[BaseFacts], lock: Lock | None) -> tuple[tuple[LockedPackage, ...], ...]:
        """The packages for each base's platform, by name. User wheels win over resolved packages of their name."""
        if self._supply is None:
            return tuple(() for _ in facts)
        given = {package.name: package for package in self._supply.given()}
        if lock is None:
            chosen = self._resolved(self._supply, facts)
        else:
            chosen = [lock.platforms[str(item.platform)].packages for item in facts]
        self._remember(facts, chosen)
        merged = [{package.name: package for package in packages} | given for packages in chosen]
        return tuple(tuple(found[name] for name in sorted(found)) for found in merged)

    def fetch(self, artifacts: Sequence[ArtifactRef]) -> None:
        """Bring artifacts of the chosen packages into the store, in parallel, each by its sha256."""
        if self._supply is not None and artifacts:
            self._supply.fetch(artifacts, self._chosen, self._facts)

    def _remember(self, facts: Sequence[BaseFacts], chosen: Sequence[Sequence[LockedPackage]]) -> None:
        self._facts = tuple(facts)
        self._chosen = tuple(package for packages in chosen for package in packages)

    def _resolved(self, supply: Supply, facts: Sequence[BaseFacts]) -> list[tuple[LockedPackage, ...]]:
        application = self._application
        request = application.kind.request(application.tree, application.settings, facts[0])
        if request is None:
            return [() for _ in facts]
        with self._progress.task("resolve", request.primary):
            resolution = supply.resolve(request, facts)
        chosen = [application.kind.select(request, resolution, item) for item in facts]
        self._remember(facts, chosen)
        unknown = {
            package.artifact.digest: package.artifact
            for packages in chosen
            for package in packages
            if package.artifact.size < 0
        }
        self.fetch(tuple(unknown.values()))
        return [tuple(self._sized(package) for package in packages) for packages in chosen]

    def _sized(self, package: LockedPackage) -> LockedPackage:
        if package.artifact.size >= 0:
            return package
        size = self._store.size(package.artifact.digest)
        assert size is not None, "fetched a moment ago"
        return package._replace(artifact=package.artifact._replace(size=size))
