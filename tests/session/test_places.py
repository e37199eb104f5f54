"""Where the names of `-t` go, beside `-o`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import Scene, scene_below

pytestmark = pytest.mark.spec("CLI-18")
TOLD = "the result is not called"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path) as made:
        made.files(main__py="print(1)\n")
        yield made


def tags(layout: Path) -> dict[str, str]:
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {item["annotations"]["org.opencontainers.image.ref.name"]: item["digest"] for item in entries}


def test_a_layout_without_a_tag_has_those_of_the_names(scene: Scene) -> None:
    names = ["-t", "registry.example/shop:v1", "-t", "registry.example/other:v1", "-t", "shop"]
    done = scene.run("build", "project", "-b", scene.base(), *names, "-o", "oci:outputs/x").worked()

    found = tags(scene.outputs / "x")
    assert sorted(found) == ["latest", "v1"] and len(set(found.values())) == 1
    digest = found["v1"]
    assert done.out.splitlines() == [f"oci:outputs/x:v1@{digest}", f"oci:outputs/x:latest@{digest}"]
    assert TOLD not in done.err
    scene.run("build", "project", "-b", "oci:base:v1", "-o", "oci:outputs/y").worked()
    assert tags(scene.outputs / "y") == {"latest": digest}


def test_names_that_go_nowhere_are_told(scene: Scene) -> None:
    done = scene.run("build", "project", "-b", scene.base(), "-t", "shop:v2", "-o", "oci:outputs/x:v1").worked()

    assert list(tags(scene.outputs / "x")) == ["v1"]
    said = f"{TOLD} `shop:v2`: `oci:outputs/x:v1` has a name of its own, and nothing is pushed without `--push`"
    assert said in done.err


@pytest.mark.parametrize("options", [["-t", "shop:v2", "-o", "oci-archive:outputs/x.tar"], ["-t", "shop:v2"], []])
def test_names_that_go_somewhere_are_not_told(scene: Scene, options: list[str]) -> None:
    assert TOLD not in scene.run("build", "project", "-b", scene.base(), *options).worked().err


def test_a_name_that_is_pushed_is_not_told(scene: Scene) -> None:
    name = f"{scene.serve().host}/shop:v2"
    output = ["-o", "oci:outputs/x:v1", "--push", "-t", name]
    done = scene.run("build", "project", "-b", scene.base(), *output).worked()

    assert TOLD not in done.err
    assert [line.partition("@")[0] for line in done.out.splitlines()] == ["oci:outputs/x:v1", name.rpartition(":")[0]]
