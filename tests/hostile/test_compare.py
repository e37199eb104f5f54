"""Comparing images that others made to hurt: every answer is a difference or an error of ours, soon."""

from __future__ import annotations

import io

import pytest

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.writer import CompressingWriter
from ociassemble.errors import FormatError
from ociassemble.formats import tar
from ociassemble.image.compare import compare
from ociassemble.image.image import Image, Layer, Node
from ociassemble.image.told import in_words
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.testing.images import File, Link, archive, image, index, layer

HONEST = archive({"a": "1", "b": "2"})


def block(data: bytes, at: int, value: bytes) -> bytes:
    changed = bytearray(data)
    changed[at : at + len(value)] = value
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:512])
    return bytes(changed)


TARS = {
    "cut in a header": HONEST[:300],
    "cut in a file": HONEST[:513],
    "no end": HONEST[:1024],
    "a checksum": b"\xff" + HONEST[1:],
    "a huge size": block(HONEST, 124, b"\x80" + b"\xff" * 11),
    "a size beyond": block(HONEST, 124, b"77777777777\0"),
    "climbing": archive({"../../etc/passwd": "x"}),
    "an absolute path": archive({"/etc/passwd": "x"}),
    "a type of tomorrow": block(HONEST, 156, b"Z"),
    "no bytes": b"",
    "zeros": bytes(10240),
    "names that are not UTF-8": archive({"\udcff\udcfe": "x"}),
    "control characters": archive({"\x1b[31mred\n": File("x"), "l": Link("\x1b[0m")}),
    "a root that is a file": archive({"./": "x"}),
    "the same path 5000 times": archive([("x", "1")] * 5000),
    "a path of many parts": archive({"/".join("a" * 2000): "x"}),
    "data after the end": HONEST + b"x",
    "pax of the future": archive({"x": File("1", records={"k" * 200: "v" * 5000})}, dialect="pax"),
}


@pytest.mark.spec("VERIFY-18")
@pytest.mark.parametrize("plain", TARS.values(), ids=TARS)
@pytest.mark.parametrize("turned", [False, True], ids=["image", "rebuild"])
def test_a_hostile_tar_is_a_difference(plain: bytes, turned: bool) -> None:
    nodes = [image([layer(plain)]).node, image([layer(HONEST)]).node]
    comparison = compare(*reversed(nodes)) if turned else compare(*nodes)

    assert comparison.kind is not None
    assert all(isinstance(in_words(item), str) for item in comparison.differences)


@pytest.mark.spec("VERIFY-16")
def test_a_bomb_streams_by() -> None:
    """A quarter of a gibibyte of zeros in a small blob: it is read, and not held."""
    size = 256 << 20
    buffer = bytearray()
    with CompressingWriter(buffer.extend, compress.parse("zstd:1"), cores=Cores(1)) as writer:
        import hashlib

        hashed = hashlib.sha256()

        def write(data: bytes) -> None:
            writer.write(data)
            hashed.update(data)

        write(tar.header("zeros", size=size))
        for _ in range(size >> 20):
            write(bytes(1 << 20))
        write(tar.END)
        writer.finish()
    data = bytes(buffer)
    descriptor = Descriptor(
        media_type="application/vnd.oci.image.layer.v1.tar+zstd", digest=Digest.of(data), size=len(data)
    )
    bomb = Layer(blob=Blob.of(data, descriptor), diff_id=Digest.from_hex(hashed.hexdigest()))
    comparison = compare(image([bomb]).node, image([layer(HONEST)]).node)

    assert ("zeros", "presence") in {(item.path, item.field) for item in comparison.differences}


@pytest.mark.spec("VERIFY-18")
def test_a_blob_with_other_bytes_is_unreadable() -> None:
    good = layer(HONEST)
    bad = Layer(
        blob=Blob(descriptor=good.descriptor, source=lambda: io.BytesIO(b"x" * good.descriptor.size)),
        diff_id=Digest.of(b"another"),
    )
    (item,) = compare(image([bad]).node, image([layer({"a": "2"})]).node).differences

    assert item.field == "unreadable"
    assert "has the digest" in in_words(item)


@pytest.mark.spec("VERIFY-18")
def test_a_layer_of_an_unknown_type_is_unreadable() -> None:
    good = layer(HONEST)
    descriptor = good.descriptor.with_(media_type="application/x-unheard-of")
    odd = Layer(blob=Blob(descriptor=descriptor, source=good.blob.source), diff_id=good.diff_id)
    items = compare(image([odd]).node, image([layer({"a": "2"})]).node).differences

    assert "unreadable" in {item.field for item in items}


def test_an_image_whose_documents_disagree_is_an_error() -> None:
    one = image([layer(HONEST)])
    short = Manifest.create(config=one.config.descriptor, layers=[])
    node = Node(descriptor=short.descriptor, raw=short.raw, blobs=(one.config_blob,))

    with pytest.raises(FormatError, match="0 layers, but 1 diff_ids"):
        compare(node, image([layer({"a": "2"})]).node)


def test_an_index_of_nothing() -> None:
    images: list[Image] = []
    comparison = compare(index(images), image([layer(HONEST)]).node)

    assert [item.field for item in comparison.differences] == ["/mediaType", "/manifests"]


def test_deep_documents() -> None:
    deep: object = 1
    for _ in range(12):
        deep = {"x": [deep]}
    one, other = image([layer(HONEST)], more={"deep": deep}), image([layer(HONEST)])

    assert compare(one.node, other.node).differences[0].field.startswith("/deep/x/0/x")
