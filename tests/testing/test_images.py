"""Images made to order are what was ordered: read back with the standard library and by way of places."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from ociassemble.image.image import open_image
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.registry.server import serve
from ociassemble.testing.images import (
    Device,
    File,
    Folder,
    Hardlink,
    Link,
    archive,
    image,
    index,
    lay_out,
    layer,
    opaque,
    program,
    push,
    whiteout,
)
from ociassemble.transports.layout import LayoutSource


def test_an_archive_holds_what_was_asked_for_in_its_order() -> None:
    data = archive(
        [
            ("a/b", "text"),
            ("a", Folder(0o1777, 1, 2)),
            ("l", Link("/a")),
            ("h", Hardlink("a/b")),
            ("n", Device()),
            ("p", program()),
            ("a/b", File(b"again", 0o600, 3, 4)),
        ],
        prefix="./",
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        members = found.getmembers()

    assert [item.name for item in members] == ["./a/b", "./a", "./l", "./h", "./n", "./p", "./a/b"]
    assert [item.type for item in members] == [b"0", b"5", b"2", b"1", b"3", b"0", b"0"]
    assert (members[1].mode, members[1].uid, members[1].gid) == (0o1777, 1, 2)
    assert (members[5].mode, members[6].mode, members[6].uid, members[6].size) == (0o755, 0o600, 3, 5)


def test_names_that_remove() -> None:
    assert (whiteout("a/b"), whiteout("b")) == ("a/.wh.b", ".wh.b")
    assert (opaque("a"), opaque("")) == ("a/.wh..wh..opq", ".wh..wh..opq")


def test_dialects_are_different_on_the_wire() -> None:
    name = "n" * 150
    made = {dialect: archive({name: ""}, dialect=dialect) for dialect in ("gnu", "pax")}

    assert b"././@LongLink" in made["gnu"]
    assert b"path=" + name.encode() in made["pax"]


@pytest.mark.parametrize(
    ("compression", "kind"),
    [
        ("gzip", mediatype.OCI_LAYER_GZIP),
        ("zstd:3", mediatype.OCI_LAYER_ZSTD),
        ("none", mediatype.OCI_LAYER),
    ],
)
def test_a_layer_knows_both_its_digests(compression: str, kind: str) -> None:
    plain = archive({"a": "1"})
    made = layer({"a": "1"}, compression=compression)

    assert made.descriptor == layer(plain, compression=compression).descriptor
    assert made.diff_id == Digest.of(plain)
    assert made.descriptor.media_type == kind
    data = made.blob.read()
    assert (Digest.of(data), len(data)) == (made.descriptor.digest, made.descriptor.size)
    if compression == "gzip":
        assert gzip.decompress(data) == plain


def test_a_layer_may_lie() -> None:
    assert layer({"a": "1"}, diff_id=Digest.of(b"x")).diff_id == Digest.of(b"x")


def test_images_of_both_dialects() -> None:
    oci, docker = (image([layer({"a": "1"})], docker=docker) for docker in (False, True))

    assert (oci.manifest.media_type, docker.manifest.media_type) == (mediatype.OCI_MANIFEST, mediatype.DOCKER_MANIFEST)
    assert docker.manifest.config.media_type == mediatype.DOCKER_CONFIG
    assert docker.layers[0].descriptor.media_type == mediatype.DOCKER_LAYER_GZIP
    assert docker.layers[0].descriptor.digest == oci.layers[0].descriptor.digest
    assert {"created", "history"} & set(oci.config.document) == set()
    assert index([docker], docker=True).descriptor.media_type == mediatype.DOCKER_INDEX
    assert Index.parse(index([oci], annotations={"a": "1"}).raw).annotations == {"a": "1"}


def test_laid_out_and_pushed(tmp_path: Path) -> None:
    made = index([image([layer({"a": "1"})]), image([layer({"a": "1"})], platform="linux/arm64")])
    assert lay_out(made, tmp_path / "layout", "v1") == f"oci:{tmp_path}/layout:v1"
    assert LayoutSource(tmp_path / "layout", "v1").read().raw == made.raw

    server = serve("127.0.0.1", 0, tmp_path / "registry")
    try:
        name = f"127.0.0.1:{server.port}/team/app"
        assert push(made, f"{name}:1") == f"{name}@{made.descriptor.digest}"
        alone = image([layer({"a": "1"})])
        assert push(alone, f"{name}:2").endswith(open_image(alone.node).digest)
    finally:
        server.shutdown()
