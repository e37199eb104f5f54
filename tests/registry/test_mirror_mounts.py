"""A base that is read through a mirror is mounted when the image is pushed to that very registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.content.blob import Blob
from ociassemble.net.wire import Wire
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.server import serve

DATA = b"a layer of the base"
DESCRIPTOR = Descriptor(media_type="application/octet-stream", digest=Digest.of(DATA), size=len(DATA))


@pytest.mark.parametrize(("prefix", "stored"), [("", "distroless/static"), ("/cache", "cache/distroless/static")])
def test_what_the_mirror_has_is_mounted(tmp_path: Path, prefix: str, stored: str) -> None:
    with serve("127.0.0.1", 0, tmp_path / "registry") as server:
        host = f"127.0.0.1:{server.port}"
        client = RegistryClient(Wire(), mirrors={"gcr.io": host + prefix})
        base = Reference.parse(f"{host}/{stored}:latest")
        assert client.push_blob(base, Blob.of(DATA, DESCRIPTOR)) == "uploaded"

        def closed() -> object:
            raise AssertionError("a mounted blob is not read")

        blob = Blob(descriptor=DESCRIPTOR, source=closed, repository="gcr.io/distroless/static")  # type: ignore[arg-type]
        assert client.push_blob(Reference.parse(f"{host}/team/app:v1"), blob) == "mounted"


def test_other_registries_keep_their_names(tmp_path: Path) -> None:
    client = RegistryClient(Wire(), mirrors={"gcr.io": "mirror.example"})
    source = client._endpoints.mount_source
    assert source("gcr.io/a/b", "mirror.example") == "mirror.example/a/b"
    assert source("gcr.io/a/b", "registry.example") == "gcr.io/a/b"
    assert source("quay.io/a/b", "mirror.example") == "quay.io/a/b"
    assert source("", "mirror.example") == ""
