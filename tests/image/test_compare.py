"""What differs between two images: every field of every header, every byte of every file, every value of a document."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from ociassemble.content.blob import Blob
from ociassemble.formats import tar
from ociassemble.image import compare_layers, differences
from ociassemble.image.compare import compare
from ociassemble.image.differences import Comparison, Difference
from ociassemble.image.image import Image, Layer
from ociassemble.image.told import in_words
from ociassemble.oci.annotations import LAYER_CODEC, LAYER_KEY
from ociassemble.oci.config import ImageConfig
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.testing.images import Entries, File, Folder, Hardlink, Link, archive, image, index, layer

BASE: Mapping[str, Any] = {
    "a": Folder(),
    "a/one": "one",
    "a/two": File("hello world", 0o644),
    "b": Link("a/one"),
    "c": Hardlink("a/one"),
    "d": "last",
}


def found(one: Entries | bytes | Image, other: Entries | bytes | Image) -> Comparison:
    nodes = [item.node if isinstance(item, Image) else image([layer(item)]).node for item in (one, other)]
    return compare(nodes[0], nodes[1])


def facts(comparison: Comparison) -> list[tuple[str, str, str, Any, Any]]:
    return [(item.kind, item.path, item.field, item.one, item.other) for item in comparison.differences]


@pytest.mark.spec("VERIFY-10")
def test_equal_images_have_nothing_to_tell() -> None:
    comparison = found(BASE, BASE)

    assert comparison == Comparison()
    assert comparison.kind is None


@pytest.mark.spec("VERIFY-13")
@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("a/two", File("hello world", 0o755), [("metadata", "a/two", "mode", "0644", "0755")]),
        ("a/two", File("hello world", 0o644, 7, 0), [("metadata", "a/two", "uid", 0, 7)]),
        ("a/two", File("hello world", 0o644, 0, 8), [("metadata", "a/two", "gid", 0, 8)]),
        ("b", Link("a/two"), [("content", "b", "link target", "a/one", "a/two")]),
        ("c", Hardlink("a/two"), [("content", "c", "link target", "a/one", "a/two")]),
        ("a", Folder(0o1777), [("metadata", "a", "mode", "0755", "1777")]),
    ],
)
def test_a_field_of_a_header_is_named(path: str, content: Any, expected: list[Any]) -> None:
    assert facts(found(BASE, {**BASE, path: content})) == expected


@pytest.mark.spec("VERIFY-13")
def test_a_type_is_a_difference_of_content() -> None:
    comparison = found(BASE, {**BASE, "d": Folder(0o644)})

    assert ("content", "d", "type", "file", "directory") in facts(comparison)
    assert comparison.kind == "content"


@pytest.mark.spec("VERIFY-13")
def test_pax_records_are_named() -> None:
    one = archive({"x": File("1", records={"SCHILY.xattr.user.a": "1", "SCHILY.xattr.user.b": "1"})}, dialect="pax")
    other = archive({"x": File("1", records={"SCHILY.xattr.user.a": "2"})}, dialect="pax")

    assert facts(found(one, other)) == [
        ("metadata", "x", "pax SCHILY.xattr.user.a", "1", "2"),
        ("metadata", "x", "pax SCHILY.xattr.user.b", "1", None),
    ]


def patched(data: bytes, path: str, start: int, value: bytes) -> bytes:
    """The archive with bytes of one header replaced, its checksum right again."""
    at = data.index(path.encode().ljust(100, b"\0"))
    block = bytearray(data[at : at + 512])
    block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


@pytest.mark.spec("VERIFY-13")
@pytest.mark.parametrize(
    ("start", "value", "field"),
    [
        (136, b"00000000001\0", "mtime"),
        (265, b"root", "user name"),
        (297, b"wheel", "group name"),
        (257, b"ustar\x0000", "format"),
        (329, b"0000001\0", "encoding"),
    ],
)
def test_what_only_a_header_says_is_named(start: int, value: bytes, field: str) -> None:
    plain = archive(BASE)
    (item,) = found(plain, patched(plain, "a/two", start, value)).differences

    assert (item.kind, item.path, item.field) == ("metadata", "a/two", field)


@pytest.mark.spec("VERIFY-13")
def test_bytes_that_no_member_holds_are_named() -> None:
    plain = archive({"a": "1", "b": "2"})
    content = plain.index(b"1" + bytes(511))
    stuffed = plain[: content + 9] + b"!" + plain[content + 10 :]

    (padding,) = found(plain, stuffed).differences
    assert (padding.where, padding.path, padding.field, padding.offset) == ("file", "a", "padding", content + 9)
    (end,) = found(plain, plain + bytes(1024)).differences
    assert (end.where, end.field, end.offset) == ("layer", "end of the archive", len(plain))
    long = "x/" * 60 + "x"
    gnu, pax = archive({long: "1", "b": "2"}), archive({long: "1", "b": "2"}, dialect="pax")
    assert {item.path for item in found(gnu, pax).differences} == {long, "b"}


@pytest.mark.spec("VERIFY-14")
@pytest.mark.parametrize(
    ("one", "other", "offset"),
    [
        (b"hello world", b"hello_world", 5),
        (b"", b"x", 0),
        (b"ab", b"abc", 2),
        (b"z" * 700_000, b"z" * 699_999 + b"y", 699_999),
    ],
)
def test_contents_are_told_by_sha256_and_first_byte(one: bytes, other: bytes, offset: int) -> None:
    comparison = found({"a": "1", "f": one, "z": "1"}, {"a": "1", "f": other, "z": "1"})
    item = comparison.differences[-1]

    assert (item.field, item.offset) == ("content", offset)
    assert (item.one, item.other) == (str(Digest.of(one)), str(Digest.of(other)))
    assert [item.field for item in comparison.differences[:-1]] == (["size"] if len(one) != len(other) else [])


@pytest.mark.spec("VERIFY-15")
def test_files_of_one_side_do_not_confuse_the_rest() -> None:
    more = {"a": Folder(), "a/new": "new", **BASE, "zz": "end"}

    expected = [("content", "a/new", "presence", None, "file"), ("content", "zz", "presence", None, "file")]
    assert facts(found(BASE, more)) == expected
    assert facts(found(more, BASE)) == [(kind, path, field, two, one) for kind, path, field, one, two in expected]
    assert facts(found({"x": "1", **dict.fromkeys("abc", "")}, dict.fromkeys("abc", ""))) == [
        ("content", "x", "presence", "file", None)
    ]


@pytest.mark.spec("VERIFY-15")
def test_the_order_is_told_once() -> None:
    turned = dict(reversed(BASE.items()))
    comparison = found(BASE, {**turned, "c": Hardlink("a/one")})

    assert [item.field for item in comparison.differences] == ["order"]
    assert comparison.kind == "order"


@pytest.mark.spec("VERIFY-15")
def test_content_elsewhere_is_compared_as_well() -> None:
    one = [("b", "bbbbb"), ("a", "12345"), ("c", "")]
    other = [("a", "12x45"), ("b", "bbbbb"), ("c", "")]
    comparison = found(one, other)

    by_field = {item.field: item for item in comparison.differences}
    assert set(by_field) == {"order", "content"}
    assert by_field["content"].path == "a"
    assert by_field["content"].offset == 2


@pytest.mark.spec("VERIFY-15")
def test_a_path_twice_is_a_difference() -> None:
    assert facts(found([("a", "1"), ("a", "1")], [("a", "1")])) == [("content", "a", "presence", "file", None)]
    three = [("b", "1"), ("b", "1"), ("b", "2"), ("a", "1")]
    assert {item[1] for item in facts(found(three, [("a", "1"), ("b", "1")]))} == {"a", "b"}


@pytest.mark.spec("VERIFY-16")
def test_more_than_can_be_held_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_layers, "MAX_HELD", 5)
    names = [f"{number:03}" for number in range(50)]
    comparison = found(dict.fromkeys(names, "1"), dict.fromkeys(reversed(names), "1"))

    assert comparison.differences[-1].field == "more"
    assert "no more were compared" in in_words(comparison.differences[-1])


@pytest.mark.spec("VERIFY-16")
def test_no_more_differences_are_kept_than_anyone_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_layers, "MAX_KEPT", 7)
    monkeypatch.setattr(differences, "MAX_KEPT", 7)
    names = [f"{number:03}" for number in range(50)]
    comparison = found(dict.fromkeys(names, "1"), dict.fromkeys(names, "2"))

    assert len(comparison.differences) == 7
    assert comparison.omitted == 43


class _Long(io.RawIOBase):
    """A tar of one file of `size` equal bytes, made as it is read."""

    def __init__(self, size: int, last: bytes) -> None:
        self._parts = [tar.header("big", size=size), *[b"x" * (1 << 20)] * (size >> 20)]
        self._parts[-1] = self._parts[-1][:-1] + last
        self._parts.append(tar.END)
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._parts:
            return 0
        data = self._parts[0][self._at : self._at + len(buffer)]
        self._at += len(data)
        if self._at == len(self._parts[0]):
            self._parts.pop(0)
            self._at = 0
        buffer[: len(data)] = data
        return len(data)


def _long(size: int, last: bytes) -> Layer:
    hashed, total = hashlib.sha256(), 0
    stream = _Long(size, last)
    while block := stream.read(1 << 20):
        hashed.update(block)
        total += len(block)
    digest = Digest.from_hex(hashed.hexdigest())
    descriptor = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=digest, size=total)
    return Layer(blob=Blob(descriptor=descriptor, source=lambda: io.BufferedReader(_Long(size, last))), diff_id=digest)


@pytest.mark.spec("VERIFY-16")
def test_memory_does_not_grow_with_a_layer() -> None:
    size = 64 << 20
    one, other = _long(size, b"x"), _long(size, b"y")
    tracemalloc.start()
    try:
        found_, _ = compare_layers.compare_layers(one, other)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [(item.field, item.offset) for item in found_] == [("content", size - 1)]
    assert peak < 24 << 20  # blocks of both streams, whatever their size


# ------------------------------------------------------------------------------------ documents and images


@pytest.mark.spec("VERIFY-11")
def test_documents_are_told_by_pointer() -> None:
    layers = [layer(BASE)]
    one = image(layers, execution={"Env": ["A=1", "B=2"], "Labels": {"a/b": "1"}}, annotations={"x~y": "1"})
    other = image(layers, execution={"Env": ["A=1", "B=3"], "User": "1"}, more={"extra": {"deep": [1]}})

    assert [(item.where, item.field, item.one, item.other) for item in compare(one.node, other.node).differences] == [
        ("manifest", "/annotations/x~0y", "1", None),
        ("config", "/config/Env/1", "B=2", "B=3"),
        ("config", "/config/Labels/a~1b", "1", None),
        ("config", "/config/User", None, "1"),
        ("config", "/extra/deep/0", None, 1),
    ]


@pytest.mark.spec("VERIFY-11")
def test_another_spelling_of_a_document_is_told() -> None:
    one = image([layer(BASE)])
    raw = one.config.raw.replace(b"\n", b"\n ", 1)
    config = ImageConfig.parse(raw)
    manifest = Manifest.create(config=config.descriptor, layers=[item.descriptor for item in one.layers])
    other = Image(manifest=manifest, config=config, config_blob=Blob.of(raw, config.descriptor), layers=one.layers)
    (item,) = compare(one.node, other.node).differences

    assert (item.where, item.field, item.offset) == ("config", "encoding", 5)


@pytest.mark.spec("VERIFY-12")
def test_layers_are_paired_by_what_they_are() -> None:
    a, b, c = layer({"a": "1"}), layer({"b": "1"}), layer({"c": "1"})

    (only,) = compare(image([a, c]).node, image([a, b, c]).node).differences
    assert (only.field, only.one, only.other) == ("presence", None, str(b.descriptor.digest))
    assert only.layer is not None
    assert only.layer.number == 1
    moved = compare(image([a, b, c]).node, image([b, a, c]).node)
    assert [(item.kind, item.field, item.one, item.other) for item in moved.differences] == [
        ("order", "position", 2, 1)
    ]
    keyed = {LAYER_KEY: "sha256:1"}
    one = image([a, layer({"x": "1"}, annotations=keyed)])
    other = image([layer({"x": "2"}, annotations=keyed), a])
    assert {item.path for item in compare(one.node, other.node).differences if item.where == "file"} == {"x"}


@pytest.mark.spec("VERIFY-17")
def test_a_codec_alone_is_no_difference_of_content() -> None:
    said = {LAYER_CODEC: "gzip:zlib-ng/2.2.0:3:262144"}
    one, other = (image([layer(BASE, compression=how, annotations=said)]) for how in ("gzip:1", "gzip:9"))
    (item,) = compare(one.node, other.node).differences
    assert (item.kind, item.one, item.other) == ("compression", said[LAYER_CODEC], said[LAYER_CODEC])

    (item,) = compare(image([layer(BASE)]).node, image([layer(BASE, compression="zstd")]).node).differences
    assert (item.kind, item.one, item.other) == ("compression", "gzip", "zstd")
    assert "compressed differently: image gzip, rebuild zstd" in in_words(item)


@pytest.mark.spec("VERIFY-17")
def test_equal_diff_ids_are_not_believed() -> None:
    honest = layer(BASE)
    liar = layer({"evil": "1"}, diff_id=honest.diff_id)
    (item,) = compare(image([liar]).node, image([honest]).node).differences

    assert (item.kind, item.field) == ("content", "unreadable")


@pytest.mark.spec("VERIFY-12")
def test_equal_layers_are_never_opened() -> None:
    def never() -> Any:
        raise AssertionError("opened")

    same = layer(BASE)
    closed = Layer(blob=Blob(descriptor=same.descriptor, source=never), diff_id=same.diff_id)
    one, other = image([closed], execution={"User": "1"}), image([closed], execution={"User": "2"})

    assert [item.field for item in compare(one.node, other.node).differences] == ["/config/User"]


@pytest.mark.spec("VERIFY-11")
def test_indexes_are_compared_by_platform() -> None:
    amd, arm = image([layer(BASE)]), image([layer(BASE)], platform="linux/arm64")
    other = image([layer({**BASE, "d": "new"})], platform="linux/arm64")

    (size, content) = compare(index([amd, arm]), index([amd, other])).differences
    assert (content.platform, content.path, size.field) == ("linux/arm64", "d", "size")
    (gone,) = compare(index([amd, arm]), index([amd])).differences
    assert (gone.platform, gone.field, gone.other) == ("linux/arm64", "/manifests", None)
    (order,) = compare(index([amd, arm]), index([arm, amd])).differences
    assert order.kind == "order"
    (said,) = compare(index([amd], annotations={"a": "1"}), index([amd])).differences
    assert (said.where, said.field, said.one) == ("index", "/annotations/a", "1")
    assert [item.field for item in compare(index([amd]), amd.node).differences] == ["/mediaType"]


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (Difference("metadata", "config", "/config/User", "1", None), "config /config/User: only in the image (1)"),
        (Difference("metadata", "file", "mtime", 1, 2, path="a"), "`a`: mtime image 1, rebuild 2"),
        (Difference("content", "file", "presence", None, "file", path="a"), "`a`: only in the rebuild (file)"),
        (Difference("metadata", "file", "user name", "", "x", path="a"), "`a`: user name image '', rebuild x"),
        (
            Difference("order", "file", "order", 1, 2, path="a"),
            "`a`: stands elsewhere: image member 1, rebuild member 2",
        ),
    ],
)
def test_differences_in_words(difference: Difference, text: str) -> None:
    assert in_words(difference) == text
