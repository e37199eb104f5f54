"""package-lock.json of lockfileVersion 2 or 3 (npm-shrinkwrap.json too) as values (NODE-3 to NODE-6).

Total and strict: whatever the text, the result is a `PackageLock` or one of our errors. Places are relative to the
project's folder, as npm writes them: "node_modules/a/node_modules/b", "packages/x" for the folder of a workspace.
"""

from __future__ import annotations

import functools
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ociassemble.kinds.node.errors import PackageLockError

LOCKS = ("npm-shrinkwrap.json", "package-lock.json")  # as npm: the first one counts
REFRESH = "npm install --package-lock-only"
_NAME = re.compile(
    r"(?:@[^@/\x00-\x1f\x7f\ud800-\udfff]+/)?[^@./\x00-\x1f\x7f\ud800-\udfff][^/\x00-\x1f\x7f\ud800-\udfff]*"
)
_PART = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x1f\x7f\ud800-\udfff]+")
_INTEGRITY = re.compile(r"(?:[a-z0-9]+-[A-Za-z0-9+/]+={0,2}(?:\?\S*)?)(?:\s+[a-z0-9]+-[A-Za-z0-9+/]+={0,2}(?:\?\S*)?)*")
_MOST = 200_000  # entries; the largest lock known has a tenth of that


class Entry(NamedTuple):
    """One entry of the lock's `packages`: a package, a link to a folder of the project, or such a folder."""

    place: str
    name: str  # as its registry knows it; differs from the place's for an alias
    version: str = ""
    resolved: str = ""
    integrity: str = ""
    target: str | None = None  # of a link: the place it leads to
    dev: bool = False
    optional: bool = False
    dev_optional: bool = False
    in_bundle: bool = False
    has_shrinkwrap: bool = False
    has_script: bool = False  # whether something is to be run when it is installed
    os: tuple[str, ...] | None = None
    cpu: tuple[str, ...] | None = None
    libc: tuple[str, ...] | None = None
    node: str = ""  # engines.node
    bins: tuple[tuple[str, str], ...] = ()  # name of the command, path in the package; as npm normalises them
    dependencies: Mapping[str, str] = {}
    optional_dependencies: Mapping[str, str] = {}
    dev_dependencies: Mapping[str, str] = {}
    peers: Mapping[str, str] = {}
    optional_peers: frozenset[str] = frozenset()
    workspaces: tuple[str, ...] = ()  # globs; of the root alone

    @property
    def key(self) -> str:
        """What `require` calls it: the last part of its place."""
        return key_of(self.place)

    @property
    def packaged(self) -> bool:
        """Whether it is a package in a node_modules folder, and no link or folder of the project."""
        return self.target is None and owner(self.place) is not None

    @property
    def shown(self) -> str:
        """For messages: `name@version`, and where it is if that is not plain."""
        plain = f"{self.name}@{self.version}" if self.version else self.name
        return plain if self.place == f"node_modules/{self.name}" else f"{plain} (`{self.place}`)"


class PackageLock(NamedTuple):
    """A lock as npm wrote it. `entries` are by place, in the lock's order; the root is ""."""

    filename: str
    entries: Mapping[str, Entry]

    @property
    def root(self) -> Entry:
        return self.entries[""]

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders of the project that links lead to: workspaces, and others that are depended on as `file:`."""
        return tuple(dict.fromkeys(entry.target for entry in self.entries.values() if entry.target))


def owner(place: str) -> str | None:
    """The place whose node_modules folder holds `place` ("" is the root); None for a folder of the project."""
    head, found, tail = place.rpartition("node_modules/")
    if not found or (head and not head.endswith("/")) or not _NAME.fullmatch(tail):
        return None
    return head.removesuffix("/")


def key_of(place: str) -> str:
    """The name of the package at a place: what follows the last node_modules/; else the folder's name."""
    return place.rpartition("node_modules/")[2] if owner(place) is not None else place.rpartition("/")[2]


def within(place: str, name: str) -> str:
    """Where `name` is, if it is in the node_modules folder of `place`."""
    return f"{place}/node_modules/{name}" if place else f"node_modules/{name}"


@functools.lru_cache(maxsize=2)  # every step of a build asks, and large locks have megabytes
def parse(text: str, filename: str = "package-lock.json") -> PackageLock:
    """The lock in `text`; PackageLockError names what is wrong with it."""

    def wrong(why: str, hint: str | None = None) -> PackageLockError:
        return PackageLockError(f"`{filename}`: {why}", hint=hint or f"write it anew: `{REFRESH}`")

    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise wrong("it is nested too deeply") from error
    except ValueError as error:
        raise wrong(f"it is not JSON: {error}", "resolve merge conflicts in it with `npm install`") from error
    if not isinstance(document, dict):
        raise wrong("it is not a JSON object")
    version, packages = document.get("lockfileVersion"), document.get("packages")
    if (version == 1 and version is not True) or (version is None and packages is None):
        raise wrong("its lockfileVersion 1 does not say where packages are", f"write version 3: `{REFRESH}`")
    if version not in (2, 3) or isinstance(version, bool):
        raise wrong(f"lockfileVersion {json.dumps(version)[:20]} is not known (2 and 3 are)")
    if not isinstance(packages, dict) or not isinstance(packages.get(""), dict):
        raise wrong('it has no `packages` with an entry for the project itself (`""`)')
    if len(packages) > _MOST:
        raise wrong(f"it has more than {_MOST} entries")
    entries: dict[str, Entry] = {}
    for place, value in packages.items():
        if place and not (place.isprintable() and all(map(_PART.fullmatch, place.split("/")))):
            raise wrong(f"{place!r:.200} is not a place in the project")
        if "node_modules" in place.split("/") and owner(place) is None and place.endswith("node_modules"):
            raise wrong(f"`{place:.200}` is not a package")
        if not isinstance(value, dict):
            raise wrong(f"`{place:.200}` is not an object")
        try:
            entries[place] = _entry(place, value)
        except _Wrong as error:
            raise wrong(f"`{place:.200}`: {error}") from error
    for entry in entries.values():
        if entry.target is not None and (entry.target not in entries or entries[entry.target].target is not None):
            raise wrong(f"`{entry.place}` is a link to `{entry.target}`, which it does not describe")
    return PackageLock(filename, entries)


class _Wrong(Exception):
    """Why an entry cannot be read."""


def _entry(place: str, value: Mapping[str, Any]) -> Entry:
    name = _text(value, "name") or key_of(place)
    resolved = _text(value, "resolved")
    if value.get("link") is True:
        return Entry(place=place, name=name, resolved=resolved, target=_target(resolved))
    integrity = _text(value, "integrity").strip()
    if integrity and not _INTEGRITY.fullmatch(integrity):
        raise _Wrong(f"not a hash: {integrity!r:.100}")
    if owner(place) is not None and not _NAME.fullmatch(name):
        raise _Wrong(f"not the name of a package: {name!r:.100}")
    peers = names(value.get("peerDependencies"))
    meta = value.get("peerDependenciesMeta")
    loose = meta.items() if isinstance(meta, dict) else ()
    engines = value.get("engines")
    return Entry(
        place=place,
        name=name,
        version=_text(value, "version"),
        resolved=resolved,
        integrity=integrity,
        dev=bool(value.get("dev")),
        optional=bool(value.get("optional")),
        dev_optional=bool(value.get("devOptional")),
        in_bundle=bool(value.get("inBundle")),
        has_shrinkwrap=bool(value.get("hasShrinkwrap")),
        has_script=bool(value.get("hasInstallScript")),
        os=_list(value, "os"),
        cpu=_list(value, "cpu"),
        libc=_list(value, "libc"),
        node=node_range(engines),
        bins=bins(value.get("bin"), name),
        dependencies=names(value.get("dependencies")),
        optional_dependencies=names(value.get("optionalDependencies")),
        dev_dependencies=names(value.get("devDependencies")),
        peers=peers,
        optional_peers=frozenset(key for key, item in loose if isinstance(item, dict) and item.get("optional")),
        workspaces=globs(value.get("workspaces")) if place == "" else (),
    )


def _text(value: Mapping[str, Any], key: str) -> str:
    item = value.get(key, "")
    if not isinstance(item, str) or not item.isprintable():
        raise _Wrong(f"`{key}` is not a string")
    return item


def _list(value: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """A list of platforms, or one alone; None where nothing is said."""
    item = value.get(key)
    if isinstance(item, str) and item:
        return (item,)
    return tuple(part for part in item if isinstance(part, str)) if isinstance(item, list) else None


def _target(resolved: str) -> str:
    path = posixpath.normpath(resolved.removeprefix("file:"))
    if not resolved or path.startswith(("/", "../")) or path == "..":
        raise _Wrong(f"it is a link out of the project: {resolved!r:.200}")
    return "" if path == "." else path


def names(value: Any) -> dict[str, str]:
    """A table of dependencies: name -> what is asked for; nothing where it is something else."""
    items = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in items if isinstance(item, str) and _NAME.fullmatch(key)}


def globs(value: Any) -> tuple[str, ...]:
    """`workspaces`: a list of globs, or an object with such a list in `packages`."""
    listed = value.get("packages") if isinstance(value, dict) else value
    return tuple(item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()


def node_range(engines: Any) -> str:
    """`engines.node`, "" where nothing is asked."""
    found = engines.get("node") if isinstance(engines, dict) else ""
    return found if isinstance(found, str) else ""


def bins(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """`bin` as npm normalises it: commands without folders, paths that cannot leave the package; sorted."""
    if isinstance(value, str):
        value = {name: value}
    elif isinstance(value, list):
        value = {item.rstrip("/").rpartition("/")[2]: item for item in value if isinstance(item, str)}
    found: dict[str, str] = {}
    for key, item in value.items() if isinstance(value, dict) else ():
        command = re.sub(r"[\\:]", "/", key).rstrip("/").rpartition("/")[2]
        path = _rooted(item) if isinstance(item, str) else ""
        if command not in ("", ".", "..") and path and _PART.fullmatch(command) and path.isprintable():
            found[command] = path
    return tuple(sorted(found.items()))


def _rooted(path: str) -> str:
    """A path of a package from its root, so that no `..` leads out of it."""
    return posixpath.normpath("/" + path.replace("\\", "/").lstrip("/")).lstrip("/")
