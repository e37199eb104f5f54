"""The examples, carried to where there is no network: real packages and bases, the digests of the builds outside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failure.scene import REPOSITORY, Scene, scene_below
from tests.operations import audited

pytestmark = pytest.mark.packages

YEARS = 10 * 365 * 86400.0  # every Valid-Until of Debian's archive is long past by then
AMD64 = ("--platform", "linux/amd64")
DEBIAN = ("--base-source", "debian", *AMD64)
PASSED = ("NPM_CONFIG_USERCONFIG", "PIP_CONFIG_FILE", "UV_CONFIG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY",
          "https_proxy", "NO_PROXY", "no_proxy", "UV_CACHE_DIR")  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path) as made:
        made.environment.update({name: os.environ[name] for name in PASSED if name in os.environ})
        yield made


def inside(scene: Scene) -> dict[str, str]:
    """A machine without network: an empty store, an empty home, nothing on PATH, and a clock that is years ahead."""
    empty = scene.root / "empty"
    empty.mkdir()
    return {
        **dict.fromkeys(PASSED, ""),
        "HOME": str(empty),
        "PATH": str(empty),
        "UV_CACHE_DIR": str(empty),
        "OCIASSEMBLE_CACHE_DIR": str(scene.root / "inside"),
        "TESTS_LATER": str(YEARS),
    }


@pytest.mark.spec("OFFLINE-1", "OFFLINE-2", "BUNDLE-2", "BUNDLE-17")
@pytest.mark.parametrize(
    "example",
    [
        "python-flask",
        pytest.param("express", marks=pytest.mark.long),
        pytest.param("directory", marks=pytest.mark.long),
    ],
)
def test_an_example_is_the_same_inside(scene: Scene, example: str) -> None:
    shutil.copytree(REPOSITORY / "examples" / example, scene.root / "app")
    scene.run("lock", "app", "-q", *DEBIAN).worked()
    outside = scene.run("build", "app", "-q", "--locked", *DEBIAN, "-o", "oci:outputs/a").worked().out
    scene.run("bundle", "save", "app", "-q", *DEBIAN, "-o", "app.bundle").worked()
    there = inside(scene)

    lacking, events = audited.run(scene, "--offline", "build", "app", "-q", "--locked", *DEBIAN, **there)
    lacking.failed(9, "base-files_", hint="bundle load")
    assert events == []
    audited.run(scene, "--offline", "bundle", "load", "app.bundle", "-q", **there)[0].worked()
    command = ("--offline", "build", "app", "-q", "--locked", "--no-cache", *DEBIAN, "-o", "oci:outputs/b")
    done, events = audited.run(scene, *command, **there)

    assert done.worked().out[-65:] == outside[-65:]
    assert events == []
    # The base is made of its packages again, byte for byte, where its layers are gone.
    listed = json.loads(scene.run("bundle", "list", "app.bundle", "--format", "json").worked().out)
    layers = [item["sha256"] for item in listed["files"] if item["kind"] == "base-layer"]
    for digest in layers:
        (scene.root / "inside" / "store" / "blobs" / "sha256" / digest).unlink()
    shutil.rmtree(scene.outputs)
    done, events = audited.run(scene, *command, **there)
    assert done.worked().out[-65:] == outside[-65:] and events == []


@pytest.mark.long
@pytest.mark.spec("OFFLINE-1", "OFFLINE-4", "BUNDLE-14", "BUNDLE-17")
def test_a_lock_that_leaves_the_base_open(scene: Scene) -> None:
    """As the examples are committed; the bundle says which packages the base is made of."""
    shutil.copytree(REPOSITORY / "examples" / "python-flask", scene.root / "app")
    scene.run("lock", "app", "-q", "--no-base", *DEBIAN).worked()
    outside = scene.run("build", "app", "-q", "--locked", *DEBIAN, "-o", "oci:outputs/a").worked().out
    scene.run("bundle", "save", "app", "-q", *DEBIAN, "-o", "app.bundle").worked()
    there = inside(scene)

    loaded = audited.run(scene, "--offline", "bundle", "load", "app.bundle", **there)[0].worked()
    done, events = audited.run(scene, "--offline", "build", "app", "--locked", *DEBIAN, "-o", "oci:outputs/b", **there)

    assert "offline, `distroless/python3` for linux/amd64 is made of" in loaded.err
    assert done.worked().out[-65:] == outside[-65:] and events == []
    assert "as they were when last asked for (`--offline`)" in done.err


@pytest.mark.long
@pytest.mark.spec("OFFLINE-7", "BUNDLE-10")
def test_what_express_lacks_is_found_by_name_outside(scene: Scene) -> None:
    shutil.copytree(REPOSITORY / "examples" / "express", scene.root / "app")
    scene.run("lock", "app", "-q", *DEBIAN).worked()
    outside = scene.run("build", "app", "-q", "--locked", *DEBIAN, "-o", "oci:outputs/a").worked().out
    there = inside(scene)
    wants, events = audited.run(scene, "lock", "app", "--missing", "-q", *DEBIAN, **there)
    assert events == []
    document = json.loads(wants.worked().out)
    assert {item["kind"] for item in document["artifacts"]} == {"npm", "debian"}
    assert [item["name"] for item in document["releases"]] == ["nodejs24"] and document["base"] is None
    assert "://" not in wants.out
    (scene.root / "wants.json").write_text(wants.out)

    elsewhere = {"OCIASSEMBLE_CACHE_DIR": str(scene.root / "elsewhere")}
    scene.run("bundle", "save", "--wants", "wants.json", "-q", "-o", "wants.bundle", **elsewhere).worked()
    audited.run(scene, "bundle", "load", "wants.bundle", "-q", **there)[0].worked()
    done, events = audited.run(
        scene, "--offline", "build", "app", "-q", "--locked", *DEBIAN, "-o", "oci:outputs/b", **there
    )

    assert done.worked().out[-65:] == outside[-65:] and events == []
