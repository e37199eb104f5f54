"""Debian's archive -> base images: the newest signed packages, or the pinned ones, fetched and assembled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ociassemble.base.debian.assemble import assemble_base, plan_base, resolve_packages
from ociassemble.base.debian.recipe import load
from ociassemble.base.names import BaseName
from ociassemble.base.resolve import Assembled
from ociassemble.content import compress
from ociassemble.content.store import Store
from ociassemble.net import download
from ociassemble.net.wire import Wire
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked import DebianPackage
from ociassemble.progress import Progress
from ociassemble.sources import debian


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianBases:
    """Assembles bases. `mirror` is what the user configured; None finds the one apt uses on this host."""

    mirror: str | None
    wire: Callable[[], Wire]
    store: Store
    use_records: bool
    jobs: int
    transfers: int
    progress: Progress

    def __call__(
        self, name: BaseName, platforms: Sequence[Platform], pinned: Mapping[str, tuple[DebianPackage, ...]]
    ) -> tuple[Assembled, ...]:
        """One base a platform: from the pinned packages of each (by platform), or from the newest where none are."""
        recipe = load()
        packages = tuple(pinned[str(platform)] for platform in platforms if str(platform) in pinned)
        if len(packages) != len(platforms):
            packages = self._newest(name, platforms)
        codec = compress.codec("gzip", role="base")
        made = []
        for platform, found in zip(platforms, packages, strict=True):
            plan = plan_base(recipe, name.recipe, platform, found, variant=name.variant)
            image = assemble_base(
                plan,
                codec=codec,
                store=self.store,
                fetch=self._fetcher(found),
                use_records=self.use_records,
                jobs=self.jobs,
                progress=self.progress,
            )
            made.append(Assembled(image=image, packages=found))
        return tuple(made)

    def _newest(self, name: BaseName, platforms: Sequence[Platform]) -> tuple[tuple[DebianPackage, ...], ...]:
        from ociassemble.attest.openpgp import verify_release

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
        return download.get(self.wire(), url, limit=limit).data

    def _fetcher(self, packages: Sequence[DebianPackage]) -> Callable[[tuple[ArtifactRef, ...]], None]:
        by_digest = {package.digest: package for package in packages}

        def one(urls: Sequence[str], ref: ArtifactRef) -> None:
            download.fetch(
                self.wire(), urls, ref.digest, ref.size, self.store, label=ref.filename, progress=self.progress
            )

        def fetch(artifacts: tuple[ArtifactRef, ...]) -> None:
            missing = [by_digest[ref.digest] for ref in artifacts if self.store.size(ref.digest) != ref.size]
            if missing:  # only then does anybody need a mirror
                largest = sorted(missing, key=lambda package: -package.size)
                debian.fetch_packages(largest, debian.discover(self.mirror), one, jobs=self.transfers)

        return fetch
