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
from ociassemble.kinds.protocol import ResolveRequest
from ociassemble.lock import poetry_graph
from ociassemble.lock.poetry_graph import PoetryLockError, normalised, requirement, table, tables

_EXTRA = re.compile(r"""\bextra\s*(==|!=)\s*(["'])([^"']*)\2|(["'])([^"']*)\4\s*(==|!=)\s*extra\b""")
_ALWAYS, _NEVER = 'python_version >= "2"', 'python_version < "2"'
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
    python = requirement(str(table(lock, "metadata").get("python-versions") or ""))
    text = 'lock-version = "1.0"\ncreated-by = "poetry"\n'
    if python:
        text += f"requires-python = {_quoted(python)}\n"
    files = table(lock, "metadata", "files")
    return text + "packages = []\n" * (not wanted) + "".join(_entry(item, files) for item in wanted)


def check(read: Callable[[str], bytes], primary: str) -> None:
    """Raise `PoetryLockStaleError` where the lock's content-hash is not that of the pyproject.toml (LOCK-30)."""
    lock, project = _document(read, primary), _document(read, "pyproject.toml")
    said = table(lock, "metadata").get("content-hash")
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
        if (value := table(project, "project").get(key)) is not None
    }
    listed = table(project, "dependency-groups") if groups else {}
    own = table(project, "tool", "poetry")
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
    for package in tables(lock.get("package")):
        markers, found = package.get("markers", ""), []
        listed = package.get("groups")
        for group in listed if isinstance(listed, list) else ():
            if normalised(str(group)) in groups:
                text = markers.get(group, "") if isinstance(markers, dict) else markers
                found.append(_chosen(str(text), extras))
        if found:
            yield _Wanted(package, "" if "" in found else " or ".join(f"({text})" for text in dict.fromkeys(found)))


def _chosen(marker: str, extras: Collection[str]) -> str:
    """The marker with what it says of extras settled."""

    def settled(found: re.Match[str]) -> str:
        same = (normalised(found[3] or found[5] or "") in extras) == ((found[1] or found[6]) == "==")
        return _ALWAYS if same else _NEVER

    return _EXTRA.sub(settled, marker)


def _known(lock: Mapping[str, Any], project: Mapping[str, Any], request: ResolveRequest) -> None:
    """Raise where an extra or a group that was asked for is nowhere."""
    own = table(project, "tool", "poetry")
    groups = {*map(normalised, table(own, "group")), *map(normalised, table(project, "dependency-groups"))}
    groups |= {"dev"} if "dev-dependencies" in own else set()
    for kind, wanted, there in (
        ("extra", request.extras, {normalised(name) for name in table(lock, "extras")}),
        ("dependency group", request.groups, groups),
    ):
        missing = next((name for name in wanted if normalised(name) not in there), None)
        if missing is not None:
            has = f"it has: {', '.join(sorted(there))}" if there else "it has none"
            raise PoetryLockError(f"`{request.primary}` has no {kind} `{missing}`", details=[has])


def _entry(item: _Wanted, files: Mapping[str, Any]) -> str:
    """One package in the form of a pylock.toml."""
    package, source = item.package, table(item.package, "source")
    name, version = package.get("name"), package.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        raise PoetryLockError("a package of the lock has no name or no version")
    text = f"\n[[packages]]\nname = {_quoted(normalised(name))}\nversion = {_quoted(version)}\n"
    if item.marker:
        text += f"marker = {_quoted(item.marker)}\n"
    kind, url = source.get("type", "legacy"), str(source.get("url", ""))
    if kind == "directory":
        return text + f"directory = {{path = {_quoted(url)}}}\n"
    if kind == "git":
        commit = str(source.get("resolved_reference") or source.get("reference") or "")
        return text + f'vcs = {{type = "git", url = {_quoted(url)}, commit-id = {_quoted(commit)}}}\n'
    listed = [*tables(package.get("files")), *tables(files.get(name))]
    if not listed:
        raise PoetryLockError(f"`{name}` is locked without any file", hint="run `poetry lock`")
    wheels = [entry for entry in listed if str(entry.get("file", "")).endswith(".whl")]
    for entry in wheels or listed[:1]:
        filename = str(entry.get("file", ""))
        algorithm, _, value = str(entry.get("hash", "")).partition(":")
        place = "url" if kind == "url" else "path"
        where = url if kind in ("url", "file") else filename
        text += "[[packages.wheels]]\n" if wheels else "[packages.sdist]\n"
        text += f"name = {_quoted(filename)}\n{place} = {_quoted(where)}\n"
        text += f"hashes = {{{_quoted(algorithm or 'none')} = {_quoted(value)}}}\n"
    return text


def _version(lock: Mapping[str, Any]) -> tuple[int, int]:
    text = table(lock, "metadata").get("lock-version", "1.0")
    found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", str(text))
    if found is None or int(found[1]) > 2:
        raise PoetryLockError(f"lock-version {text!r:.40} of the poetry.lock is not known", hint="export a pylock.toml")
    return int(found[1]), int(found[2])


def _document(read: Callable[[str], bytes], path: str) -> Mapping[str, Any]:
    try:
        return toml.loads(read(path).decode("utf-8"))
    except (UnicodeDecodeError, toml.TOMLDecodeError, RecursionError) as error:
        raise PoetryLockError(f"`{path}` is not TOML: {error}") from error


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
