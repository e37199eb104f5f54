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

from ociassemble.formats.package_name import normalised
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

Ways = frozenset[frozenset[str]]  # any of these, all of whose markers hold; {{}} is always

_ALWAYS: Ways = frozenset([frozenset()])
_MAX_WAYS = 64
_EXTRA = re.compile(r"""\bextra\s*(==|!=)\s*(["'])([^"']*)\2|(["'])([^"']*)\4\s*(==|!=)\s*extra\b""")
_HOLDS, _FAILS = 'python_version >= "2"', 'python_version < "2"'
# What poetry before 1.3 left out of its locks: they are there in any case.
_UNSAFE = frozenset({"setuptools", "distribute", "pip", "wheel"})
_NOT = {">=": "<", "<": ">=", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_VERSION = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*(?:(?:a|b|rc|\.dev|\.post)[0-9]{1,18})?", re.ASCII)


class _Edge(NamedTuple):
    name: str  # normalised
    constraint: str  # as poetry writes it: "^1.2", ">=1,<2 || >3"
    marker: str
    extras: tuple[str, ...]
    extra: str  # the extra of the package it stands in, "" for none
    optional: bool
    of: str  # what names it, for errors


def reached(
    lock: Mapping[str, Any], project: Mapping[str, Any], groups: Collection[str], extras: Collection[str]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The packages that are needed, each with its marker; "" for always."""
    packages: dict[str, list[Mapping[str, Any]]] = {}
    for package in tables(lock, "package", LOCK):
        packages.setdefault(normalised(text(package, "name", f"a package of {LOCK}")), []).append(package)
    ways: dict[tuple[str, int, str], Ways] = {}
    todo: deque[tuple[str, int, str]] = deque()

    def reach(edge: _Edge, before: Ways) -> None:
        after, found = _and(before, edge.marker), _versions(packages.get(edge.name, []), edge)
        # A lock leaves out what no marker of it can ever hold for.
        if not found and not (edge.marker or edge.extra or edge.optional or edge.name in _UNSAFE):
            raise PoetryLockError(
                f"`{edge.name}` is in no fitting version in {LOCK}",
                details=[f"`{edge.constraint:.80}` is wanted by {edge.of}"],
                hint="run `poetry lock`",
            )
        for number, python in found:
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
    own = table(project, "tool", "poetry", of=PROJECT)
    offered = table(own, "extras", of=PROJECT)
    chosen = {
        normalised(name.split(" ")[0])
        for extra in offered
        if normalised(extra) in extras
        for name in texts(offered, extra, f"the extras of {PROJECT}")
    }
    for edge in _listed(own, "dependencies", PROJECT):
        if not edge.optional or edge.name in chosen:
            yield edge
    listed = table(own, "group", of=PROJECT)
    named = {normalised(name): (table(listed, name, of=f"the groups of {PROJECT}"), "dependencies") for name in listed}
    named.setdefault("dev", (own, "dev-dependencies"))
    for group, (item, key) in named.items():
        if group in groups:
            yield from _listed(item, key, f"the group `{group}` of {PROJECT}")


def _edges(package: Mapping[str, Any]) -> Iterator[_Edge]:
    """What a locked package depends on; of an optional dependency once for each extra that brings it."""
    of = name_of(package)
    extras = table(package, "extras", of=of)
    offered = {
        normalised(extra): {normalised(re.split(r"[\s\[(;<>=!~]", name)[0]) for name in texts(extras, extra, of)}
        for extra in extras
    }
    for edge in _listed(package, "dependencies", of):
        said = {normalised(found[3] or found[5] or "") for found in _EXTRA.finditer(edge.marker)}
        if "!=" in {found[1] or found[6] for found in _EXTRA.finditer(edge.marker)}:
            said.add("")  # without any extra too
        if said:
            for extra in sorted(said):
                yield edge._replace(marker=settled(edge.marker, {extra}), extra=extra)
        elif edge.optional:
            yield from (edge._replace(extra=extra) for extra, names in offered.items() if edge.name in names)
        else:
            yield edge


def settled(said: str, extras: Collection[str]) -> str:
    """The marker with what it says of extras settled; "" where that is all it says, and holds."""

    def one(found: re.Match[str]) -> str:
        same = (normalised(found[3] or found[5] or "") in extras) == ((found[1] or found[6]) == "==")
        return _HOLDS if same else _FAILS

    plain = _EXTRA.sub(one, said)
    return "" if plain == _HOLDS else plain


def _listed(data: Mapping[str, Any], key: str, of: str) -> Iterator[_Edge]:
    """The entries of a table of dependencies."""
    for name, value in table(data, key, of=of).items():
        if normalised(name) == "python":
            continue
        field = f"{key}.{name}"
        for item in value if isinstance(value, list) and value else [value]:
            entry = {"version": item} if isinstance(item, str) else item
            if not isinstance(entry, Mapping):
                raise wrong(field, of, "a dependency")
            here, optional = f"`{field:.80}` of {of}", entry.get("optional", False)
            if not isinstance(optional, bool):
                raise wrong("optional", here, "true or false")
            yield _Edge(
                normalised(name),
                text(entry, "version", here, "*"),
                _marker(entry, here),
                tuple(map(normalised, texts(entry, "extras", here))),
                "",
                optional,
                of,
            )


def _marker(entry: Mapping[str, Any], of: str) -> str:
    said = text(entry, "markers", of, "")
    marker(settled(said, ()), "markers", of)
    parts = [said] if said else []
    if platform := text(entry, "platform", of, ""):
        parts.append(marker(f'sys_platform == "{platform}"', "platform", of))
    if python := _pythons(text(entry, "python", of, ""), of):
        parts.append(python)
    return " and ".join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)


def _pythons(said: str, of: str) -> str:
    """A constraint on Python as a marker; "" for any."""
    found = []
    for part in said.split("||") if said else ():
        plain = requirement(part)
        if not plain:
            if part.strip() not in ("", "*"):
                raise wrong("python", of, f"a constraint: `{said:.60}`")
            return ""
        found.append(" and ".join(f"python_full_version {_compared(one)}" for one in plain.split(",")))
    return marker(" or ".join(f"({one})" for one in found), "python", of)


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


def _versions(packages: list[Mapping[str, Any]], edge: _Edge) -> list[tuple[int, str]]:
    """Which of the versions a package is locked in an edge means, each with a marker about Python.

    Of several that satisfy its constraint, the newest that is for the Python at hand.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    if len(packages) < 2:
        return [(number, "") for number in range(len(packages))]
    try:
        sets = [SpecifierSet(requirement(part)) for part in edge.constraint.split("||")]
    except (InvalidSpecifier, ValueError) as error:
        raise wrong(edge.name, edge.of, f"a constraint: `{edge.constraint:.80}`") from error
    try:
        versions = [Version(text(package, "version", name_of(package))) for package in packages]
    except (InvalidVersion, ValueError) as error:
        raise wrong("version", f"`{edge.name}` in {LOCK}", "a version") from error
    fitting = [
        number for number, one in enumerate(versions) if any(item.contains(one, prereleases=True) for item in sets)
    ]
    found: list[tuple[int, str]] = []
    newer: list[str] = []  # each: that Python is none of a newer version's
    for number in sorted(fitting, key=lambda one: versions[one], reverse=True):
        said = text(packages[number], "python-versions", name_of(packages[number]), "*")
        clauses = [_compared(one) for one in requirement(said).split(",") if one]
        found.append((number, " and ".join(f"({text})" for text in (*newer, *map(_python, clauses)))))
        if not clauses:
            break
        newer.append(" or ".join(_python(_not(clause)) for clause in clauses))
    return found


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
