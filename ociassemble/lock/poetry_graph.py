"""Which packages of an old poetry.lock (lock-version 1.x and 2.0) a project needs, and when: a walk over the lock.

Such a lock lists packages and what each depends on, but not for which groups it is there or under which marker. A
package is needed where a way leads to it along which all markers hold; the ways are kept as a disjunction of
conjunctions, from which those that others imply are left out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ociassemble.errors import ProjectError

Ways = frozenset[frozenset[str]]  # any of these, all of whose markers hold; {{}} is always

_ALWAYS: Ways = frozenset([frozenset()])
_MAX_WAYS = 64
_EXTRA = re.compile(r"""\s*(?:and\s+)?\bextra\s*==\s*(["'])([^"']*)\1(?:\s+and\b)?\s*""")
_NOT = {">=": "<", "<": ">=", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_VERSION = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*(?:(?:a|b|rc|\.dev|\.post)[0-9]{1,18})?", re.ASCII)


class PoetryLockError(ProjectError):
    """A poetry.lock that cannot be read."""

    code = "project.poetry-lock"


class _Edge(NamedTuple):
    name: str  # normalised
    constraint: str  # as poetry writes it: "^1.2", ">=1,<2 || >3"
    marker: str
    extras: tuple[str, ...]
    extra: str  # the extra of the package it stands in, "" for none


def reached(
    lock: Mapping[str, Any], project: Mapping[str, Any], groups: Collection[str], extras: Collection[str]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The packages that are needed, each with its marker; "" for always."""
    packages: dict[str, list[Mapping[str, Any]]] = {}
    for package in tables(lock.get("package")):
        packages.setdefault(normalised(str(package.get("name"))), []).append(package)
    ways: dict[tuple[str, int, str], Ways] = {}
    todo: deque[tuple[str, int, str]] = deque()

    def reach(edge: _Edge, before: Ways) -> None:
        after = _and(before, edge.marker)
        for number, python in _versions(packages.get(edge.name, []), edge.constraint):
            for extra in ("", *edge.extras):
                node = (edge.name, number, extra)
                merged = _or(ways.get(node, frozenset()), _and(after, python))
                if merged != ways.get(node):
                    ways[node] = merged
                    todo.append(node)

    for edge in _roots(project, groups, extras):
        if edge.name not in packages:
            raise PoetryLockError(f"`{edge.name}` is not in the poetry.lock", hint="run `poetry lock`")
        reach(edge, _ALWAYS)
    while todo:
        node = todo.popleft()
        name, number, extra = node
        for edge in _edges(packages[name][number]):
            if edge.extra == extra:
                reach(edge, ways[node])
    for name, versions in packages.items():
        for number, package in enumerate(versions):
            found = ways.get((name, number, ""))
            if found:
                yield package, _text(found)


def _roots(project: Mapping[str, Any], groups: Collection[str], extras: Collection[str]) -> Iterator[_Edge]:
    own = table(project, "tool", "poetry")
    chosen = {
        normalised(str(name).split(" ")[0])
        for extra, names in table(own, "extras").items()
        if normalised(extra) in extras and isinstance(names, list)
        for name in names
    }
    for edge, optional in _listed(table(own, "dependencies")):
        if not optional or edge.name in chosen:
            yield edge
    others = {normalised(name): table(item, "dependencies") for name, item in table(own, "group").items()}
    others.setdefault("dev", table(own, "dev-dependencies"))
    for group, listed in others.items():
        if group in groups:
            yield from (edge for edge, _ in _listed(listed))


def _edges(package: Mapping[str, Any]) -> Iterator[_Edge]:
    """What a locked package depends on; of an optional dependency once for each extra that brings it."""
    offered = table(package, "extras")
    for edge, optional in _listed(table(package, "dependencies")):
        found = _EXTRA.search(edge.marker)
        if found is not None:
            yield edge._replace(marker=_without(edge.marker), extra=normalised(found[2]))
        elif optional:
            for extra, names in offered.items():
                listed = names if isinstance(names, list) else []
                if edge.name in {normalised(re.split(r"[\s\[(;<>=!~]", str(name))[0]) for name in listed}:
                    yield edge._replace(extra=normalised(extra))
        else:
            yield edge


def _without(marker: str) -> str:
    """A marker without its `extra == "x"`, which poetry writes as one of those that must all hold."""
    rest = _EXTRA.sub(" and ", marker)
    return re.sub(r"^\s*and\s+|\s+and\s*$", "", rest).strip()


def _listed(listed: Mapping[str, Any]) -> Iterator[tuple[_Edge, bool]]:
    """The entries of a table of dependencies, and whether each is optional."""
    for name, value in listed.items():
        if normalised(name) == "python":
            continue
        for item in value if isinstance(value, list) else [value]:
            entry = item if isinstance(item, Mapping) else {"version": item}
            extras = entry.get("extras")
            yield (
                _Edge(
                    normalised(name),
                    str(entry.get("version", "*")),
                    _marker(entry),
                    tuple(normalised(str(extra)) for extra in extras) if isinstance(extras, list) else (),
                    "",
                ),
                entry.get("optional") is True,
            )


def _marker(entry: Mapping[str, Any]) -> str:
    parts = [str(entry["markers"])] if entry.get("markers") else []
    if entry.get("platform"):
        parts.append(f'sys_platform == "{entry["platform"]}"')
    if entry.get("python"):
        some = [
            " and ".join(f"python_full_version {_compared(one)}" for one in requirement(part).split(",") if one)
            for part in str(entry["python"]).split("||")
        ]
        parts.append(" or ".join(f"({text})" for text in some if text))
    return " and ".join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)


def _compared(clause: str) -> str:
    """`>=3.12` as the end of a marker."""
    found = re.fullmatch(r"\s*([<>=!~]{1,2})\s*(\S+)\s*", clause)
    if found is None or found[1] not in (*_NOT, "~="):
        raise PoetryLockError(f"not a constraint on Python: `{clause:.60}`")
    return f'{found[1]} "{found[2]}"'


def requirement(constraint: str) -> str:
    """A constraint of poetry's as one of PEP 440; "" for any version and for what has no such form."""
    result = []
    for part in re.split(r",|(?<=[0-9*])\s+(?=[<>=!~^])", constraint.strip()):
        text = part.strip()
        if text in ("", "*"):
            continue
        if text[0] in "^~" and not text.startswith("~="):
            version = text[1:].strip()
            if not _VERSION.fullmatch(version):
                return ""
            result += [f">={version}", f"<{_next(version, caret=text[0] == '^')}"]
        elif "|" in text:
            return ""
        else:
            result.append(f"=={text}" if text[0].isdigit() else text)
    return ",".join(result)


def _next(version: str, *, caret: bool) -> str:
    """The version that `^` or `~` stops before."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match is not None else [0]
    place = 1 if len(numbers) > 1 else 0
    if caret:
        place = next((number for number, part in enumerate(numbers) if part), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:place], numbers[place] + 1]))


def _versions(packages: list[Mapping[str, Any]], constraint: str) -> Iterator[tuple[int, str]]:
    """Which of the versions a package is locked in a constraint means, each with a marker about Python.

    Of several that satisfy it, the newest that is for the Python at hand.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    if len(packages) < 2:
        yield from ((number, "") for number in range(len(packages)))
        return
    try:
        sets = [SpecifierSet(requirement(part)) for part in constraint.split("||")]
        versions = [Version(str(package.get("version"))) for package in packages]
        fitting = [
            number
            for number, version in enumerate(versions)
            if any(one.contains(version, prereleases=True) for one in sets)
        ]
    except (InvalidSpecifier, InvalidVersion, ValueError) as error:
        raise PoetryLockError(f"not a constraint: `{constraint:.80}`") from error
    newer: list[str] = []  # each: that Python is none of a newer version's
    for number in sorted(fitting, key=lambda one: versions[one], reverse=True):
        said = str(packages[number].get("python-versions", "*"))
        clauses = [_compared(one) for one in requirement(said).split(",") if one]
        yield number, " and ".join(f"({text})" for text in (*newer, *map(_python, clauses)))
        if not clauses:
            return
        newer.append(" or ".join(_python(_not(clause)) for clause in clauses))


def _not(clause: str) -> str:
    operator, version = clause.split(" ")
    if operator not in _NOT:
        raise PoetryLockError(f"not a range of Pythons: `{clause}`", hint="lock with poetry 2")
    return f"{_NOT[operator]} {version}"


def _python(clause: str) -> str:
    return f"python_full_version {clause}"


def _and(ways: Ways, marker: str) -> Ways:
    return frozenset(way | {marker} for way in ways) if marker else ways


def _or(one: Ways, other: Ways) -> Ways:
    both = one | other
    least = frozenset(way for way in both if not any(shorter < way for shorter in both))
    if len(least) > _MAX_WAYS:
        raise PoetryLockError("the markers of the poetry.lock are too many to combine", hint="lock with poetry 2")
    return least


def _text(ways: Ways) -> str:
    if frozenset() in ways:
        return ""
    return " or ".join(sorted(" and ".join(f"({marker})" for marker in sorted(way)) for way in ways))


def normalised(name: str) -> str:
    """A name as Python's index compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def table(data: Any, *keys: str) -> Mapping[str, Any]:
    """A nested table; an empty one where it is missing or something else."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def tables(value: Any) -> Iterator[Mapping[str, Any]]:
    """The tables of a list."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item
