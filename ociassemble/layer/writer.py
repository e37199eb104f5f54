"""Entries -> the tar of a layer, under the rules of specs/behaviour/layer-format.md.

Each parent once, before its children, with the mode and owner the base gives it; a path that crosses a link of the
base goes to the real place (an archive that ships `lib/x` would else replace the link `/lib` by a folder and take
libc away); no path twice; no whiteouts; no set-id bits of our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ociassemble.errors import IntegrityError, ProjectError
from ociassemble.formats import tar
from ociassemble.formats.paths import real_path
from ociassemble.layer.entry import Entry
from ociassemble.plan.facts import DirectoryFact


class ConflictError(ProjectError):
    """Two sources want the same path of the image with different content."""

    code = "project.conflict"


class PathError(ProjectError):
    """A path that no layer can carry."""

    code = "project.path"


class ContentChangedError(IntegrityError):
    """A source yielded more or fewer bytes than it announced."""

    code = "integrity.content-changed"


class _Written(NamedTuple):
    kind: str
    origin: str
    attributes: tuple[int, int, int]  # mode, uid, gid


class LayerWriter:
    """Writes one layer. `sink` takes tar bytes in order; call `finish` once at the end.

    `links` and `directories` are the base's, as in `LayerPlan`. Entries may come in any order: that is the order
    of the tar, save that parents are put in before their first child.
    """

    def __init__(
        self,
        sink: Callable[[bytes], object],
        *,
        links: Iterable[tuple[str, str]] = (),
        directories: Iterable[DirectoryFact] = (),
    ) -> None:
        self._sink = sink
        self._links = dict(links)
        self._directories = {item.path: item for item in directories}
        self._written: dict[str, _Written] = {}

    def place(self, entry: Entry) -> Entry:
        """The entry at its real path in the image; refuses paths that no layer can carry."""
        _check_path(entry)
        if not self._links:
            return entry
        path = real_path(entry.path, self._links, last=entry.kind == "directory")
        target = real_path(entry.target, self._links, last=False) if entry.kind == "hardlink" else entry.target
        if path == entry.path and target == entry.target:
            return entry
        return entry._replace(path=path, target=target)

    def add(self, entry: Entry) -> None:
        """Write one entry, its missing parents first."""
        self.put(self.place(entry))

    def put(self, entry: Entry) -> None:
        """The same for an entry that `place` gave."""
        path = entry.path
        if entry.kind == "directory":
            self._directory(path, entry)
            return
        if not path:
            raise PathError(f"{entry.origin or 'a source'} would replace the root of the image")
        self._parents(path, entry)
        before = self._written.get(path)
        if before is not None:
            raise conflict(path, before.origin, entry.origin)
        if entry.kind == "hardlink":
            linked = self._written.get(entry.target)
            if linked is None or linked.kind != "file":
                raise PathError(
                    f"`/{path}` of {entry.origin} is a hard link to `/{entry.target}`, which does not come before it"
                )
        self._written[path] = _Written(entry.kind, entry.origin, (entry.mode, entry.uid, entry.gid))
        size = entry.size if entry.kind == "file" else 0
        mode = 0o777 if entry.kind == "symlink" else entry.mode & 0o777
        self._sink(
            tar.header(path, kind=entry.kind, mode=mode, uid=entry.uid, gid=entry.gid, size=size, target=entry.target)
        )
        if entry.kind == "file":
            self._content(entry)

    def finish(self) -> None:
        """Write the end of the archive."""
        self._sink(tar.END)

    def _content(self, entry: Entry) -> None:
        left = entry.size
        for block in entry.content():
            left -= len(block)
            if left < 0:
                break
            self._sink(block)
        if left != 0:
            raise ContentChangedError(
                f"`/{entry.path}` of {entry.origin} is not of the {entry.size} bytes it was announced with"
            )
        if padding := tar.padding(entry.size):
            self._sink(padding)

    def _directory(self, path: str, entry: Entry) -> None:
        if not path:
            return  # the root is the runtime's
        base = self._directories.get(path)
        wanted = (entry.mode & 0o1777, entry.uid, entry.gid)
        attributes = (base.mode, base.uid, base.gid) if base is not None else wanted
        before = self._written.get(path)
        if before is not None:
            if before.kind != "directory":
                raise conflict(path, before.origin, entry.origin)
            if before.attributes != attributes:
                raise conflict(path, before.origin, entry.origin)
            return
        self._parents(path, entry)
        self._emit(path, attributes, entry.origin)

    def _parents(self, path: str, entry: Entry) -> None:
        above = self._written.get(path.rpartition("/")[0])
        if above is not None and above.kind == "directory":
            return  # and so are all above it: they were written before it, and nothing is ever replaced
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            before = self._written.get(parent)
            if before is not None:
                if before.kind != "directory":
                    raise conflict(parent, before.origin, entry.origin)
                continue
            base = self._directories.get(parent)
            attributes = (base.mode, base.uid, base.gid) if base is not None else (0o755, 0, 0)
            self._emit(parent, attributes, entry.origin)

    def _emit(self, path: str, attributes: tuple[int, int, int], origin: str) -> None:
        self._written[path] = _Written("directory", origin, attributes)
        mode, uid, gid = attributes
        self._sink(tar.header(path, kind="directory", mode=mode, uid=uid, gid=gid))


def conflict(path: str, first: str, second: str) -> ConflictError:
    """The error for two sources that want one path."""
    return ConflictError(
        f"`/{path}` comes from both {first or 'one source'} and {second or 'another'}, and they differ",
        hint="leave one of the two out: an image can hold only one of them",
    )


# What the checks below are about; most paths have nothing of it, and there may be a hundred thousand.
_SUSPECT = re.compile(r"(?:\A|/)(?:\.{0,2}(?:/|\Z)|\.wh\.)|\0")


def _check_path(entry: Entry) -> None:
    path = entry.path
    if len(path) <= 255 and path.isascii() and not _SUSPECT.search(path) and "\0" not in entry.target:
        return
    where = f"`{path!s:.200}` of {entry.origin or 'a source'}"
    if path.startswith("/") or (path and any(part in ("", ".", "..") for part in path.split("/"))):
        raise PathError(f"{where} is not a path below the root of the image")
    if "\0" in path or "\0" in entry.target:
        raise PathError(f"{where} has a NUL in its name")
    if len(path) > 4096 or any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in path.split("/")):
        raise PathError(f"{where} is longer than a file system can hold")
    if any(part.startswith(".wh.") for part in path.split("/")):
        raise PathError(
            f"{where} begins with `.wh.`, which means removal in a layer (image-spec layer.md)",
            hint="rename the file, or leave it out through .ociassembleignore",
        )
