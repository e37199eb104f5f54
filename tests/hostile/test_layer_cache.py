"""Registries that lie about finished layers: no lie changes what a build makes, and none makes it fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content import compress
from ociassemble.content.blob import Blob
from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import BlobMissingError
from ociassemble.image.image import Layer
from ociassemble.layer.build import BuiltLayer, layer_descriptor
from ociassemble.layer.told import ToldLayer
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.annotations import LAYER_DIFF_ID
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.locked import LockedLayer
from ociassemble.progress import Event, Note, Progress
from ociassemble.registry.client import RegistryClient
from ociassemble.testing import images
from ociassemble.transports.cacherepo import ARTIFACT, CacheRepository, tag_of
from ociassemble.transports.layercache import LayerCache, Wanted
from ociassemble.transports.repository import Repository, Tag
from tests.net.scripted import Answer
from tests.registry.chaos import ChaosRegistry

AMD64 = Platform.parse("linux/amd64")
CODEC = compress.codec("gzip")
KEY = Digest.of(b"the key")
GOOD = images.layer({"usr/lib/x": "good"})
EVIL = images.layer({"usr/lib/x": "evil"})


class Place:
    """A registry whose image `app:v1` has the layer, unless a test says otherwise; and what was told."""

    def __init__(self, registry: ChaosRegistry) -> None:
        self.registry = registry
        self.store = MemoryStore()
        self.distrusted: set[Digest] = set()
        self.broken: set[str] = set()
        self.events: list[Event] = []
        self.client = RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None)
        self.add(GOOD)

    def add(self, layer: Layer, *, tag: str = "v1", diff_id: str = "", **changes: Any) -> Manifest:
        """Make `app:TAG` an image with this layer under the wanted key and codec; `changes` are its descriptor's."""
        body = layer.blob.read()
        self.registry.add_blob(body)
        named = layer_descriptor(KEY, CODEC, Digest.of(body), len(body)).with_(**changes)
        rootfs = {"type": "layers", "diff_ids": [diff_id or layer.diff_id]}
        document = {"architecture": "amd64", "os": "linux", "rootfs": rootfs}
        config = self.registry.add_blob(json.dumps(document).encode(), mediatype.OCI_CONFIG)
        manifest = Manifest.create(config=config, layers=[named])
        self.registry.add_manifest(tag, manifest.raw)
        return manifest

    def record(self, layer: Layer, **said: str) -> None:
        """Make the tag of the wanted layer in the repository of records say this."""
        body = layer.blob.read()
        self.registry.add_blob(body)
        config = self.registry.add_blob(b"{}", mediatype.OCI_EMPTY)
        described = layer_descriptor(KEY, CODEC, Digest.of(body), len(body))
        annotations = {**described.annotations, LAYER_DIFF_ID: str(layer.diff_id), **said}
        manifest = Manifest.create(config=config, layers=[described], artifact_type=ARTIFACT, annotations=annotations)
        self.registry.add_manifest(tag_of(KEY, CODEC), manifest.raw)

    def find(self, locked: LockedLayer | None = None, *, records: bool = False) -> BuiltLayer | None:
        """What a build finds that looks for the layer, in the image or in the records."""
        reference = Reference.parse(f"{self.registry.host}/app:v1")
        repository = Repository(self.client, reference)
        cache = LayerCache(
            tags=[] if records else [Tag(repository, reference, self.store, ours=False)],
            known=lambda digest: (),
            records=CacheRepository(repository) if records else None,
            store=self.store,
            distrusted=self.distrusted,
            broken=self.broken,
            progress=Progress(self.events.append),
            jobs=1,
        )
        return cache.find([Wanted("requests", KEY, CODEC, locked)], AMD64)[0]

    @property
    def told(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Note) and event.level == "warning")


def locked(**changes: Any) -> LockedLayer:
    descriptor = GOOD.blob.descriptor
    said = LockedLayer("requests", KEY, GOOD.diff_id, descriptor.digest, descriptor.size, CODEC.identity)
    return said._replace(**changes)


@pytest.fixture
def place() -> Iterator[Place]:
    with ChaosRegistry() as registry:
        yield Place(registry)


def test_the_honest_case(place: Place) -> None:
    for said in (None, locked()):
        found = place.find(said)
        assert found is not None
        assert (found.layer.descriptor.digest, found.layer.diff_id) == (GOOD.blob.descriptor.digest, GOOD.diff_id)
        assert found.layer.blob.read() == GOOD.blob.read()
    assert place.told == ""
    assert place.store.records == {}


# --- against a lock -----------------------------------------------------------------------------------------------


LIES: dict[str, Callable[[Place], object]] = {
    "a lying key": lambda place: place.add(EVIL),
    "another size": lambda place: place.add(GOOD, size=7),
    "another type": lambda place: place.add(GOOD, media_type=mediatype.OCI_LAYER_ZSTD),
}


@pytest.mark.spec("CACHE-5")
@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_cannot_change_what_the_lock_says(place: Place, lie: str) -> None:
    place.registry.blobs.clear()
    LIES[lie](place)
    place.registry.blobs.pop(str(GOOD.blob.descriptor.digest), None)
    assert place.find(locked()) is None
    assert "has another layer for `requests` than the lock" in place.told


@pytest.mark.spec("CACHE-5")
def test_a_lying_manifest_does_not_hide_the_locked_blob(place: Place) -> None:
    place.add(EVIL)
    found = place.find(locked())
    assert found is not None
    assert found.layer.descriptor.digest == GOOD.blob.descriptor.digest


@pytest.mark.spec("CACHE-5")
@pytest.mark.parametrize("said", [{}, {LAYER_DIFF_ID: str(EVIL.diff_id)}], ids=["another layer", "another diff_id"])
def test_a_record_cannot_change_what_the_lock_says(place: Place, said: dict[str, str]) -> None:
    place.record(GOOD if said else EVIL, **said)
    place.registry.blobs.pop(str(GOOD.blob.descriptor.digest), None)
    assert place.find(locked(), records=True) is None
    assert "has another layer for `requests` than the lock" in place.told


@pytest.mark.spec("CACHE-2", "CACHE-5")
def test_under_another_codec_than_the_locks_nothing_is_found(place: Place) -> None:
    assert place.find(locked(codec="gzip:zlib-ng/1.0:3:262144")) is None
    assert place.told == ""


@pytest.mark.spec("CACHE-5")
def test_the_locks_diff_id_is_the_layers(place: Place) -> None:
    """What the config of some image says of it does not matter."""
    place.add(GOOD, diff_id=str(EVIL.diff_id))
    found = place.find(locked())
    assert found is not None
    assert found.layer.diff_id == GOOD.diff_id


# --- without a lock -----------------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-3", "CACHE-6")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": 7}, "or of another size"),
        ({"media_type": mediatype.OCI_LAYER_ZSTD}, "is of the type"),
        ({"media_type": mediatype.DOCKER_FOREIGN_GZIP}, "is of the type"),
        ({"urls": ("http://registry.example/x",)}, "is of the type"),
        ({"digest": EVIL.blob.descriptor.digest}, "is not there any more"),
        ({"annotations": {}}, ""),
        ({"annotations": {**layer_descriptor(KEY, compress.codec("zstd"), KEY, 1).annotations}}, ""),
    ],
    ids=["size", "codec", "foreign", "urls", "gone", "no annotations", "other codec"],
)
def test_a_descriptor_that_does_not_fit_is_no_hit(place: Place, changes: dict[str, Any], told: str) -> None:
    place.add(GOOD, **changes)
    assert place.find() is None
    assert told in place.told
    assert bool(told) == bool(place.told)


@pytest.mark.spec("CACHE-6", "CACHE-7")
def test_a_lying_diff_id_is_found_when_bytes_are_read(place: Place) -> None:
    place.add(GOOD, diff_id=str(EVIL.diff_id))
    found = place.find()
    assert found is not None
    with pytest.raises(BlobMissingError):
        found.layer.blob.read()
    assert "is not sha256:" in place.told
    # The build that is begun once more does not believe it again, and makes the layer.
    assert place.find() is None


@pytest.mark.spec("CACHE-7")
@pytest.mark.parametrize("said", [None, locked()], ids=["believed", "locked"])
def test_a_blob_that_goes_away_or_bad_is_built(place: Place, said: LockedLayer | None) -> None:
    for data in (None, b"x" * GOOD.blob.descriptor.size):
        place.distrusted.clear()
        place.add(GOOD)
        found = place.find(said)
        assert found is not None
        if data is None:
            del place.registry.blobs[str(GOOD.blob.descriptor.digest)]
        else:
            place.registry.blobs[str(GOOD.blob.descriptor.digest)] = data
        with pytest.raises(BlobMissingError):
            found.layer.blob.read()
        assert "`requests` could not be had" in place.told
        assert place.find(said) is None
        assert place.store.size(GOOD.blob.descriptor.digest) is None


@pytest.mark.spec("CACHE-3")
@pytest.mark.parametrize("diff_ids", [[], [str(GOOD.diff_id)] * 2, ["sha256:no"], "x", [1]])
def test_a_config_that_does_not_fit_its_manifest(place: Place, diff_ids: object) -> None:
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = place.registry.add_blob(json.dumps(document).encode(), mediatype.OCI_CONFIG)
    layer = layer_descriptor(KEY, CODEC, GOOD.blob.descriptor.digest, GOOD.blob.descriptor.size)
    place.registry.add_manifest("v1", Manifest.create(config=config, layers=[layer]).raw)
    assert place.find() is None
    assert "is of no use as a cache" in place.told


@pytest.mark.spec("CACHE-3")
def test_of_an_index_the_image_of_the_platform_is_read(place: Place) -> None:
    good = place.add(GOOD, tag="good").descriptor.with_(platform=AMD64)
    evil = place.add(EVIL, tag="evil").descriptor.with_(platform=Platform.parse("linux/arm64"))
    index = Index.create([evil, good])
    place.registry.add_manifest("v1", index.raw, mediatype.OCI_INDEX)
    found = place.find()
    assert found is not None
    assert found.layer.descriptor.digest == GOOD.blob.descriptor.digest
    place.registry.add_manifest("v1", Index.create([evil]).raw, mediatype.OCI_INDEX)
    assert place.find() is None


@pytest.mark.spec("CACHE-7")
@pytest.mark.parametrize(
    "answer",
    [
        Answer(401),
        Answer(403),
        Answer(500),
        Answer(200, b"<html>", (("Content-Type", "text/html"),)),
        Answer(200, b'{"schemaVersion":2,"mediaType":"x"}', (("Content-Type", mediatype.OCI_MANIFEST),)),
        Answer(200, b" " * (5 << 20), (("Content-Type", mediatype.OCI_MANIFEST),)),
        Answer(200, b"[" * 100_000, (("Content-Type", mediatype.OCI_MANIFEST),)),
        Answer(cut=-1),
    ],
    ids=["401", "403", "500", "html", "type", "huge", "deep", "cut"],
)
@pytest.mark.parametrize("records", [False, True], ids=["image", "records"])
@pytest.mark.parametrize("said", [None, locked()], ids=["believed", "locked"])
def test_a_broken_place_is_told_and_passed_over(
    place: Place, answer: Answer, records: bool, said: LockedLayer | None
) -> None:
    place.registry.on("*", "/v2/app/.*", answer)
    assert place.find(said, records=records) is None
    assert place.told.count("is of no use as a cache") in (1, 2), place.told


@pytest.mark.spec("CACHE-7")
def test_a_record_that_is_not_there_is_nothing_to_tell(place: Place) -> None:
    place.registry.manifests.clear()
    assert place.find(records=True) is None
    assert place.told == ""


@pytest.mark.spec("CACHE-1")
def test_an_image_that_is_not_there_is_told_once(place: Place) -> None:
    place.registry.manifests.clear()
    assert place.find() is None
    assert place.find() is None  # for another platform
    assert place.told == f"`{place.registry.host}/app:v1` does not exist: it is of no use as a cache"


@pytest.mark.spec("CACHE-7")
@pytest.mark.parametrize("said", [None, locked()], ids=["believed", "locked"])
def test_a_host_that_is_out_of_reach_is_told_once(place: Place, said: LockedLayer | None) -> None:
    place.registry.shutdown()
    place.registry.server_close()
    assert place.find(said) is None
    assert place.find(said, records=True) is None
    assert place.told.count("is of no use as a cache: cannot reach") == 1
    assert place.told.count(place.registry.host) == 2  # as the place, and in the reason


# --- records ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-21")
@pytest.mark.parametrize(
    "said",
    [
        {"dev.ociassemble.layer.key": str(Digest.of(b"other"))},
        {"dev.ociassemble.layer.codec": "none"},
        {LAYER_DIFF_ID: "sha256:short"},
        {LAYER_DIFF_ID: ""},
    ],
    ids=["key", "codec", "diff_id", "no diff_id"],
)
def test_a_record_of_another_layer(place: Place, said: dict[str, str]) -> None:
    place.record(EVIL, **said)
    assert place.find(records=True) is None
    assert "is of no use as a cache" in place.told


@pytest.mark.spec("CACHE-21")
def test_an_image_or_an_index_is_no_record(place: Place) -> None:
    manifest = place.add(GOOD, tag=tag_of(KEY, CODEC))
    assert place.find(records=True) is None
    index = Index.create([manifest.descriptor.with_(platform=AMD64)])
    place.registry.add_manifest(tag_of(KEY, CODEC), index.raw, mediatype.OCI_INDEX)
    assert place.find(records=True) is None
    assert place.told.count("is no record of a layer") == 2


@pytest.mark.spec("CACHE-22")
@pytest.mark.parametrize("contents", [b"", b"\x1f\x8b", b"{}", b"\x00" * 100, None])
def test_nonsense_about_contents_is_nothing(place: Place, contents: bytes | None) -> None:
    """Then the layer is read."""
    from ociassemble.layer.contents import layer_contents
    from ociassemble.transports.cacherepo import CONTENTS

    body = GOOD.blob.read()
    layer = layer_descriptor(KEY, CODEC, Digest.of(body), len(body))
    data = contents if contents is not None else b"never stored"
    about = Descriptor(media_type=CONTENTS, digest=Digest.of(data), size=len(data))
    if contents is not None:
        place.registry.add_blob(data)
    config = place.registry.add_blob(b"{}", mediatype.OCI_EMPTY)
    said = {**layer.annotations, LAYER_DIFF_ID: str(GOOD.diff_id)}
    manifest = Manifest.create(config=config, layers=[layer, about], artifact_type=ARTIFACT, annotations=said)
    place.registry.add_manifest(tag_of(KEY, CODEC), manifest.raw)

    found = place.find(records=True)

    assert found is not None
    assert isinstance(found.layer, ToldLayer)
    assert [item.path for item in layer_contents(found.layer, place.store).members][-1] == "usr/lib/x"


# --- pushing ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-8")
def test_a_registry_that_lost_what_its_tag_names(tmp_path: Path) -> None:
    """The tag promises all blobs; the registry misses one when the manifest is put; then all are asked."""
    from ociassemble.image.image import Image
    from ociassemble.registry.server import serve
    from ociassemble.transports.remote import RemoteDestination
    from ociassemble.transports.transfer import write

    lines: list[str] = []
    with serve("127.0.0.1", 0, tmp_path / "registry", log=lines.append) as server:
        store, reference = MemoryStore(), Reference.parse(f"{server.host}/app:v1")

        def push(image: Image) -> list[str]:
            lines.clear()
            destination = RemoteDestination(RegistryClient(Wire(), sleep=lambda s: None), reference, store)
            write(image.node, destination, progress=Progress(), jobs=1)
            return [line.split('"')[1].split(" ")[0] for line in lines]

        first = images.image([images.layer({"a": "1"}), images.layer({"b": "1"})])
        push(first)
        assert push(images.image([images.layer({"a": "1"}), images.layer({"b": "2"})])).count("HEAD") == 3
        server.storage.delete_blob("app", first.layers[0].descriptor.digest)
        asked = push(images.image([images.layer({"a": "1"}), images.layer({"b": "3"})]))
        # The tag; two new blobs; the manifest, refused; three blobs; the lost one; the manifest.
        assert asked.count("PUT") == 5, lines
        assert server.storage.manifest("app", "v1") is not None
        assert server.storage.blob_size("app", first.layers[0].descriptor.digest)


@pytest.mark.spec("CACHE-10")
def test_what_goes_wrong_early_is_told_late() -> None:
    from ociassemble import _pool
    from ociassemble.registry.errors import DeniedError
    from ociassemble.transports.remote import RemoteDestination

    with ChaosRegistry() as registry:
        done = threading.Event()

        def refuse(request: object) -> Answer:
            done.set()
            return Answer(403)

        registry.on("POST", ".*/uploads/", refuse)
        client = RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None)
        background = _pool.Background()
        destination = RemoteDestination(client, Reference.parse(f"{registry.host}/app:v1"), background=background)
        blob = Blob.of(b"data", Descriptor(media_type=mediatype.OCI_LAYER, digest=Digest.of(b"data"), size=4))
        destination.offer(blob)
        assert done.wait(30)
        with pytest.raises(DeniedError):
            destination.put_blob(blob)
