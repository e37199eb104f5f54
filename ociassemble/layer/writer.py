"""Entries -> the tar of a layer, under the rules of specs/behaviour/layer-format.md.

Each parent once, before its children, with the mode and owner the base gives it; a path that crosses a link of the
base goes to the real place (an archive that ships `lib/x` would else replace the link `/lib` by a folder and take
libc away); no path twice; no whiteouts; no set-id bits of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from ociassemble.errors import IntegrityError, ProjectError
from ociassemble.formats import tar
from ociassemble.formats.paths import ordinary, real_path
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


class Watch(Protocol):
    """Sees what is put in: each entry, also a folder that is there already, and content of files that it wants to see.

    Parents that no entry brought are put in unseen.
    """

    def begin(self, entry: Entry, first: bytes) -> Seen | None:
        """An entry at its real place, and the first block of its content; what it returns is shown the content."""
        ...


class Seen(Protocol):
    """Sees one file: `feed` takes its blocks while `open`, and `end` comes after the last."""

    open: bool

    def feed(self, block: bytes) -> None: ...
    def end(self) -> None: ...


class LayerWriter:
    """Writes one layer. `sink` takes tar bytes in order; call `finish` once at the end.

    `links` and `directories` are the base's, as in `LayerPlan`. Entries may come in any order: that is the order
    of the tar, save that parents are put in before their first child. `watch` sees them go by.
    """

    def __init__(
        self,
        sink: Callable[[bytes], object],
        *,
        links: Iterable[tuple[str, str]] = (),
        directories: Iterable[DirectoryFact] = (),
        watch: Watch | None = None,
    ) -> None:
        self._sink = sink
        self._watch = watch
        self._links = dict(links)
        self._folders: dict[str, str] = {}  # folder -> its real place
        self._directories = {item.path: item for item in directories}
        self._written: dict[str, _Written] = {}

    def place(self, entry: Entry) -> Entry:
        """The entry at its real path in the image; refuses paths that no layer can carry."""
        _check_path(entry)
        if not self._links:
            return entry
        if entry.kind == "file":
            folder, _, name = entry.path.rpartition("/")
            real = self._folders.get(folder)
            if real is None:
                real = self._folders[folder] = real_path(folder, self._links, last=True)
            return entry if real == folder else entry._replace(path=f"{real}/{name}" if real else name)
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
        if entry.kind == "file":
            self._sink(tar.header(path, mode=entry.mode & 0o777, uid=entry.uid, gid=entry.gid, size=entry.size))
            self._content(entry)
            return
        mode = 0o777 if entry.kind == "symlink" else entry.mode & 0o777
        self._sink(tar.header(path, kind=entry.kind, mode=mode, uid=entry.uid, gid=entry.gid, target=entry.target))
        if self._watch is not None:
            self._watch.begin(entry, b"")

    def finish(self) -> None:
        """Write the end of the archive."""
        self._sink(tar.END)

    def _content(self, entry: Entry) -> None:
        blocks = iter(entry.content())
        first = next(blocks, b"")
        left = entry.size - len(first)
        seen = self._watch.begin(entry, first) if self._watch is not None else None
        self._sink(first)
        for block in blocks:
            left -= len(block)
            if left < 0:
                break
            if seen is not None and seen.open:
                seen.feed(block)
            self._sink(block)
        if left != 0:
            raise ContentChangedError(
                f"`/{entry.path}` of {entry.origin} is not of the {entry.size} bytes it was announced with"
            )
        if seen is not None:
            seen.end()
        if padding := tar.padding(entry.size):
            self._sink(padding)

    def _directory(self, path: str, entry: Entry) -> None:
        if self._watch is not None:
            self._watch.begin(entry, b"")
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
        missing = []
        parent = path.rpartition("/")[0]
        while parent:
            before = self._written.get(parent)
            if before is not None:
                if before.kind != "directory":
                    raise conflict(parent, before.origin, entry.origin)
                break  # and so are all above it: they were written before it, and nothing is ever replaced
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for parent in reversed(missing):
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


def _check_path(entry: Entry) -> None:
    path = entry.path
    if ordinary(path) and "/.wh." not in path and path[:4] != ".wh." and "\0" not in entry.target:
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
