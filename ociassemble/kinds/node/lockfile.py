"""A package-lock.json and a platform -> what must be fetched, and what is laid down (NODE-3 to NODE-16)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from ociassemble.kinds.node.entries import REFRESH, Entry, PackageLock, owner, parse
from ociassemble.kinds.node.errors import PackageLockError
from ociassemble.kinds.node.installed import Target, installed, missing
from ociassemble.kinds.protocol import LockedPackage, WantedPackage
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.project.settings import Settings

OPTIONAL = "optional"  # the group of a `ResolveRequest` that stands for optional dependencies
_GIT = ("git+", "git:", "git@", "github:", "gitlab:", "bitbucket:", "gist:")


def wanted(text: str, settings: Settings, facts: BaseFacts) -> tuple[WantedPackage, ...]:
    """Every tarball that `npm ci --omit=dev` would fetch for the base's platform, one for each place, by place.

    Raises PackageLockError and UnsupportedPackageError, each naming the package.
    """
    lock = parse(text)
    return fetched(lock, installed(lock, Target.of(facts), optional=not settings.node.omit_optional))


def scripted(text: str, settings: Settings, facts: BaseFacts) -> tuple[tuple[WantedPackage, bool], ...]:
    """Those of `wanted` that npm would run a script for, each with whether the application can do without it.

    What is in their tarballs tells whether they work without (`native.problem`).
    """
    lock = parse(text)
    packages = wanted(text, settings, facts)
    return tuple(
        (package, lock.entries[package.name].optional) for package in packages if lock.entries[package.name].has_script
    )


def fetched(lock: PackageLock, entries: Iterable[Entry]) -> tuple[WantedPackage, ...]:
    """Those of `entries` that come as a tarball of their own."""
    listed = [entry for entry in entries if entry.packaged and not bundled(entry)]
    _check_shrinkwraps(lock, listed)
    return tuple(_wanted(lock, entry) for entry in sorted(listed, key=lambda entry: entry.place))


def bundled(entry: Entry) -> bool:
    """Whether the tarball of the package it lies in brings it. (What the project itself bundles is fetched.)"""
    above = owner(entry.place)
    return entry.in_bundle and bool(above) and owner(above or "") is not None


def locked(
    lock: PackageLock, entries: Iterable[Entry], artifacts: Mapping[str, ArtifactRef]
) -> tuple[LockedPackage, ...]:
    """The packages as a lock of ours holds them: by place, each with the file behind its hash."""
    found = []
    for item in fetched(lock, entries):
        artifact = artifacts.get(item.key)
        if artifact is None:
            raise PackageLockError(f"`{item.name}` of `{lock.filename}` was not fetched when it was resolved")
        found.append(LockedPackage(item.name, item.version, artifact))
    return tuple(found)


def _wanted(lock: PackageLock, entry: Entry) -> WantedPackage:
    def wrong(why: str, hint: str) -> PackageLockError:
        return PackageLockError(f"`{lock.filename}`: {entry.shown} {why}", hint=hint)

    resolved = entry.resolved
    if resolved.startswith(_GIT) or "#" in resolved:
        raise wrong(
            f"comes from version control: `{_plain(resolved)}`",
            "depend on a published version, or on a tarball (`npm pack` makes one) by `file:`",
        )
    if resolved.startswith("file:"):
        path = posixpath.normpath(resolved.removeprefix("file:"))
        if path.startswith(("/", "../")) or path in ("..", "."):
            raise wrong(f"is a file outside of the project: `{resolved}`", "copy it into the project")
        if not path.endswith((".tgz", ".tar.gz", ".tar")):
            raise wrong(
                f"is a folder that npm would pack: `{resolved}`", "depend on it as a workspace, or on its tarball"
            )
        resolved = f"file:{path}"
    elif resolved and not resolved.lower().startswith(("https://", "http://")):
        raise wrong(f"comes from `{_plain(resolved)}`, which is not understood", f"write it anew: `{REFRESH}`")
    if not entry.version:
        raise wrong("has no version", f"write it anew: `{REFRESH}`")
    return WantedPackage(entry.place, entry.name, entry.version, entry.integrity, resolved)


def _plain(url: str) -> str:
    """A URL for messages: without a password."""
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}" if found else url
    return shown[:200]


def _check_shrinkwraps(lock: PackageLock, entries: list[Entry]) -> None:
    """Packages with a lock of their own: npm reads it from the tarball, so the project's must hold what it says."""
    own = [entry for entry in entries if entry.has_shrinkwrap]
    for place, names in missing(lock, own).items():
        raise PackageLockError(
            f"`{lock.filename}`: {lock.entries[place].shown} brings a lock of its own, and"
            f" {', '.join(f'`{name}`' for name in names[:3])} of it is not in the project's",
            hint=f"write it anew with `npm install` (not `{REFRESH}`), which looks into packages",
        )
