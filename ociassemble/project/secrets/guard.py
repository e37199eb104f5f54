"""The guard at one file of the project: its name, its bytes as they are hashed, and what is inside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ociassemble.project.secrets.findings import Finding, fingerprint
from ociassemble.project.secrets.names import by_name
from ociassemble.project.secrets.search import Search
from ociassemble.project.secrets.sniffed import HEAD, kind


class Verdict(NamedTuple):
    """What the guard says of a file: what looks like a secret, and notes on what could not be searched."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


NOTHING = Verdict()
_BLOCK = 1 << 20


class Guard:
    """Judges what the file at `path` of the project holds; its blocks are fed in order."""

    __slots__ = ("_kind", "_path", "_search", "_size")

    def __init__(self, path: str) -> None:
        self._path = path
        self._search = Search(path)
        self._size = 0
        self._kind: str | None = None

    def feed(self, block: bytes) -> None:
        if not self._size:
            self._kind = kind(self._path, block[:HEAD])
        self._size += len(block)
        self._search.feed(block)

    def finish(self, reopen: Callable[[], BinaryIO]) -> Verdict:
        """The verdict; `reopen` opens the same bytes once more, seekable."""
        found = self._search.finish()
        if self._kind is None:
            return Verdict(tuple(found)) if found else NOTHING
        from ociassemble.project.secrets import archives

        inside = archives.Inside()
        with reopen() as stream:
            whole = inside.look(stream, self._size, self._path)
        # What an archive stores unpacked was seen twice; where it was read to its end, its members say it better.
        found = inside.findings if whole else [*found, *inside.findings]
        return Verdict(tuple(found), tuple(inside.notes))


def judge(path: str, content: str, verdict: Verdict = NOTHING) -> tuple[Finding, ...]:
    """Everything the guard says about `path`: by its name, else by what it holds.

    A name is allowed together with the content it has: `content` is a digest, or the target of a symlink. The
    findings of `verdict` may have been made under another name of the same file.
    """
    named = by_name(path)
    if named is not None:
        mark = fingerprint(path, named.rule, content.encode(errors="surrogateescape"))
        return (Finding(path, None, 0, named.rule, named.what, 0, mark),)
    return tuple(one._replace(path="!/".join((path, *one.path.split("!/")[1:]))) for one in verdict.findings)


def outside(path: Path) -> Verdict:
    """The verdict on a file that is not the project's own (a wheel the user built), by its file name.

    One that cannot be read is for those to report who need it.
    """
    guard = Guard(path.name)
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                guard.feed(block)
        return guard.finish(lambda: open(path, "rb"))
    except OSError:
        return NOTHING
