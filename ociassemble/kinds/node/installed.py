"""Which entries of a lock `npm ci --omit=dev` lays down on a platform (NODE-7 to NODE-11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ociassemble.kinds.node import semver
from ociassemble.kinds.node.entries import Entry, PackageLock, owner, within
from ociassemble.kinds.node.errors import UnsupportedPackageError
from ociassemble.kinds.node.workspaces import matching
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts

# Go's names of processors -> Node's.
_CPUS = {"amd64": "x64", "386": "ia32", "ppc64le": "ppc64"}


class Target(NamedTuple):
    """What is installed for, in npm's words."""

    os: str  # "linux"
    cpu: str  # "x64"
    libc: str  # "glibc", "musl", or "" for none
    node: str = ""  # "24.11.1", or "" where nothing tells

    @classmethod
    def of(cls, facts: BaseFacts) -> Target:
        platform: Platform = facts.platform
        cpu = _CPUS.get(platform.architecture, platform.architecture)
        return cls(platform.os, cpu, facts.libc, facts.node.version if facts.node is not None else "")

    @property
    def shown(self) -> str:
        return " ".join(part for part in (self.os, self.cpu, self.libc) if part)


def installed(lock: PackageLock, target: Target, *, optional: bool = True) -> tuple[Entry, ...]:
    """The packages and links that are laid down, in the lock's order; what a bundle brings is among them.

    Left out: what only development needs, and with `optional` false what is optional. An optional package that
    does not work on `target` is left out with all that only it (or what requires it) needs; UnsupportedPackageError
    names a required one that does not.
    """
    spaces = frozenset(matching(lock.root.workspaces, lock.folders))
    omitted = {place for place, entry in lock.entries.items() if _omitted(entry, spaces, optional)}
    inert: set[str] = set()
    graph: _Graph | None = None
    for place, entry in lock.entries.items():
        if not entry.optional and place not in omitted:
            _require(entry, target)
        elif entry.optional and place not in inert and not _works(lock, entry, target):
            graph = graph or _Graph(lock)
            inert |= graph.needed_only_by(place, inert)
    absent = omitted | inert
    return tuple(
        entry
        for place, entry in lock.entries.items()
        if (entry.packaged or entry.target is not None) and not any(part in absent for part in _upwards(place))
    )


def _upwards(place: str) -> Iterator[str]:
    """A place, and those it lies in: up to the project, or to the folder of a workspace."""
    here: str | None = place
    while here:
        yield here
        here = owner(here)


def _omitted(entry: Entry, spaces: frozenset[str], optional: bool) -> bool:
    top = entry.place
    while top and (above := owner(top)) is not None:
        top = above
    if entry.place == "" or (top and top not in spaces):
        return False  # npm omits nothing below folders that are not workspaces
    return entry.dev or (not optional and (entry.optional or entry.dev_optional))


def _works(lock: PackageLock, entry: Entry, target: Target) -> bool:
    real = lock.entries[entry.target] if entry.target is not None else entry
    fits = not (target.node and real.node) or semver.satisfies(target.node, real.node, prereleases=True)
    return fits and _runs(real, target)


def _runs(entry: Entry, target: Target) -> bool:
    if entry.libc and not target.libc:
        return False
    pairs = ((target.os, entry.os), (target.cpu, entry.cpu), (target.libc, entry.libc))
    return all(listed is None or allows(value, listed) for value, listed in pairs)


def allows(value: str, listed: tuple[str, ...]) -> bool:
    """Whether a list like `["linux", "!win32"]` allows `value`: not denied, and named if any is."""
    if listed == ("any",):
        return True
    denied = {item[1:] for item in listed if item.startswith("!")}
    named = {item for item in listed if not item.startswith("!")}
    return value not in denied and (not named or value in named)


def _require(entry: Entry, target: Target) -> None:
    if not _runs(entry, target):
        lists = {"os": entry.os, "cpu": entry.cpu, "libc": entry.libc}
        wanted = "; ".join(f"{name}: {', '.join(items)}" for name, items in lists.items() if items is not None)
        raise UnsupportedPackageError(
            f"{entry.shown if entry.place else 'the project'} does not work on {target.shown}",
            details=[f"it says {wanted}"],
            hint="build for another platform, or make it one of `optionalDependencies`" if entry.place else None,
        )


class _Graph:
    """Who depends on whom, as `require` finds packages."""

    def __init__(self, lock: PackageLock) -> None:
        self._out: dict[str, list[tuple[str, bool]]] = {}  # place -> (place, whether it may be missing)
        self._in: dict[str, list[tuple[str, bool]]] = {place: [] for place in lock.entries}
        for place, entry in lock.entries.items():
            edges = ((resolve(lock, place, name), loose) for name, loose in dependencies(entry))
            self._out[place] = [(found, loose) for found, loose in edges if found is not None]
            for found, loose in self._out[place]:
                self._in[found].append((place, loose))

    def needed_only_by(self, place: str, inert: set[str]) -> set[str]:
        """An optional package, what requires it up to where it is optional, and what only these need."""
        start = [place]
        core = {place}
        for here in start:  # grows
            for above, loose in self._in[here]:
                if not loose and above not in core and above:
                    core.add(above)
                    start.append(above)
        found, todo = set(core), list(core)
        for here in todo:  # grows
            for below, _ in self._out[here]:
                if below not in found and here not in inert:
                    found.add(below)
                    todo.append(below)
        found.discard("")
        # What anything else needs stays, and so does all that it needs.
        todo = [here for here in found - core if self._used(here, found, inert)]
        while todo:
            here = todo.pop()
            if here in found and here not in core:
                found.discard(here)
                todo += (below for below, _ in self._out[here] if below in found)
        return found

    def _used(self, place: str, found: set[str], inert: set[str]) -> bool:
        return any(above not in found and above not in inert for above, _ in self._in[place])


def dependencies(entry: Entry) -> Iterable[tuple[str, bool]]:
    """What an entry asks for by name, and whether it may be missing."""
    found = {name: name in entry.optional_peers for name in entry.peers}
    found |= dict.fromkeys(entry.dependencies, False)
    found |= dict.fromkeys(entry.optional_dependencies, True)
    if owner(entry.place) is None:
        found |= dict.fromkeys(entry.dev_dependencies, False)
    return found.items()


def resolve(lock: PackageLock, place: str, name: str) -> str | None:
    """Where `require(name)` finds a package from `place`; None where nowhere."""
    here = place
    while True:
        if (there := within(here, name)) in lock.entries:
            return there
        if not here:
            return None
        here = here.rpartition("/")[0]


def missing(lock: PackageLock, entries: Iterable[Entry]) -> Mapping[str, list[str]]:
    """Required dependencies that the lock does not place, by the place of who asks for them."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry.dependencies:
            if name not in entry.optional_dependencies and resolve(lock, entry.place, name) is None:
                found.setdefault(entry.place, []).append(name)
    return found
