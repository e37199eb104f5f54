"""The project folder as a value: what will be packed, by name, mode and sha256 (specs/behaviour/packing.md).

Made by `project.reading`. Content is opened again only when it is packed, and must still be the same bytes then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ociassemble.errors import ProjectError
from ociassemble.oci.digest import Digest
from ociassemble.project import inside
from ociassemble.project.packed import TreeFile as TreeFile
from ociassemble.project.packed import content
from ociassemble.project.walk import LeftOut

if TYPE_CHECKING:
    from ociassemble.project.given import Given, Place

_PART = 64 << 20  # bytes that are read at once
_ANSWER = 64 << 20  # bytes
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectTree:
    """A project folder as it was when it was read. Immutable.

    `files` is what will be packed: sorted bytewise, each folder directly before its content, empty folders kept.
    `left_out` are built-in exclusions (not the matches of an ignore file), `warnings` what a user should know,
    `ignorefile` the name of the ignore file that was followed.
    `given` is what each SRC of `--add` names, and `notes` are decisions to be told. Of a tree that is one file
    (`alone`), `root` is the folder it is in, of which nothing else is looked at.
    `asked` is what was looked at besides what is packed, by question and path: with `files` and what is told, all
    that anybody knows of the folder (`answer`).
    """

    root: Path
    files: tuple[TreeFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    ignorefile: str | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    alone: bool = False
    asked: dict[tuple[str, str], object] = field(default_factory=dict, repr=False, compare=False)
    _known: dict[tuple[str, str], object] = field(default_factory=dict, init=False, repr=False, compare=False)
    _index: Mapping[str, TreeFile] = field(init=False, repr=False, compare=False)
    _elsewhere: Mapping[str, Place] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {file.path: file for file in self.files})
        places = (place for given in self.given.values() for place in given.places if place.folder is not None)
        object.__setattr__(self, "_elsewhere", {place.source: place for place in places})

    def packed(self, path: str) -> TreeFile | None:
        """The path if it will be packed."""
        return self._index.get(path)

    def has(self, path: str) -> bool:
        """Whether there is a regular file at `path`, packed or not; symlinks are followed inside the folder."""
        if self.alone:
            return path in self._index
        with inside.Root(self.root) as root:
            found = inside.is_file(root, path)
        self.asked["file", path] = found
        return found

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Names of the regular files directly in `folder`, packed or not, sorted; () for a folder that is left out."""
        if self.alone:
            return () if folder else tuple(self._index)
        if any(folder == path or folder.startswith(path + "/") for path, _ in self.left_out):
            return ()
        self.asked["names", folder] = ()
        with inside.Root(self.root) as root:
            try:
                descriptor = inside.open_folder(root, folder)
            except OSError:
                return ()
            try:
                with os.scandir(descriptor) as entries:
                    raw = [os.fsencode(entry.name) for entry in entries]
            finally:
                os.close(descriptor)
            prefix = folder + "/" if folder else ""
            names = sorted(name.decode(errors="surrogateescape") for name in raw)
            found = tuple(name for name in names if inside.is_file(root, prefix + name))
        self.asked["names", folder] = found
        return found

    def bytes_of(self, path: str, limit: int) -> bytes:
        """The content of any regular file of the folder, packed or not; `ProjectError` if missing or too big."""
        if self.alone and path not in self._index:
            raise inside.FileError(f"there is no file `{path}` in the project")
        self.asked["bytes", path] = ""
        with inside.Root(self.root) as root:
            data = inside.read_bytes(root, path, limit)
        digest = Digest.of(data)
        known = self._index.get(path)
        if known is not None and known.digest is not None and known.digest != digest:
            raise inside.changed(path)
        self.asked["bytes", path] = str(digest)
        return data

    def answer(self, question: str, path: str) -> object:
        """What `asked` has of this question once it is asked: of the folder as it is now."""
        with suppress(ProjectError):
            if question == "bytes":
                self.bytes_of(path, _ANSWER)
            else:
                (self.has if question == "file" else self.names)(path)
        return self.asked.get((question, path))

    def text(self, path: str, limit: int = 4 << 20) -> str:
        """The content of any regular file of the folder as text; `ProjectError` if missing, too big or not UTF-8."""
        data = self.bytes_of(path, limit)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise inside.FileError(f"`{path}` line {line} is not UTF-8", hint="save it as UTF-8") from error

    def once(self, what: str, path: str, read: Callable[[], _T]) -> _T:
        """What `read` makes of the file at `path`: read for the first who asks, so that all are told the same."""
        if (what, path) not in self._known:
            self._known[what, path] = read()
        return cast(_T, self._known[what, path])

    def part(self, path: str, offset: int, size: int) -> bytes:
        """Some bytes of a packed file, fewer only at its end. What they are is verified when it is packed."""
        try:
            with inside.Root(self.root) as root, inside.opened(root, path) as (descriptor, _):
                return os.pread(descriptor, min(size, _PART), offset) if 0 <= offset < 1 << 62 else b""
        except OSError as error:
            raise inside.translate(error, path) from error

    def content(self, file: TreeFile) -> Callable[[], Iterator[bytes]]:
        """The bytes of a packed file, from the beginning each time it is called: exactly `file.size` of them.

        They are hashed while they are read: `ChangedError` if they are not what was hashed when the tree was read.
        """
        return content(self.root, file)

    def source(self, name: str) -> Callable[[], Iterator[bytes]]:
        """The bytes of a file by what a plan calls it: a packed path, or what an `--add` brought (`Place.source`)."""
        place = self._elsewhere.get(name)
        if place is not None and place.folder is not None:
            return content(place.folder, place.file)
        return self.content(self._index[name])

    def notices(self) -> tuple[str, ...]:
        """What was left out without being asked, one line a reason, and what else was decided; for people."""
        grouped: dict[str, list[str]] = {}
        for path, reason in self.left_out:
            grouped.setdefault(reason, []).append(path)
        told = (f"left out: {some(paths)} ({reason})" for reason, paths in sorted(grouped.items()))
        return (*told, *self.notes)


def some(paths: list[str]) -> str:
    """The first few of `paths`, and how many more there are; for people."""
    return f"{', '.join(paths[:3])}{f' and {len(paths) - 3} more' if len(paths) > 3 else ''}"
