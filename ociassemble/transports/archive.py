"""Archives as places: `oci-archive:FILE[:TAG]` and `docker-archive:FILE[:REF]` (specs/behaviour/archives.md).

An archive is written as one file, all at once: its size and the place of every blob in it are known before the first
byte, so blobs arrive in any order and in parallel, and the same image always gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ociassemble import _files
from ociassemble.content.blob import Blob
from ociassemble.content.place import check_place
from ociassemble.content.verify import blocks
from ociassemble.errors import DestinationError, UsageError
from ociassemble.image.archive import Name, Piece, Placed, docker_pieces, oci_pieces, place
from ociassemble.image.image import Node, open_image, platforms_of
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.transports.layout_reader import LayoutReader
from ociassemble.transports.members import Archive

Form = Literal["oci", "docker"]

STANDARD_OUTPUT = "-"
_STAGE = ".ociassemble-archive-"  # how our temporary files beside an archive are called, with something after it


class OnePlatformError(UsageError):
    """A docker archive holds one image, and several were to be written."""

    code = "usage.one-platform"


class OciArchiveSource(LayoutReader):
    """One image of an OCI archive: by tag, by digest, or the only one there is."""

    def __init__(self, archive: Archive, tag: str = "", digest: Digest | None = None) -> None:
        name = f"oci-archive:{archive.name}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        super().__init__(archive, name, tag, digest)


class ArchiveDestination:
    """One archive, which replaces what had its name. `path` "-" is standard output.

    `stated` is the tag (or, for docker, the reference) that was asked for; without one the archive has all of
    `names`. Until `publish` returns there is only a temporary file in the same folder. `durable` False: for an
    archive that is read at once and removed.
    """

    def __init__(
        self, path: str, form: Form, stated: str = "", names: Sequence[Reference] = (), *, durable: bool = True
    ) -> None:
        self._path = path
        self._form = form
        self._durable = durable
        if stated and form == "oci":
            whole = str(Reference.parse(stated)) if "/" in stated else ""
            self._tags: tuple[Name, ...] = (Name(stated, whole),)
        else:
            self._tags = tuple(map(Name.of, names))
        self._references = (Reference.parse(stated),) if stated and form == "docker" else tuple(names)
        self._temporary: _files.TemporaryFile | None = None
        self._places: dict[Digest, Placed] = {}
        self._tables: list[Placed] = []
        self._size = 0
        self._written: set[Digest] = set()
        if form == "oci":
            said = stated or (self._tags[0].tag if self._tags else "latest")
        else:
            said = stated
        self.name = f"{form}-archive:{path}" + (f":{said}" if said else "")

    @property
    def _folder(self) -> Path:
        return _files.temporary_folder() if self._path == STANDARD_OUTPUT else Path(self._path).parent

    def prepare(self) -> None:
        """Refuse a name under which nothing can be written; remove what a killed run left beside it."""
        if self._path == STANDARD_OUTPUT:
            if os.isatty(1):
                raise DestinationError("an archive is not written to a terminal", hint="add `> FILE`, or name a file")
            return
        path = Path(self._path)
        check_place(path)
        if path.exists() and not path.is_file():
            raise DestinationError(f"`{path}` is there, and is no file", hint="choose another name for the archive")
        _files.sweep(self._folder, _STAGE)

    def offer(self, blob: Blob) -> None:
        pass  # nothing is far away

    def expect(self, node: Node) -> None:
        self.withdraw()
        placed, self._size = place(self._pieces(node))
        self._tables = [item for item in placed if item.piece.digest is None]
        self._places = {item.piece.digest: item for item in placed if item.piece.digest is not None}
        self._temporary = _files.TemporaryFile(self._folder, prefix=_STAGE, mode=0o644)

    def put_blob(self, blob: Blob) -> str:
        item = self._places[blob.descriptor.digest]
        self._write(item.header, item.start)
        offset = item.offset
        with blob.open() as stream:
            for block in blocks(stream):
                self._write(block, offset)
                offset += len(block)
        self._written.add(blob.descriptor.digest)
        return "written"

    def put_manifest(self, descriptor: Descriptor, raw: bytes) -> None:
        item = self._places[descriptor.digest]
        self._write(item.header + raw, item.start)
        self._written.add(descriptor.digest)

    def publish(self, descriptor: Descriptor, raw: bytes) -> None:
        missing = set(self._places) - self._written
        assert self._temporary is not None and not missing, f"never written: {missing}"
        for item in self._tables:
            assert isinstance(item.piece.content, bytes)
            self._write(item.header + item.piece.content, item.start)
        # What lies between the pieces, and the end of the archive, are zeros: that is what was never written.
        self._write(b"\0", self._size - 1)
        if self._path == STANDARD_OUTPUT:
            _pour(self._temporary, 1)
        else:
            self._temporary.commit(Path(self._path), durable=self._durable)
        self.withdraw()

    def withdraw(self) -> None:
        if self._temporary is not None:
            self._temporary.__exit__()
        self._temporary = None
        self._written.clear()

    def result(self, descriptor: Descriptor) -> str:
        return f"{self.name}@{descriptor.digest}"

    def _pieces(self, node: Node) -> tuple[Piece, ...]:
        if self._form == "oci":
            return oci_pieces(node, self._tags)
        if node.is_index:
            there = ", ".join(map(str, platforms_of(node)))
            raise one_platform(self.name, there or "an index of several manifests")
        return docker_pieces(open_image(node), self._references)

    def _write(self, data: bytes, offset: int) -> None:
        assert self._temporary is not None
        self._temporary.write_at(data, offset)


def one_platform(name: str, there: str) -> OnePlatformError:
    """The error for several platforms (`there`) in a docker archive called `name`."""
    return OnePlatformError(
        f"`{name}` holds one image, and this is {there}",
        hint="pass `--platform linux/amd64` or another, or write an `oci-archive:`, which Docker 25 and later load",
    )


def _pour(source: _files.TemporaryFile, descriptor: int) -> None:
    """Write all of a temporary file to an open descriptor of this process, such as its standard output."""
    offset = 0
    try:
        while block := os.pread(source.file.fileno(), 1 << 20, offset):
            offset += len(block)
            view = memoryview(block)
            while view:
                view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise _files.translate(error, Path("-"), "write to") from error
