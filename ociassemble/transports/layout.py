"""OCI image layouts (image-spec image-layout.md): a folder with `oci-layout`, `index.json` and `blobs/`.

`index.json` is read, changed and replaced under a lock, so that two builds writing two tags into one folder both
land; blobs are on disk before the document that names them, documents before `index.json`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.content.place import check_place
from ociassemble.content.verify import blocks, digest_of
from ociassemble.errors import DestinationError
from ociassemble.image.archive import blob_path
from ociassemble.image.image import Node
from ociassemble.oci.annotations import REF_NAME
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.transports.layout_reader import LayoutReader, read_entries

_MARK = {"imageLayoutVersion": "1.0.0"}
_STAGE = ".ociassemble-"  # how our temporary folder in a layout is called, with something after it


class FolderFiles:
    """The files of a layout in a folder."""

    is_what = "a layout is a folder with `oci-layout` and `index.json`"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            with (self._folder / path).open("rb") as stream:
                return stream.read(limit)
        except OSError:
            return None

    def open(self, path: str) -> BinaryIO | None:
        try:
            return (self._folder / path).open("rb")
        except OSError:
            return None


class LayoutSource(LayoutReader):
    """One image of a layout in a folder: by tag, by digest, or the only one there is."""

    def __init__(self, folder: Path, tag: str = "", digest: Digest | None = None) -> None:
        name = f"oci:{folder}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        super().__init__(FolderFiles(folder), name, tag, digest)


class LayoutDestination:
    """One tag of a layout (made if missing). Everything is on disk before `publish` returns.

    Until then all of it is in a temporary folder inside the layout, so that a write that fails leaves the layout
    (or the place where there was none) as it was, and one that is killed leaves what the next one removes.
    """

    def __init__(self, folder: Path, tag: str = "latest") -> None:
        self._folder = folder
        self._tag = tag or "latest"
        self._lock = threading.Lock()
        self._stage: _files.TemporaryDirectory | None = None
        self._made: list[Path] = []  # folders that were not there, parents first
        self._staged: set[Digest] = set()
        self._there: dict[Digest, Blob] = {}  # blobs that need not be written
        self.name = f"oci:{folder}:{self._tag}"

    def prepare(self) -> None:
        """Refuse a folder that is something else, before any work is done for it."""
        check_place(self._folder, folder=True)
        try:
            there = [] if not self._folder.exists() else [path.name for path in self._folder.iterdir()]
        except OSError as error:
            raise _files.translate(error, self._folder, "read") from error
        # Another build may be making this very layout: its stage and its blobs come before `oci-layout`.
        if "oci-layout" not in there and any(name != "blobs" and not name.startswith(_STAGE) for name in there):
            raise DestinationError(
                f"`{self._folder}` is not empty and not an OCI layout",
                hint="choose a new folder, or an existing layout",
            )

    def offer(self, blob: Blob) -> None:
        pass  # nothing is far away

    def expect(self, node: Node) -> None:
        pass

    def put_blob(self, blob: Blob) -> str:
        digest = blob.descriptor.digest
        if _intact(_blob_path(self._folder, digest), blob.descriptor):
            self._there[digest] = blob
            return "exists"
        self._put(digest, blob)
        return "written"

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        _files.write_atomic(self._staging() / descriptor.digest, raw, durable=True)
        self._staged.add(descriptor.digest)

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        self._staging()
        with _files.locked(self._folder, shared=False), contextlib.ExitStack() as undo:
            for digest, blob in self._there.items():
                # Another build may have taken back what it could not publish.
                if not _blob_path(self._folder, digest).exists():
                    self._put(digest, blob)
            folders = sorted({_blob_path(self._folder, digest).parent for digest in self._staged})
            undo.callback(_files.remove_empty, _files.directories(*folders))
            for digest in sorted(self._staged):
                place = _blob_path(self._folder, digest)
                if not place.exists():
                    undo.callback(_files.remove, place)
                _files.move(self._staging() / digest, place)
            for folder in folders:
                _files.sync_directory(folder)
            mark = self._folder / "oci-layout"
            if not mark.exists():
                undo.callback(_files.remove, mark)
                data = json.dumps(_MARK, separators=(",", ":")).encode()
                _files.write_atomic(mark, data, durable=True, through=self._staging())
            self._name(descriptor)
            undo.pop_all()  # the index names them now, whatever happens to the disk
            _files.sync_directory(self._folder)
        self._clear()

    def withdraw(self) -> None:
        self._clear()
        _files.remove_empty(self._made)

    def result(self, descriptor: Descriptor) -> str:
        return f"{self.name}@{descriptor.digest}"

    def _put(self, digest: Digest, blob: Blob) -> None:
        with _files.TemporaryFile(self._staging(), mode=0o644) as temporary:
            with blob.open() as stream:
                for block in blocks(stream):
                    temporary.write(block)
            temporary.commit(self._staging() / digest, durable=True)
        self._staged.add(digest)

    def _name(self, descriptor: Descriptor) -> None:
        index = self._folder / "index.json"
        entries = read_entries(FolderFiles(self._folder)) if index.exists() else ()
        kept = [item for item in entries if item.annotations.get(REF_NAME) != self._tag]
        entry = descriptor.with_(annotations={REF_NAME: self._tag})
        with _files.TemporaryFile(self._staging(), mode=0o644) as temporary:
            temporary.write(Index.create([*kept, entry]).raw)
            temporary.sync()
            temporary.commit(index)

    def _staging(self) -> Path:
        """The temporary folder, made when it is needed first."""
        with self._lock:
            while self._stage is None:
                self._made += _files.directories(self._folder)
                _files.sweep(self._folder, _STAGE)
                try:
                    self._stage = _files.TemporaryDirectory(self._folder, prefix=_STAGE)
                except DestinationError:
                    if self._folder.exists():  # else: another build made it, failed, and took it away
                        raise
            return self._stage.path

    def _clear(self) -> None:
        with self._lock:
            if self._stage is not None:
                self._stage.remove()
            self._stage = None
            self._staged.clear()


def _blob_path(folder: Path, digest: Digest) -> Path:
    return folder / blob_path(digest)


def _intact(path: Path, descriptor: Descriptor) -> bool:
    """Whether the blob is there with the right bytes: a file of the right length may still hold others."""
    try:
        if path.stat().st_size != descriptor.size:
            return False
        with path.open("rb") as stream:
            return digest_of(stream, descriptor.digest) == descriptor.digest
    except OSError:
        return False
