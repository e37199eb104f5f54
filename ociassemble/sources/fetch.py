"""Artifacts -> blobs in the store: only those that are missing, in parallel, each by its hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ociassemble import _pool
from ociassemble.content.store import Store
from ociassemble.errors import UnreachableError
from ociassemble.net.download import Headers, fetch
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Progress

_ELSEWHERE = (
    "where there is none, `--offline` lists all that is missing, and `ociassemble lock --missing` with "
    "`ociassemble bundle save --wants` brings it"
)

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
    try:
        _bring(missing, locate, wire=wire, store=store, progress=progress, jobs=jobs, headers=headers)
    except UnreachableError as error:
        # What is named is what was asked for first; a site without a network wants all of it.
        error.hint = f"{error.hint}; {_ELSEWHERE}" if error.hint else _ELSEWHERE
        raise


def _bring(
    missing: Sequence[ArtifactRef],
    locate: Locate,
    *,
    wire: Wire,
    store: Store,
    progress: Progress,
    jobs: int,
    headers: Headers | None,
) -> None:
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
