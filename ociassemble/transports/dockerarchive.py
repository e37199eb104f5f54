"""Reading what `docker save`, `podman save`, crane, jib and Bazel write: `manifest.json`, a config, layers.

Where the archive also holds the OCI manifest of the image (Docker 25 and later, and our own), that is what is read,
byte for byte. Else a manifest is made over the layers as they are: mostly plain tars, whose digest is the diff_id that
the config names (specs/behaviour/archives.md, ARCH-10 to ARCH-13).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import BinaryIO, NamedTuple

from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.verify import check, digest_of
from ociassemble.errors import Error, FormatError
from ociassemble.image.archive import DOCKER, blob_path
from ociassemble.image.image import MAX_CHILDREN, MAX_DEPTH, Node
from ociassemble.oci import _wire, mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.transports.layout_reader import LayoutMissingError, LayoutReader, read_entries
from ociassemble.transports.members import Archive

_TYPES = {
    "none": mediatype.OCI_LAYER,
    "gzip": mediatype.OCI_LAYER_GZIP,
    "zstd": mediatype.OCI_LAYER_ZSTD,
}


class Entry(NamedTuple):
    """One image of `manifest.json`."""

    config: str
    tags: tuple[str, ...]
    layers: tuple[str, ...]


class DockerArchiveSource:
    """One image of a docker archive: by name, by its number (`@0`), or the only one there is."""

    def __init__(self, archive: Archive, stated: str = "", digest: Digest | None = None) -> None:
        self._archive = archive
        self._stated = stated
        self._digest = digest
        self.name = (
            f"docker-archive:{archive.name}" + (f":{stated}" if stated else "") + (f"@{digest}" if digest else "")
        )

    def read(self, wanted: Collection[Platform] = ()) -> Node:
        entry = self._choose(entries(self._archive))
        node = self._sealed(entry) or self._made(entry)
        if self._digest is not None and node.descriptor.digest != self._digest:
            raise LayoutMissingError(
                f"`{self.name}` is not in the archive", details=[f"there: {node.descriptor.digest}"]
            )
        return node

    def _choose(self, found: tuple[Entry, ...]) -> Entry:
        names = [", ".join(item.tags) or f"@{number}" for number, item in enumerate(found)]
        number = self._stated.removeprefix("@")
        if self._stated.startswith("@") and number.isascii() and number.isdigit():
            chosen = found[int(number[:9]) :][:1]
        elif self._stated:
            wanted = Reference.parse(self._stated)
            chosen = tuple(item for item in found if any(_is(wanted, tag) for tag in item.tags))[:1]
        else:
            chosen = found
            if len(found) > 1:
                raise LayoutMissingError(
                    f"`{self.name}` holds several images", hint=f"name one of them: {'; '.join(names)}"
                )
        if not chosen:
            raise LayoutMissingError(f"`{self.name}` is not in the archive", details=[f"there: {'; '.join(names)}"])
        return chosen[0]

    def _sealed(self, entry: Entry) -> Node | None:
        """The graph of the OCI manifest over exactly this config and these layers, where the archive has it."""
        reader = LayoutReader(self._archive, self.name)
        try:
            for descriptor, manifest in _manifests(reader, read_entries(self._archive), 0):
                paths = [blob_path(layer.digest) for layer in manifest.layers]
                if blob_path(manifest.config.digest) == entry.config and paths == list(entry.layers):
                    return reader.read_from(descriptor.bare())
        except Error:
            pass  # no layout, or one that is not whole: Docker's own table is what was asked for
        return None

    def _made(self, entry: Entry) -> Node:
        raw = self._archive.read(entry.config, _wire.MAX_DOCUMENT + 1)
        if raw is None:
            raise LayoutMissingError(f"`{self.name}`: the config `{entry.config:.200}` is missing")
        stem = entry.config.rpartition("/")[2].removesuffix(".json")
        if len(stem) == 64 and not stem.strip("0123456789abcdef"):
            check(raw, Digest.from_hex(stem), None, f"`{self.name}`: the config")
        config = ImageConfig.parse(raw)
        if len(config.diff_ids) != len(entry.layers):
            raise FormatError(f"`{self.name}` has {len(entry.layers)} layers, but {len(config.diff_ids)} diff_ids")
        pairs = zip(entry.layers, config.diff_ids, strict=True)
        layers = [self._layer(path, diff_id) for path, diff_id in pairs]
        config_blob = Blob.of(raw, config.descriptor)
        manifest = Manifest.create(config=config.descriptor, layers=[layer.descriptor for layer in layers])
        return Node(descriptor=manifest.descriptor, raw=manifest.raw, blobs=(config_blob, *layers))

    def _layer(self, path: str, diff_id: Digest) -> Blob:
        place = self._archive.find(path)
        if place is None:
            raise LayoutMissingError(f"`{self.name}`: the layer `{path:.200}` is missing")
        codec = compress.sniff(self._archive.read(path, 6) or b"")
        if codec not in _TYPES:
            raise FormatError(
                f"`{self.name}`: the layer `{path:.200}` is compressed with {codec}, for which OCI has no media type",
                hint="load it into an engine, and save it from there",
            )
        digest = diff_id

        def source() -> BinaryIO:
            stream = self._archive.open(path)
            assert stream is not None, "it was found before"
            return stream

        if codec != "none":
            with source() as stream:
                digest = digest_of(stream)
        return Blob(descriptor=Descriptor(media_type=_TYPES[codec], digest=digest, size=place.size), source=source)


def entries(archive: Archive) -> tuple[Entry, ...]:
    """The images of the archive, as its `manifest.json` has them."""
    raw = archive.read(DOCKER, _wire.MAX_DOCUMENT)
    if raw is None:
        hint = "a docker archive is what `docker save` writes"
        if archive.find("oci-layout") is not None:
            hint = f"it is an OCI archive: `oci-archive:{archive.name}`"
        elif archive.find("repositories") is not None:
            hint = "Docker before 1.10 wrote it: load it, and save it again"
        raise LayoutMissingError(f"`{archive.name}` is no docker archive: it has no `{DOCKER}`", hint=hint)
    what = f"`{archive.name}/{DOCKER}`"
    # The one document of its kind that is a list; ours are read as objects, and with the same care.
    document = _wire.parse(b'{"images":%b}' % raw, what)
    found = document["images"] if set(document) == {"images"} else None
    if not isinstance(found, list) or not found:
        raise FormatError(f"{what} is not a list of images")
    return tuple(_entry(item, f"{what}, image {number}") for number, item in enumerate(found))


def names_of(archive: Archive) -> tuple[str, ...]:
    """What the images are called there; one without a name by its number."""
    return tuple(name for number, item in enumerate(entries(archive)) for name in (item.tags or (f"@{number}",)))


def _entry(item: object, what: str) -> Entry:
    if not isinstance(item, dict):
        raise FormatError(f"{what} is not an object")
    lists = [item.get(key) or [] for key in ("RepoTags", "Layers")]
    for key, found in zip(("RepoTags", "Layers"), lists, strict=True):
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise FormatError(f"{what}: `{key}` is not a list of strings")
    return Entry(_wire.text(item, "Config", what, required=True), tuple(lists[0]), tuple(lists[1]))


def _manifests(
    reader: LayoutReader, found: tuple[Descriptor, ...], depth: int
) -> Iterator[tuple[Descriptor, Manifest]]:
    """Every manifest below `index.json` that is there: an engine saves one platform of an index it has whole."""
    for item in found[:MAX_CHILDREN]:
        try:
            raw = check(reader.document(item), item.digest, item.size, f"the document {item.digest}")
        except LayoutMissingError:
            continue
        if item.media_type in mediatype.MANIFESTS:
            yield item, Manifest.parse(raw, item.media_type)
        elif item.media_type in mediatype.INDEXES and depth < MAX_DEPTH:
            yield from _manifests(reader, Index.parse(raw, item.media_type).manifests, depth + 1)


def _is(wanted: Reference, tag: str) -> bool:
    try:
        return Reference.parse(tag) == wanted
    except Error:
        return False
