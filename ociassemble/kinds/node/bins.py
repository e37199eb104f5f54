"""The links in .bin folders, as npm makes them (NODE-17): which command is whose, and where it leads."""

from __future__ import annotations

import posixpath
import string
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ociassemble.kinds.node.entries import Entry, PackageLock, key_of, owner, within

# How ICU's root collation orders what it knows of ASCII; letters of one kind follow, the small one first.
_PUNCTUATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_WEIGHTS = {character: number for number, character in enumerate(_PUNCTUATION)}
# Letters of ASCII, as in packages' names: the case of others is a matter of Python's version.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SWAPPED = str.maketrans(string.ascii_letters, string.ascii_uppercase + string.ascii_lowercase)


class BinLink(NamedTuple):
    """One link. All paths relative to the project's folder."""

    path: str  # "node_modules/.bin/tsc"
    target: str  # as the link says it: "../typescript/bin/tsc"
    owner: str  # place of the package (or link) whose command it is
    file: str  # the file it leads to, in that package: "bin/tsc"


def links(
    lock: PackageLock, entries: Iterable[Entry], local: Callable[[str], tuple[tuple[str, str], ...]]
) -> tuple[BinLink, ...]:
    """The links for `entries`, by path. `local` gives the commands of a folder of the project.

    Where several packages of one node_modules folder have the same command, the first by name gets it, and a
    package before a folder of the project.
    """
    found: dict[str, BinLink] = {}
    ordered = sorted(entries, key=lambda entry: (entry.target is not None, collation(entry.place)))
    for entry in ordered:
        above = owner(entry.place)
        if above is None:
            continue
        commands = entry.bins if entry.target is None else local(entry.target)
        for command, file in commands:
            path = within(above, f".bin/{command}")
            target = posixpath.join("..", key_of(entry.place), file)
            found.setdefault(path, BinLink(path, target, entry.place, file))
    return tuple(found[path] for path in sorted(found))


def collation(text: str) -> tuple[tuple[int, ...], str]:
    """A key that sorts as npm sorts places: by letters whatever their case, then small letters before capitals."""
    return tuple(_weight(character) for character in text.translate(_LOWER)), text.translate(_SWAPPED)


def _weight(character: str) -> int:
    known = _WEIGHTS.get(character)
    return known if known is not None else len(_PUNCTUATION) + ord(character)
