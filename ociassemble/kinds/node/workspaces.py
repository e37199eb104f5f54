"""Workspaces: which folders of the project the globs of package.json mean (NODE-12)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 1000  # characters of a glob


def matching(globs: Iterable[str], folders: Iterable[str]) -> tuple[str, ...]:
    """Those of `folders` that the globs name, in their order; a later `!glob` takes away what earlier ones named.

    Nothing in a node_modules folder is ever a workspace.
    """
    rules = [_rule(text) for text in globs if len(text) <= _LONGEST]
    return tuple(
        folder for folder in folders if folder and "node_modules" not in folder.split("/") and _wanted(folder, rules)
    )


def _wanted(folder: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    state = False
    for include, pattern in rules:
        if pattern.fullmatch(folder):
            state = include
    return state


def _rule(text: str) -> tuple[bool, re.Pattern[str]]:
    bare = text.lstrip("!")
    include = (len(text) - len(bare)) % 2 == 0
    bare = re.sub(r"\A\.?/+", "", bare.replace("\\", "/")).rstrip("/")
    bare = re.sub(r"(?:\*\*/)+", "**/", bare)  # the same again says nothing more
    return include, re.compile(_expression(bare))


def _expression(glob: str) -> str:
    """A glob as a regular expression: `*`, `?` and `[...]` within a part, `**` for parts, `{a,b}` for either."""
    found, position, depth = "", 0, 0
    while position < len(glob):
        rest = glob[position:]
        bracket = re.match(r"\[([!^]?)([^\]\[\\/]+)\]", rest)
        if rest.startswith("**/"):
            found, position = found + r"(?:[^./][^/]*/)*", position + 3
        elif rest == "**":
            found, position = found + r"[^./][^/]*(?:/[^./][^/]*)*", position + 2
        elif rest[0] == "*":
            found, position = found + ("[^/]*" if found and not found.endswith("/") else r"(?!\.)[^/]*"), position + 1
            position += len(glob[position:]) - len(glob[position:].lstrip("*"))
        elif rest[0] == "?":
            found, position = found + "[^/]", position + 1
        elif bracket is not None:
            inner = re.sub(r"([\^&~|\\])", r"\\\1", bracket[2])
            found, position = found + f"[{'^' if bracket[1] else ''}{inner}]", position + bracket.end()
        elif rest[0] == "{" and "}" in rest and "," in rest.partition("}")[0]:
            found, position, depth = found + "(?:", position + 1, depth + 1
        elif rest[0] == "}" and depth:
            found, position, depth = found + ")", position + 1, depth - 1
        elif rest[0] == "," and depth:
            found, position = found + "|", position + 1
        else:
            found, position = found + re.escape(rest[0]), position + 1
    return found + ")" * depth
