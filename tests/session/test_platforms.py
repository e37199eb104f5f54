"""`--platform all`: what the base has, asked once, and what the lock has where that pins the base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.registry.server import serve
from ociassemble.testing import images
from tests.failure.scene import Scene, python_base, scene_below

pytestmark = pytest.mark.spec("CLI-17")
BOTH = "linux/amd64, linux/arm64"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path) as made:
        made.files(main__py="print(1)\n")
        yield made


def written(scene: Scene, name: str = "image") -> list[str]:
    """The platforms of the one index in a layout."""
    layout = scene.outputs / name
    (root,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    document = json.loads((layout / "blobs" / root["digest"].replace(":", "/")).read_bytes())
    return [f"{item['platform']['os']}/{item['platform']['architecture']}" for item in document.get("manifests", ())]


def test_a_lock_of_all_and_builds_from_it(scene: Scene) -> None:
    base = scene.registry_base("linux/amd64", "linux/arm64")
    done = scene.run("lock", "project", "-b", base, "--platform", "all").worked()
    assert f"platforms: {BOTH} (all of `{base}`)" in done.err
    assert json.loads((scene.project / "ociassemble.lock").read_bytes())["asked"]["platforms"] == BOTH.split(", ")

    # The base moves on; what is locked stays, and its tag is not asked.
    images.push(python_base("linux/arm64"), base)
    done = scene.run(
        "build", "project", "-b", base, "--platform", "all", "--locked", "-o", "oci:outputs/image"
    ).worked()
    assert f"platforms: {BOTH} (all of the lock)" in done.err
    assert written(scene) == BOTH.split(", ")

    # Locking again asks it, and so does a build without the lock.
    done = scene.run("lock", "project", "-b", base, "--platform", "all").worked()
    assert f"platforms: linux/arm64 (all of `{base}`)" in done.err


def test_an_open_base_is_asked(scene: Scene) -> None:
    base = scene.registry_base("linux/amd64", "linux/arm64")
    scene.run("lock", "project", "-b", base, "--platform", "all", "--no-base").worked()
    done = scene.run(
        "build", "project", "-b", base, "--platform", "all", "--locked", "-o", "oci:outputs/image"
    ).worked()
    assert f"(all of `{base}`)" in done.err
    assert written(scene) == BOTH.split(", ")


def test_the_tag_is_asked_once(scene: Scene) -> None:
    """Between two questions it could move."""
    lines: list[str] = []
    scene.registry = serve("127.0.0.1", 0, scene.root / "registry", log=lines.append)
    scene.stack.callback(scene.registry.shutdown)
    base = scene.registry_base("linux/amd64", "linux/arm64")
    lines.clear()
    scene.run("build", "project", "-b", base, "--platform", "all", "-o", "oci:outputs/image").worked()
    asked = [line for line in lines if "/manifests/v1" in line]
    lines.clear()
    scene.run("build", "project", "-b", base, "--platform", "linux/amd64", "-o", "oci:outputs/other").worked()
    assert len(asked) <= 2  # HEAD, and GET of what is not there yet
    assert len([line for line in lines if "/manifests/v1" in line]) == 1


def test_from_the_settings_and_into_one_archive(scene: Scene) -> None:
    base = scene.base("linux/amd64", "linux/arm64")
    scene.files(ociassemble__toml=f'platforms = ["all"]\nbase = "{base}"\n')
    scene.run("build", "project", "-o", "oci:outputs/image").worked()
    assert written(scene) == BOTH.split(", ")
    done = scene.run("build", "project", "-o", "docker-archive:outputs/x.tar")
    done.failed(2, f"holds one image, and this is {BOTH}", hint="--platform linux/amd64")
    assert not (scene.outputs / "x.tar").exists()
