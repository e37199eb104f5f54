"""`ociassemble validate` finds what is wrong with an image, in a layout and in docker-registry; crane agrees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.testing import images
from tests.interop import broken
from tests.interop.commands import Commands
from tests.interop.products import blob_at
from tests.peers import Peer, RegistryServer, start_docker_registry

pytestmark = pytest.mark.interop

each = pytest.mark.parametrize("case", broken.CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    server = start_docker_registry(tmp_path_factory.mktemp("docker-registry"))
    yield server
    server.stop()


@pytest.fixture
def ociassemble(tmp_path: Path) -> Commands:
    return Commands(tmp_path / "own")


@each
def test_validate_finds_what_is_wrong_in_a_layout(case: broken.Case, ociassemble: Commands, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    name = images.lay_out(case.what, layout, "t")
    case.damage(lambda digest: blob_at(layout, digest))
    ended = ociassemble("validate", name, status=case.status)

    assert case.finding in ended.out + ended.err, ended


@each
def test_validate_finds_what_is_wrong_in_a_registry(
    case: broken.Case, registry: RegistryServer, ociassemble: Commands
) -> None:
    """Also where this host's store has the blobs as they should be: what is asked about is the registry's."""
    name = f"{registry.host}/broken/{case.name.replace(' ', '-')}:v1"
    images.push(case.what, name)
    if case.damage is not broken.nothing:
        ociassemble("pull", name, "-o", "local:localhost/kept:v1")
    case.damage(lambda digest: blob_of(registry, digest))
    ended = ociassemble("validate", name, status=case.status)

    assert (case.remotely or case.finding) in ended.out + ended.err, ended


@each
def test_crane_finds_it_as_well(case: broken.Case, registry: RegistryServer, crane: Peer) -> None:
    """But for what it does not look at: then it is content, and so our finding is not a matter of the peer's."""
    name = f"{registry.host}/seen/{case.name.replace(' ', '-')}:v1"
    images.push(case.what, name)
    case.damage(lambda digest: blob_of(registry, digest))
    done = crane("validate", "--remote", name, check=False)

    assert (done.returncode != 0) == case.crane, done.stdout + done.stderr


def blob_of(registry: RegistryServer, digest: str) -> Path:
    """Where docker-registry keeps a blob."""
    hexadecimal = digest.removeprefix("sha256:")
    return registry.root / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"
