"""`bundle save`: everything that a lock names, in one archive (specs/behaviour/bundle.md).

What goes in is brought into the store first, from where a build would bring it, each by its digest; the archive is
then written from the store alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ociassemble import _files, _pool
from ociassemble.base.resolve import BaseImage
from ociassemble.build import planned
from ociassemble.content.place import check_place
from ociassemble.content.store import Store, healed, ingest_all
from ociassemble.errors import NotFoundError, ProjectError, UsageError
from ociassemble.image.assemble import image_or_index
from ociassemble.image.image import Node
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.lock.application import Application, read_lock
from ociassemble.oci import _wire, mediatype
from ociassemble.operations.licences import licence_of
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.release import Release
from ociassemble.project.reading import packed_next
from ociassemble.project.settings import Settings
from ociassemble.project.tree import some
from ociassemble.session import Session
from ociassemble.session.bases import assembler
from ociassemble.session.inputs import for_locked, lock_path, settings_of
from ociassemble.session.request import BuildRequest
from ociassemble.session.steps import Steps
from ociassemble.session.target import Planned
from ociassemble.transports import parts
from ociassemble.transports.bundle import Bundle, BundleArchive, File, Kind, read_bundle
from ociassemble.transports.bundle_write import Saved, bundle_of, write_bundle


class NoLockError(ProjectError):
    """A bundle holds what a lock names, and there is none."""

    code = "project.bundle-lock"


class Gathered(NamedTuple):
    """What a bundle is made of: its name, the base, what a registry's base is asked for by, and files."""

    name: str
    base: Node | None
    base_name: str
    files: tuple[File, ...]


def save(
    session: Session, request: BuildRequest, output: Path, *, since: str = "", split: int | None = None, tool: bool
) -> Saved:
    """Write the bundle of an application. `since` is an older bundle, whose blobs are left out; `split` in bytes.

    The lock must answer what is asked. With `tool`, our own wheel and those it needs go along. What the next build of
    the application would pack of what is written here is told.
    """
    older = looked_at(output, since)
    done = healed(
        lambda: written(session, gather(session, request), output, since=older, split=split, tool=tool),
        session.progress.warn,
    )
    _warn_packed(session, request, output, done)
    return done


def looked_at(output: Path, since: str) -> Bundle | None:
    """The older bundle, if one is named: looked at before any work is done, as is where the new one goes."""
    if str(output) == "-":
        raise UsageError("a bundle is written to a file", hint="`-o FILE`")
    check_place(output)
    if not since:
        return None
    try:
        return read_bundle(BundleArchive(since.removeprefix("bundle:")))
    except NotFoundError as error:
        error.hint = (
            error.hint or "`--since` names the bundle that was carried over before; leave it away for all of it"
        )
        raise


def _warn_packed(session: Session, request: BuildRequest, output: Path, done: Saved) -> None:
    """Tell what was written into the application's folder, where it becomes a part of the image."""
    beside = [path for path in request.writes if path != output]
    made = [output.with_name(part.filename) for part in done.parts]
    settings = settings_of(request)
    found, ignorefile = packed_next(
        request.application,
        [*made, Path(f"{output}{parts.SUFFIX}"), *beside] if made else [output, *beside],
        ignorefile=settings.ignorefile,
        include=settings.build.include,
        exclude=settings.build.exclude,
    )
    if found:
        session.progress.warn(
            f"the next build packs {some(found)}, which {'is' if len(found) == 1 else 'are'} in the folder of the "
            f"application now: write {'it' if len(found) == 1 else 'them'} elsewhere (`-o ../{output.name}`), or name "
            f"{'it' if len(found) == 1 else 'them'} in `{ignorefile}`"
        )


def written(
    session: Session, gathered: Gathered, output: Path, *, since: Bundle | None, split: int | None, tool: bool
) -> Saved:
    """The bundle of what was gathered, written; without the blobs of `since`."""
    files = gathered.files
    if tool:
        from ociassemble.operations.bundle_tool import tool_files

        files += tool_files(session)
    bundle = bundle_of(gathered.name, gathered.base, gathered.base_name, files, session.store.open, since)
    _bring_base(gathered.base, session, since)
    with session.progress.task("write", output.name):
        return write_bundle(bundle, output, since=since, split=split)


def gather(session: Session, request: BuildRequest) -> Gathered:
    """All that the lock of an application names, brought into the store."""
    path = lock_path(request)
    lock = read_lock(path)
    if lock is None:
        raise NoLockError(
            f"a bundle holds what a lock names, and there is no `{path.name}`",
            hint="write one with `ociassemble lock`",
        )
    request = replace(for_locked(request, lock), locked=True, use_lock=True, run_steps=False)
    plan = planned(Steps(session, request))
    bases = [target.base for target in plan.targets]
    files = [
        *_index(session, bases),
        *_debian(session, request, plan, open_base=any(item.base is None for item in lock.platforms.values())),
        *_packages(session.store, plan),
        _kept("lock", path.name, path.read_bytes(), session.store),
    ]
    base = image_or_index([item.image for item in bases], {})
    return Gathered(name_of(plan.application), base, base_name(bases), tuple(files))


def base_name(bases: Sequence[BaseImage]) -> str:
    """What a base from a registry is asked for by; one that was assembled has no registry's name."""
    return bases[0].name.expanded if bases and bases[0].source == "registry" else ""


def name_of(application: Application) -> str:
    """What a bundle of it is called: `[a-z0-9-]+`."""
    name = application.settings.name or application.tree.root.resolve().name
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100].strip("-") or "app"


def _packages(store: Store, plan: Planned) -> Iterator[File]:
    """The packages of every platform; what is not in the store is fetched now."""
    found: dict[ArtifactRef, LockedPackage] = {}
    for target in plan.targets:
        found |= {package.artifact: package for package in target.packages}
    plan.supply.fetch(tuple({ref.digest: ref for ref in found}.values()))
    kind = kind_of(plan.application)
    for ref, package in found.items():
        yield file_of(kind, package.name.rpartition("node_modules/")[2], package.version, ref, store)


def kind_of(application: Application) -> Kind:
    """What the packages of an application are in a bundle."""
    asked = application.request
    if asked is not None and asked.ecosystem == "npm":
        return "npm" if asked.form == "package-lock" else "modules"
    return "wheel"


def file_of(kind: Kind, name: str, version: str, ref: ArtifactRef, store: Store) -> File:
    """A file that is in the store, with the licence that it says it has."""
    size = store.size(ref.digest)
    assert size is not None, "it was brought a moment ago"
    return File(kind, name, version, ref.filename, ref.digest, size, licence_of(kind, ref.digest, store))


def _kept(kind: Kind, filename: str, data: bytes, store: Store) -> File:
    digest, size = ingest_all(store, (data,))
    return File(kind, "", "", filename, digest, size)


def _index(session: Session, bases: Sequence[BaseImage]) -> Iterator[File]:
    """The index that an unpinned base is named by, where its name has a digest: it is asked for by that inside."""
    reference = bases[0].name.location.reference if bases else None
    if reference is None or reference.digest is None or bases[0].source != "registry":
        return
    if reference.digest in {item.image.digest for item in bases} or session.store.size(reference.digest) is None:
        return
    with session.store.open_seekable(reference.digest) as stream:
        raw = stream.read(_wire.MAX_DOCUMENT)
    if _wire.parse(raw, "the base's index").get("mediaType") in mediatype.INDEXES:
        yield _kept("index", f"{reference.digest.hex}.json", raw, session.store)


# ------------------------------------------------------------------------------------------------ assembled bases


def _debian(session: Session, request: BuildRequest, plan: Planned, *, open_base: bool) -> Iterator[File]:
    bases = [target.base for target in plan.targets if target.base.source == "debian"]
    if bases:
        yield from debian_files(session, request, plan.application.settings, bases, pins=open_base)


def debian_files(
    session: Session, request: BuildRequest, settings: Settings, bases: Sequence[BaseImage], *, pins: bool
) -> Iterator[File]:
    """Packages and releases of assembled bases; with `pins`, what the newest of a base that no lock pins are."""
    packages = {package.digest: package for base in bases for package in base.packages}
    releases = {release.archives: release for base in bases for release in base.releases}
    assembler(session, request, settings).bring(tuple(packages.values()), tuple(releases.values()))
    for package in packages.values():
        yield file_of("debian", package.name, package.version, package.artifact, session.store)
    for release in releases.values():
        yield release_file(release, session.store)
    if pins:
        found = {str(base.image.platform): [item.document() for item in base.packages] for base in bases}
        document = {"recipe": bases[0].name.recipe, "platforms": found}
        yield _kept("pins", "debian.json", _wire.canonical(document), session.store)


def release_file(release: Release, store: Store) -> File:
    """The archive of a release that is in the store: the first of them, in the lock's order."""
    ref = next(item.artifact for item in release.archives if store.size(item.digest) is not None)
    return file_of("release", release.name, release.version, ref, store)


def _bring_base(base: Node | None, session: Session, older: Bundle | None) -> None:
    """Fetch, or assemble, the blobs of the base that are not in the store, in parallel."""
    left = older.contents() if older is not None else frozenset()
    blobs = [blob for node in base.walk() for blob in node.blobs] if base is not None else []
    wanted = [
        blob for blob in blobs
        if blob.descriptor.digest not in left and session.store.size(blob.descriptor.digest) is None
    ]  # fmt: skip
    _pool.each(lambda blob: blob.source().close(), wanted, jobs=session.transfers)


def write_contents(path: Path, text: str) -> None:
    """Write the list of what a bundle has."""
    check_place(path)
    _files.write_atomic(path, text.encode(), durable=True)
