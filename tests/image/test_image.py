"""Graphs of documents read and verified; one of their manifests understood."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ociassemble.content.blob import Blob
from ociassemble.errors import FormatError, IntegrityError
from ociassemble.image.image import MAX_CHILDREN, Node, open_image, platform_missing, platforms_of, read_node
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.platform import Platform
from ociassemble.testing.images import image, index, layer

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


class Documents:
    """The documents of a graph by digest, and which of them were asked for."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.raw = {part.descriptor.digest: part.raw for part in node.walk()}
        self.asked: list[str] = []

    def fetch(self, descriptor: Descriptor) -> bytes:
        self.asked.append(str(descriptor.digest))
        return self.raw[descriptor.digest]

    def read(self, *wanted: Platform) -> Node:
        return read_node(self.node.descriptor, self.node.raw, self.fetch, self.blob, wanted=wanted)

    @staticmethod
    def blob(descriptor: Descriptor) -> Blob:
        def refuse() -> object:
            raise AssertionError("a blob was opened")

        return Blob(descriptor=descriptor, source=refuse)  # type: ignore[arg-type]


def made(platform: str = "linux/amd64", docker: bool = False) -> Node:
    return image([layer({"p": platform})], platform=platform, docker=docker).node


@pytest.mark.parametrize("docker", [False, True])
def test_a_graph_is_read_whole_and_its_blobs_stay_closed(docker: bool) -> None:
    graph = index([made("linux/amd64", docker), index([made("linux/arm64", docker)])], docker=docker)
    found = Documents(graph).read()

    assert [part.descriptor for part in found.walk()] == [part.descriptor for part in graph.walk()]
    assert [part.raw for part in found.walk()] == [part.raw for part in graph.walk()]
    assert list(found.walk())[-1] is found  # parents after children: the order of writing


def test_only_wanted_platforms_are_asked_for() -> None:
    children = [made(name) for name in ("linux/amd64", "linux/arm64", "unknown/unknown")]
    unknown = replace(made("linux/s390x"), descriptor=made("linux/s390x").descriptor.bare())
    graph = Documents(index([*children, unknown]))
    found = graph.read(AMD64)

    assert graph.asked == [children[0].descriptor.digest, unknown.descriptor.digest]
    assert len(found.children) == 2
    assert platforms_of(found) == (AMD64, ARM64)  # what there is, whatever was read of it


def test_a_manifest_alone_is_read_whoever_wants_it() -> None:
    node = made("linux/arm64")

    assert Documents(node).read(AMD64).descriptor == node.descriptor
    assert platforms_of(node) == ()


def test_documents_are_what_their_descriptors_say() -> None:
    graph = Documents(index([made(), made("linux/arm64")]))
    digest = graph.node.children[1].descriptor.digest
    graph.raw[digest] = graph.raw[digest].replace(b"{", b"{ ", 1)

    with pytest.raises(IntegrityError, match=digest):
        graph.read()
    with pytest.raises(IntegrityError):
        read_node(graph.node.descriptor, graph.node.raw + b" ", graph.fetch, graph.blob)


def test_graphs_are_bounded() -> None:
    deep = made()
    for _ in range(5):
        deep = index([deep])
    with pytest.raises(FormatError, match="nested too deeply"):
        Documents(deep).read()
    with pytest.raises(FormatError, match=f"more than {MAX_CHILDREN} manifests"):
        Documents(index([made()] * (MAX_CHILDREN + 1))).read()


def test_an_image_is_its_manifest_config_and_layers() -> None:
    layers = [layer({"a": "1"}), layer({"b": "2"}, compression="none")]
    node = image(layers, platform="linux/arm64", execution={"User": "5"}).node
    found = open_image(node)

    assert [(item.descriptor, item.diff_id) for item in found.layers] == [
        (item.descriptor, item.diff_id) for item in layers
    ]
    assert (found.platform, found.config.user, found.digest) == (ARM64, "5", node.descriptor.digest)
    assert found.node.descriptor == node.descriptor
    assert found.descriptor.platform == ARM64


def test_a_config_too_large_is_not_read() -> None:
    found = image([layer({"a": "1"})])
    config = found.manifest.config.with_(size=(4 << 20) + 1)
    manifest = found.manifest.create(config=config, layers=found.manifest.layers)
    blobs = (Documents.blob(config), found.layers[0].blob)

    with pytest.raises(FormatError, match="larger than 4 MiB"):
        open_image(Node(descriptor=manifest.descriptor, raw=manifest.raw, blobs=blobs))


@pytest.mark.parametrize(
    ("available", "hint"),
    [
        ([], None),
        (["linux/amd64"], "linux/amd64"),
        (["linux/amd64", "linux/arm64"], "linux/arm64"),
        (["linux/amd64", "linux/arm64", "linux/arm/v6"], "linux/arm/v6"),
    ],
)
def test_the_error_for_a_missing_platform(available: list[str], hint: str | None) -> None:
    error = platform_missing("x:1", Platform.parse("linux/arm/v7"), [Platform.parse(item) for item in available])

    assert error.message == "`x:1` has no linux/arm/v7 variant"
    assert error.details == ((f"available: {', '.join(sorted(available))}",) if available else ())
    assert error.hint == (hint and f"pass `--platform {hint}`, or choose an image that has linux/arm/v7")
