"""Debian's archive: which mirror, which package is the newest, and where a pinned one is (DEBIAN-INDEX).

Names become pinned packages only through signed InRelease files; pinned packages become URLs without asking
anybody. Hosts are parameters, never part of a result.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from ociassemble import _pool
from ociassemble.content import compress
from ociassemble.content.store import Store, read_record
from ociassemble.content.verify import check
from ociassemble.errors import Error, FormatError, IntegrityError, NetworkError, NotFoundError, UsageError
from ociassemble.formats import deb822, debversion
from ociassemble.oci import _wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.sources import _apt

Fetch = Callable[[str, int], bytes]  # (url, limit in bytes) -> document; NotFoundError, NetworkError
FetchArtifact = Callable[[Sequence[str], ArtifactRef], object]  # brings it into the store, verified
Verify = Callable[[bytes], bytes]  # an InRelease file -> its signed text; raises

MAX_RELEASE = 4 << 20  # bytes of an InRelease file; trixie's has 0.14 MB
MAX_INDEX = 64 << 20  # bytes of a compressed package index; trixie's has 9.7 MB
MAX_INDEX_RAW = 1 << 30
_CLOCK_SLACK = 24 * 3600  # seconds a mirror may be ahead of us

_POOL = re.compile(r"pool/(?:[A-Za-z0-9][A-Za-z0-9+.~_-]*/)+[A-Za-z0-9][A-Za-z0-9+.~_%:-]*\.deb", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,12}", re.ASCII)
_MEMORY = "debian-indexes"
_COMPRESSIONS = ((".xz", "xz"), (".gz", "gzip"), ("", "none"))


class MirrorMissingError(UsageError):
    """Nothing says where Debian packages come from."""

    code = "usage.debian-mirror"


class StaleError(IntegrityError):
    """A signed Release file is past its Valid-Until, or from the future: a replay, or a clock that is wrong."""

    code = "integrity.stale"


class ReleaseError(IntegrityError):
    """A signed Release file is not of the suite that was asked for, or lacks what must be in it."""

    code = "integrity.release"


class PackageMissingError(NotFoundError):
    """A package is in none of the suites, or gone from the mirror."""

    code = "not-found.debian-package"


class Suite(NamedTuple):
    """One suite of one archive: ("debian-security", "trixie-security")."""

    archive: str
    name: str
    components: tuple[str, ...] = ("main",)


class Mirror(NamedTuple):
    """Root URLs by archive, in the order they are tried."""

    roots: Mapping[str, tuple[str, ...]]

    def of(self, archive: str) -> tuple[str, ...]:
        """The roots of `archive`; `MirrorMissingError` where there are none."""
        roots = self.roots.get(archive, ())
        if not roots:
            raise _no_mirror(archive)
        return roots


def _no_mirror(archive: str) -> MirrorMissingError:
    return MirrorMissingError(
        f"nothing says where Debian's archive `{archive}` is",
        hint="set OCIASSEMBLE_DEBIAN_MIRROR (or `debian-mirror` in the settings) to a URL that holds debian/ and "
        "debian-security/",
    )


def discover(configured: str | None, apt: Path = Path("/etc/apt")) -> Mirror:
    """The mirror: `configured` (settings or OCIASSEMBLE_DEBIAN_MIRROR), else the one apt uses on this host."""
    if configured:
        root = configured.rstrip("/")
        if urlsplit(root).scheme not in ("http", "https") or not urlsplit(root).hostname:
            raise MirrorMissingError(
                f"not the URL of a Debian mirror: `{configured}`",
                hint="give the http(s) URL of a folder that holds debian/ and debian-security/",
            )
        return Mirror({archive: (f"{root}/{archive}",) for archive in ("debian", "debian-security")})
    found = _apt.archives(apt)
    if "debian" not in found:
        raise _no_mirror("debian")
    return Mirror(found)


# ------------------------------------------------------------------------------------------------ from names to pins


class _Release(NamedTuple):
    """A verified Release file, and the root it came from."""

    suite: Suite
    root: str
    by_hash: bool
    files: Mapping[str, deb822.Checksum]


def resolve(
    mirror: Mirror,
    suites: Sequence[Suite],
    wanted: Mapping[str, Collection[str]],
    *,
    fetch: Fetch,
    verify: Verify,
    now: float,
    jobs: int = 4,
    store: Store | None = None,
) -> dict[str, tuple[DebianPackage, ...]]:
    """For each architecture (Debian's name) the newest version of each package over all suites, sorted by name.

    `now` is in seconds since 1970: signed files past their Valid-Until are refused here and nowhere else. Equal
    versions come from the earlier suite. What an index said is remembered in `store` by the index's sha256, so that
    one that did not change is neither fetched nor read again. Raises `StaleError`, `ReleaseError`,
    `PackageMissingError`, whatever `verify` raises, and the errors of `fetch`.
    """
    releases = _pool.each(lambda suite: _release(mirror, suite, fetch, verify, now), suites, jobs=jobs)
    tasks = [
        (release, component, architecture)
        for release in releases
        for component in release.suite.components
        for architecture in wanted
    ]

    def candidates(task: tuple[_Release, str, str]) -> list[DebianPackage]:
        release, component, architecture = task
        return _candidates(release, component, architecture, wanted[architecture], fetch, store)

    found = _pool.each(candidates, tasks, jobs=jobs)
    result: dict[str, tuple[DebianPackage, ...]] = {}
    for architecture, names in wanted.items():
        newest: dict[str, DebianPackage] = {}
        for (release, _, here), packages in zip(tasks, found, strict=True):
            for package in packages if here == architecture else ():
                before = newest.get(package.name)
                if before is None or debversion.key(package.version) > debversion.key(before.version):
                    newest[package.name] = package._replace(suite=release.suite.name)
        missing = sorted(set(names) - set(newest))
        if missing:
            raise PackageMissingError(
                f"the Debian package `{missing[0]}` is in none of the suites for {architecture}",
                details=[f"also missing: {name}" for name in missing[1:]]
                + [f"looked in {suite.name}" for suite in suites],
            )
        result[architecture] = tuple(newest[name] for name in sorted(newest))
    return result


def _release(mirror: Mirror, suite: Suite, fetch: Fetch, verify: Verify, now: float) -> _Release:
    """The suite's InRelease file from the first root that has a good one."""
    failures: list[Error] = []
    for root in mirror.of(suite.archive):
        try:
            text = verify(fetch(f"{root}/dists/{suite.name}/InRelease", MAX_RELEASE))
            return _judged(text, suite, root, now)
        except (NetworkError, NotFoundError, IntegrityError) as error:
            failures.append(error)
    # Bytes that are not what they should be matter more than a server that has none.
    failures.sort(key=lambda error: not isinstance(error, IntegrityError))
    failures[0].details = (*failures[0].details, f"while resolving the Debian suite {suite.name}")
    raise failures[0]


def _judged(text: bytes, suite: Suite, root: str, now: float) -> _Release:
    what = f"the Release file of {suite.name}"
    stanza = deb822.parse_one(text, what)
    # The archive signs all its suites with the same keys: without this, an old suite could pose as a new one.
    codename = stanza.get("codename", "")
    if suite.name != codename:
        raise ReleaseError(f"{what} is that of `{codename or 'no suite'}`")
    issued = _time(deb822.field(stanza, "Date", what), what)
    if issued > now + _CLOCK_SLACK:
        raise StaleError(
            f"{what} is from the future: {stanza['date']}", hint="the clock of this host seems to be behind: set it"
        )
    if "valid-until" in stanza and _time(stanza["valid-until"], what) < now:
        raise StaleError(
            f"{what} was valid until {stanza['valid-until']}",
            hint="the mirror is behind, this host's clock is ahead, or old files are replayed: try another mirror",
        )
    return _Release(suite, root, stanza.get("acquire-by-hash", "") == "yes", deb822.checksums(stanza, what))


def _time(text: str, what: str) -> float:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise ReleaseError(f"{what} has a date that is none: {text!r:.60}") from error


def _candidates(
    release: _Release,
    component: str,
    architecture: str,
    names: Collection[str],
    fetch: Fetch,
    store: Store | None,
) -> list[DebianPackage]:
    """The packages of one index that are wanted; the index is verified before it is decompressed."""
    folder = f"{component}/binary-{architecture}"
    what = f"the package index {release.suite.name}/{folder}"
    offered = [item for item in _COMPRESSIONS if f"{folder}/Packages{item[0]}" in release.files]
    if not offered:
        raise ReleaseError(f"{what} is not listed in the Release file")
    suffix, codec = offered[0]
    listed = release.files[f"{folder}/Packages{suffix}"]
    if listed.size > MAX_INDEX:
        raise ReleaseError(f"{what} has {listed.size} bytes, more than {MAX_INDEX}")
    # What an index says of some names is decided by its bytes alone.
    key = Digest.of(_wire.canonical([listed.sha256, release.suite.archive, architecture, sorted(names)])).hex
    remembered = read_record(store, _MEMORY, key, _remembered) if store is not None else None
    if remembered is not None:
        return remembered
    data = _index(release, folder, listed, fetch, what)
    stream = compress.open_reader(io.BytesIO(data), codec, limit=MAX_INDEX_RAW)
    found = [
        _pinned(stanza, release.suite.archive, what)
        for stanza in deb822.scan(stream, names, what)
        if stanza.get("architecture") in (architecture, "all")
    ]
    if store is not None:
        store.put_record(_MEMORY, key, _wire.canonical([item.document() for item in found]))
    return found


def _remembered(document: Any) -> list[DebianPackage]:
    return [DebianPackage.read(item, "a remembered package") for item in document]


def _index(release: _Release, folder: str, listed: deb822.Checksum, fetch: Fetch, what: str) -> bytes:
    digest = Digest.from_hex(listed.sha256)
    base = f"{release.root}/dists/{release.suite.name}"
    if release.by_hash:
        # Named by its content, it is right even while the mirror is being updated.
        try:
            data = fetch(f"{base}/{folder}/by-hash/SHA256/{listed.sha256}", listed.size)
            return check(data, digest, listed.size, what)
        except NotFoundError:
            pass
    return check(fetch(f"{base}/{listed.path}", listed.size), digest, listed.size, what)


def _pinned(stanza: deb822.Stanza, archive: str, what: str) -> DebianPackage:
    name = deb822.field(stanza, "Package", what)
    version, path = deb822.field(stanza, "Version", what), deb822.field(stanza, "Filename", what)
    size, sha256 = deb822.field(stanza, "Size", what), deb822.field(stanza, "SHA256", what)
    debversion.split(version)
    if not _POOL.fullmatch(path) or ".." in path.split("/") or not _SIZE.fullmatch(size):
        raise ReleaseError(f"{what} has an unusable place or size for `{name}`: {path!r:.200}")
    try:
        digest = Digest.from_hex(sha256)
    except FormatError as error:
        raise ReleaseError(f"{what} has no usable SHA256 for `{name}`") from error
    return DebianPackage(name, version, archive, path, digest, int(size))


# ------------------------------------------------------------------------------------------------ from pins to files


def urls(package: DebianPackage, mirror: Mirror) -> tuple[str, ...]:
    """Where a pinned package may be, best first."""
    return tuple(f"{root}/{quote(package.path, safe='/+~:')}" for root in mirror.of(package.archive))


def fetch_packages(packages: Iterable[DebianPackage], mirror: Mirror, fetch: FetchArtifact, *, jobs: int = 4) -> None:
    """Bring pinned packages into the store, in parallel; `fetch` verifies each by sha256 and size."""

    def bring(package: DebianPackage) -> None:
        try:
            fetch(urls(package, mirror), package.artifact)
        except NotFoundError as error:
            raise PackageMissingError(
                f"the mirror no longer has `{package.artifact.filename}`",
                details=[str(error)],
                hint="mirrors drop superseded versions: resolve again with `ociassemble lock`",
            ) from error

    unique = {package.digest: package for package in packages}
    _pool.each(bring, unique.values(), jobs=jobs)
