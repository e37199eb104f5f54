"""Upstream releases: one of a release's archives into the store, from the first place that has it (DEBIAN-ARCHIVE)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from ociassemble.content.store import Store
from ociassemble.errors import AuthError, Error, IntegrityError, NetworkError, NotFoundError, ToolError, UsageError
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.release import Release, ReleaseArchive
from ociassemble.progress import Progress

Registry = Callable[[str], str]  # the npm registry of a package, as a URL without a slash at its end
FetchArtifact = Callable[[Sequence[str], ArtifactRef], None]  # raises on bytes that are not those of the artifact


class ReleaseUnavailableError(NetworkError):
    """No place has an archive of a release."""

    code = "network.release"


def url(archive: ReleaseArchive, release: Release, *, home: str, registry: Registry) -> str:
    """Where `archive` is: below `home` (a URL with a slash at its end), or in an npm registry."""
    if archive.place == "upstream":
        return home + quote(archive.path, safe="/+~")
    name = archive.artifact.filename
    package = name.removesuffix(".tgz").removesuffix(f"-{release.version}")
    return f"{registry(package)}/{quote(package, safe='@')}/-/{quote(name, safe='+~')}"


def here(release: Release, store: Store) -> bool:
    """Whether an archive of `release` is in the store."""
    return any(store.size(item.digest) is not None for item in release.archives)


def bring(
    release: Release, locate: Callable[[ReleaseArchive], str], fetch: FetchArtifact, *, store: Store, progress: Progress
) -> None:
    """Make one archive of `release` be in `store`: the first that a place has, and it is told which.

    All of them hold the same files, pinned one by one, so a place that cannot be reached, refuses, has other bytes or
    is not known (no npm registry is configured) is told and passed over: nothing of the result depends on it. Where
    none is left, what each said is the error.
    """
    if here(release, store):
        return
    failures: list[Error] = []
    for archive in release.archives:
        try:
            fetch([locate(archive)], archive.artifact)
        except (NetworkError, NotFoundError, AuthError, IntegrityError, UsageError, ToolError) as error:
            failures.append(error)
            continue
        passed = "".join(f"; {error}" for error in failures)
        progress.info(f"{release.name} {release.version} from {archive.place}: {archive.artifact.filename}{passed}")
        return
    raise ReleaseUnavailableError(
        f"no archive of {release.name} {release.version} can be had",
        details=[str(error) for error in failures],
        hint="put one of them where `node-mirror` in the settings or OCIASSEMBLE_NODE_MIRROR points, "
        "or have npm configured with a registry that has it",
    )
