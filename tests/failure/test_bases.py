"""Bases that cannot be had: the error, its status and hint, and nothing left behind."""

from __future__ import annotations

import pytest

from ociassemble.oci.digest import Digest
from ociassemble.testing import images
from tests.failure.scene import Scene, Snapshot, noise, python_base
from tests.net.scripted import Answer
from tests.registry.chaos import ChaosRegistry

pytestmark = pytest.mark.spec("FAIL-1", "FAIL-2")
NO_DIGEST = "sha256:" + "0" * 64
HERE = "127.0.0.1:1"  # where nobody listens


@pytest.fixture
def before(scene: Scene) -> Snapshot:
    """An application, a base in a layout and one in a registry, and an image that was built before."""
    scene.files(main__py="print(1)\n")
    scene.built("-b", scene.base("linux/amd64", "linux/arm64"))
    scene.registry_base("linux/arm64")
    return Snapshot.of(scene)


@pytest.mark.parametrize(
    ("base", "options", "status", "texts", "hint"),
    [
        ("oci:nowhere:v1", "", 4, ["`nowhere` is not an OCI layout"], "a layout is a folder with"),
        ("oci:base:v2", "", 4, ["`oci:base:v2` is not in the layout", "  there: v1"], None),
        ("local:nothing:v1", "", 4, ["no image `docker.io/library/nothing:v1`"], "`ociassemble ls` shows"),
        ("HOST/base:v2", "", 4, ["`HOST/base:v2` does not exist"], "check the spelling"),
        ("HOST/none:v1", "", 4, ["`HOST/none:v1` does not exist"], "check the spelling"),
        (f"HOST/base@{NO_DIGEST}", "", 4, ["does not exist"], "check the spelling"),
        (
            "oci:base:v1", "--platform linux/arm/v7", 4,
            ["base image `oci:base:v1` has no linux/arm/v7 variant", "  available: linux/amd64, linux/arm64"],
            "pass `--platform linux/arm64`, or choose a base that has linux/arm/v7",
        ),
        (
            "HOST/base:v1", "--platform linux/amd64", 4,
            ["base image `HOST/base:v1` has no linux/amd64 variant", "  available: linux/arm64"],
            "pass `--platform linux/arm64`",
        ),
        ("oci:base:v1", "--platform linux/x/y/z", 2, ["not a platform: `linux/x/y/z`"], "linux/amd64"),
        (f"{HERE}/base:v1", "", 6, [f"cannot reach `{HERE}`: connection refused"], "check the name and the network"),
        ("registry.invalid/base:v1", "", 6, ["cannot reach `registry.invalid`: its name cannot be resolved"], "name"),
        (
            "distroless/python3", f"--base-source registry --registry-mirror gcr.io={HERE}", 6,
            ["cannot reach `gcr.io`", f"its mirror: cannot reach `{HERE}`"], "`--base-source debian` assembles",
        ),
        ("distroless/ruby", "", 2, ["no base image is called `distroless/ruby`"], "write the full reference"),
        ("distroless/python3", "--strict-references", 8, ["is a short name"], "write `gcr.io/distroless/python3"),
        ("UPPER/case", "", 2, ["`UPPER/case` is not an image reference"], "did you mean `upper/case`?"),
        ("a b", "", 2, ["`a b` is not an image reference"], None),
        ("", "", 2, ["`--base` names no image"], "base list"),
        ("oci:base:v1", "--base-source debian", 8, ["there is no recipe for it"], "`ociassemble base list`"),
    ],
)  # fmt: skip
def test_a_base_that_is_not_there(
    scene: Scene,
    before: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    options: str,
    status: int,
    texts: list[str],
    hint: str | None,
) -> None:
    host = scene.serve().host
    if "gcr.io" in options:
        monkeypatch.setattr("socket.getaddrinfo", _only_loopback)
    words = [word.replace("HOST", host) for word in (base, *texts)]

    done = scene.run("build", "project", "-b", words[0], *options.split(), "-o", scene.layout)

    done.failed(status, *words[1:], hint=hint)
    before.holds(scene)


def _only_loopback(host: object, *args: object, **options: object) -> object:
    """The name resolution of a machine without a network."""
    import socket

    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        pytest.param(Answer(200, b"<html>"), 7, "the answer is not a manifest", id="a web page"),
        pytest.param(Answer(200, b'{"schemaVersion":2}'), 7, "", id="no manifest"),
        pytest.param(Answer(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),)), 5, "wants credentials", id="401"),
        pytest.param(Answer(403), 5, "den", id="403"),
        pytest.param(Answer(500), 6, "500", id="500", marks=pytest.mark.long),  # asked again, with pauses
        pytest.param(Answer(cut=-1), 6, "", id="no answer", marks=pytest.mark.long),
    ],
)
def test_a_registry_that_answers_something_else(scene: Scene, answer: Answer, status: int, text: str) -> None:
    """An answer is an answer: nothing is assembled in the base's place."""
    registry = scene.stack.enter_context(ChaosRegistry())
    scene.files(main__py="")
    registry.on("*", "/v2/.*", answer)
    before = Snapshot.of(scene)
    mirror = f"gcr.io={registry.host}"

    done = scene.run("build", "project", "-b", f"{registry.host}/base:v1", "-o", scene.layout)
    short = scene.run("build", "project", "-b", "distroless/python3", "--registry-mirror", mirror, "--offline")

    assert done.status == status
    assert "Traceback" not in done.err
    assert text in done.error
    assert short.status == 9  # offline forbids to ask, the mirror too
    before.holds(scene)


@pytest.mark.parametrize("spoilt", ["manifest", "config", "layer", "cut"])
def test_a_registry_whose_bytes_are_not_what_their_digest_says(scene: Scene, spoilt: str) -> None:
    registry = scene.stack.enter_context(ChaosRegistry())
    assert isinstance(registry, ChaosRegistry)
    image = python_base()
    images.push(image, f"{registry.host}/base:v1")
    digests = {"manifest": image.digest, "config": image.config_blob.descriptor.digest}
    digest = digests.get(spoilt, image.layers[0].descriptor.digest)
    scene.files(main__py="")
    if spoilt == "manifest":
        kind, raw = registry.manifests[digest]
        registry.manifests[digest] = (kind, raw.replace(b"layers", b"Layers"))
    elif spoilt == "cut":
        registry.on("GET", f"/v2/base/blobs/{digest}", Answer(200, registry.blobs[digest], cut=100))
    else:
        registry.blobs[digest] = bytes(reversed(registry.blobs[digest]))
    before = Snapshot.of(scene)

    name = f"{registry.host}/base@{image.digest}" if spoilt == "manifest" else f"{registry.host}/base:v1"
    done = scene.run("build", "project", "-b", name, "-o", scene.layout)

    assert done.status == (6 if spoilt == "cut" else 7), done.err
    assert done.out == ""
    now = before.holds(scene)
    assert digest not in now.blobs


def test_a_base_that_lies_about_its_layers(scene: Scene) -> None:
    """A diff_id that is not the tar's: found while the facts are read, before anything is made of it."""
    lie = images.layer({"etc/os-release": "ID=debian\n"}, diff_id=Digest.of(b"another tar"))
    images.lay_out(images.image([lie]), scene.root / "base", "v1")
    scene.files(index__html="x")
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", "oci:base:v1", "--kind", "directory", "-o", scene.layout)

    assert done.status == 7, done.err
    before.holds(scene)


def test_a_base_with_a_hostile_layer(scene: Scene) -> None:
    layer = images.layer({"../../etc/passwd": "root::0:0::/:/bin/sh\n", "etc/os-release": "ID=debian\n"})
    images.lay_out(images.image([layer, images.layer(noise(3000))]), scene.root / "base", "v1")
    scene.files(index__html="x")
    before = Snapshot.of(scene)

    done = scene.run("build", "project", "-b", "oci:base:v1", "--kind", "directory", "-o", scene.layout)

    assert done.status == 7, done.err
    assert "Traceback" not in done.err
    before.holds(scene)
