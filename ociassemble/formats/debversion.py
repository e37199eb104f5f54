"""Debian version numbers and their order (deb-version(7), Debian Policy 5.6.12)."""

from __future__ import annotations

import re

from ociassemble.errors import FormatError

_SHAPE = re.compile(r"(?:([0-9]{1,9}):)?([0-9A-Za-z][0-9A-Za-z.+:~-]{0,255}?)(?:-([0-9A-Za-z.+~]{1,256}))?", re.ASCII)
_RUNS = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)

_Part = tuple[tuple[tuple[int, ...], int], ...]
Key = tuple[int, _Part, _Part]


class VersionError(FormatError):
    """Not a Debian version number."""

    code = "integrity.format.debversion"


def split(version: str) -> tuple[int, str, str]:
    """`[epoch:]upstream[-revision]` as (epoch, upstream, revision); the revision is "" where there is none."""
    match = _SHAPE.fullmatch(version) if len(version) <= 512 else None
    if match is None:
        raise VersionError(f"not a Debian version: {version!r:.100}")
    epoch, upstream, revision = match.groups()
    if epoch is None and ":" in upstream:
        raise VersionError(f"not a Debian version: {version!r:.100}")
    return int(epoch or 0), upstream, revision or ""


def key(version: str) -> Key:
    """What versions are sorted by: of two, the newer has the greater key, and equal ones ("1", "1-0") equal keys."""
    epoch, upstream, revision = split(version)
    return epoch, _part(upstream), _part(revision)


def upstream(version: str) -> str:
    """The version without epoch and revision: what the software calls itself."""
    return split(version)[1]


# The end of a part sorts after `~` and before everything else.
_END = ((0,), 0)


def _part(text: str) -> _Part:
    """Alternating non-digits and digits, comparable as tuples."""
    runs = [((*(_order(letter) for letter in letters), 0), int(digits or 0)) for letters, digits in _RUNS.findall(text)]
    # Zeros at the end change nothing; what is left over always has a next run to be compared with.
    while len(runs) > 1 and runs[-1] == _END:
        runs.pop()
    return (*runs, _END)


def _order(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
