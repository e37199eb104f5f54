"""ORAS artifacts over our client: oras-py's workflows, our network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import oras.provider
import pytest

from ociassemble.errors import Error, IntegrityError, UsageError
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.registry.artifacts import ArtifactFileError, ArtifactRegistry
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.server import serve
from tests.peers import RegistryServer
from tests.registry.chaos import ChaosRegistry


@pytest.fixture(params=["ours", pytest.param("docker", marks=pytest.mark.interop)])
def host(
    request: pytest.FixtureRequest, tmp_path: Path, docker_registry_factory: Callable[..., RegistryServer]
) -> Callable[[], str]:
    if request.param == "docker":
        return lambda: docker_registry_factory().host
    server = serve("127.0.0.1", 0, tmp_path / "storage")
    request.addfinalizer(server.shutdown)
    return lambda: server.host


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None)


def test_files_go_and_come_back(host: Callable[[], str], client: RegistryClient, tmp_path: Path) -> None:
    target = f"{host()}/x/art:1"
    sbom, folder = tmp_path / "sbom.json", tmp_path / "folder"
    sbom.write_bytes(b'{"x": 1}\n')
    folder.mkdir()
    (folder / "f").write_text("in a folder")
    artifacts = ArtifactRegistry(client)
    done = artifacts.push(target, [f"{sbom}:application/spdx+json", folder], manifest_annotations={"k": "\u00fc"})
    descriptor, raw = client.resolve(Reference.parse(target))
    assert done.headers["Docker-Content-Digest"] == descriptor.digest
    manifest = Manifest.parse(raw, descriptor.media_type)
    assert manifest.annotations == {"k": "\u00fc"}
    assert [layer.media_type for layer in manifest.layers] == ["application/spdx+json", mediatype.OCI_LAYER_GZIP]
    assert [layer.annotations["org.opencontainers.image.title"] for layer in manifest.layers] == ["sbom.json", "folder"]

    out = tmp_path / "out"
    assert artifacts.pull(target, outdir=out) == [str(out / "sbom.json"), str(out / "folder.tar.gz")]
    assert (out / "sbom.json").read_bytes() == b'{"x": 1}\n'
    assert (out / "folder.tar.gz").read_bytes()[:2] == b"\x1f\x8b"  # the archive as it is: nothing is unpacked
    assert artifacts.pull(target, outdir=out, overwrite=False) == []
    assert artifacts.get_tags(target) == ["1"]
    assert artifacts.get_manifest(target)["mediaType"] == mediatype.OCI_MANIFEST
    assert artifacts.download_blob(target, manifest.layers[0].digest, str(tmp_path / "one")) == str(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == sbom.read_bytes()


@pytest.mark.parametrize(
    "title", ["../evil", "/etc/evil", "a/../../evil", "a//b", "", "a\x00b", "a\\b", ".", "x/" * 600]
)
def test_titles_that_climb_out_are_refused(client: RegistryClient, tmp_path: Path, title: str) -> None:
    with ChaosRegistry() as registry:
        config, layer = registry.add_blob(b"{}", mediatype.OCI_EMPTY), registry.add_blob(b"x")
        titled = layer.with_(annotations={"org.opencontainers.image.title": title})
        registry.add_manifest("1", Manifest.create(config=config, layers=[titled]).raw)
        out = tmp_path / "out"
        out.mkdir()
        if title:
            with pytest.raises(IntegrityError):
                ArtifactRegistry(client).pull(f"{registry.host}/a:1", outdir=out)
        else:
            ArtifactRegistry(client).pull(f"{registry.host}/a:1", outdir=out)
        assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(out)] == []


def test_a_title_through_a_link_is_refused(client: RegistryClient, tmp_path: Path) -> None:
    with ChaosRegistry() as registry:
        config, layer = registry.add_blob(b"{}", mediatype.OCI_EMPTY), registry.add_blob(b"x")
        titled = layer.with_(annotations={"org.opencontainers.image.title": "link/evil"})
        registry.add_manifest("1", Manifest.create(config=config, layers=[titled]).raw)
        (tmp_path / "out").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(IntegrityError, match="by a link"):
            ArtifactRegistry(client).pull(f"{registry.host}/a:1", outdir=tmp_path / "out")
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_wrong_bytes_leave_no_file(client: RegistryClient, tmp_path: Path) -> None:
    with ChaosRegistry() as registry:
        config, layer = registry.add_blob(b"{}", mediatype.OCI_EMPTY), registry.add_blob(b"right")
        titled = layer.with_(annotations={"org.opencontainers.image.title": "f"})
        registry.add_manifest("1", Manifest.create(config=config, layers=[titled]).raw)
        registry.blobs[layer.digest] = b"wrong"
        with pytest.raises(IntegrityError):
            ArtifactRegistry(client).pull(f"{registry.host}/a:1", outdir=tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []


def test_files_that_are_not_there(client: RegistryClient, tmp_path: Path) -> None:
    for item in (tmp_path / "no", f"{tmp_path}/no:text/plain", "/dev/null"):
        with pytest.raises(ArtifactFileError):
            ArtifactRegistry(client).push("127.0.0.1:1/a:1", [item])


def test_nothing_of_oras_reaches_the_network_by_itself(client: RegistryClient) -> None:
    artifacts = ArtifactRegistry(client)
    assert artifacts.session is None
    for call in (artifacts.do_request, artifacts.get_blob):
        with pytest.raises(Error):
            call("http://127.0.0.1:1/")
    for call in (artifacts.login, artifacts.logout):
        with pytest.raises(UsageError):
            call("127.0.0.1")


def test_the_waist_of_oras_is_where_we_hold_it() -> None:
    # Names that upstream's workflows call and we replace. One that is gone or new upstream needs a look at both.
    ours = {name for name, value in vars(ArtifactRegistry).items() if inspect.isfunction(value)}
    theirs = {name for name, value in vars(oras.provider.Registry).items() if inspect.isfunction(value)}
    kept = {
        "version", "__repr__", "__str__", "set_header", "delete_tags", "_parse_manifest_ref", "_parse_response_errors",
        "_download_blob", "_put_upload", "_chunked_upload", "_upload_manifest", "_upload_blob",
    }  # fmt: skip
    requests_of_their_own = {"_get_location", "_do_paginated_request"}  # reached only from what we replace
    assert theirs - ours - kept - requests_of_their_own == set()
    assert ours - theirs == {"_write"}
