"""Bundles and the programs of others: they read the base, another registry takes all of it, pip installs us from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import Scene, scene_below
from tests.peers import Peer, RegistryServer

pytestmark = pytest.mark.interop


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """`site.bundle`: a folder of files on a base of this scene's registry, for two platforms."""
    with scene_below(tmp_path) as made:
        name = made.registry_base("linux/amd64", "linux/arm64")
        made.files(
            index__html="hello",
            ociassemble__toml=f'base = "{name}"\nkind = "directory"\ncmd = ["/usr/bin/python3.13"]\n'
            'platforms = ["linux/amd64", "linux/arm64"]\n',
        )
        made.run("lock", "project", "-q").worked()
        made.run("bundle", "save", "project", "-q", "-o", "site.bundle").worked()
        yield made


@pytest.mark.spec("BUNDLE-1")
def test_skopeo_and_umoci_read_the_base(scene: Scene, skopeo: Peer, umoci: Peer) -> None:
    place = f"oci-archive:{scene.root / 'site.bundle'}:base"
    layout = scene.root / "copied"

    index = json.loads(skopeo("inspect", "--raw", place).stdout)
    assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64"]
    # Byte for byte what the registry has: copied with all platforms, every digest is the one that was locked.
    skopeo("copy", "--all", place, f"oci:{layout}:base")
    locked = json.loads((scene.project / "ociassemble.lock").read_bytes())["platforms"]
    assert [item["digest"] for item in index["manifests"]] == [
        locked[name]["base"]["digest"] for name in ("linux/amd64", "linux/arm64")
    ]
    skopeo("copy", "--override-arch", "arm64", place, f"oci:{layout}:arm")
    umoci("unpack", "--rootless", "--image", f"{layout}:arm", scene.root / "unpacked")
    assert (scene.root / "unpacked" / "rootfs" / "usr" / "bin" / "python3.13").is_file()


@pytest.mark.spec("BUNDLE-1")
def test_crane_pushes_the_base(scene: Scene, crane: Peer, docker_registry: RegistryServer) -> None:
    layout = scene.root / "layout"
    with tarfile.open(scene.root / "site.bundle") as archive:
        archive.extractall(layout, filter="data")
    digest = scene.run("digest", "bundle:site.bundle").worked().out.strip()
    raw = (layout / "blobs" / "sha256" / digest.partition(":")[2]).read_bytes()
    # crane pushes a layout whose index it takes for the image: that of the base.
    (layout / "index.json").write_bytes(raw)

    crane("push", "--index", layout, f"{docker_registry.host}/base:v1")

    assert crane("digest", f"{docker_registry.host}/base:v1").stdout.strip() == digest


@pytest.mark.spec("BUNDLE-15")
def test_docker_registry_takes_a_bundle(scene: Scene, docker_registry: RegistryServer, skopeo: Peer) -> None:
    listed = json.loads(scene.run("bundle", "list", "site.bundle", "--format", "json").worked().out)

    done = scene.run("bundle", "load", "site.bundle", "-q", "--to", f"{docker_registry.host}/inside").worked()

    base, whole = done.out.split()
    assert whole == f"{docker_registry.host}/inside/bundles/project@{listed['digest']}"
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{base}").stdout
    digests = {item["sha256"] for item in listed["files"]}
    assert {item["digest"].partition(":")[2] for item in json.loads(raw)["manifests"]} <= digests
    again = {"OCIASSEMBLE_CACHE_DIR": str(scene.root / "inside")}
    scene.run("bundle", "load", f"docker://{whole}", "-q", **again).worked()
    found = scene.run("--offline", "build", "project", "-q", "--locked", "-o", "oci:outputs/b", **again).worked()
    assert found.out.endswith(scene.run("build", "project", "-q", "-o", "oci:outputs/a").worked().out[-65:])


@pytest.mark.packages
@pytest.mark.spec("BUNDLE-9")
def test_the_tool_is_installed_from_a_bundle_and_builds(scene: Scene) -> None:
    real = {name: os.environ[name] for name in ("PIP_CONFIG_FILE", "UV_CONFIG_FILE") if name in os.environ}
    saved = scene.run(
        "bundle", "save", "project", "-o", "tool.bundle", "--with-tool", UV_DEFAULT_INDEX="", **real
    ).worked()
    commands = saved.err.rpartition("ociassemble itself, for ")[2].split("`")[1]
    place = scene.root / "venv"
    path = f"{place / 'bin'}:/usr/bin:/bin"
    nowhere = {"PATH": path, "HOME": str(scene.home), "PIP_CONFIG_FILE": os.devnull}

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, env=nowhere, cwd=scene.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", place)
    run("sh", "-c", commands)
    run(place / "bin" / "python", "-m", "pip", "check")

    tool = (place / "bin" / "ociassemble", "--cache-dir", scene.root / "inside")
    assert run(*tool, "--version") == scene.run("--version").out
    run(*tool, "bundle", "load", "tool.bundle", "-q")
    built = run(*tool, "--offline", "build", "project", "-q", "--locked", "-o", "oci:outputs/b")
    assert built[-65:] == scene.run("build", "project", "-q", "-o", "oci:outputs/a").worked().out[-65:]


def test_a_wheel_of_ours_is_the_same_twice_and_whole() -> None:
    from ociassemble.layer.wheel import wheel_name
    from ociassemble.operations.bundle_tool import own_wheel

    filename, data = own_wheel()

    assert own_wheel() == (filename, data)
    assert wheel_name(filename).name == "ociassemble"
