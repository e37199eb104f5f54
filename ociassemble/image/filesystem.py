"""The merged view of an image's layers, from their tar headers alone: what is where, as a runtime would see it.

Layers are applied as image-spec layer.md says: whiteouts remove what is below, never what their own layer adds; a
file over a folder replaces it with all that is in it. Nothing is unpacked. Every byte of every layer is hashed on
the way, compressed (digest) and uncompressed (diff_id).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble import _pool
from ociassemble.content.compress import open_reader
from ociassemble.content.verify import BLOCK, DigestMismatchError, hasher
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.formats.paths import real_path
from ociassemble.image.image import Image, Layer
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.progress import Progress

MAX_CAPTURE = 16 << 20  # bytes of one file that is looked into


class Path(NamedTuple):
    """One path of the merged view. `target` as in `formats.tar.Member`; `layer` counts from 0."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    layer: int


class FileSystem:
    """Paths of an image (relative, normalised), and the content of the few files that were asked for."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.files: dict[str, bytes] = {}
        self._children: dict[str, set[str]] = {}
        self._links: dict[str, str] | None = None

    def links(self) -> dict[str, str]:
        """Symlinks that lead to folders: path -> link text."""
        texts = self._texts()
        return {path: target for path, target in texts.items() if self._is_folder(real_path(path, texts, last=True))}

    def resolve(self, path: str) -> str:
        """Where a path of the image leads, links followed; "" for the root."""
        return real_path(path.strip("/"), self._texts(), last=True)

    def _texts(self) -> dict[str, str]:
        if self._links is None:
            self._links = {path: item.target for path, item in self.paths.items() if item.kind == "symlink"}
        return self._links

    def read(self, path: str) -> bytes | None:
        """The content of a captured file, links followed; None where it was not captured."""
        return self.files.get(self.resolve(path))

    def _is_folder(self, path: str) -> bool:
        found = self.paths.get(path)
        return path == "" or (found is not None and found.kind == "directory")

    def apply(self, members: list[tuple[str, Path]], captured: dict[str, bytes], number: int) -> None:
        """Put one layer on top."""
        self._links = None
        for path, item in members:
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                self._remove_below(folder, number)
            elif name.startswith(".wh."):
                self._remove(f"{folder}/{name[4:]}".lstrip("/"), number)
            else:
                self._put(path, item)
        self.files.update(captured)

    def _put(self, path: str, item: Path) -> None:
        if not path:
            return
        folder = path.rpartition("/")[0]
        if folder and self.paths.get(folder, _FILE).kind != "directory":
            self._put(folder, _IMPLIED._replace(layer=item.layer))
        before = self.paths.get(path)
        if before is not None and (before.kind == "directory") != (item.kind == "directory"):
            self._remove(path, item.layer + 1)
        self.files.pop(path, None)
        self.paths[path] = item
        self._children.setdefault(folder, set()).add(path)

    def _remove(self, path: str, below: int) -> None:
        self._remove_below(path, below)
        if path in self.paths and self.paths[path].layer < below and not self._children.get(path):
            del self.paths[path]
            self.files.pop(path, None)
            self._children.get(path.rpartition("/")[0], set()).discard(path)

    def _remove_below(self, folder: str, below: int) -> None:
        for child in tuple(self._children.get(folder, ())):
            self._remove(child, below)


_FILE = Path("file", 0, 0, 0, 0, "", 0)
_IMPLIED = Path("directory", 0o755, 0, 0, 0, "", 0)


def read_filesystem(
    image: Image, wanted: Callable[[str], bool], *, progress: Progress, jobs: int, label: str
) -> FileSystem:
    """The merged view of `image`; files for whose path `wanted` says yes are kept with their content."""
    result = FileSystem()
    numbered = list(enumerate(image.layers))
    with progress.task("inspect", label, sum(layer.descriptor.size for layer in image.layers)) as task:

        def scan(item: tuple[int, Layer]) -> tuple[list[tuple[str, Path]], dict[str, bytes]]:
            found = _scan(item[1], wanted, item[0])
            task.advance(item[1].descriptor.size)
            return found

        for number, (members, captured) in enumerate(_pool.each(scan, numbered, jobs=jobs)):
            result.apply(members, captured, number)
    return result


def _scan(layer: Layer, wanted: Callable[[str], bool], number: int) -> tuple[list[tuple[str, Path]], dict[str, bytes]]:
    found: list[tuple[str, Path]] = []
    captured: dict[str, bytes] = {}
    for member in members(layer):
        kind = "file" if member.kind == "hardlink" else member.kind
        item = Path(kind, member.mode, member.uid, member.gid, member.size, member.target, number)
        found.append((member.path, item))
        if member.kind == "file" and member.size <= MAX_CAPTURE and wanted(member.path):
            captured[member.path] = b"".join(member.chunks())
    return found, captured


def members(layer: Layer) -> Iterator[tar.Member]:
    """The members of a layer's tar, streamed; at the end the layer's digest, size and diff_id have been verified."""
    codec = mediatype.compression(layer.descriptor.media_type)
    if codec is None:
        raise FormatError(f"the layer {layer.descriptor.digest} has the unknown type {layer.descriptor.media_type}")
    with layer.blob.open() as compressed:
        plain = _Hashing(open_reader(compressed, codec), layer.diff_id)
        yield from tar.read(io.BufferedReader(plain, BLOCK))
        for stream in (plain, compressed):
            while stream.read(BLOCK):
                pass
        if plain.digest() != layer.diff_id:
            raise DigestMismatchError(
                f"the layer {layer.descriptor.digest} holds a tar of the digest {plain.digest()}, "
                f"but the image config says {layer.diff_id}"
            )


class _Hashing(io.RawIOBase):
    def __init__(self, source: BinaryIO, digest: Digest) -> None:
        self._source = source
        self._algorithm = digest.algorithm
        self._hash = hasher(digest)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    def digest(self) -> str:
        return f"{self._algorithm}:{self._hash.hexdigest()}"
