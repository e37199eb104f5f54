"""The merged table of an image's files, and what a process of its user may do with them. Pure.

Paths are resolved as a kernel does it: link by link, every folder on the way searchable for who asks.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ociassemble.formats.paths import MAX_STEPS
from ociassemble.image.contents import Contents
from ociassemble.image.filesystem import FileSystem, Path
from ociassemble.image.sample import FileFacts

READ, SEARCH, EXECUTE = 4, 1, 1
_LINKS = 40
# What a runtime mounts over the image: nothing is known of what is there.
_MOUNTED = ("proc", "sys", "dev")
_NOTHING = FileFacts()


class Account(NamedTuple):
    """Who runs, and where: the user's number, those of all its groups, the working directory."""

    uid: int
    groups: frozenset[int]
    folder: str = "/"


class Found(NamedTuple):
    """Where a path leads. `problem` is "" or says why not: "missing", "folder" (`place` is not searchable),
    "no-folder" (`place` is a file and something is asked for below it), "loop", "mounted" (nobody can know).
    """

    place: str  # relative to the root, no links
    item: Path | None
    problem: str = ""


_ROOT = Path("directory", 0o755, 0, 0, 0, "", 0)


class Table:
    """All layers of an image on top of each other: `base` of the base, then `dependencies`, then the application's.

    `volumes` are the config's: what is missing there may come with what is mounted.
    """

    def __init__(
        self, layers: Sequence[Contents], base: int, dependencies: int = 0, volumes: Sequence[str] = ()
    ) -> None:
        self._mounted = (*_MOUNTED, *(posixpath.normpath(item).strip("/") for item in volumes))
        self.base, self._application = base, base + dependencies
        self.seen: set[str] = set()  # real paths that were asked for, there or not: what a proof hangs on
        self.files = FileSystem()
        for number, layer in enumerate(layers):
            found = (item._replace(item=item.item._replace(layer=number)) for item in layer.members)
            self.files.apply(found, number)
        self._names: frozenset[str] | None = None

    def facts(self, place: str) -> FileFacts:
        """What is known of the file at a real path."""
        return self.files.facts.get(place, _NOTHING)

    def brought(self, place: str) -> bool:
        """Whether this real path comes from a layer of ours."""
        item = self.files.paths.get(place)
        return item is not None and item.layer >= self.base

    def lasting(self, place: str) -> bool:
        """Whether this real path comes from a layer of dependencies."""
        item = self.files.paths.get(place)
        return item is not None and self.base <= item.layer < self._application

    def text(self, path: str) -> str | None:
        """The content of a small file, links followed, where it is one that is kept."""
        found = self.find(path)
        return self.facts(found.place).text if not found.problem else None

    def has(self, path: str) -> bool:
        """Whether anything is there, links followed, whoever asks."""
        return not self.find(path).problem

    def listing(self, place: str) -> tuple[str, ...]:
        """The names in a folder, which is given by its real path."""
        return tuple(path.rpartition("/")[2] for path in self.files.children(place))

    def names(self) -> frozenset[str]:
        """The last parts of all paths, and the names libraries give themselves."""
        if self._names is None:
            own = (item.elf.soname for item in self.files.facts.values() if item.elf is not None)
            self._names = frozenset((*map(posixpath.basename, self.files.paths), *own))
        return self._names

    def find(self, path: str, account: Account | None = None) -> Found:
        """Where `path` leads; with an account, folders on the way must let it pass.

        A relative one begins in the account's working directory, which the runtime has entered, whatever is above.
        """
        found = self._find(path, account)
        self.seen.add(found.place)
        return found

    def _find(self, path: str, account: Account | None) -> Found:
        paths = self.files.paths
        here, item = "", _ROOT
        if account is not None and not path.startswith("/"):
            here = self.find(account.folder).place
            item = paths.get(here, _ROOT)
        todo = path.split("/")[::-1]
        hops = 0
        for _ in range(MAX_STEPS):
            if not todo:
                return Found(here, item)
            part = todo.pop()
            if part in ("", ".", ".."):
                if item.kind != "directory":
                    return Found(here, item, "no-folder")
                if part == "..":
                    here = here.rpartition("/")[0]
                    item = paths.get(here, _ROOT)
                continue
            if item.kind != "directory":
                return Found(here, item, "no-folder")
            if account is not None and not allows(item, account, SEARCH):
                return Found(here, item, "folder")
            there = f"{here}/{part}" if here else part
            found = paths.get(there)
            if found is None:
                return Found(there, None, "mounted" if self._filled(there, todo) else "missing")
            if found.kind == "symlink":
                self.seen.add(there)
                hops += 1
                if hops > _LINKS:
                    break
                if found.target.startswith("/"):
                    here, item = "", _ROOT
                todo += found.target.split("/")[::-1]
            else:
                here, item = there, found
        return Found(path.strip("/"), None, "loop")

    def _filled(self, there: str, todo: Sequence[str]) -> bool:
        """Whether what is below `there`, by the names in `todo` (the last one first), comes from the runtime."""
        place = posixpath.normpath("/".join((there, *reversed(todo))))
        return any(place == top or place.startswith(f"{top}/") for top in self._mounted)

    def unread(self, path: str) -> bool:
        """Whether there is a file of which nothing was kept: too large, or behind a link to elsewhere."""
        found = self.find(path)
        return found.item is not None and found.item.size > 0 and self.facts(found.place).text is None

    def readable(self, path: str, account: Account) -> str | None:
        """The real path of a file that the account can read, else None."""
        found = self.find(path, account)
        if found.problem or found.item is None or found.item.kind != "file" or not allows(found.item, account, READ):
            return None
        return found.place


def allows(item: Path, account: Account, bit: int) -> bool:
    """Whether the mode of `item` gives the account this permission.

    Root is asked for one execute bit only: runtimes let it override the rest, where they leave it its capabilities.
    """
    if account.uid == 0:
        return bit != EXECUTE or item.kind == "directory" or bool(item.mode & 0o111)
    if account.uid == item.uid:
        return bool(item.mode >> 6 & bit)
    if item.gid in account.groups:
        return bool(item.mode >> 3 & bit)
    return bool(item.mode & bit)


def account_of(user: str, table: Table) -> Account | str | None:
    """Who `User` of the config is, as runtimes find it out; else why they refuse it, for people; None: nobody knows."""
    name, _, group = user.partition(":")
    passwd = _rows(table.text("/etc/passwd"), 7)
    groups = _rows(table.text("/etc/group"), 4)
    uid, gid, known = 0, 0, name or "root"
    entry = next((row for row in passwd if name == row[0]), None)
    if entry is None and ((name.isascii() and name.isdigit()) or not name):
        uid = _number(name or "0")
        entry = next((row for row in passwd if _number(row[2]) == uid), None)
    elif entry is None:
        if table.unread("/etc/passwd"):
            return None
        return f"the user `{name}`, whom the image's /etc/passwd does not have"
    if entry is not None:
        uid, gid, known = _number(entry[2]), _number(entry[3]), entry[0]
    if not group:
        member = (_number(row[2]) for row in groups if known in row[3].split(","))
        return Account(uid, frozenset((gid, *member)))
    found = next((row for row in groups if group == row[0]), None)
    if found is not None:
        return Account(uid, frozenset((_number(found[2]),)))
    if group.isascii() and group.isdigit():
        return Account(uid, frozenset((_number(group),)))
    if table.unread("/etc/group"):
        return None
    return f"the group `{group}`, which the image's /etc/group does not have"


def _rows(text: str | None, least: int) -> list[list[str]]:
    rows = (line.split(":") for line in (text or "").splitlines()[:100_000])
    return [row + [""] * (least - len(row)) for row in rows if len(row) > 2]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def absolute(path: str, workdir: str) -> str:
    """A path of a command line as an absolute one."""
    return posixpath.join("/", workdir or "/", path)


def environment(execution_env: Iterable[str]) -> dict[str, str]:
    """`Env` of the config."""
    return dict(item.partition("=")[::2] for item in execution_env)
