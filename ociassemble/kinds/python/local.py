"""Local packages: folders of the project that are dependencies of it (PY-19 to PY-21)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from ociassemble.formats.package_name import normalised
from ociassemble.kinds.python import manifest
from ociassemble.kinds.python.errors import InputError, LockError
from ociassemble.kinds.python.manifest import at, table, texts
from ociassemble.project.tree import ProjectTree


class Reached(NamedTuple):
    """What a lock says of the project's own folder. Paths are relative to it."""

    folders: tuple[str, ...]  # every local package it knows
    used: tuple[str, ...]  # those that the application needs, itself among them
    wheels: tuple[str, ...] = ()
    empty: bool = False  # whether no package at all is asked for


def once(paths: Iterable[str]) -> tuple[str, ...]:
    """`paths` without repetitions, in order."""
    return tuple(dict.fromkeys(paths))


def present(tree: ProjectTree, *paths: str) -> tuple[str, ...]:
    """Those of `paths` that are files of the project."""
    return tuple(path for path in paths if tree.has(path))


def manifests(tree: ProjectTree, folders: Iterable[str]) -> tuple[str, ...]:
    """The pyproject.toml of each folder that has one."""
    return present(tree, *(at(folder, "pyproject.toml") for folder in folders))


def members(tree: ProjectTree) -> tuple[str, ...]:
    """Manifests of all workspace members: uv reads them even where nothing depends on them."""
    workspace = table(manifest.pyproject(tree, "") or {}, "tool", "uv", "workspace")
    return manifests(tree, _globbed(tree, texts(workspace.get("members")), texts(workspace.get("exclude"))))


def _globbed(tree: ProjectTree, members: Iterable[str], exclude: Iterable[str]) -> tuple[str, ...]:
    """Folders that match uv's patterns (`packages/*`); `*` stays within one level, `**` does not."""
    include, leave = [_pattern(item) for item in members], [_pattern(item) for item in exclude]
    return tuple(
        file.path
        for file in tree.files
        if file.kind == "directory"
        and any(pattern.fullmatch(file.path) for pattern in include)
        and not any(pattern.fullmatch(file.path) for pattern in leave)
    )


def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/?|\*|\?)", posixpath.normpath(glob))
    meanings = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part, re.escape(part)) for part in parts))


def sources(tree: ProjectTree, folder: str) -> tuple[str, ...]:
    """Folders of local packages that a pyproject.toml reaches through [tool.uv.sources], and those they reach."""
    workspace = table(manifest.pyproject(tree, "") or {}, "tool", "uv", "workspace")
    members = _globbed(tree, texts(workspace.get("members")), texts(workspace.get("exclude")))
    by_name = {manifest.read(tree, member).normalised: member for member in members}
    inherited = table(manifest.pyproject(tree, "") or {}, "tool", "uv", "sources")
    found: dict[str, None] = {}
    todo = [folder]
    while todo:
        here = todo.pop()
        data = manifest.pyproject(tree, here) or {}
        sources = {**inherited, **table(data, "tool", "uv", "sources")}
        needed = {required(item) for item in texts(table(data, "project").get("dependencies"))}
        for name, source in sources.items():
            if normalised(name) not in needed:
                continue
            for one in source if isinstance(source, list) else (source,):
                place = _place(here, one, by_name.get(normalised(name)))
                if place is not None and place not in found and place != folder:
                    found[place] = None
                    todo.append(place)
    return tuple(found)


def _place(folder: str, source: Any, member: str | None) -> str | None:
    if not isinstance(source, Mapping):
        return None
    if source.get("workspace") is True:
        return member
    path = source.get("path")
    return inside(folder, path) if isinstance(path, str) and not path.endswith((".whl", ".tar.gz", ".zip")) else None


def inside(folder: str, path: str) -> str:
    """`path`, relative to `folder`, as a path of the project; InputError if it leads out."""
    joined = posixpath.normpath(posixpath.join(folder, path.replace("\\", "/")))
    if joined == ".." or joined.startswith(("../", "/")):
        raise InputError(
            f"the local package `{path}` is outside the project's folder",
            hint="build from the folder that holds both, and choose the application with `python.package`",
        )
    return "" if joined == "." else joined


def required(requirement: str) -> str:
    """The normalised name a requirement begins with."""
    return normalised(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])


def in_pylock(tree: ProjectTree, path: str) -> Reached:
    """What a pylock.toml says of the folder: local packages, and wheels that lie in it."""
    from ociassemble.kinds.python import select

    lock = select.parse(tree.text(path), path)
    base = posixpath.dirname(path)
    folders = once(
        inside(base, at(package.directory.path, package.directory.subdirectory or ""))
        for package in lock.packages
        if package.directory is not None
    )
    named = [file.path for package in lock.packages for file in (*(package.wheels or ()), package.archive) if file]
    wheels = present(tree, *(inside(base, item) for item in named if item))
    return Reached(folders, folders, wheels, len(folders) == len(lock.packages))


def in_poetry_lock(tree: ProjectTree, path: str) -> Reached:
    """The local packages of a poetry.lock, all of them used, and the wheels in the folder that it names."""
    packages = [item for item in _packages(tree, path) if isinstance(item, Mapping)]
    places: dict[str, list[str]] = {"directory": [], "file": []}
    for item in packages:
        source = table(item, "source")
        if source.get("type") in places and isinstance(source.get("url"), str):
            places[source["type"]].append(inside("", source["url"]))
    folders = once(places["directory"])
    names = {normalised(str(item.get("name"))) for item in packages}
    empty = len(folders) == len(packages) and not _asks_for_more(tree, ("", *folders), names)
    return Reached(folders, folders, present(tree, *places["file"]), empty)


def in_uv_lock(tree: ProjectTree, path: str, package: str, groups: Iterable[str]) -> Reached:
    """The local packages of a uv.lock, and those that `package` ("" for the root's own project) reaches.

    Markers and extras are not looked at: a folder more on Python's path does no harm.
    """
    packages = _uv_packages(tree, path)
    folders: dict[str, str] = {}
    for name, item in packages.items():
        source = table(item, "source")
        for kind in ("editable", "directory", "virtual"):
            if isinstance(source.get(kind), str):
                folders[name] = inside("", source[kind])
    start = normalised(package) if package else next((name for name, folder in folders.items() if folder == ""), "")
    if package and start not in folders:
        raise InputError(
            f"`{path}` has no workspace member `{package}`",
            hint=f"its members: {', '.join(sorted(folders))}" if folders else None,
        )
    reached = _reached(packages, start, tuple(groups))
    used = tuple(folders[name] for name in reached if name in folders)
    empty = all(name in folders for name in reached) and not _asks_for_more(tree, used, folders)
    return Reached(once(folders.values()), once(used), empty=empty)


def _asks_for_more(tree: ProjectTree, folders: Iterable[str], known: Container[str]) -> bool:
    """Whether a pyproject.toml names packages that its lock, which has none but `known`, does not: it was outgrown."""
    for folder in folders:
        data = manifest.pyproject(tree, folder) or {}
        asked = {required(text) for text in texts(table(data, "project").get("dependencies"))}
        asked |= {normalised(name) for name in table(data, "tool", "poetry", "dependencies")} - {"python"}
        if any(name not in known for name in asked):
            return True
    return False


def _packages(tree: ProjectTree, path: str) -> list[Any]:
    """What a lock lists as `[[package]]`."""
    from ociassemble.formats import toml

    try:
        listed = toml.loads(tree.text(path)).get("package")
    except toml.TOMLDecodeError as error:
        raise LockError(f"`{path}` is not TOML: {error}") from error
    except RecursionError as error:
        raise LockError(f"`{path}` is nested too deeply") from error
    return listed if isinstance(listed, list) else []


def _uv_packages(tree: ProjectTree, path: str) -> dict[str, Mapping[str, Any]]:
    packages: dict[str, Mapping[str, Any]] = {}
    for item in _packages(tree, path):
        if isinstance(item, Mapping) and isinstance(item.get("name"), str):
            # A name may be there in several versions; where it leads is what counts here.
            known = packages.get(item["name"], {})
            merged = {**known, **item}
            merged["dependencies"] = [*_entries(known.get("dependencies")), *_entries(item.get("dependencies"))]
            packages[item["name"]] = merged
    return packages


def _reached(packages: Mapping[str, Mapping[str, Any]], start: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    todo = [start]
    while todo:
        name = todo.pop()
        item = packages.get(name)
        if name in seen or item is None:
            continue
        seen[name] = None
        lists = [item.get("dependencies"), *table(item, "optional-dependencies").values()]
        if name == start:
            lists += (table(item, "dev-dependencies").get(group) for group in groups)
        todo += (entry["name"] for entries in lists for entry in _entries(entries))
    return tuple(seen)


def _entries(value: Any) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping) and isinstance(item.get("name"), str)]
