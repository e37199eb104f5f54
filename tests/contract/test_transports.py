"""Every place of images: what was written is what is read, names move last, and what is wrong is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble.content.blob import Blob
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import DestinationError, Error, FormatError, IntegrityError, NotFoundError
from ociassemble.image.assemble import assemble, image_or_index
from ociassemble.image.image import Image, Layer, Node, PlatformMissingError, open_image, select_platform
from ociassemble.image.validate import validate_node
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.progress import Progress
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.server import serve
from ociassemble.transports.archive import ArchiveDestination, OciArchiveSource, OnePlatformError
from ociassemble.transports.dockerarchive import DockerArchiveSource
from ociassemble.transports.layout import LayoutDestination, LayoutSource
from ociassemble.transports.local import LocalDestination, LocalSource, names
from ociassemble.transports.locate import LocationError, locate
from ociassemble.transports.members import Archive
from ociassemble.transports.protocols import Destination, Source
from ociassemble.transports.remote import NotKeptError, RemoteDestination, RemoteSource
from ociassemble.transports.transfer import write


def image(content: bytes = b"layer", platform: str = "linux/amd64") -> Image:
    descriptor = Descriptor(media_type=mediatype.OCI_LAYER, digest=Digest.of(content), size=len(content))
    layer = Layer(blob=Blob.of(content, descriptor), diff_id=Digest.of(content))
    return assemble(
        platform=Platform.parse(platform),
        base=None,
        added=[("test", layer)],
        execution={"Cmd": ["/x"]},
        created="1980-01-02T00:00:00Z",
        annotations={},
    )


Place = Callable[[str], tuple[Destination, Source]]


@pytest.fixture(params=["layout", "local", "remote", "oci-archive", "docker-archive"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Makes a destination and a source of one tag; an archive is one file each."""
    if request.param == "oci-archive":
        yield lambda tag: (
            ArchiveDestination(str(tmp_path / f"{tag}.tar"), "oci", tag),
            OciArchiveSource(Archive(str(tmp_path / f"{tag}.tar")), tag),
        )
        return
    if request.param == "docker-archive":
        yield lambda tag: (
            ArchiveDestination(str(tmp_path / f"{tag}.tar"), "docker", f"localhost/app:{tag}"),
            DockerArchiveSource(Archive(str(tmp_path / f"{tag}.tar")), f"localhost/app:{tag}"),
        )
        return
    if request.param == "layout":
        yield lambda tag: (LayoutDestination(tmp_path / "layout", tag), LayoutSource(tmp_path / "layout", tag))
        return
    store = DirectoryStore(tmp_path / "store")
    if request.param == "local":
        reference = Reference.parse("localhost/app:x")
        yield lambda tag: (
            LocalDestination(store, reference.with_tag(tag)),
            LocalSource(store, reference.with_tag(tag)),
        )
        return
    server = serve("127.0.0.1", 0, tmp_path / "registry")
    try:
        client = RegistryClient(Wire())
        remote = Reference.parse(f"127.0.0.1:{server.port}/team/app:x")
        yield lambda tag: (
            RemoteDestination(client, remote.with_tag(tag)),
            RemoteSource(client, remote.with_tag(tag), store, pull="always"),
        )
    finally:
        server.shutdown()


def put(node: Node, destination: Destination) -> str:
    return write(node, destination, progress=Progress(), jobs=2).line


def test_an_image_comes_back_byte_for_byte(place: Place) -> None:
    destination, source = place("v1")
    made = image()
    line = put(made.node, destination)
    assert line.endswith(f"@{made.digest}")
    found = source.read()
    assert found.raw == made.manifest.raw
    assert open_image(found).layers[0].blob.read() == b"layer"
    assert not validate_node(found)


def test_an_index_comes_back_with_its_platforms(place: Place) -> None:
    destination, source = place("multi")
    images = [image(b"a", "linux/arm64"), image(b"b", "linux/amd64")]
    node = image_or_index(images, {})
    if isinstance(source, DockerArchiveSource):
        with pytest.raises(OnePlatformError, match="linux/amd64, linux/arm64"):
            put(node, destination)
        return
    put(node, destination)
    found = source.read()
    assert found.raw == node.raw
    assert [str(child.descriptor.platform) for child in found.children] == ["linux/amd64", "linux/arm64"]
    chosen = open_image(select_platform(found, Platform.parse("linux/arm64"), "x"))
    assert chosen.layers[0].blob.read() == b"a"
    with pytest.raises(PlatformMissingError, match="no linux/s390x variant"):
        select_platform(found, Platform.parse("linux/s390x"), "x")


def test_a_name_moves_and_others_stay(place: Place) -> None:
    first, second = image(b"one"), image(b"two")
    put(first.node, place("a")[0])
    put(first.node, place("b")[0])
    put(second.node, place("a")[0])
    assert place("a")[1].read().descriptor.digest == second.digest
    assert place("b")[1].read().descriptor.digest == first.digest


def test_writing_again_writes_no_blob(place: Place) -> None:
    destination, _ = place("v1")
    put(image().node, destination)
    written = write(image().node, destination, progress=Progress(), jobs=1)
    # An archive replaces the one that was there.
    assert {outcome for _, outcome in written.outcomes} == {
        "written" if isinstance(destination, ArchiveDestination) else "exists"
    }


def test_a_blob_that_lies_leaves_the_name_alone(place: Place) -> None:
    destination, source = place("v1")
    put(image(b"good").node, destination)
    made = image(b"other")
    bad = Blob(descriptor=made.layers[0].descriptor, source=Blob.of(b"wrong", made.layers[0].descriptor).source)
    node = Node(descriptor=made.descriptor, raw=made.manifest.raw, blobs=(made.config_blob, bad))
    with pytest.raises(Error):
        put(node, destination)
    assert open_image(source.read()).layers[0].blob.read() == b"good"


def test_what_is_not_there(place: Place) -> None:
    with pytest.raises(NotFoundError):
        place("nothing")[1].read()


# ---------------------------------------------------------------------------------------------- layouts


def test_a_layout_is_what_the_specification_says(tmp_path: Path) -> None:
    made = image()
    put(made.node, LayoutDestination(tmp_path / "l", "v1"))
    assert json.loads((tmp_path / "l/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "l/index.json").read_bytes())
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "v1"}
    assert sorted(path.name for path in (tmp_path / "l").iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_spoilt_blob_in_a_layout_is_refused_when_read_and_replaced_when_written(tmp_path: Path) -> None:
    made = image()
    put(made.node, LayoutDestination(tmp_path / "l", "v1"))
    path = tmp_path / "l/blobs/sha256" / made.layers[0].descriptor.digest.hex
    path.chmod(0o644)
    path.write_bytes(b"LAYER")
    node = LayoutSource(tmp_path / "l", "v1").read()
    with pytest.raises(DigestMismatchError):
        open_image(node).layers[0].blob.read()
    put(made.node, LayoutDestination(tmp_path / "l", "v1"))
    assert path.read_bytes() == b"layer"


@pytest.mark.parametrize("name", ["index", "manifest"])
def test_a_spoilt_document_is_refused(tmp_path: Path, name: str) -> None:
    made = image()
    put(made.node, LayoutDestination(tmp_path / "l", "v1"))
    if name == "index":
        (tmp_path / "l/index.json").write_bytes(b'{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x"}]}')
    else:
        path = tmp_path / "l/blobs/sha256" / made.digest.hex
        path.write_bytes(made.manifest.raw.replace(b"sha256", b"sha255"))
    with pytest.raises((FormatError, IntegrityError)):
        LayoutSource(tmp_path / "l", "v1").read()


def test_a_layout_by_digest_and_without_a_tag(tmp_path: Path) -> None:
    made = image()
    put(made.node, LayoutDestination(tmp_path / "l", "v1"))
    assert LayoutSource(tmp_path / "l").read().descriptor.digest == made.digest
    assert LayoutSource(tmp_path / "l", digest=made.digest).read().descriptor.digest == made.digest
    put(image(b"2").node, LayoutDestination(tmp_path / "l", "v2"))
    with pytest.raises(NotFoundError, match="several images"):
        LayoutSource(tmp_path / "l").read()


def test_a_folder_that_is_no_layout_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DestinationError, match="not an OCI layout"):
        LayoutDestination(tmp_path, "v1").prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_two_writers_of_two_tags_both_land(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> None:
        put(image(b"%d" % number).node, LayoutDestination(tmp_path / "l", f"v{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(24)))
    index = json.loads((tmp_path / "l/index.json").read_bytes())
    assert len(index["manifests"]) == 24


# ---------------------------------------------------------------------------------------------- the local store


def test_the_local_store_lists_its_names_and_answers_digests(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    made = image()
    line = put(made.node, LocalDestination(store, Reference.parse("localhost/app:v1")))
    assert names(store) == (("localhost/app:v1", made.digest),)
    assert LocalSource(store, Reference.parse(line)).read().descriptor.digest == made.digest
    assert LocalSource(store, Reference.parse(f"localhost/app@{made.digest}")).read().raw == made.manifest.raw


def test_what_is_kept_by_its_digest_alone_is_found_by_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    made = image()
    reference = Reference.parse(f"registry.example/team/app@{made.digest}")
    line = put(made.node, LocalDestination(store, reference._replace(digest=None)))
    assert line == f"registry.example/team/app@{made.digest}"
    assert names(store) == (("registry.example/team/app", made.digest),)
    assert LocalSource(store, reference).read().raw == made.manifest.raw


# ---------------------------------------------------------------------------------------------- registries


def test_a_remembered_tag_answers_only_where_that_was_asked_for(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    server = serve("127.0.0.1", 0, tmp_path / "registry")
    reference = Reference.parse(f"127.0.0.1:{server.port}/team/app:v1")
    try:
        client = RegistryClient(Wire())
        put(image(b"one").node, RemoteDestination(client, reference))
        first = RemoteSource(client, reference, store, pull="always").read().descriptor.digest
        put(image(b"two").node, RemoteDestination(client, reference))
        assert RemoteSource(client, reference, store, pull="missing").read().descriptor.digest == first
        assert RemoteSource(client, reference, store, pull="always").read().descriptor.digest != first
    finally:
        server.shutdown()
    offline = RegistryClient(Wire(offline=True))
    assert RemoteSource(offline, reference, store, pull="never").read()
    assert RemoteSource(offline, reference.with_digest(first), store, pull="never").read().descriptor.digest == first
    with pytest.raises(NotKeptError):
        RemoteSource(offline, reference.with_tag("other"), store, pull="never").read()


# ---------------------------------------------------------------------------------------------- names of places


@pytest.mark.parametrize(
    ("text", "transport", "path", "tag"),
    [
        ("oci:dir", "oci", "dir", ""),
        ("oci:dir:v1", "oci", "dir", "v1"),
        ("oci:/a/b:c/d", "oci", "/a/b:c/d", ""),
        ("oci:./x:v1", "oci", "./x", "v1"),
        ("oci:C:v1", "oci", "C", "v1"),
        ("oci:C:\\v1", "oci", "C:\\v1", ""),
        ("registry.example/team/app:v1", "registry", "", ""),
        ("docker://registry.example/app", "registry", "", ""),
        ("localhost:5000/app", "registry", "", ""),
        ("local:app", "local", "", ""),
        ("oci-archive:x.tar", "oci-archive", "x.tar", ""),
        ("oci-archive:/a/x.tar:v1", "oci-archive", "/a/x.tar", "v1"),
        ("oci-archive:-", "oci-archive", "-", ""),
        ("oci-archive:x.tar:host.example/app:v1", "oci-archive", "x.tar", "host.example/app:v1"),
        ("docker-archive:x.tar", "docker-archive", "x.tar", ""),
        ("docker-archive:x.tar:127.0.0.1:5000/app:v1", "docker-archive", "x.tar", "127.0.0.1:5000/app:v1"),
        ("docker-archive:x.tar:@1", "docker-archive", "x.tar", "@1"),
    ],
)
def test_places_by_name(text: str, transport: str, path: str, tag: str) -> None:
    found = locate(text)
    assert (found.transport, found.path, found.tag) == (transport, path, tag)


def test_a_layout_with_a_digest() -> None:
    digest = Digest.of(b"x")
    assert locate(f"oci:dir:v1@{digest}").digest == digest


@pytest.mark.parametrize(
    "text",
    ["oci:", "oci::v1", "oci-archive:", "oci-archive::v1", "docker-archive:x.tar:", "docker-archive:", "bundle:"],
)
def test_names_of_no_place(text: str) -> None:
    with pytest.raises(LocationError):
        locate(text)
