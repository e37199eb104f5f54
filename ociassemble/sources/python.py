"""Where wheels are: from sha256 to URLs and local files (specs/behaviour/lock.md, LOCK-17 to LOCK-19)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ociassemble import _pool
from ociassemble.content.store import Store, ingest_all
from ociassemble.content.verify import blocks, digest_of
from ociassemble.errors import Error, FormatError, IntegrityError, NotFoundError, OfflineError
from ociassemble.formats import toml
from ociassemble.formats.package_name import normalised
from ociassemble.net import download
from ociassemble.net.url import redact
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Progress
from ociassemble.sources import simple
from ociassemble.sources.index_settings import Index, IndexSettings

MAX_PAGE = 64 << 20  # bytes; projects with tens of thousands of files have pages of 30 MiB
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)


class Own(NamedTuple):
    """Where the project's own lock says a file is."""

    urls: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # relative to the project's folder
    size: int = -1


class Located(NamedTuple):
    """Where one artifact is, best first. Its size is -1 where still nobody told.

    `urls` may carry the userinfo of their own origin: hand them to `net`, show them through `net.url.redact`.
    """

    artifact: ArtifactRef
    files: tuple[Path, ...] = ()  # on this machine
    urls: tuple[str, ...] = ()


class NotLocatedError(NotFoundError):
    """No index has files that the lock names."""

    code = "not-found.artifact"


class ArtifactsOfflineError(OfflineError):
    """`--offline`, and files that the lock names are not in the store."""

    code = "offline.artifacts"


def own(text: str) -> Mapping[Digest, Own]:
    """What a `pylock.toml` or `uv.lock` says of where its files are, by sha256; nothing where it is neither."""
    try:
        document = toml.loads(text)
    except (toml.TOMLDecodeError, RecursionError):
        return {}
    found: dict[Digest, Own] = {}
    for package in (*_tables(document.get("packages")), *_tables(document.get("package"))):
        archive = package.get("archive")
        for entry in (*_tables(package.get("wheels")), *_tables([archive])):
            hashes = entry.get("hashes")
            sha256 = hashes.get("sha256") if isinstance(hashes, dict) else entry.get("hash")
            match = _SHA256.fullmatch(sha256) if isinstance(sha256, str) else None
            if match:
                digest = Digest.from_hex(match[1])
                found[digest] = _merge(found.get(digest, Own()), entry)
    return found


def locate(
    artifacts: Iterable[ArtifactRef],
    index: IndexSettings,
    wire: Wire,
    *,
    owned: Mapping[Digest, Own],
    folder: Path,
    resolved: bool = False,
    jobs: int = 8,
    progress: Progress | None = None,
) -> dict[Digest, Located]:
    """Where these wheels are.

    `index` has its default. `owned` is what the project's lock or the resolver's answer says (`own`), its paths
    relative to `folder`; with `resolved` it comes from asking these very indexes a moment ago, and they are not
    asked again. Pages are read `jobs` at once. Raises `NotLocatedError` or `ArtifactsOfflineError` naming all
    that are nowhere, or the error of the index that could not be asked.
    """
    by_name: dict[str, dict[Digest, ArtifactRef]] = {}
    for artifact in artifacts:
        name = normalised(artifact.filename.partition("-")[0])
        by_name.setdefault(name, {})[artifact.digest] = artifact
    search = _Search(index, wire, owned, folder, resolved, progress or Progress())
    groups = _pool.each(search.package, sorted(by_name.items()), jobs=jobs)
    located = {item.artifact.digest: item for group in groups for item in group}
    missing = [item.artifact for item in located.values() if not item.files and (wire.offline or not item.urls)]
    if missing:
        raise search.missing(missing)
    return located


def places(located: Mapping[Digest, Located], store: Store) -> dict[Digest, tuple[str, ...]]:
    """The URLs to fetch from, by digest; what is on this machine already is put into `store` here."""
    for digest, item in located.items():
        for path in item.files:
            if store.size(digest) is None:
                # Changed since it was looked at: then another place may have the bytes.
                with contextlib.suppress(OSError, IntegrityError), path.open("rb") as stream:
                    ingest_all(store, blocks(stream), digest)
    return {digest: item.urls for digest, item in located.items()}


class _Search:
    """One call of `locate`: what is shared between packages."""

    def __init__(
        self,
        index: IndexSettings,
        wire: Wire,
        owned: Mapping[Digest, Own],
        folder: Path,
        resolved: bool,
        progress: Progress,
    ) -> None:
        self.index, self.wire, self.owned, self.folder, self.resolved = index, wire, owned, folder, resolved
        self.progress = progress
        self.failed: dict[str, Error] = {}  # by index: one that cannot be asked is not asked again
        self.flat = tuple(self._flat(item) for item in index.find_links)

    def package(self, item: tuple[str, Mapping[Digest, ArtifactRef]]) -> list[Located]:
        """The artifacts of one project."""
        name, artifacts = item
        found = {digest: self._near(artifact) for digest, artifact in artifacts.items()}
        for index in self.index.indexes:
            open_ones = [digest for digest, item in found.items() if not item.files and not item.urls]
            if not open_ones:
                break
            links = self._page(index, name)
            for digest in open_ones:
                found[digest] = self._matching(found[digest], links)
        return [self._with_own(item) for item in found.values()]

    def missing(self, items: Sequence[ArtifactRef]) -> Error:
        details = [item.filename for item in items]
        count = f"{len(items)} locked file{'s are' if len(items) > 1 else ' is'}"
        if self.wire.offline:
            return ArtifactsOfflineError(
                f"{count} not in the store", details=details, hint="run once without `--offline`: they are kept"
            )
        if self.failed:
            error = next(iter(self.failed.values()))
            error.details = (*error.details, f"{count} looked for there:", *details)
            return error
        return NotLocatedError(
            f"{count} on none of the configured package indexes",
            details=[*details, *(f"asked: {redact(index.url)}" for index in self.index.indexes)],
            hint="name the index that has them in [tool.ociassemble.python], or lock again with `ociassemble lock`",
        )

    def _near(self, artifact: ArtifactRef) -> Located:
        """What needs no page of an index."""
        own = self.owned.get(artifact.digest, Own())
        if artifact.size < 0 <= own.size:
            artifact = artifact._replace(size=own.size)
        item = Located(artifact)
        paths = [self.folder / path for path in own.paths]
        paths = [path for path in paths if path.resolve().is_relative_to(self.folder.resolve())]
        if self.resolved:
            urls = tuple(self.index.authorised(url) for url in own.urls if not url.startswith("file:"))
            paths += [_local(url) for url in own.urls if url.startswith("file:")]
            item = item._replace(urls=urls)
        item = _with_files(item, paths)
        for links in self.flat:
            item = self._matching(item, links)
        return item

    def _with_own(self, item: Located) -> Located:
        """The URL that the input itself names is the second choice."""
        urls = self.owned.get(item.artifact.digest, Own()).urls
        second = [self.index.authorised(url) for url in urls if url.startswith(("https://", "http://"))]
        return item._replace(urls=tuple(dict.fromkeys((*item.urls, *second))))

    def _matching(self, item: Located, links: Iterable[simple.Link]) -> Located:
        named = [link for link in links if simple.same_file(link.filename, item.artifact.filename)]
        sure = [link for link in named if link.sha256 == item.artifact.digest.hex]
        chosen = sure or [link for link in named if not link.sha256]
        size = next((link.size for link in sure if link.size >= 0), -1)
        if item.artifact.size < 0 <= size:
            item = item._replace(artifact=item.artifact._replace(size=size))
        local = [_local(link.url) for link in chosen if link.url.startswith("file:")]
        urls = [self.index.authorised(link.url) for link in chosen if not link.url.startswith("file:")]
        return _with_files(item._replace(urls=tuple(dict.fromkeys((*item.urls, *urls)))), local)

    def _page(self, index: Index, name: str) -> tuple[simple.Link, ...]:
        """The links of a project on one index; none where it has no such project or cannot be asked."""
        if index.url in self.failed or (self.wire.offline and index.origin is not None):
            return ()
        try:
            if index.origin is None:
                page = _local(index.page(name)) / "index.html"
                return simple.parse(_read(page), "text/html", page.as_uri())
            return self._get(index.page(name))
        except NotFoundError:
            return ()
        except (Error, OSError) as error:
            problem = error if isinstance(error, Error) else FormatError(f"`{index.url}` cannot be read: {error}")
            if index.url not in self.failed:
                self.failed[index.url] = problem
                self.progress.warn(f"the package index `{redact(index.url)}` cannot be asked: {problem}")
            return ()

    def _get(self, url: str) -> tuple[simple.Link, ...]:
        page = download.get(self.wire, self.index.authorised(url), limit=MAX_PAGE, headers={"Accept": simple.ACCEPT})
        return simple.parse(page.data, page.content_type, page.url)

    def _flat(self, place: str) -> tuple[simple.Link, ...]:
        """The files of one `find-links` place."""
        try:
            if "://" in place:
                return () if self.wire.offline else self._get(place)
            folder = Path(place)
            if folder.is_file():
                return simple.parse(_read(folder), "text/html", folder.as_uri())
            return tuple(simple.Link(path.name, path.as_uri(), "", -1) for path in sorted(folder.iterdir()))
        except (Error, OSError) as error:
            self.progress.warn(f"the find-links place `{redact(place)}` cannot be read: {error}")
            return ()


def _with_files(item: Located, paths: Iterable[Path]) -> Located:
    """`item` with those of `paths` that have its bytes."""
    artifact, files = item.artifact, list(item.files)
    for path in paths:
        try:
            size = path.stat().st_size
            if (artifact.size < 0 or artifact.size == size) and _digest(path) == artifact.digest:
                files.append(path)
                artifact = artifact._replace(size=size)
        except OSError:
            continue
    return item._replace(artifact=artifact, files=tuple(dict.fromkeys(files)))


def _merge(before: Own, entry: Mapping[str, Any]) -> Own:
    url, path, size = entry.get("url"), entry.get("path"), entry.get("size")
    told = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return Own(
        (*before.urls, url) if isinstance(url, str) else before.urls,
        (*before.paths, path) if isinstance(path, str) and "\0" not in path else before.paths,
        size if told else before.size,  # type: ignore[arg-type]
    )


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def _local(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no `{path}`") from None


def _digest(path: Path) -> Digest:
    with path.open("rb") as stream:
        return digest_of(stream)
