"""Python packages: what a resolver or a lock says, and wheels by their sha256."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ociassemble.content.store import Store, ingest_all
from ociassemble.content.verify import blocks
from ociassemble.kinds.protocol import LockedPackage, Resolution, ResolveRequest
from ociassemble.lock.application import Application, WheelFileError
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.progress import Progress

if TYPE_CHECKING:  # where every wheel is in the store, nothing of what asks indexes is loaded
    from ociassemble.sources import python
    from ociassemble.sources.index_settings import IndexSettings


class PythonSupply:
    """`Supply` of wheels. `index` and `resolve` are asked only where they are needed."""

    def __init__(
        self,
        application: Application,
        *,
        index: Callable[[], IndexSettings],
        resolve: Callable[[ResolveRequest, BaseFacts, IndexSettings], Resolution],
        wire: Callable[[], Wire],
        store: Store,
        progress: Progress,
        jobs: int,
    ) -> None:
        self._application = application
        self._ask_index = index
        self._ask_resolver = resolve
        self._wire = wire
        self._store = store
        self._progress = progress
        self._jobs = jobs
        self._resolution: Resolution | None = None
        self._asked_now = False  # whether the resolution's URLs come from the configured indexes, a moment ago

    def given(self) -> Sequence[LockedPackage]:
        """The wheels the user built, put into the store."""
        return [self._wheel(path) for path in self._application.settings.wheels]

    def resolve(self, request: ResolveRequest, facts: Sequence[BaseFacts]) -> Resolution:
        resolution = self._ask_resolver(request, facts[0], self._index)
        self._resolution = resolution
        self._asked_now = request.form in ("requirements", "pyproject")
        return resolution

    def fetch(
        self, artifacts: Sequence[ArtifactRef], packages: Sequence[LockedPackage], facts: Sequence[BaseFacts]
    ) -> None:
        from ociassemble.sources import python
        from ociassemble.sources.fetch import bring

        def locate(missing: Sequence[ArtifactRef]) -> Mapping[Digest, Sequence[str]]:
            located = python.locate(
                missing,
                self._index,
                self._wire(),
                owned=self._owned(),
                folder=self._application.tree.root,
                resolved=self._asked_now,
                jobs=self._jobs,
                progress=self._progress,
            )
            return python.places(located, self._store)

        bring(artifacts, locate, wire=self._wire(), store=self._store, progress=self._progress, jobs=self._jobs)

    @cached_property
    def _index(self) -> IndexSettings:
        return self._ask_index()

    def _owned(self) -> Mapping[Digest, python.Own]:
        from ociassemble.sources import python

        if self._resolution is not None:
            return python.own(self._resolution.text)
        request = self._application.request
        return {} if request is None else python.own(self._application.tree.text(request.primary))

    def _wheel(self, path: Path) -> LockedPackage:
        from ociassemble.layer.wheel import wheel_name

        name = wheel_name(path.name)
        try:
            with path.open("rb") as stream:
                digest, size = ingest_all(self._store, blocks(stream))
        except OSError as error:
            raise WheelFileError(f"cannot read the wheel `{path}`: {error.strerror}") from error
        return LockedPackage(name.name, name.version, ArtifactRef(digest, size, path.name))
