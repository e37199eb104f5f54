"""A Procfile, and which of its processes is the application: `web`, or the only one (PY-23, NODE-24)."""

from __future__ import annotations

import re
from typing import NamedTuple

from ociassemble.errors import ProjectError
from ociassemble.project.tree import ProjectTree

NAME = "Procfile"
_LINE = r"([A-Za-z0-9_-]+):\s*(.*?)\s*"


class Process(NamedTuple):
    """A process: its name, and its command as written."""

    name: str
    command: str


def read(tree: ProjectTree, path: str, error: type[ProjectError]) -> Process | None:
    """The process that starts, None where there is no file at `path`; `error` is raised where none can be chosen."""
    if not tree.has(path):
        return None
    processes: dict[str, str] = {}
    for line in tree.text(path).splitlines():
        found = re.fullmatch(_LINE, line)
        # What a platform runs before each release is no application.
        if found is not None and found[2] and found[1] != "release":
            processes.setdefault(found[1], found[2])
    name = "web" if "web" in processes else next(iter(processes), "")
    if not name or (name != "web" and len(processes) > 1):
        raise error(
            f"`{path}` has no `web` process",
            details=[f"{key}: {value}" for key, value in processes.items()],
            hint='choose one with `--cmd "..."`, or `cmd` in ociassemble.toml',
        )
    return Process(name, processes[name])
