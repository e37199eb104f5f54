"""Workspaces: which folders of the project the globs of package.json mean (NODE-12).

A glob is followed through a path as a set of places in it, never by trying again: no glob costs more than its length
times the path's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

_LONGEST = 1000  # characters of a glob
_MOST = 256  # globs that one with braces stands for
_TOKEN = re.compile(r"\[([!^]?)([^\]\[\\/]+)\]|(.)", re.DOTALL)
_ANY = "*"


def matching(globs: Iterable[str], folders: Iterable[str]) -> tuple[str, ...]:
    """Those of `folders` that the globs name, in their order; a later `!glob` takes away what earlier ones named.

    Nothing in a node_modules folder is ever a workspace.
    """
    rules = [_rule(text) for text in globs if len(text) <= _LONGEST]
    return tuple(
        folder for folder in folders if folder and "node_modules" not in folder.split("/") and _wanted(folder, rules)
    )


_Rule = tuple[bool, list[list[str]]]


def _wanted(folder: str, rules: list[_Rule]) -> bool:
    state = False
    parts = folder.split("/")
    for include, globs in rules:
        if state != include and any(_walk(glob, parts, "**", _visible, _part) for glob in globs):
            state = include
    return state


def _rule(text: str) -> _Rule:
    bare = text.lstrip("!")
    include = (len(text) - len(bare)) % 2 == 0
    bare = re.sub(r"\A\.?/+", "", bare.replace("\\", "/")).rstrip("/")
    return include, [_split(glob) for glob in _alternatives(bare)]


def _split(glob: str) -> list[str]:
    parts = glob.split("/")
    # At its end it stands for something.
    return [*parts[:-1], "*", "**"] if parts[-1] == "**" else parts


def _alternatives(glob: str) -> list[str]:
    """What `{a,b}` in a glob stands for; nothing where that is too much."""
    done: list[str] = []
    todo = [glob]
    while todo:
        text = todo.pop()
        found = re.search(r"\{([^{}]*,[^{}]*)\}", text)
        if found is None:
            done.append(text)
        else:
            todo += (text[: found.start()] + part + text[found.end() :] for part in found[1].split(","))
        if len(done) + len(todo) > _MOST:
            return []
    return done


def _visible(part: str) -> bool:
    return not part.startswith(".")


def _part(glob: str, part: str) -> bool:
    """Whether a part of a glob matches one of a path: `*`, `?` and `[...]`; a leading `*` leaves hidden folders out."""
    if glob.startswith("*") and part.startswith("."):
        return False
    return _walk(_tokens(glob), part, _ANY, lambda character: True, _character)


def _tokens(glob: str) -> list[str]:
    return [found[0] for found in _TOKEN.finditer(glob)]


def _character(token: str, character: str) -> bool:
    found = _TOKEN.fullmatch(token)
    if token == "?":
        return True
    if found is None or found[2] is None:
        return token == character
    inner = re.sub(r"([\^&~|\\])", r"\\\1", found[2])
    try:
        return re.fullmatch(f"[{'^' if found[1] else ''}{inner}]", character) is not None
    except re.error:
        return False


def _walk(
    pattern: Sequence[str],
    items: Sequence[str],
    star: str,
    starred: Callable[[str], bool],
    one: Callable[[str, str], bool],
) -> bool:
    """Whether `pattern` matches all of `items`; `star` in it stands for any number of those that `starred` allows."""

    def settled(places: set[int]) -> set[int]:
        found = set(places)
        for place in places:
            while place < len(pattern) and pattern[place] == star:
                place += 1
                found.add(place)
        return found

    places = settled({0})
    for item in items:
        after: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            if pattern[place] != star:
                if one(pattern[place], item):
                    after.add(place + 1)
            elif starred(item):
                after.add(place)
        places = settled(after)
        if not places:
            return False
    return len(pattern) in places
