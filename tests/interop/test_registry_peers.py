"""skopeo reads from our registry and writes into it; digests stay what they are."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.server import serve
from tests.peers import Peer, RegistryServer
from tests.registry.chaos import blob_of

pytestmark = pytest.mark.interop


def push_image(client: RegistryClient, reference: Reference, layer: bytes, architecture: str = "amd64") -> Manifest:
    diff_ids = [blob_of(layer).descriptor.digest]
    # skopeo compresses what is not, and makes another image by that.
    packed = blob_of(gzip.compress(layer, mtime=0), mediatype.OCI_LAYER_GZIP)
    document = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = blob_of(json.dumps(document).encode(), mediatype.OCI_CONFIG)
    blobs = [config, packed]
    for blob in blobs:
        client.push_blob(reference, blob)
    manifest = Manifest.create(config=config.descriptor, layers=[packed.descriptor])
    client.put_manifest(reference, manifest.raw, manifest.media_type)
    return manifest


def test_skopeo_copies_out_of_and_into_our_registry(
    tmp_path: Path, skopeo: Peer, docker_registry: RegistryServer
) -> None:
    with serve("127.0.0.1", 0, tmp_path / "storage") as ours:
        client = RegistryClient(Wire())
        reference = Reference.parse(f"{ours.host}/a/b:1")
        # An empty tar: two blocks of zeros.
        manifest = push_image(client, reference, bytes(1024))
        source, there = f"docker://{reference}", f"docker://{docker_registry.host}/c/d:2"
        back = f"docker://{ours.host}/e/f:3"
        found = skopeo.json("inspect", "--tls-verify=false", source)
        assert (found["Digest"], found["RepoTags"]) == (manifest.digest, ["1"])
        raw = skopeo("inspect", "--raw", "--tls-verify=false", source).stdout
        assert raw.encode() == manifest.raw
        skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, there)
        skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", there, back)
        for text in (there, back):
            assert client.resolve(Reference.parse(text))[0] == manifest.descriptor
        skopeo("delete", "--tls-verify=false", back)
        assert client.tags(Reference.parse(back)) == []


def test_skopeo_copies_an_index_with_all_it_names(
    tmp_path: Path, skopeo: Peer, docker_registry: RegistryServer
) -> None:
    with serve("127.0.0.1", 0, tmp_path / "storage") as ours:
        client = RegistryClient(Wire())
        reference = Reference.parse(f"{ours.host}/a/b:multi")
        children = []
        for architecture in ("amd64", "arm64"):
            child = push_image(client, reference.with_tag(architecture), os.urandom(512) + bytes(512), architecture)
            children.append(child.descriptor.with_(platform=Platform(os="linux", architecture=architecture)))
        index = Index.create(children)
        client.put_manifest(reference, index.raw, index.media_type)
        there = f"docker://{docker_registry.host}/c/d:multi"
        skopeo("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{reference}", there)
        assert client.resolve(Reference.parse(there)) == (index.descriptor, index.raw)
        skopeo("copy", "--all", "--dest-tls-verify=false", "--src-tls-verify=false", there, f"docker://{ours.host}/g:1")
        assert client.resolve(Reference.parse(f"{ours.host}/g:1"))[0] == index.descriptor


_CHILD = """
import hashlib, resource, sys
from pathlib import Path
from ociassemble.content.blob import Blob
from ociassemble.net.wire import Wire
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
path = Path(sys.argv[2])
with path.open("rb") as stream:
    digest = Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())
descriptor = Descriptor(media_type="application/octet-stream", digest=digest, size=path.stat().st_size)
client = RegistryClient(Wire())
reference = Reference.parse(sys.argv[1] + "/big:1")
small = Blob.of(b"x", Descriptor(media_type="x", digest=Digest.of(b"x"), size=1))
client.push_blob(reference, small)
client.blob(reference, small.descriptor).read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert client.push_blob(reference, Blob(descriptor=descriptor, source=lambda: path.open("rb"))) == "uploaded"
pushed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with client.blob(reference, descriptor).open() as stream:
    while stream.read(1 << 20):
        pass
print(before, pushed - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - pushed)
"""


@pytest.mark.long
def test_memory_does_not_grow_with_a_blob_of_a_gibibyte(tmp_path: Path, docker_registry: RegistryServer) -> None:
    big = tmp_path / "sparse"
    with big.open("wb") as stream:
        stream.truncate(1 << 30)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, docker_registry.host, str(big)], capture_output=True, text=True, check=True
    )
    _, pushing, pulling = (int(number) for number in done.stdout.split())
    assert pushing < 32 << 10, done.stdout  # KiB
    assert pulling < 32 << 10, done.stdout
