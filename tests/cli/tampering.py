"""Images that somebody changed: one byte, one field, one value, and all else as it was."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.compress import open_reader
from ociassemble.content.writer import CompressingWriter
from ociassemble.image.image import Image, Layer, Node, open_image
from ociassemble.oci import mediatype
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.testing import images
from ociassemble.transports.layout import LayoutSource

Change = Callable[[Image], Image]


def tamper(folder: Path, tag: str, new: str, change: Change) -> None:
    """Read the image `tag` of a layout, and lay it out again, changed, as `new`. Of an index every image is changed."""
    node = LayoutSource(folder, tag).read()
    if node.is_index:
        said = Index.parse(node.raw).annotations
        changed: Image | Node = images.index([change(open_image(child)) for child in node.children], annotations=said)
    else:
        changed = change(open_image(node))
    images.lay_out(changed, folder, new)


def made(image: Image, *, config: ImageConfig | None = None, layers: tuple[Layer, ...] = ()) -> Image:
    """`image` with another config or other layers, and documents to fit."""
    layers = layers or image.layers
    config = config or image.config
    diff_ids = [str(layer.diff_id) for layer in layers]
    config = ImageConfig.create({**config.document, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    manifest = Manifest.create(
        config=config.descriptor,
        layers=[layer.descriptor for layer in layers],
        annotations=image.manifest.annotations,
    )
    return Image(manifest=manifest, config=config, config_blob=Blob.of(config.raw, config.descriptor), layers=layers)


def config_value(key: str, value: object) -> Change:
    """Another value in the config's `config`."""

    def change(image: Image) -> Image:
        execution = {**image.config.execution, key: value}
        return made(image, config=ImageConfig.create({**image.config.document, "config": execution}))

    return change


def annotation(key: str, value: str) -> Change:
    def change(image: Image) -> Image:
        said = {**image.manifest.annotations, key: value}
        return made(replace(image, manifest=replace(image.manifest, annotations=said)))

    return change


def tar_of(layer: Layer) -> bytes:
    with layer.blob.open() as stream:
        return open_reader(stream, mediatype.compression(layer.descriptor.media_type) or "none").read()


def top(edit: Callable[[bytes], bytes], how: str = "") -> Change:
    """Another tar in the topmost layer, its annotations as they were; compressed as it was, or as `how` says."""

    def change(image: Image) -> Image:
        layer = image.layers[-1]
        plain = edit(tar_of(layer))
        name = mediatype.compression(layer.descriptor.media_type) or "none"
        buffer = bytearray()
        with CompressingWriter(buffer.extend, compress.parse(how or name, "application"), cores=Cores(1)) as writer:
            writer.write(plain)
            writer.finish()
        data = bytes(buffer)
        descriptor = replace(layer.descriptor, digest=Digest.of(data), size=len(data))
        new = Layer(blob=Blob.of(data, descriptor), diff_id=Digest.of(plain))
        return made(image, layers=(*image.layers[:-1], new))

    return change


def header(path: str, start: int, value: bytes) -> Callable[[bytes], bytes]:
    """Other bytes in the header of one member, and a checksum to fit."""

    def edit(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            at = tar.getmember(path).offset_data - 512
        block = bytearray(data[at : at + 512])
        block[start : start + len(value)] = value
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return data[:at] + bytes(block) + data[at + 512 :]

    return edit


def content(path: str, offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """Other bytes in one file."""

    def edit(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            at = tar.getmember(path).offset_data + offset
        return data[:at] + value + data[at + len(value) :]

    return edit


def swapped(first: str, second: str) -> Callable[[bytes], bytes]:
    """Two small neighbours in the other order."""

    def edit(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            one, two = tar.getmember(first).offset, tar.getmember(second).offset
            size = tar.getmember(second).size
        end = two + 512 + size + -size % 512
        return data[:one] + data[two:end] + data[one:two] + data[end:]

    return edit


def same(data: bytes) -> bytes:
    return data
