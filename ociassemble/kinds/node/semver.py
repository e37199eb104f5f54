"""Versions and ranges as npm reads them (NODE-20 to NODE-22): Semantic Versioning 2.0.0, npm's range grammar, strict.

A range is a disjunction of conjunctions of comparators; whatever npm's `semver` calls invalid is satisfied by nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_LONGEST = 256  # characters of a version
_LARGEST = 2**53 - 1  # what a part of a version may be
_NUMBER = r"(?:0|[1-9][0-9]*)"
_PART = rf"(?:{_NUMBER}|[xX*])"
_IDENTIFIER = rf"(?:[0-9]*[a-zA-Z-][a-zA-Z0-9-]*|{_NUMBER})"
_PRERELEASE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_BUILD = r"\+[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*"
_VERSION = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRERELEASE}))?(?:{_BUILD})?", re.ASCII)
_PARTIAL = rf"[v=\s]*({_PART})(?:\.({_PART})(?:\.({_PART})(?:-({_PRERELEASE}))?)?)?"
_HYPHEN = re.compile(rf"({_PARTIAL})\s+-\s+({_PARTIAL})", re.ASCII)
_COMPARATOR = re.compile(rf"(\^|~>?|[<>]?=?)({_PARTIAL})", re.ASCII)
_EXACT = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRERELEASE})?", re.ASCII)
_STRIPPED = re.compile(_BUILD, re.ASCII)
_OPERATOR_SPACE = re.compile(r"(?<![<>=])([<>]=?|=)\s+(?=[v=]*[0-9xX*])", re.ASCII)
_NEAR_SPACE = re.compile(r"(\^|~>?)\s+")
_SPACES = re.compile(r"\s+")


class Version(NamedTuple):
    """A version. Compares by precedence; build metadata is no part of it."""

    major: int
    minor: int
    patch: int
    # (1,) for a release, which comes after all its prereleases: (0, (0, 1), (1, "beta")) is `-1.beta`.
    rest: tuple[object, ...]

    @property
    def prerelease(self) -> bool:
        return self.rest != _RELEASE


class _Comparator(NamedTuple):
    operator: str  # "<", "<=", ">", ">=", "="
    version: Version

    def test(self, other: Version) -> bool:
        mine = self.version
        if self.operator == "<":
            return other < mine
        if self.operator == "<=":
            return other <= mine
        if self.operator == ">":
            return other > mine
        return other >= mine if self.operator == ">=" else other == mine


_RELEASE: tuple[object, ...] = (1,)
_LOWEST: tuple[object, ...] = (0, (0, 0))  # `-0`, before every other prerelease
_Conjunction = tuple[_Comparator, ...]  # () is any version


class _Invalid(Exception):
    """A range that is none."""


def parse(text: str) -> Version | None:
    """The version, None where it is none."""
    found = _VERSION.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        return None
    version = Version(int(found[1]), int(found[2]), int(found[3]), _rest(found[4]))
    return version if max(version[:3]) <= _LARGEST else None


def valid(spec: str) -> bool:
    """Whether `spec` is a range."""
    try:
        _range(spec, prereleases=False)
    except _Invalid:
        return False
    return True


def satisfies(version: str, spec: str, *, prereleases: bool = False) -> bool:
    """Whether the version is in the range; False where either is invalid.

    A prerelease is only in a range that names a prerelease of the same version, unless `prereleases`.
    """
    found = parse(version)
    if found is None:
        return False
    try:
        alternatives = _range(spec, prereleases=prereleases)
    except _Invalid:
        return False
    return any(_within(found, conjunction, prereleases) for conjunction in alternatives)


def _within(version: Version, conjunction: _Conjunction, prereleases: bool) -> bool:
    if not all(comparator.test(version) for comparator in conjunction):
        return False
    if not version.prerelease or prereleases:
        return True
    return any(item.version.prerelease and item.version[:3] == version[:3] for item in conjunction)


def _range(spec: str, *, prereleases: bool) -> list[_Conjunction]:
    text = _SPACES.sub(" ", spec.strip())
    alternatives = [_conjunction(part.strip(), prereleases) for part in text.split("||")]
    # One that is simply "any version" stands for all of them, and says nothing of prereleases.
    return [()] if () in alternatives else alternatives


def _conjunction(text: str, prereleases: bool) -> _Conjunction:
    text = _STRIPPED.sub("", text)
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen is not None:
        return tuple(_simple(_between(hyphen.groups(), prereleases), prereleases))
    words = _NEAR_SPACE.sub(r"\1", _OPERATOR_SPACE.sub(r"\1", text)).split(" ")
    return tuple(_simple([item for word in words for item in _comparators(word, prereleases)], prereleases))


def _simple(comparators: Iterable[_Comparator], prereleases: bool) -> Iterable[_Comparator]:
    """Without those that every version satisfies."""
    lowest = Version(0, 0, 0, _LOWEST if prereleases else _RELEASE)
    for comparator in comparators:
        if max(comparator.version[:3]) > _LARGEST:
            raise _Invalid
        if comparator != (">=", lowest):
            yield comparator


def _comparators(word: str, prereleases: bool) -> list[_Comparator]:
    """What one word of a range stands for."""
    if not word:
        return []
    found = _COMPARATOR.fullmatch(word)
    if found is None:
        raise _Invalid
    operator, partial, *parts = found.groups()
    major, minor, patch = (_number(part) for part in parts[:3])
    if operator in ("^", "~", "~>"):
        return _near(operator, major, minor, patch, parts[3], prereleases)
    if (major is None and _named(parts[1])) or (minor is None and _named(parts[2])):
        raise _Invalid  # `x.1` says nothing that could be meant
    if major is None:
        return [_Comparator("<", Version(0, 0, 0, _LOWEST))] if operator in ("<", ">") else []
    if minor is None or patch is None:
        return _partial(operator, major, minor, prereleases)
    _exact(partial.removeprefix("=") if not operator else partial)
    return [_Comparator(operator or "=", Version(major, minor, patch, _rest(parts[3])))]


def _near(
    operator: str, major: int | None, minor: int | None, patch: int | None, prerelease: str | None, prereleases: bool
) -> list[_Comparator]:
    """`^` up to the next version whose leftmost part that is not 0 differs, `~` up to the next minor one."""
    if major is None:
        return []
    lower = Version(major, minor or 0, patch or 0, _LOWEST if prereleases else _RELEASE)
    if minor is None:
        return [_Comparator(">=", lower._replace(patch=0)), _before(major + 1)]
    if patch is None:
        upper = _before(major, minor + 1) if operator != "^" or major == 0 else _before(major + 1)
        return [_Comparator(">=", lower), upper]
    lower = lower._replace(rest=_rest(prerelease))
    if operator != "^" or (major == 0 and minor > 0):
        return [_Comparator(">=", lower), _before(major, minor + 1)]
    return [_Comparator(">=", lower), _before(major + 1) if major else _before(0, 0, patch + 1)]


def _partial(operator: str, major: int, minor: int | None, prereleases: bool) -> list[_Comparator]:
    """A comparator of a version with missing parts, like `>=1.2`; all that begin so are meant."""
    low = _LOWEST if prereleases else _RELEASE
    after = (major + 1, 0) if minor is None else (major, minor + 1)
    if operator == ">":
        return [_Comparator(">=", Version(*after, 0, low))]
    if operator == "<=":
        return [_before(*after)]
    if operator == "<":
        return [_before(major, minor or 0)]
    lower = _Comparator(">=", Version(major, minor or 0, 0, low))
    return [lower] if operator == ">=" else [lower, _before(*after)]


def _between(parts: tuple[str | None, ...], prereleases: bool) -> list[_Comparator]:
    """`1.2 - 3.4`: both ends included, with all that begins like the upper one."""
    found: list[_Comparator] = []
    major, minor, patch = (_number(part) for part in parts[1:4])
    if major is not None:
        rest = _LOWEST if prereleases else _RELEASE
        if minor is not None and patch is not None:
            _exact(parts[0])
            rest = _rest(parts[4]) if parts[4] else rest
        found.append(_Comparator(">=", Version(major, minor or 0, 0 if minor is None else patch or 0, rest)))
    major, minor, patch = (_number(part) for part in parts[6:9])
    if major is None:
        return found
    if minor is None:
        return [*found, _before(major + 1)]
    if patch is None:
        return [*found, _before(major, minor + 1)]
    if parts[9]:
        return [*found, _Comparator("<=", Version(major, minor, patch, _rest(parts[9])))]
    if prereleases:
        return [*found, _before(major, minor, patch + 1)]
    _exact(parts[5])
    return [*found, _Comparator("<=", Version(major, minor, patch, _RELEASE))]


def _exact(text: str | None) -> None:
    """A whole version, written without what only partial ones may have in front of them."""
    if text is None or not _EXACT.fullmatch(text):
        raise _Invalid


def _before(major: int, minor: int = 0, patch: int = 0) -> _Comparator:
    return _Comparator("<", Version(major, minor, patch, _LOWEST))


def _number(part: str | None) -> int | None:
    """A part of a version, None where it is missing or stands for any."""
    return None if part is None or part in "xX*" else int(part[:20])


def _named(part: str | None) -> bool:
    return part is not None and part not in "xX*"


def _rest(prerelease: str | None) -> tuple[object, ...]:
    if not prerelease:
        return _RELEASE
    return (0, *((0, int(part[:20])) if part.isdigit() else (1, part) for part in prerelease.split(".")))
