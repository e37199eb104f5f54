"""poetry.lock as it stands, in the form of a pylock.toml (specs/behaviour/lock.md, LOCK-27 to LOCK-30).

Poetry itself is not asked. Since lock-version 2.1 each package says for which groups and under which marker it is
there; in older ones that is found out by walking from the project's own dependencies (`lock.poetry_graph`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.formats import toml
from ociassemble.formats.package_name import normalised
from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.lock import poetry_graph
from ociassemble.lock.poetry_fields import (
    LOCK,
    PROJECT,
    PoetryLockError,
    marker,
    name_of,
    table,
    tables,
    text,
    texts,
    wrong,
)
from ociassemble.lock.poetry_graph import requirement, settled

_POETRY = re.compile(rb"Poetry ([0-9]+)\.([0-9]+)")
_LEGACY = ("dependencies", "source", "extras", "dev-dependencies")


class PoetryLockStaleError(ProjectError):
    """poetry.lock was made of another pyproject.toml than the one beside it."""

    code = "project.poetry-lock-stale"


class _Wanted(NamedTuple):
    """One locked package, and when it is needed: a PEP 508 marker, "" for always."""

    package: Mapping[str, Any]
    marker: str


def to_pylock(read: Callable[[str], bytes], request: ResolveRequest) -> str:
    """The packages of the request's poetry.lock for its groups and extras (`main` always), as a pylock.toml.

    Raises `PoetryLockStaleError`, and `PoetryLockError` for what is no such lock.
    """
    check(read, request.primary)
    lock = _document(read, request.primary)
    project = _document(read, "pyproject.toml")
    groups = frozenset({"main", *map(normalised, request.groups)})
    extras = frozenset(map(normalised, request.extras))
    _known(lock, project, request)
    if _version(lock) >= (2, 1):
        wanted = list(_by_group(lock, groups, extras))
    else:
        wanted = [_Wanted(*item) for item in poetry_graph.reached(lock, project, groups, extras)]
    metadata = table(lock, "metadata", of=LOCK)
    python = requirement(text(metadata, "python-versions", LOCK, ""))
    head = 'lock-version = "1.0"\ncreated-by = "poetry"\n'
    if python:
        head += f"requires-python = {_quoted(python)}\n"
    files = table(metadata, "files", of=LOCK)
    return head + "packages = []\n" * (not wanted) + "".join(_entry(item, files) for item in wanted)


def check(read: Callable[[str], bytes], primary: str) -> None:
    """Raise `PoetryLockStaleError` where the lock's content-hash is not that of the pyproject.toml (LOCK-30)."""
    lock, project = _document(read, primary), _document(read, "pyproject.toml")
    said = table(lock, "metadata", of=LOCK).get("content-hash")
    hashes = [content_hash(project)]
    made = _POETRY.search(read(primary)[:200])
    if made is None or (int(made[1]), int(made[2])) < (2, 3):
        hashes.append(content_hash(project, groups=False))  # what dependency groups ask for did not count then
    if said not in hashes:
        raise PoetryLockStaleError(
            f"`{primary}` was not made of the pyproject.toml beside it",
            details=["its content-hash is that of other dependencies"],
            hint="run `poetry lock`",
        )


def content_hash(project: Mapping[str, Any], *, groups: bool = True) -> str:
    """What poetry writes as `content-hash`: the sha256 of those parts of pyproject.toml that decide a lock."""
    asked = {
        key: value
        for key in ("requires-python", "dependencies", "optional-dependencies")
        if (value := table(project, "project", of=PROJECT).get(key)) is not None
    }
    listed = table(project, "dependency-groups", of=PROJECT) if groups else {}
    own = table(project, "tool", "poetry", of=PROJECT)
    relevant: dict[str, Any] = {}
    for key in (*_LEGACY, "group"):
        if own.get(key) is not None or (key in _LEGACY and not asked and not listed):
            relevant[key] = own.get(key)
    if asked or listed:
        whole: dict[str, Any] = {"tool": {"poetry": relevant}}
        whole |= {"project": asked} if asked else {}
        whole |= {"dependency-groups": listed} if listed else {}
        relevant = whole
    try:
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
    except (TypeError, ValueError, RecursionError):  # dates and the like, of which poetry makes no lock
        return ""


def _by_group(lock: Mapping[str, Any], groups: Collection[str], extras: Collection[str]) -> Iterator[_Wanted]:
    for package in tables(lock, "package", LOCK):
        of, said = name_of(package), package.get("markers", "")
        if "groups" not in package:
            raise wrong("groups", of, "there")
        found = []
        for group in texts(package, "groups", of):
            if normalised(group) in groups:
                own = {"markers": said.get(group, "")} if isinstance(said, Mapping) else package
                said_here = text(own, "markers", of, "")
                found.append(marker(settled(said_here, extras), "markers", of))
        if found:
            yield _Wanted(package, "" if "" in found else " or ".join(f"({text})" for text in dict.fromkeys(found)))


def _known(lock: Mapping[str, Any], project: Mapping[str, Any], request: ResolveRequest) -> None:
    """Raise where an extra or a group that was asked for is nowhere."""
    own = table(project, "tool", "poetry", of=PROJECT)
    groups = {*table(own, "group", of=PROJECT), *table(project, "dependency-groups", of=PROJECT)}
    groups = {normalised(name) for name in groups}
    groups |= {"dev"} if "dev-dependencies" in own else set()
    for kind, wanted, there in (
        ("extra", request.extras, {normalised(name) for name in table(lock, "extras", of=LOCK)}),
        ("dependency group", request.groups, groups),
    ):
        missing = next((name for name in wanted if normalised(name) not in there), None)
        if missing is not None:
            has = f"it has: {', '.join(sorted(there))}" if there else "it has none"
            raise PoetryLockError(f"`{request.primary}` has no {kind} `{missing}`", details=[has])


def _entry(item: _Wanted, files: Mapping[str, Any]) -> str:
    """One package in the form of a pylock.toml."""
    package, of = item.package, name_of(item.package)
    name, version, source = text(package, "name", of), text(package, "version", of), table(package, "source", of=of)
    kind = text(source, "type", of, "legacy")
    url = text(source, "url", of, "" if kind in ("legacy", "pypi") else None)
    found = f"\n[[packages]]\nname = {_quoted(normalised(name))}\nversion = {_quoted(version)}\n"
    if item.marker:
        found += f"marker = {_quoted(item.marker)}\n"
    if kind == "directory":
        return found + f"directory = {{path = {_quoted(url)}}}\n"
    if kind == "git":
        commit = text(source, "resolved_reference", of, "") or text(source, "reference", of, "")
        return found + f'vcs = {{type = "git", url = {_quoted(url)}, commit-id = {_quoted(commit)}}}\n'
    if kind not in ("legacy", "pypi", "url", "file"):
        raise wrong("source.type", of, f"a kind of place that is known: `{kind:.40}`")
    listed = [*tables(package, "files", of), *tables(files, name, f"metadata.files in {LOCK}")]
    if not listed:
        raise PoetryLockError(f"`{name}` is locked without any file", hint="run `poetry lock`")
    named = [(text(entry, "file", of), text(entry, "hash", of)) for entry in listed]
    wheels = [entry for entry in named if entry[0].endswith(".whl")]
    for filename, said in wheels or named[:1]:
        algorithm, _, value = said.partition(":")
        place = "url" if kind == "url" else "path"
        where = url if kind in ("url", "file") else filename
        found += "[[packages.wheels]]\n" if wheels else "[packages.sdist]\n"
        found += f"name = {_quoted(filename)}\n{place} = {_quoted(where)}\n"
        found += f"hashes = {{{_quoted(algorithm or 'none')} = {_quoted(value)}}}\n"
    return found


def _version(lock: Mapping[str, Any]) -> tuple[int, int]:
    said = table(lock, "metadata", of=LOCK).get("lock-version", "1.0")
    found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", str(said))
    if found is None or int(found[1]) > 2:
        raise PoetryLockError(f"lock-version {said!r:.40} of the poetry.lock is not known", hint="export a pylock.toml")
    return int(found[1]), int(found[2])


def _document(read: Callable[[str], bytes], path: str) -> Mapping[str, Any]:
    try:
        return toml.loads(read(path).decode("utf-8"))
    except (UnicodeDecodeError, toml.TOMLDecodeError, RecursionError) as error:
        raise PoetryLockError(f"`{path}` is not TOML: {error}") from error


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
