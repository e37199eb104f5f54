"""Archives and the programs of others: they read what we write, and we read what they write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ociassemble.image.image import Image, Node, open_image
from ociassemble.operations.images import validate
from ociassemble.progress import Progress
from ociassemble.testing import images
from ociassemble.transports.archive import ArchiveDestination, OciArchiveSource
from ociassemble.transports.dockerarchive import DockerArchiveSource
from ociassemble.transports.members import Archive
from ociassemble.transports.transfer import write
from tests.peers import Peer, RegistryServer
from tests.peers.engines import Podman, podman

__all__ = ["podman"]

pytestmark = pytest.mark.interop

NAME = "registry.example/team/app:v1"


@pytest.fixture
def image() -> Image:
    """Three layers, all gzip: skopeo compresses what is not, and crane takes all layers for what the first one is."""
    system = images.layer({"etc/os-release": "ID=debian\n", "tmp": images.Folder(0o1777)})
    main = images.layer({"app/main": images.program("x" * 100_000)}, compression="gzip:9")
    data = images.layer({"app/data": "y" * 10_000})
    return images.image(
        [system, main, data],
        execution={"Entrypoint": ["/app/main"], "User": "65532"},
        history=[{"created_by": "test"}] * 3,
        created="1980-01-02T00:00:00Z",
    )


def put(node: Node, place: Path, form: str, stated: str = "") -> Path:
    destination = ArchiveDestination(str(place), form, stated)  # type: ignore[arg-type]
    write(node, destination, progress=Progress(), jobs=2)
    return place


@pytest.mark.spec("ARCH-1", "ARCH-3", "ARCH-4")
def test_skopeo_reads_ours(tmp_path: Path, image: Image, skopeo: Peer) -> None:
    ours = put(image.node, tmp_path / "docker.tar", "docker", NAME)
    for place in (f"oci-archive:{ours}", f"oci-archive:{ours}:v1"):
        assert skopeo("inspect", "--raw", place).stdout.encode() == image.manifest.raw
    for place in (f"docker-archive:{ours}", f"docker-archive:{ours}:{NAME}"):
        assert skopeo("inspect", "--config", "--raw", place).stdout.encode().strip() == image.config.raw.strip()
        skopeo("copy", place, f"oci:{tmp_path / 'copied'}:t")
    ours = put(image.node, tmp_path / "oci.tar", "oci", NAME)
    assert skopeo("inspect", "--raw", f"oci-archive:{ours}:{NAME}").stdout.encode() == image.manifest.raw


@pytest.mark.spec("ARCH-3")
def test_skopeo_reads_all_platforms_of_ours(tmp_path: Path, image: Image, skopeo: Peer) -> None:
    several = images.index([image, images.image([images.layer({"x": "y"})], platform="linux/arm64")])
    ours = put(several, tmp_path / "oci.tar", "oci", "v1")
    skopeo("copy", "--all", f"oci-archive:{ours}:v1", f"oci-archive:{tmp_path / 'back.tar'}:v2")
    assert OciArchiveSource(Archive(str(tmp_path / "back.tar")), "v2").read().raw == several.raw


@pytest.mark.spec("ARCH-9", "ARCH-10")
def test_we_read_skopeos(tmp_path: Path, image: Image, skopeo: Peer) -> None:
    layout = images.lay_out(image, tmp_path / "layout", "v1")
    skopeo("copy", layout, f"oci-archive:{tmp_path / 'oci.tar'}:{NAME}")
    for tag in ("", NAME):
        node = OciArchiveSource(Archive(str(tmp_path / "oci.tar")), tag).read()
        assert node.raw == image.manifest.raw
        assert not validate(node).findings
    skopeo("copy", layout, f"docker-archive:{tmp_path / 'docker.tar'}:{NAME}")
    for stated in ("", NAME):
        node = DockerArchiveSource(Archive(str(tmp_path / "docker.tar")), stated).read()
        assert not validate(node).findings
        found = open_image(node)
        assert found.config.diff_ids == image.config.diff_ids
        assert found.config.entrypoint == image.config.entrypoint


@pytest.mark.spec("ARCH-1")
def test_umoci_unpacks_ours(tmp_path: Path, image: Image, umoci: Peer) -> None:
    """It reads layouts in folders: any tar makes one of an archive."""
    ours = put(image.node, tmp_path / "oci.tar", "oci", "v1")
    (tmp_path / "layout").mkdir()
    subprocess.run(["tar", "-xf", str(ours), "-C", str(tmp_path / "layout")], check=True)
    umoci("unpack", "--rootless", "--image", f"{tmp_path / 'layout'}:v1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/app/data").read_text() == "y" * 10_000


@pytest.mark.spec("ARCH-3")
def test_crane_validates_and_pushes_ours(
    tmp_path: Path, image: Image, crane: Peer, docker_registry: RegistryServer
) -> None:
    ours = put(image.node, tmp_path / "docker.tar", "docker", NAME)
    crane("validate", "--tarball", ours)
    crane("push", "--insecure", ours, f"{docker_registry.host}/app:v1")
    assert crane("config", "--insecure", f"{docker_registry.host}/app:v1").stdout.encode() == image.config.raw


@pytest.mark.spec("ARCH-10")
def test_we_read_cranes(tmp_path: Path, image: Image, crane: Peer, docker_registry: RegistryServer) -> None:
    images.push(image, f"{docker_registry.host}/app:v1")
    crane("pull", "--insecure", f"{docker_registry.host}/app:v1", tmp_path / "crane.tar")
    node = DockerArchiveSource(Archive(str(tmp_path / "crane.tar")), f"{docker_registry.host}/app:v1").read()
    assert open_image(node).config.raw == image.config.raw
    assert not validate(node).findings


@pytest.mark.spec("ARCH-3", "ARCH-4")
@pytest.mark.parametrize("form", ["oci", "docker"])
def test_podman_loads_ours_and_we_read_podmans(tmp_path: Path, image: Image, podman: Podman, form: str) -> None:
    podman("load", "--input", put(image.node, tmp_path / "ours.tar", form, NAME))
    assert podman.names() == [NAME]
    assert podman("image", "inspect", "--format", "{{.Id}}", NAME).strip() == image.config.digest.hex
    podman("save", "--format", f"{form}-archive", "--output", tmp_path / "theirs.tar", NAME)
    archive = Archive(str(tmp_path / "theirs.tar"))
    kind = OciArchiveSource if form == "oci" else DockerArchiveSource
    node = kind(archive, NAME).read()
    assert open_image(node).config.raw == image.config.raw
    assert not validate(node).findings
