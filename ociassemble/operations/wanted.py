"""`bundle save --wants`: outside, without the project, what a closed network said it lacks (BUNDLE-10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ociassemble.base.names import expand
from ociassemble.base.resolve import BaseImage
from ociassemble.content.store import healed
from ociassemble.errors import NotFoundError
from ociassemble.image.assemble import image_or_index
from ociassemble.oci import _wire
from ociassemble.oci.platform import Platform
from ociassemble.operations import outside
from ociassemble.operations.bundles import Gathered, base_name, debian_files, file_of, looked_at, release_file, written
from ociassemble.plan.wants import Want, WantedBase, Wants, WantsFormatError
from ociassemble.project.settings import Settings
from ociassemble.session import Session
from ociassemble.session.bases import assembler, resolver
from ociassemble.session.request import BuildRequest
from ociassemble.transports.bundle import File
from ociassemble.transports.bundle_write import Saved


class NotOutsideError(NotFoundError):
    """Files that no registry has: pnpm or Yarn lays them down in the project."""

    code = "not-found.outside"


def save_wanted(
    session: Session, wants: Path, output: Path, *, since: str = "", split: int | None = None, tool: bool = False
) -> Saved:
    """Write the bundle of what the file `wants` names, from where the user's own configuration says it is."""
    found = read_wants(wants)
    older = looked_at(output, since)
    return healed(
        lambda: written(session, gather(session, found), output, since=older, split=split, tool=tool),
        session.progress.warn,
    )


def read_wants(path: Path) -> Wants:
    """The list at `path`; raises `WantsFormatError`."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_wire.MAX_DOCUMENT + 1)
    except OSError as error:
        raise WantsFormatError(
            f"cannot read `{path}`: {error.strerror}",
            hint="`ociassemble lock --missing > ../wants.json` writes it inside",
        ) from error
    return Wants.parse(raw, path.name)


def gather(session: Session, wants: Wants) -> Gathered:
    """All of it brought into the store."""
    if made := [want.artifact.filename for want in wants.files if want.kind == "modules"]:
        raise NotOutsideError(
            "pnpm and Yarn lay packages down in the project, and no registry has what they lay down",
            details=made,
            hint="run `ociassemble bundle save APP` outside, with the project",
        )
    settings = Settings()
    request = BuildRequest(application=session.environment.folder)
    bases = _bases(session, request, settings, wants.base) if wants.base is not None else ()
    files = [*_assembled(session, request, settings, bases), *_debian(session, request, settings, wants)]
    files += _packages(session, wants.files)
    node = image_or_index([item.image for item in bases], {}) if bases else None
    return Gathered(wants.name, node, base_name(bases), tuple(files))


def _bases(session: Session, request: BuildRequest, settings: Settings, wanted: WantedBase) -> tuple[BaseImage, ...]:
    """The base for each platform that lacks it: at its pin, or whatever its name stands for now."""
    name = expand(wanted.name, overrides={})
    pins = {platform: pin for platform, pin in wanted.platforms.items() if pin is not None}
    found_by = resolver(session, request, settings)._replace(pins=pins)
    pinned = [Platform.parse(text) for text in sorted(pins)]
    others = [Platform.parse(text) for text in sorted(wanted.platforms) if text not in pins]
    found = found_by.resolve(name, pinned, wanted.source) if pinned else ()
    return (*found, *(found_by.resolve(name, others, wanted.source) if others else ()))


def _assembled(
    session: Session, request: BuildRequest, settings: Settings, bases: Sequence[BaseImage]
) -> Iterator[File]:
    debian = [base for base in bases if base.source == "debian"]
    if debian:
        yield from debian_files(session, request, settings, debian, pins=True)


def _debian(session: Session, request: BuildRequest, settings: Settings, wants: Wants) -> Iterator[File]:
    """Packages and releases of a base that the closed network knows but cannot assemble."""
    packages = [want.package for want in wants.files if want.kind == "debian"]
    if not packages and not wants.releases:
        return
    assembler(session, request, settings).bring(packages, wants.releases)
    for package in packages:
        yield file_of("debian", package.name, package.version, package.artifact, session.store)
    for release in wants.releases:
        yield release_file(release, session.store)


def _packages(session: Session, files: Sequence[Want]) -> Iterator[File]:
    wheels = [want for want in files if want.kind == "wheel"]
    tarballs = [want for want in files if want.kind == "npm"]
    if wheels:
        outside.bring_wheels(session, [want.artifact for want in wheels], outside.index_of(session))
    if tarballs:
        from ociassemble.sources.npm import Tarball

        pairs = [(want.artifact, Tarball(want.name, want.version, "", "")) for want in tarballs]
        outside.bring_tarballs(session, pairs)
    for want in (*wheels, *tarballs):
        yield file_of(want.kind, want.name, want.version, want.artifact, session.store)
