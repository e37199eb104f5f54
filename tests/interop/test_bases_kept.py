"""What a base is stays what it is: documents of both dialects, links, modes and owners; and it is read once."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from ociassemble.image.image import Image, open_image
from ociassemble.testing.images import Link, image, index, lay_out, layer, push
from tests.interop.small_bases import FOLDERS, USRMERGE, slim
from tests.interop.wild import PLATFORMS, Cli, Registry, app, cli, google, on_top, paths, registry, shared_cache
from tests.kinds.binary.programs import program as elf
from tests.peers import Peer

__all__ = ["app", "cli", "google", "registry", "shared_cache"]

pytestmark = pytest.mark.interop


# --- documents, archives, compressions -----------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True], ids=["single", "index"])
@pytest.mark.parametrize(
    ("docker", "compression"),
    [(False, "gzip:1"), (False, "none"), (False, "zstd:1"), (True, "gzip:1"), (True, "none")],
)
def test_documents_of_both_dialects(
    cli: Cli, registry: Registry, app: Path, docker: bool, many: bool, compression: str
) -> None:
    layers = [
        layer({**USRMERGE, **FOLDERS}, compression=compression, dialect="ustar"),
        layer({"lib/" + "n" * 120: "1", "etc": Link("usr/etc")}, compression=compression, dialect="gnu"),
        layer({"usr/ü" + "m" * 200: "1"}, compression=compression, dialect="pax"),
    ]
    base = image(layers, docker=docker, created="2020-01-01T00:00:00.5Z", annotations=None if docker else {"a": "b"})
    other = image(layers[:1], platform="linux/arm64", docker=docker)
    name = f"{registry.host}/documents/{'docker' if docker else 'oci'}-{many}-{compression.partition(':')[0]}".lower()
    push(index([other, base], docker=docker) if many else base, f"{name}:1")
    ended = cli(
        "build", app, "--base", f"{name}:1", "--platform", "linux/amd64", "--cmd", "/app/run", "--push", "-t",
        f"{name}-app:1",
    )  # fmt: skip
    (application,) = on_top(base, registry.image(ended.name))

    assert paths(application) == {"app/run", "app/deep/data"}


# --- the base's own tree -------------------------------------------------------------------------------------


@pytest.fixture
def everywhere(tmp_path: Path) -> Path:
    """A folder with files for places that the base has as links, or with a mode and owner of its own."""
    folder = tmp_path / "everywhere"
    for name in (
        "lib/x/data",
        "bin/tool",
        "lib64/y",
        "tmp/z",
        "root/r",
        "home/nonroot/n",
        "usr/lib/u",
        "srv/new/s",
        "usr/local/share/v",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "bin/tool").write_bytes(elf())
    (folder / "bin/tool").chmod(0o700)
    (folder / "srv").chmod(0o700)  # not the base's: a folder like any other
    return folder


def check_tree(root: Path) -> None:
    """What became of the base below `root`, unpacked as root."""

    def what(path: str) -> tuple[int, int, int]:
        info = (root / path).lstat()
        return stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid

    for name in ("lib", "bin", "lib64"):
        assert (root / name).is_symlink()
        assert os.readlink(root / name) == f"usr/{name}"  # noqa: PTH115
    assert what("tmp") == (0o1777, 0, 0)
    assert what("root") == (0o700, 0, 0)
    assert what("home/nonroot") == (0o700, 65532, 65532)
    assert what("srv") == what("srv/new") == what("usr/lib/x") == (0o755, 0, 0)
    assert what("usr/bin/tool") == (0o755, 0, 0)
    for name in ("usr/lib/x/data", "usr/lib64/y", "tmp/z", "root/r", "home/nonroot/n", "usr/lib/u"):
        assert what(name) == (0o644, 0, 0)
        assert (root / name).read_text() in (name, name.removeprefix("usr/"))


def unpacked(umoci: Peer, layout: Path, folder: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("owners need root")
    umoci("unpack", "--image", f"{layout}:t", folder)
    return folder / "rootfs"


def test_links_modes_and_owners_of_a_base_stay(cli: Cli, everywhere: Path, umoci: Peer, tmp_path: Path) -> None:
    base = lay_out(slim(), tmp_path / "base", "t")
    ended = cli(
        "build", everywhere, "--kind", "directory", "--base", base, "--platform", "linux/amd64", "--workdir", "/",
        "--cmd", "/bin/tool", "-o", f"oci:{tmp_path}/image:t",
    )  # fmt: skip

    assert ended.status == 0, ended.err
    root = unpacked(umoci, tmp_path / "image", tmp_path / "bundle")
    check_tree(root)
    share = (root / "usr/local/share").stat()
    assert (stat.S_IMODE(share.st_mode), share.st_gid) == (0o2775, 50)


@pytest.mark.packages
def test_links_modes_and_owners_of_googles_base_stay(
    cli: Cli, registry: Registry, google: dict[str, Image], everywhere: Path, umoci: Peer, tmp_path: Path
) -> None:
    ended = cli(
        "build", everywhere, "--kind", "directory", "--base", "distroless/python3", *registry.mirror,
        "--platform", "linux/amd64", "--workdir", "/", "--cmd", "/usr/bin/python3 -V", "-o", f"oci:{tmp_path}/image:t",
    )  # fmt: skip

    assert ended.status == 0, ended.err
    root = unpacked(umoci, tmp_path / "image", tmp_path / "bundle")
    check_tree(root)
    # The base still is what it was: its loader is found where it was found before.
    done = subprocess.run(
        ["chroot", root, "/bin/python3", "-c", "print(1)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


# --- read once -----------------------------------------------------------------------------------------------


def test_facts_are_read_once_and_known_by_the_manifests_digest(cli: Cli, registry: Registry, app: Path) -> None:
    base = slim()
    name = f"{registry.host}/once/base"
    push(base, f"{name}:1")
    layers = {str(item.descriptor.digest) for item in base.layers}
    argv = ("--platform", "linux/amd64", "--cmd", "/app/run", "--push")

    def layers_read(before: int) -> list[str]:
        return [path for path in registry.since(before, "GET") if path.rpartition("/")[2] in layers]

    before = len(registry.requests())
    first = cli("build", app, "--base", f"{name}:1", *argv, "-t", f"{registry.host}/once/a:1")
    assert len(layers_read(before)) == len(layers) == 3

    # Another tag of the same image, then the layers gone from everywhere: they are not needed any more.
    push(index([base, image([layer({"x": ""})], platform="linux/arm64")]), f"{name}:2")
    before = len(registry.requests())
    second = cli("build", app, "--base", f"{name}:2", *argv, "-t", f"{registry.host}/once/b:1")
    assert layers_read(before) == []
    assert second.status == 0
    asked = [path for path in registry.since(before, "GET") if "/once/base/" in path]
    assert asked == ["/v2/once/base/manifests/2"]  # the manifest for this platform is in the store

    before = len(registry.requests())
    other = cli("build", app, "--base", f"{name}:1", *argv, "-t", f"{registry.host}/once/c:1", cache=app.parent / "new")
    assert len(layers_read(before)) == 3
    assert other.digest == first.digest


# --- pinned by a lock ----------------------------------------------------------------------------------------


def test_a_locked_base_stays_when_its_tag_moves(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    app = tmp_path / "plain"
    app.mkdir()
    (app / "main.py").write_text("print(1)\n")
    name = f"{registry.host}/pinned/base"
    old = [slim(), slim(more={"architecture": "arm64", "variant": "v8"})]
    push(index(old), f"{name}:1")
    argv = (app, "--base", f"{name}:1", "--platform", "linux/amd64,linux/arm64")
    assert cli("lock", *argv).status == 0

    push(index([slim(platform=platform, more={"comment": "new"}) for platform in PLATFORMS]), f"{name}:1")
    before = len(registry.requests())
    locked = cli("build", *argv, "--locked", "-t", f"{registry.host}/pinned/app:1", "--push", cache=tmp_path / "new")
    assert not [path for path in registry.since(before, "GET") if path.endswith("/pinned/base/manifests/1")]
    for base, child in zip(old, registry.read(locked.name).children, strict=True):
        on_top(base, open_image(child))

    fresh = cli("build", *argv, "--no-lock", "-t", f"{registry.host}/pinned/app:2", "--push")
    assert "comment" in open_image(registry.read(fresh.name).children[0]).config.document
    # Gone from the registry altogether: the store still has what is pinned.
    assert (
        cli("--offline", "build", *argv, "--locked", "-o", f"oci:{tmp_path}/out:t", cache=tmp_path / "new").status == 0
    )


def test_a_base_of_docker_hub_through_a_mirror(cli: Cli, registry: Registry, app: Path) -> None:
    base = slim(docker=True)
    push(base, f"{registry.host}/hub/library/python:3.12-slim")
    ended = cli(
        "build", app, "--base", "python:3.12-slim", "--registry-mirror", f"docker.io={registry.host}/hub",
        "--platform", "linux/amd64", "--cmd", "/app/run", "--push", "-t", f"{registry.host}/hub-app:1",
    )  # fmt: skip
    made = registry.image(ended.name)

    on_top(base, made)
    assert made.manifest.annotations["org.opencontainers.image.base.name"] == "docker.io/library/python:3.12-slim"
