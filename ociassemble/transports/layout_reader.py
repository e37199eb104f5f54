"""Reading an OCI image layout, wherever its files are: in a folder, or in an archive (image-layout.md)."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO, Protocol

from ociassemble.content.blob import Blob
from ociassemble.errors import Error, FormatError, NotFoundError
from ociassemble.image.archive import INDEX, MARK, blob_path
from ociassemble.image.image import Node, read_node
from ociassemble.oci import _wire
from ociassemble.oci.annotations import CONTAINERD_NAME, REF_NAME
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import describe
from ociassemble.oci.index import Index
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference


class LayoutMissingError(NotFoundError):
    """No layout there, or no such image in it."""

    code = "not-found.layout"


class Files(Protocol):
    """Files by their path in the layout, "/" between the parts."""

    name: str  # for errors
    is_what: str  # what such a layout is, for the hint where this is none

    def read(self, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes; None where there is no such file."""
        ...

    def open(self, path: str) -> BinaryIO | None:
        """The file as a fresh stream; None where there is none."""
        ...


class LayoutReader:
    """One image of a layout: by tag, by digest, or the only one there is. `name` is how the user names it."""

    def __init__(self, files: Files, name: str, tag: str = "", digest: Digest | None = None) -> None:
        self._files = files
        self._tag = tag
        self._digest = digest
        self.name = name

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        chosen = self._choose(read_entries(self._files))
        return self.read_from(chosen, wanted)

    def read_from(self, chosen: Descriptor, wanted: Collection[Platform] = ()) -> Node:
        """The graph below `chosen`, which a verified document or `index.json` names."""
        return read_node(chosen, self.document(chosen), self.document, self._blob, wanted=wanted)

    def document(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest or index; whoever asked verifies them."""
        data = self._files.read(blob_path(descriptor.digest), _wire.MAX_DOCUMENT + 1)
        if data is None:
            raise LayoutMissingError(f"`{self.name}`: the document {descriptor.digest} is missing")
        return data

    def _choose(self, entries: tuple[Descriptor, ...]) -> Descriptor:
        found = entries
        if self._tag:
            found = tuple(item for item in found if self._tag in _names(item) or _same(self._tag, item))
        if self._digest is not None:
            found = tuple(item for item in found if item.digest == self._digest)
            if not found and not self._tag:
                data = self._files.read(blob_path(self._digest), _wire.MAX_DOCUMENT + 1)
                if data is not None:
                    return describe(data, "", f"`{self.name}`").with_(digest=self._digest)
        if len({item.digest for item in found}) == 1:
            return found[0]
        names = sorted({next(iter(_names(item)), str(item.digest)) for item in entries})
        if not found:
            raise LayoutMissingError(f"`{self.name}` is not in the layout", details=[f"there: {', '.join(names)}"])
        raise LayoutMissingError(f"`{self.name}` holds several images", hint=f"name one of them: {', '.join(names)}")

    def _blob(self, descriptor: Descriptor) -> Blob:
        def source() -> BinaryIO:
            opened = self._files.open(blob_path(descriptor.digest))
            if opened is None:
                raise LayoutMissingError(f"`{self.name}`: the blob {descriptor.digest} is missing")
            return opened

        return Blob(descriptor=descriptor, source=source)


def read_entries(files: Files) -> tuple[Descriptor, ...]:
    """The entries of a layout's `index.json`."""
    mark, raw = files.read(MARK, 4096), files.read(INDEX, _wire.MAX_DOCUMENT + 1)
    if mark is None or raw is None:
        raise LayoutMissingError(f"`{files.name}` is not an OCI layout", hint=files.is_what)
    version = str(_wire.parse(mark, f"`{files.name}/{MARK}`").get("imageLayoutVersion", ""))
    if not version.startswith("1."):
        raise FormatError(f"`{files.name}` is a layout of an unknown version")
    return Index.parse(raw).manifests


def names_of(files: Files) -> tuple[str, ...]:
    """What the images of a layout are called there, sorted; one without a name by its digest."""
    return tuple(sorted({next(iter(_names(item)), str(item.digest)) for item in read_entries(files)}))


def _names(entry: Descriptor) -> tuple[str, ...]:
    found = (entry.annotations.get(key, "") for key in (REF_NAME, CONTAINERD_NAME))
    return tuple(name for name in found if name)


def _same(asked: str, entry: Descriptor) -> bool:
    """Whether both are names of one image, though they are spelled differently (`alpine`, `docker.io/library/...`)."""
    if ":" not in asked and "/" not in asked:
        return False
    try:
        wanted = Reference.parse(asked)
        return any(":" in name and Reference.parse(name) == wanted for name in _names(entry))
    except Error:
        return False
