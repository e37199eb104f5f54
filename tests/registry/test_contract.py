"""What every registry must do for us: one suite over our server and docker-registry, three ways to log in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.content.blob import Blob
from ociassemble.errors import AuthError
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.credentials import Credential, Keychain
from ociassemble.registry.errors import ImageNotFoundError, PushRefusedError, RemoteBlobNotFoundError
from ociassemble.registry.server import serve
from tests.peers import RegistryServer
from tests.registry.chaos import blob_of
from tests.registry.jwt import ISSUER, SERVICE, SigningTokenServer

USER, PASSWORD = "tester", "only-for-tests"
# bcrypt of the password above, for docker-registry's htpasswd file
HASH = "$2y$05$abcdefghijklmnopqrstuuDt8u8tY.Zm8YU.pieFNyF5h5afvnc0a"
CREDENTIAL = Credential(source="the test", username=USER, password=PASSWORD)


class Place(NamedTuple):
    host: str
    client: RegistryClient
    anonymous: RegistryClient


def _clients(host: str) -> Place:
    keychain = Keychain(explicit={host: CREDENTIAL})
    return Place(host, RegistryClient(Wire(), keychain=keychain), RegistryClient(Wire()))


@pytest.fixture(
    params=[
        "ours",
        pytest.param("docker", marks=pytest.mark.interop),
        pytest.param("docker-basic", marks=pytest.mark.interop),
        pytest.param("docker-bearer", marks=pytest.mark.interop),
    ]
)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, docker_registry_factory: Callable[..., RegistryServer]
) -> Iterator[Place]:
    if request.param == "ours":
        with serve("127.0.0.1", 0, tmp_path / "storage") as server:
            yield _clients(server.host)
    elif request.param == "docker":
        yield _clients(docker_registry_factory().host)
    elif request.param == "docker-basic":
        file = tmp_path / "htpasswd"
        file.write_text(f"{USER}:{HASH}\n")
        extra = f"auth:\n  htpasswd:\n    realm: test\n    path: {file}\n"
        yield _clients(docker_registry_factory(extra=extra).host)
    else:
        with SigningTokenServer(tmp_path, CREDENTIAL.basic) as tokens:
            extra = (
                f"auth:\n  token:\n    realm: {tokens.url}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n"
                f"    rootcertbundle: {tokens.bundle}\n"
            )
            yield _clients(docker_registry_factory(extra=extra).host)


def push_image(place: Place, name: str, layers: list[bytes]) -> Manifest:
    reference = Reference.parse(f"{place.host}/{name}")
    config = blob_of(
        b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}', mediatype.OCI_CONFIG
    )
    blobs = [blob_of(data) for data in layers]
    for blob in (config, *blobs):
        assert place.client.push_blob(reference, blob) in ("uploaded", "exists")
    manifest = Manifest.create(config=config.descriptor, layers=[blob.descriptor for blob in blobs])
    place.client.put_manifest(reference, manifest.raw, manifest.media_type)
    return manifest


def test_an_image_goes_and_comes_back(place: Place) -> None:
    layers = [os.urandom(200_000), b"", b"small"]
    manifest = push_image(place, "a/b:1", layers)
    reference = Reference.parse(f"{place.host}/a/b:1")
    assert place.client.resolve(reference) == (manifest.descriptor, manifest.raw)
    assert place.client.head(reference) == manifest.descriptor
    assert place.client.manifest(reference, manifest.descriptor) == manifest.raw
    for descriptor, data in zip(manifest.layers, layers, strict=True):
        assert place.client.blob(reference, descriptor).read() == data
        assert place.client.blob_exists(reference, descriptor)


def test_pushing_again_sends_nothing(place: Place) -> None:
    reference = Reference.parse(f"{place.host}/a/b:1")
    blob = blob_of(os.urandom(1000))
    assert [place.client.push_blob(reference, blob) for _ in range(2)] == ["uploaded", "exists"]


def test_a_blob_is_mounted_from_a_neighbour(place: Place) -> None:
    manifest = push_image(place, "base/x:1", [os.urandom(5000)])
    pulled = place.client.blob(Reference.parse(f"{place.host}/base/x:1"), manifest.layers[0])
    target = Reference.parse(f"{place.host}/app/y:1")
    assert place.client.push_blob(target, pulled) == "mounted"
    assert place.client.blob_exists(target, manifest.layers[0])


def test_from_one_registry_to_another_by_stream(place: Place, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    manifest = push_image(place, "a/b:1", [data])
    with serve("127.0.0.1", 0, tmp_path / "second") as second:
        blob = place.client.blob(Reference.parse(f"{place.host}/a/b:1"), manifest.layers[0])
        target = Reference.parse(f"{second.host}/c:1")
        assert RegistryClient(Wire()).push_blob(target, blob) == "uploaded"
        assert RegistryClient(Wire()).blob(target, manifest.layers[0]).read() == data


def test_an_index_and_its_tags(place: Place) -> None:
    manifest = push_image(place, "a/b:1", [b"x"])
    index = Index.create([manifest.descriptor])
    reference = Reference.parse(f"{place.host}/a/b:multi")
    place.client.put_manifest(reference, index.raw, index.media_type)
    place.client.put_manifest(reference, index.raw, index.media_type, str(index.digest))
    assert place.client.resolve(reference) == (index.descriptor, index.raw)
    assert sorted(place.client.tags(reference)) == ["1", "multi"]


def test_what_is_missing_is_said(place: Place) -> None:
    push_image(place, "a/b:1", [b"x"])
    with pytest.raises(ImageNotFoundError):
        place.client.resolve(Reference.parse(f"{place.host}/a/b:2"))
    with pytest.raises(ImageNotFoundError):
        place.client.resolve(Reference.parse(f"{place.host}/a/b").with_digest(Digest.of(b"none")))
    missing = blob_of(b"missing").descriptor
    with pytest.raises(RemoteBlobNotFoundError):
        place.client.blob(Reference.parse(f"{place.host}/a/b:1"), missing).read()
    assert not place.client.blob_exists(Reference.parse(f"{place.host}/a/b:1"), missing)


def test_a_manifest_of_missing_blobs_is_refused(place: Place) -> None:
    absent = blob_of(b"absent").descriptor
    manifest = Manifest.create(config=absent.with_(media_type=mediatype.OCI_CONFIG), layers=[absent])
    client = RegistryClient(Wire(), keychain=Keychain(explicit={place.host: CREDENTIAL}), sleep=lambda s: None)
    with pytest.raises(PushRefusedError) as caught:
        client.put_manifest(Reference.parse(f"{place.host}/a/b:1"), manifest.raw, manifest.media_type)
    assert "BLOB_UNKNOWN" in caught.value.details[0]
    with pytest.raises(ImageNotFoundError):
        place.client.resolve(Reference.parse(f"{place.host}/a/b:1"))


def test_deleting_takes_the_tags_along(place: Place) -> None:
    manifest = push_image(place, "a/b:1", [b"x"])
    place.client.delete(Reference.parse(f"{place.host}/a/b")._replace(tag="").with_digest(manifest.digest))
    for reference in ("a/b:1", f"a/b@{manifest.digest}"):
        with pytest.raises(ImageNotFoundError):
            place.client.resolve(Reference.parse(f"{place.host}/{reference}"))
    assert place.client.blob_exists(Reference.parse(f"{place.host}/a/b:1"), manifest.layers[0])


def test_many_threads(place: Place) -> None:
    reference = Reference.parse(f"{place.host}/a/b:1")
    blobs = [blob_of(os.urandom(50_000)) for _ in range(6)]
    outcomes: list[str] = []

    def work(blob: Blob) -> None:
        outcomes.append(place.client.push_blob(reference, blob))
        assert place.client.blob(reference, blob.descriptor).read() == blob.read()

    threads = [threading.Thread(target=work, args=(blob,)) for blob in blobs for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["exists"] * 6 + ["uploaded"] * 6


def test_without_credentials_nobody_pushes_where_that_matters(place: Place, request: pytest.FixtureRequest) -> None:
    reference = Reference.parse(f"{place.host}/a/b:1")
    manifest = push_image(place, "a/b:1", [b"x"])
    kind = request.node.callspec.params["place"]
    if kind in ("ours", "docker"):
        assert place.anonymous.push_blob(reference, blob_of(b"new")) == "uploaded"
        return
    with pytest.raises(AuthError) as caught:
        place.anonymous.push_blob(reference, blob_of(b"new"))
    assert "ociassemble login" in (caught.value.hint or "")
    wrong = Keychain(explicit={place.host: Credential(source="FILE", username=USER, password="wrong")})
    with pytest.raises(AuthError, match="FILE"):
        RegistryClient(Wire(), keychain=wrong).push_blob(reference, blob_of(b"new"))
    if kind == "docker-bearer":  # this token server lets everyone pull
        assert place.anonymous.resolve(reference)[0] == manifest.descriptor
    else:
        with pytest.raises(AuthError):
            place.anonymous.resolve(reference)
