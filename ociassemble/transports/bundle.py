"""Bundles: all that a build needs in one OCI archive, for a site without a network (specs/behaviour/bundle.md).

`index.json` names two things: `bundle`, an index over everything, and `base`, the base image. What is no image is an
artifact: a manifest whose layers are files, each with its title. Reading treats a bundle as a registry that lies:
nothing is believed but digests and sizes that a verified document names, and what none names is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal, NamedTuple, cast

from ociassemble.errors import FormatError, IntegrityError
from ociassemble.formats.tar_table import Place
from ociassemble.image.archive import blob_path
from ociassemble.image.image import Node
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.plan.artifacts import FILE_NAME
from ociassemble.transports import parts
from ociassemble.transports.layout_reader import LayoutMissingError, LayoutReader
from ociassemble.transports.members import Archive

ROOT, BASE = "bundle", "base"  # names in `index.json`
ARTIFACT_TYPE = "application/vnd.ociassemble.bundle.{kind}.v1"
# Annotations of the index over everything.
VERSION, NAME, SINCE = (f"dev.ociassemble.bundle.{key}" for key in ("version", "name", "since"))
# Of its entries: what they are; of a base from a registry, the name it is asked for by.
KIND, BASE_NAME = "dev.ociassemble.bundle.kind", "dev.ociassemble.bundle.base-name"
# Of the layers of artifacts, besides the title.
TITLE = "org.opencontainers.image.title"
PACKAGE = "dev.ociassemble.bundle.package"
PACKAGE_VERSION = "org.opencontainers.image.version"
LICENCE = "org.opencontainers.image.licenses"

Kind = Literal["debian", "release", "wheel", "npm", "modules", "lock", "pins", "tool", "index"]
MEDIA_TYPES: Mapping[str, str] = {
    "debian": "application/vnd.debian.binary-package",
    "release": "application/gzip",
    "wheel": "application/zip",
    "npm": "application/gzip",
    "modules": "application/x-tar",
    "lock": "application/vnd.ociassemble.lock.v1+json",
    "pins": "application/vnd.ociassemble.debian-pins.v1+json",
    "tool": "application/zip",
    "index": mediatype.OCI_INDEX,
}
COPY_ANEW = "copy it anew, and compare its sha256 (`sha256sum`) with the one that it has where it was saved"
_PLAIN = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)


class BundleFormatError(FormatError):
    """Not a bundle, or one that is not as bundles are."""

    code = "integrity.bundle"


class File(NamedTuple):
    """A file of a bundle that is no part of an image. `version` and `licence` are "" where nothing says them."""

    kind: Kind
    name: str  # of the package; "" for what is none
    version: str
    filename: str
    digest: Digest
    size: int  # bytes
    licence: str = ""


class Bundle(NamedTuple):
    """A bundle that was read: `root` is the graph of everything, blobs closed."""

    name: str  # of the application, "[a-z0-9-._]+"
    root: Node
    base: Node | None
    base_name: str  # what a registry's base is asked for by, "" for an assembled one or none
    files: tuple[File, ...]
    since: Digest | None  # the bundle that this one completes

    @property
    def digest(self) -> Digest:
        return self.root.descriptor.digest

    def contents(self) -> frozenset[Digest]:
        """The digest of every blob and document it names, whether it has the bytes or stands upon another bundle."""
        found = {blob.descriptor.digest for node in self.root.walk() for blob in node.blobs}
        return frozenset(found | {node.descriptor.digest for node in self.root.walk()})


class BundleArchive(Archive):
    """The members of a bundle: in one file, or in several (`transports.parts`). No links, no matter where they lead."""

    is_what = "a bundle is what `ociassemble bundle save` writes"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.name = parts.stem(path)

    def _open_file(self) -> BinaryIO:
        return parts.open_parts(self._path) if parts.is_part(self._path) else super()._open_file()

    def _read_table(self) -> Mapping[str, Place]:
        found = super()._read_table()
        link = next((path for path, place in found.items() if place.target), None)
        if link is not None:
            raise BundleFormatError(f"`{self.name}`: `{link:.200}` is a link, which no bundle has")
        return found

    def has(self, digest: Digest, size: int) -> bool:
        """Whether the blob is in it, by its place and its length; its bytes are verified when they are read."""
        place = self.find(blob_path(digest))
        return place is not None and place.size == size

    def lacks(self, bundle: Bundle) -> frozenset[Digest]:
        """The blobs that `bundle`, which was read from it, names and it does not have: of a delta, what is older."""
        blobs = (blob.descriptor for node in bundle.root.walk() for blob in node.blobs)
        return frozenset(item.digest for item in blobs if not self.has(item.digest, item.size))


class BundleSource(LayoutReader):
    """An image of a bundle: its base where nothing else is named, or what has this name or digest."""

    def __init__(self, archive: BundleArchive, tag: str = "", digest: Digest | None = None) -> None:
        name = f"bundle:{archive.name}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        super().__init__(archive, name, tag or ("" if digest is not None else BASE), digest)


def read_bundle(archive: BundleArchive) -> Bundle:
    """The bundle in `archive`; every document of it was verified. Raises `BundleFormatError` and `LayoutMissingError`.

    Blobs that it names and does not have (of a delta) are errors when they are opened.
    """
    try:
        root = LayoutReader(archive, f"bundle:{archive.name}", ROOT).read()
    except LayoutMissingError as error:
        raise BundleFormatError(f"`{archive.name}` is no whole bundle: {error}", hint=archive.is_what) from error
    except IntegrityError as error:
        error.hint = error.hint or COPY_ANEW
        if f"`{archive.name}" in error.message:
            raise
        raise BundleFormatError(f"`{archive.name}` is damaged: {error}", hint=error.hint) from error
    return understood(root, archive.name)


def understood(root: Node, where: str) -> Bundle:
    """What the graph of a bundle says; `where` it comes from is for errors."""
    if not root.is_index:
        raise BundleFormatError(f"`{where}` is no bundle: what it calls `{ROOT}` is no index")
    said = Index.parse(root.raw, root.descriptor.media_type).annotations
    if said.get(VERSION) != "1":
        raise BundleFormatError(
            f"`{where}` is a bundle of another version than 1: {said.get(VERSION, '')!r:.40}",
            hint="upgrade ociassemble, or save the bundle with this version of it",
        )
    name = said.get(NAME, "")
    if not _PLAIN.fullmatch(name) or len(name) > 128:
        raise BundleFormatError(f"`{where}` has no usable name: {name!r:.80}")
    base, base_name = None, ""
    files: list[File] = []
    for child in root.children:
        kind = child.descriptor.annotations.get(KIND, "")
        if kind == BASE:
            if base is not None:
                raise BundleFormatError(f"`{where}` has two base images")
            base, base_name = child, child.descriptor.annotations.get(BASE_NAME, "")
        elif kind in MEDIA_TYPES and not child.is_index:
            files += _files_of(child, cast(Kind, kind), where)
        else:
            raise BundleFormatError(f"`{where}` has an entry of an unknown kind: {kind!r:.80}")
    if base_name:
        Reference.parse(base_name)
    since = said.get(SINCE)
    return Bundle(name, root, base, base_name, tuple(files), Digest(since) if since is not None else None)


def _files_of(node: Node, kind: Kind, where: str) -> Iterator[File]:
    manifest = Manifest.parse(node.raw, node.descriptor.media_type)
    if manifest.config.media_type != mediatype.OCI_EMPTY or manifest.artifact_type != ARTIFACT_TYPE.format(kind=kind):
        raise BundleFormatError(f"`{where}`: {node.descriptor.digest} is no artifact of the kind {kind}")
    titles = set()
    for layer in manifest.layers:
        title = layer.annotations.get(TITLE, "")
        if not FILE_NAME.fullmatch(title) or title in titles:
            raise BundleFormatError(f"`{where}`: a file has no name of its own: {title!r:.120}")
        titles.add(title)
        yield _file(layer, kind, title)


def _file(layer: Descriptor, kind: Kind, title: str) -> File:
    said = {key: _line(layer.annotations.get(key, "")) for key in (PACKAGE, PACKAGE_VERSION, LICENCE)}
    return File(kind, said[PACKAGE], said[PACKAGE_VERSION], title, layer.digest, layer.size, said[LICENCE])


def _line(text: str) -> str:
    """A text of somebody's as one line that cannot steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:500]).strip()
