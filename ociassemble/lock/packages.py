"""The packages of an application, one set a platform: from the lock, or resolved now; and where their files are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ociassemble.content.store import Store, ingest_all
from ociassemble.content.verify import blocks
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.lock.application import Application, WheelFileError
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.lock import Lock
from ociassemble.progress import Progress
from ociassemble.sources import python
from ociassemble.sources.fetch import bring
from ociassemble.sources.index_settings import IndexSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """What of the host resolving and fetching need, as plain values and things to call."""

    index: Callable[[], IndexSettings]
    resolve: Callable[[ResolveRequest, BaseFacts, IndexSettings], Resolution]
    wire: Callable[[], Wire]
    store: Store
    progress: Progress
    jobs: int


class Packages:
    """The answer to "which packages", for one application."""

    def __init__(self, host: Host, application: Application) -> None:
        self._host = host
        self._application = application
        self._resolution: Resolution | None = None
        self._asked_now = False  # whether the resolution's URLs come from the configured indexes, a moment ago

    def of(self, facts: Sequence[BaseFacts], lock: Lock | None) -> tuple[tuple[LockedPackage, ...], ...]:
        """The packages for each base's platform, by name. User wheels win over resolved packages of their name."""
        wheels = {wheel.name: wheel for wheel in self._wheels()}
        chosen = [self._from(lock, item) for item in facts] if lock is not None else self._resolved(facts)
        merged = [{package.name: package for package in packages} | wheels for packages in chosen]
        return tuple(tuple(found[name] for name in sorted(found)) for found in merged)

    def fetch(self, artifacts: Sequence[ArtifactRef]) -> None:
        """Bring wheels into the store, in parallel, each by its sha256."""
        host = self._host

        def locate(missing: Sequence[ArtifactRef]) -> Mapping[Digest, Sequence[str]]:
            located = python.locate(
                missing,
                self._index,
                host.wire(),
                owned=self._owned(),
                folder=self._application.tree.root,
                resolved=self._asked_now,
                jobs=host.jobs,
                progress=host.progress,
            )
            return python.places(located, host.store)

        bring(artifacts, locate, wire=host.wire(), store=host.store, progress=host.progress, jobs=host.jobs)

    @cached_property
    def _index(self) -> IndexSettings:
        return self._host.index()

    def _owned(self) -> Mapping[Digest, python.Own]:
        if self._resolution is not None:
            return python.own(self._resolution.text)
        request = self._application.request
        return {} if request is None else python.own(self._application.tree.text(request.primary))

    def _from(self, lock: Lock, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        return lock.platforms[str(facts.platform)].packages

    def _resolved(self, facts: Sequence[BaseFacts]) -> list[tuple[LockedPackage, ...]]:
        application = self._application
        request = application.kind.request(application.tree, application.settings, facts[0])
        if request is None:
            return [() for _ in facts]
        with self._host.progress.task("resolve", request.primary):
            resolution = self._host.resolve(request, facts[0], self._index)
        self._resolution = resolution
        self._asked_now = request.form in ("requirements", "pyproject")
        chosen = [application.kind.select(request, resolution, item) for item in facts]
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
        size = self._host.store.size(package.artifact.digest)
        assert size is not None, "fetched a moment ago"
        return package._replace(artifact=package.artifact._replace(size=size))

    def _wheels(self) -> list[LockedPackage]:
        """The wheels the user built, put into the store."""
        return [self._wheel(path) for path in self._application.settings.wheels]

    def _wheel(self, path: Path) -> LockedPackage:
        from ociassemble.layer.wheel import wheel_name

        name = wheel_name(path.name)
        try:
            with path.open("rb") as stream:
                digest, size = ingest_all(self._host.store, blocks(stream))
        except OSError as error:
            raise WheelFileError(f"cannot read the wheel `{path}`: {error.strerror}") from error
        return LockedPackage(name.name, name.version, ArtifactRef(digest, size, path.name))
