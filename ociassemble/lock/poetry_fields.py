"""The fields of a poetry.lock and its pyproject.toml, held to their types (LOCK-32).

What is missing has its default; what is of another type, or a marker that says nothing, is an error that names package
and field. It is never taken for nothing: a dependency would be dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ociassemble.errors import ProjectError

LOCK = "the poetry.lock"
PROJECT = "the pyproject.toml"
_VERSIONS = r"python_version|python_full_version|implementation_version"
_COMPARED = re.compile(rf'\b(?:{_VERSIONS}) ([<>=!~]+) "([^"]*)"|"([^"]*)" ([<>=!~]+) (?:{_VERSIONS})\b')
_QUOTED = re.compile(r"""(["']).*?\1""")
_OTHERS = re.compile(r"\b(?:extras?|dependency_groups)\b")


class PoetryLockError(ProjectError):
    """A poetry.lock that cannot be read."""

    code = "project.poetry-lock"


def wrong(key: str, of: str, expected: str) -> PoetryLockError:
    """The error for the field `key` of `of` that is not what is `expected`."""
    hint = "see what poetry says of it: `poetry check`" if PROJECT in of else "run `poetry lock`"
    return PoetryLockError(f"`{key:.80}` of {of} is not {expected}", hint=hint)


def table(data: Mapping[str, Any], *keys: str, of: str) -> Mapping[str, Any]:
    """A nested table; an empty one where it is missing."""
    found: Any = data
    for number, key in enumerate(keys):
        found = found.get(key)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise wrong(".".join(keys[: number + 1]), of, "a table")
    return found  # type: ignore[no-any-return]


def tables(data: Mapping[str, Any], key: str, of: str) -> list[Mapping[str, Any]]:
    """A list of tables; an empty one where it is missing."""
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise wrong(key, of, "a list of tables")
    return found


def text(data: Mapping[str, Any], key: str, of: str, default: str | None = None) -> str:
    """A string; without a `default` it has to be there, and say something."""
    found = data.get(key, default)
    if not isinstance(found, str) or (default is None and not found):
        raise wrong(key, of, "a text")
    return found


def texts(data: Mapping[str, Any], key: str, of: str) -> list[str]:
    """A list of strings; an empty one where it is missing."""
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise wrong(key, of, "a list of texts")
    return found


def name_of(package: Mapping[str, Any]) -> str:
    """How errors call a locked package."""
    return f"`{text(package, 'name', f'a package of {LOCK}')}` in {LOCK}"


def marker(said: str, key: str, of: str) -> str:
    """A marker as it stands, if it is one that a Python and a platform alone decide; "" is always."""
    from packaging.markers import InvalidMarker, Marker
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not said:
        return said
    try:
        plain = str(Marker(said))
        for found in _COMPARED.finditer(plain):
            operator, version = (found[1], found[2]) if found[1] else ("==", found[3])
            SpecifierSet(f"{operator}{version}")
    except (InvalidMarker, InvalidSpecifier, ValueError, RecursionError) as error:
        raise wrong(key, of, f"a marker: `{said:.80}`") from error
    if _OTHERS.search(_QUOTED.sub("", plain)):
        raise wrong(key, of, f"a marker that can be decided: `{said:.80}`")
    return said
