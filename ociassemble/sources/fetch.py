"""Artifacts -> blobs in the store: only those that are missing, in parallel, each by its hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ociassemble import _pool
from ociassemble.content.store import Store
from ociassemble.net.download import Headers, fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Progress

Locate = Callable[[Sequence[ArtifactRef]], Mapping[Digest, Sequence[str]]]


def bring(
    artifacts: Sequence[ArtifactRef],
    locate: Locate,
    *,
    wire: Wire,
    store: Store,
    progress: Progress,
    jobs: int,
    headers: Headers | None = None,
) -> None:
    """Make all `artifacts` be in `store`. `locate` says where the missing ones are, and is asked only for those."""
    missing = [item for item in artifacts if not _here(item, store)]
    if not missing:
        return
    places = locate(missing)

    def one(artifact: ArtifactRef) -> None:
        size = artifact.size if artifact.size >= 0 else None
        fetch(
            wire,
            tuple(places.get(artifact.digest, ())),
            artifact.digest,
            size,
            store,
            label=artifact.filename,
            progress=progress,
            headers=headers,
        )

    # The largest first: the longest download should not be the last to begin.
    _pool.each(one, sorted(missing, key=lambda item: -item.size), jobs=jobs)


def _here(artifact: ArtifactRef, store: Store) -> bool:
    size = store.size(artifact.digest)
    return size is not None and artifact.size in (-1, size)
