"""Paths of an image: `/`-separated, relative to its root, resolved the way a kernel would, never on the host."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import lru_cache

MAX_PATH = 4096  # characters; what no kernel takes as one path
MAX_STEPS = 4096  # parts of one path, those of the links on its way included; real ones have some dozens
_LINKS = 40  # as Linux: a longer chain is a loop
_ODD = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)|\0")


def ordinary(path: str) -> bool:
    """Whether `path` is relative, normalised, ASCII, of 255 characters at most, and its name begins with no dot: then
    no check has anything to say about it. So are nearly all, and this tells it fast; of the others it says nothing.
    """
    folder, slash, name = path.rpartition("/")
    return (
        len(path) <= 255
        and name.isascii()
        and name[:1] not in ("", ".")
        and "\0" not in name
        and (_ordinary(folder) if folder else not slash)
    )


@lru_cache(maxsize=4096)
def _ordinary(folder: str) -> bool:
    return folder.isascii() and not _ODD.search(folder)


def real_path(path: str, links: Mapping[str, str], *, last: bool) -> str:
    """`path` (relative to the root) with every link of the base on the way replaced by where it leads.

    `last` says whether the last part is resolved too (for folders) or stands for itself (files replace links).
    A chain that goes round, or climbs above the root, ends at the root as it does in a kernel; one that no
    kernel would follow for its length ends where it became too long.
    """
    return walk_path(path, links, last=last)[0] if links else path


def walk_path(
    path: str, links: Mapping[str, str], *, last: bool, there: Container[str] | None = None
) -> tuple[str, int]:
    """The same, and how many parts were looked at: what a caller with many paths may want to bound.

    With `there`, all that exists, it ends at the first part that does not.
    """
    here = ""
    todo = path.split("/")[::-1]
    hops = steps = 0
    while todo and steps < MAX_STEPS and len(here) <= MAX_PATH:
        part = todo.pop()
        steps += 1
        if part in ("", "."):
            continue
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        # One string, not a list to join: links of a thousand parts would cost a million.
        parent, here = here, f"{here}/{part}" if here else part
        if there is not None and here not in there:
            break
        target = links.get(here)
        if target is not None and (todo or last) and hops < _LINKS:
            hops += 1
            here = "" if target.startswith("/") else parent
            todo += target.split("/")[::-1]
    return here, steps
