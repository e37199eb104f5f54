"""The merged view of an image's layers, from their tar headers alone: what is where, as a runtime would see it.

Layers are applied as image-spec layer.md says: whiteouts remove what is below, never what their own layer adds; a
file over a folder replaces it with all that is in it. Nothing is unpacked. Every byte of every layer is hashed on
the way, compressed (digest) and uncompressed (diff_id).
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ociassemble import _pool
from ociassemble.content.compress import open_reader
from ociassemble.content.verify import BLOCK, VerifyingReader, blocks
from ociassemble.errors import FormatError, IntegrityError
from ociassemble.formats import tar
from ociassemble.formats.paths import walk_path
from ociassemble.image.image import Image, Layer
from ociassemble.oci import mediatype
from ociassemble.progress import Progress

if TYPE_CHECKING:
    from ociassemble.image.sample import FileFacts

MAX_CAPTURE = 16 << 20  # bytes of one file that is looked into
MAX_CAPTURED = 128 << 20  # bytes of all of them; a large Debian's come to 5 MiB
MAX_MEMBERS = 2_000_000  # of one layer; the largest images have some 300,000 files
MAX_STEPS = 5_000_000  # parts of paths looked at for links; the largest images take a tenth
MAX_NAMES = 256 << 20  # characters of all paths, those of parents nobody named included
MAX_MATCH = 256  # bytes of one match in a file that is searched


class Path(NamedTuple):
    """One path of the merged view. `target` as in `formats.tar.Member`; `layer` counts from 0."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    layer: int


class Found(NamedTuple):
    """One member of a layer, as it stands there; `data` is its content where that was asked for, `facts` what
    `image.sample` keeps of it.
    """

    path: str
    item: Path
    data: bytes | None = None
    facts: FileFacts | None = None


class FileSystem:
    """Paths of an image (relative, normalised), and the content of the few files that were asked for."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.files: dict[str, bytes] = {}
        self.facts: dict[str, FileFacts] = {}
        self._children: dict[str, set[str]] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[str, str] = {}  # where folders really are; good until a link comes or goes
        self._names = 0
        self._steps = 0

    def links(self) -> dict[str, str]:
        """Symlinks that lead to folders: path -> link text."""
        texts = self._links
        return {path: target for path, target in texts.items() if self._is_folder(self._walk(path, self.paths))}

    def resolve(self, path: str) -> str:
        """Where a path of the image leads, links followed; "" for the root."""
        return self._walk(path.strip("/"))

    def _walk(self, path: str, there: Container[str] | None = None) -> str:
        real, steps = walk_path(path, self._links, last=True, there=there)
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise FormatError("the links of the image lead through more folders than anyone can follow")
        return real

    def read(self, path: str) -> bytes | None:
        """The content of a captured file, links followed; None where it was not captured."""
        return self.files.get(self.resolve(path))

    def children(self, folder: str) -> Iterator[str]:
        """The real paths directly in a folder, in no order."""
        return iter(self._children.get(folder, ()))

    def _is_folder(self, path: str) -> bool:
        found = self.paths.get(path)
        return path == "" or (found is not None and found.kind == "directory")

    def apply(self, members: Iterable[Found], number: int) -> None:
        """Put one layer on top, the `number`th. As in a runtime, `lib/x` goes through a link `lib` to its target."""
        gone: set[tuple[str, str]] = set()
        for path, item, data, facts in members:
            folder, name = self._place(path)
            if name.startswith(".wh."):
                if (folder, name) in gone:
                    continue  # said again, it takes nothing more away
                gone.add((folder, name))
                if name == ".wh..wh..opq":
                    self._remove_below(folder, number)
                else:
                    self._remove(_join(folder, name[4:]), number)
            elif item.kind == "hardlink":
                target = _join(*self._place(item.target))
                shared = self.paths.get(target, item._replace(kind="file"))
                here = _join(folder, name)
                self._put(here, shared._replace(layer=number), self.files.get(target), self.facts.get(target))
            elif name:
                self._put(_join(folder, name), item, data, facts)

    def _place(self, path: str) -> tuple[str, str]:
        """The real folder of a path, and its last part, which stands for itself."""
        folder, _, name = path.rpartition("/")
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = self.resolve(folder)
        return real, name

    def _put(self, path: str, item: Path, data: bytes | None, facts: FileFacts | None) -> None:
        missing = []
        folder = path.rpartition("/")[0]
        while folder and self.paths.get(folder, _FILE).kind != "directory":
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        for folder in reversed(missing):
            self._set(folder, _IMPLIED._replace(layer=item.layer))
        self._set(path, item)
        if item.kind == "symlink":
            self._links[path] = item.target
            self._folders.clear()
        if data is not None:
            self.files[path] = data
        if facts is not None:
            self.facts[path] = facts

    def _set(self, path: str, item: Path) -> None:
        before = self.paths.get(path)
        if before is not None and (before.kind == "directory") != (item.kind == "directory"):
            self._remove(path, item.layer + 1)
        self._forget(path)
        self._names += len(path)
        if self._names > MAX_NAMES:
            raise FormatError(f"the paths of the image are longer than {MAX_NAMES >> 20} MiB in all")
        self.paths[path] = item
        self._children.setdefault(path.rpartition("/")[0], set()).add(path)

    def _forget(self, path: str) -> None:
        self.files.pop(path, None)
        self.facts.pop(path, None)
        if self._links.pop(path, None) is not None:
            self._folders.clear()

    def _remove(self, path: str, below: int) -> None:
        """Take away what layers before the one numbered `below` have at and below `path`."""
        found = [path]
        for folder in found:  # grows while it is walked: parents come before what is in them
            found += self._children.get(folder, ())
        for one in reversed(found):
            if one in self.paths and self.paths[one].layer < below and not self._children.get(one):
                del self.paths[one]
                self._forget(one)
                self._children.pop(one, None)
                self._children[one.rpartition("/")[0]].discard(one)

    def _remove_below(self, folder: str, below: int) -> None:
        for child in tuple(self._children.get(folder, ())):
            self._remove(child, below)


_FILE = Path("file", 0, 0, 0, 0, "", 0)
_IMPLIED = Path("directory", 0o755, 0, 0, 0, "", 0)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _nowhere(path: str) -> None:
    return None


def read_filesystem(
    image: Image,
    wanted: Callable[[str], bool],
    *,
    sought: Callable[[str], re.Pattern[bytes] | None] = _nowhere,
    progress: Progress,
    jobs: int,
    label: str,
) -> FileSystem:
    """The merged view of `image`; files for whose path `wanted` says yes are kept with their content.

    A file for whose path `sought` has a pattern is searched as it streams by, however large it is, and the first
    match (up to `MAX_MATCH` bytes) is kept in place of its content.
    """
    result = FileSystem()
    numbered = list(enumerate(image.layers))
    with progress.task("inspect", label, sum(layer.descriptor.size for layer in image.layers)) as task:
        budget = _Budget()

        def scan(item: tuple[int, Layer]) -> list[Found]:
            found: list[Found] = []
            for member in members(item[1]):
                found.append(_found(member, wanted, sought, item[0], budget))
                if len(found) > MAX_MEMBERS:
                    raise FormatError(f"the layer {item[1].descriptor.digest} has more than {MAX_MEMBERS} files")
            task.advance(item[1].descriptor.size)
            return found

        for number, found in enumerate(_pool.each(scan, numbered, jobs=jobs)):
            result.apply(found, number)
    return result


class _Budget:
    """How much may be captured in all: layers of a few bytes may hold endless files."""

    def __init__(self) -> None:
        self._left = MAX_CAPTURED
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise FormatError(f"the image has more than {MAX_CAPTURED >> 20} MiB of package databases")


def _found(
    member: tar.Member,
    wanted: Callable[[str], bool],
    sought: Callable[[str], re.Pattern[bytes] | None],
    number: int,
    budget: _Budget,
) -> Found:
    item = Path(member.kind, member.mode, member.uid, member.gid, member.size, member.target, number)
    if member.kind == "file" and member.size <= MAX_CAPTURE and wanted(member.path):
        budget.take(member.size)
        return Found(member.path, item, b"".join(member.chunks()))
    pattern = sought(member.path) if member.kind == "file" else None
    if pattern is not None and (match := _search(member.chunks(), pattern)) is not None:
        budget.take(len(match))
        return Found(member.path, item, match)
    return Found(member.path, item)


def _search(chunks: Iterable[bytes], pattern: re.Pattern[bytes]) -> bytes | None:
    """The first match of `pattern`, also over the border of two chunks."""
    tail = b""
    for chunk in chunks:
        if (match := pattern.search(tail + chunk)) is not None:
            return match[0][:MAX_MATCH]
        tail = (tail + chunk)[-MAX_MATCH:]
    return None


def members(layer: Layer, watch: Callable[[BinaryIO], BinaryIO] | None = None) -> Iterator[tar.Member]:
    """The members of a layer's tar, streamed; at the end the layer's digest, size and diff_id have been verified.

    `watch` is given the stream of the tar, and gives the one that is read in its place.
    """
    codec = mediatype.compression(layer.descriptor.media_type)
    if codec is None:
        raise FormatError(f"the layer {layer.descriptor.digest} has the unknown type {layer.descriptor.media_type}")
    with layer.blob.open() as compressed:
        what = f"the tar in the layer {layer.descriptor.digest}, of which the image config says {layer.diff_id},"
        verifying = VerifyingReader(open_reader(compressed, codec), layer.diff_id, None, what)
        with io.BufferedReader(verifying, BLOCK) as plain:
            try:
                yield from tar.read(watch(plain) if watch is not None else plain)
                _drain(plain)
            except IntegrityError:
                _drain(compressed)  # where the bytes are not those of the digest at all, that is the error
                raise
            _drain(compressed)


def _drain(stream: BinaryIO) -> None:
    """Read to the end, where digests are checked."""
    for _ in blocks(stream):
        pass
