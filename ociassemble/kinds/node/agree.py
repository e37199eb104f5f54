"""Whether package.json and package-lock.json are about the same dependencies, as `npm ci` demands (NODE-13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ociassemble.kinds.node import semver
from ociassemble.kinds.node.entries import REFRESH, Entry, PackageLock, owner
from ociassemble.kinds.node.errors import DisagreeError
from ociassemble.kinds.node.installed import resolve
from ociassemble.kinds.node.manifest import FILE, Manifest
from ociassemble.kinds.node.workspaces import matching

_SHOWN = 10


def check(lock: PackageLock, manifests: Mapping[str, Manifest]) -> None:
    """DisagreeError if a package.json (by folder, "" the project's) asks for what its entry of the lock does not.

    Only what is asked for beyond development counts. Another range than the lock's is no disagreement as long as
    the locked version is in it.
    """
    found = [line for manifest in manifests.values() for line in _differences(lock, manifest)]
    spaces = matching(manifests[""].workspaces, (folder for folder in manifests if folder))
    found += (f"{folder}: a workspace the lock does not know" for folder in spaces if folder not in lock.folders)
    if found:
        raise DisagreeError(
            f"`{FILE}` and `{lock.filename}` are about different dependencies",
            details=[*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])],
            hint=f"bring the lock up to date: `{REFRESH}`",
        )


def _differences(lock: PackageLock, manifest: Manifest) -> Iterator[str]:
    entry = lock.entries.get(manifest.folder)
    if entry is None:
        return
    required = {name: spec for name, spec in entry.dependencies.items() if name not in entry.optional_dependencies}
    for wanted, locked, kind in (
        (manifest.dependencies, required, "dependencies"),
        (manifest.optional_dependencies, entry.optional_dependencies, "optionalDependencies"),
        (manifest.peers, entry.peers, "peerDependencies"),
    ):
        for name, spec in wanted.items():
            if name not in locked:
                yield f"{manifest.path} has `{name}` in {kind}, {lock.filename} does not"
            elif spec != locked[name] and not _within(lock, entry, name, spec):
                yield f"{manifest.path} wants `{name}` {spec}, {lock.filename} was made for {locked[name]}"
        for name in locked:
            if name not in wanted:
                yield f"{lock.filename} has `{name}` in {kind}, {manifest.path} does not"


def _within(lock: PackageLock, entry: Entry, name: str, spec: str) -> bool:
    """Whether the version that is locked for `name` is in the range `spec`."""
    place = resolve(lock, entry.place, name)
    if place is None:
        return False
    found = lock.entries[place]
    return found.name == name and owner(place) is not None and semver.satisfies(found.version, spec)
