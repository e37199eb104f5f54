"""Paths of an image: `/`-separated, relative to its root, resolved the way a kernel would, never on the host."""

from __future__ import annotations

from collections.abc import Mapping


def real_path(path: str, links: Mapping[str, str], *, last: bool) -> str:
    """`path` (relative to the root) with every link of the base on the way replaced by where it leads.

    `last` says whether the last part is resolved too (for folders) or stands for itself (files replace links).
    A chain that goes round, or climbs above the root, ends at the root as it does in a kernel.
    """
    if not links:
        return path
    done: list[str] = []
    todo = path.split("/")[::-1]
    hops = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        done.append(part)
        here = "/".join(done)
        target = links.get(here)
        if target is not None and (todo or last) and hops < 40:
            hops += 1
            if target.startswith("/"):
                done.clear()
            else:
                done.pop()
            todo += target.split("/")[::-1]
    return "/".join(done)
