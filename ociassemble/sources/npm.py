"""Where npm tarballs are, and bringing them here by the hashes of a package-lock.json (specs/behaviour/npm.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ociassemble import _pool
from ociassemble.content.store import Store, read_record
from ociassemble.content.verify import blocks
from ociassemble.errors import Error, NotFoundError, OfflineError, ProjectError
from ociassemble.net.download import fetch_checked
from ociassemble.net.url import is_metadata, origin
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Progress
from ociassemble.sources.integrity import Integrity
from ociassemble.sources.npmrc import NpmSettings

_RECORDS = "npm"  # the store's records: by the hash a lock names a tarball by, the sha256 and size that were found
_UNUSABLE = re.compile(r"[^A-Za-z0-9._+~-]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.ASCII | re.IGNORECASE)
_SHOWN = 5  # names in one warning
MAX_LOCK = 64 << 20  # bytes of a package-lock.json; the largest have some 5 MB


class NpmSourceError(ProjectError):
    """A package of a package-lock.json comes from where no tarball can be fetched: git, a folder, another scheme."""

    code = "project.npm-source"


class NpmMissingError(NotFoundError):
    """No registry has tarballs that the lock names."""

    code = "not-found.npm"


class NpmOfflineError(OfflineError):
    """`--offline`, and tarballs that the lock names are not in the store."""

    code = "offline.npm"


class Tarball(NamedTuple):
    """A package as a package-lock.json names it; `integrity` and `url` may be empty."""

    package: str  # "@scope/name"
    version: str
    integrity: str
    url: str

    def __str__(self) -> str:
        return f"{self.package}@{self.version}"

    @property
    def filename(self) -> str:
        """What registries call it. Made of name and version alone: which server had it decides nothing."""
        base = self.package.rpartition("/")[2]
        return _UNUSABLE.sub("_", f"{base}-{self.version}")[:200].lstrip(".") + ".tgz"

    @property
    def path(self) -> str | None:
        """Where in the project it is, for one that is a file of it."""
        scheme, _, rest = self.url.partition(":")
        return rest if scheme == "file" else None

    @property
    def _below(self) -> str:
        """Its path below a registry's URL."""
        return f"/{self.package}/-/{self.package.rpartition('/')[2]}-{self.version}.tgz"

    def of_registry(self) -> bool:
        """Whether the lock's own URL, where it has one, is that of a registry's tarball."""
        return not self.url or unquote(urlsplit(self.url).path).endswith(self._below)


class Registries(NamedTuple):
    """The configured registries, and how to ask the installed npm for its own where nobody names one."""

    settings: NpmSettings
    default: Callable[[], str]

    def urls(self, tarball: Tarball) -> tuple[str, ...]:
        """Where to ask for `tarball`, in this order: the configured registry, then the lock's own URL.

        What is not a registry's package is asked for at its own URL first; one without a hash nowhere else, because
        nothing would tell another package of that name from it.
        """
        own = (tarball.url,) if tarball.url else ()
        if own and (not tarball.integrity or (not tarball.of_registry() and not self._scoped(tarball))):
            return own
        registry = self.settings.registry_of(tarball.package)
        if not registry and not own:
            registry = self.default()
        configured = (registry + tarball._below,) if registry else ()
        both = (*configured, *own) if tarball.of_registry() else (*own, *configured)
        return tuple(dict.fromkeys(both))

    def _scoped(self, tarball: Tarball) -> bool:
        return tarball.package.partition("/")[0] in self.settings.scopes


def obtain(
    tarballs: Iterable[Tarball],
    registries: Callable[[], Registries],
    *,
    folder: Path,
    wire: Wire,
    store: Store,
    progress: Progress,
    jobs: int,
) -> dict[Tarball, ArtifactRef]:
    """Make all `tarballs` be in `store`, each checked against its integrity, and say what they are.

    What was checked once is remembered, and not asked for again while it is in the store. `registries` is called only
    where something must be downloaded. `folder` is the project's. Raises `NpmSourceError`, `IntegrityTextError`,
    `IntegrityMismatchError`, `NpmMissingError`, `NpmOfflineError` and the errors of the wire.
    """
    wanted = sorted(set(tarballs))
    refuse_others(wanted)
    hashes = {item: Integrity.parse(item.integrity, f"`{item}`") if item.integrity else None for item in wanted}
    _warn(wanted, hashes, progress)
    found = {item: ref for item in wanted if (ref := _recalled(item, hashes[item], store)) is not None}
    missing = [item for item in wanted if item not in found]
    local = [item for item in missing if item.path is not None]
    found |= {item: _from_project(item, hashes[item], folder, store) for item in local}
    remote = [item for item in missing if item.path is None]
    if remote and wire.offline:
        raise offline(remote)
    places = registries() if remote else None
    failures: list[Error] = []

    def one(item: Tarball) -> tuple[Tarball, ArtifactRef] | None:
        assert places is not None
        try:
            return item, _download(item, hashes[item], places, wire, store, progress)
        except NotFoundError as error:
            failures.append(error)
            return None

    found.update(pair for pair in _pool.each(one, remote, jobs=jobs) if pair is not None)
    if len(found) < len(wanted):
        raise missing_error([item for item in wanted if item not in found], failures)
    return found


def locate(
    tarballs: Mapping[Digest, Tarball], registries: Callable[[], Registries], *, folder: Path, wire: Wire, store: Store
) -> dict[Digest, tuple[str, ...]]:
    """Where to fetch these from by their sha256; those that are files of the project are put into `store` here."""
    refuse_others(sorted(tarballs.values()))
    remote = {digest: item for digest, item in tarballs.items() if item.path is None}
    if remote and wire.offline:
        raise offline(list(remote.values()))
    for digest, item in tarballs.items():
        if item.path is not None:
            _from_project(item, None, folder, store, digest)
    places = registries() if remote else None
    return {digest: places.urls(item) for digest, item in remote.items()} if places is not None else {}


def refuse_others(tarballs: Sequence[Tarball]) -> None:
    """Raise `NpmSourceError` for what is neither on a web server nor a file of the project, or on one for secrets."""
    if secret := [item for item in tarballs if _serves_secrets(item.url)]:
        raise NpmSourceError(
            f"`{secret[0]}` comes from `{origin(secret[0].url).host}`, an address that serves secrets",
            details=[f"`{item}`" for item in secret[1:]],
            hint="lock again with `npm install --package-lock-only`, and look at who wrote the lock",
        )
    others = [
        item
        for item in tarballs
        if item.url and (match := _SCHEME.match(item.url)) and match[1].lower() not in ("https", "http", "file")
    ]
    if others:
        raise NpmSourceError(
            f"`{others[0]}` comes from `{_scheme(others[0].url)}`, and only tarballs can be fetched",
            details=[f"`{item}`: {_scheme(item.url)}" for item in others[1:]],
            hint="depend on a released version, or on a tarball: `npm pack` makes one, `file:NAME.tgz` names it",
        )


def _serves_secrets(url: str) -> bool:
    """Whether a URL is of an address that nobody may be sent to by a file: a cloud's metadata, link-local ones."""
    try:
        return url.lower().startswith(("https:", "http:")) and is_metadata(origin(url).host)
    except Error:
        return False  # the wire says what is wrong with it


def offline(tarballs: Sequence[Tarball]) -> NpmOfflineError:
    """The error for what is missing under `--offline`, all of it."""
    count = f"{len(tarballs)} npm package{'s are' if len(tarballs) > 1 else ' is'}"
    return NpmOfflineError(
        f"{count} not in the store",
        details=[str(item) for item in sorted(tarballs)],
        hint="run once without `--offline`: they are kept",
    )


def missing_error(tarballs: Sequence[Tarball], failures: Sequence[Error]) -> NpmMissingError:
    """The error for what is nowhere, all of it."""
    count = f"{len(tarballs)} npm package{'s are' if len(tarballs) > 1 else ' is'}"
    said = sorted({text for error in failures for text in (str(error), *error.details)})
    return NpmMissingError(
        f"{count} on none of the registries: {', '.join(map(str, tarballs[:_SHOWN]))}"
        + (f" and {len(tarballs) - _SHOWN} more" if len(tarballs) > _SHOWN else ""),
        details=said,
        hint="name the registry that has them in .npmrc (`registry=URL` or `@scope:registry=URL`)",
    )


# ------------------------------------------------------------------------------------------------ one tarball


def _download(
    item: Tarball, integrity: Integrity | None, places: Registries, wire: Wire, store: Store, progress: Progress
) -> ArtifactRef:
    digest, size = fetch_checked(
        wire,
        places.urls(item),
        integrity.check if integrity is not None else _Anything,
        store,
        label=item.filename,
        progress=progress,
        headers=places.settings.headers,
    )
    _remember(integrity, digest, size, store)
    return ArtifactRef(digest, size, item.filename)


class _Anything:
    """The check of a tarball of which no hash is known."""

    def update(self, data: bytes, /) -> None:
        pass

    def verify(self, what: str) -> None:
        pass


def _from_project(
    item: Tarball, integrity: Integrity | None, folder: Path, store: Store, expected: Digest | None = None
) -> ArtifactRef:
    """A tarball that is a file of the project, put into the store."""
    assert item.path is not None
    try:
        path = (folder / item.path).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise NpmSourceError(
                f"`{item}` is the file `{item.path}`, and there is none of that name in the project's folder",
                hint="put the tarball into the folder that is built, and install it from there",
            )
        check = integrity.check() if integrity is not None else _Anything()
        with path.open("rb") as stream, store.ingest() as writer:
            for block in blocks(stream):
                check.update(block)
                writer.write(block)
            check.verify(item.path)
            digest, size = writer.commit(expected)
    except (OSError, ValueError) as error:
        raise NpmSourceError(f"the tarball `{item.path}` of `{item}` cannot be read: {error}") from error
    return ArtifactRef(digest, size, item.filename)


def _recalled(item: Tarball, integrity: Integrity | None, store: Store) -> ArtifactRef | None:
    """What was checked against this hash before, if it is still here; a file of the project is always looked at."""
    for key in () if integrity is None or item.path is not None else integrity.keys():
        found = read_record(
            store, _RECORDS, key, lambda record: (Digest.from_hex(record["sha256"]), int(record["size"]))
        )
        if found is not None and store.size(found[0]) == found[1]:
            return ArtifactRef(*found, item.filename)
    return None


def _remember(integrity: Integrity | None, digest: Digest, size: int, store: Store) -> None:
    """Keep what a hash stands for, where only one file can have it."""
    if integrity is not None and not integrity.weak and len(integrity.digests) == 1:
        value = json.dumps({"sha256": digest.hex, "size": size}, sort_keys=True).encode()
        store.put_record(_RECORDS, integrity.keys()[0], value)


def _warn(tarballs: Sequence[Tarball], hashes: Mapping[Tarball, Integrity | None], progress: Progress) -> None:
    again = "lock again with `npm install --package-lock-only`"
    if none := [item for item in tarballs if hashes[item] is None]:
        progress.warn(
            f"no hash in the lock says what {_names(none)} must be: what comes is taken, and hashed ({again})"
        )
    if weak := [item for item in tarballs if (found := hashes[item]) is not None and found.weak]:
        progress.warn(f"only SHA-1, which can be forged, says what {_names(weak)} must be ({again})")


def _names(tarballs: Sequence[Tarball]) -> str:
    shown = ", ".join(f"`{item}`" for item in tarballs[:_SHOWN])
    return shown + (f" and {len(tarballs) - _SHOWN} more" if len(tarballs) > _SHOWN else "")


def _scheme(url: str) -> str:
    return url.partition(":")[0]
