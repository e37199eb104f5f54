"""The documents that digests are of: their form, what is in them, and what never is."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ociassemble import __version__
from tests.digests import builds, fixture
from tests.digests.conftest import Shared
from tests.digests.fixture import Flavour

BOTH = fixture.PLATFORMS
ONE = BOTH[:1]
EPOCH_TEXT = "2023-11-14T22:13:20Z"
CONSTANT = "1980-01-02T00:00:00Z"


class Result(NamedTuple):
    """One result in a layout: raw documents by their kind, the amd64 image's parsed."""

    layout: Path
    found: dict[str, Any]
    index: dict[str, Any]
    manifest: dict[str, Any]
    config: dict[str, Any]

    @property
    def documents(self) -> list[bytes]:
        images = self.found["images"].values()
        digests = [self.found["digest"], *(image[name] for image in images for name in ("manifest", "config"))]
        return [builds.raw(self.layout, digest) for digest in dict.fromkeys(digests)]


def made(shared: Shared, scratch: Path, *flags: str, kind: str = "directory", **more: Any) -> Result:
    found = builds.build(kind, shared.applications[kind], more.pop("inputs", shared.inputs), scratch, *flags, **more)
    layout = scratch / "image"
    index = builds.blob(layout, found["digest"])
    image = found["images"].get("linux/amd64") or found["images"][""]
    return Result(layout, found, index, builds.blob(layout, image["manifest"]), builds.blob(layout, image["config"]))


def with_base(shared: Shared, folder: Path, flavour: Flavour) -> builds.Inputs:
    fixture.write_base(folder / "base", flavour)
    return builds.Inputs(folder / "base", shared.inputs.wheels)


def base_of(inputs: builds.Inputs, platform: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Manifest digest, manifest and config of the base for a platform."""
    (root,) = builds.read_json(inputs.base / "index.json")["manifests"]
    for item in builds.blob(inputs.base, root["digest"])["manifests"]:
        if item["platform"]["architecture"] == platform.partition("/")[2]:
            manifest = builds.blob(inputs.base, item["digest"])
            return item["digest"], manifest, builds.blob(inputs.base, manifest["config"]["digest"])
    raise AssertionError(platform)


@pytest.mark.spec("DIGEST-20", "DIGEST-23", "DIGEST-26")
def test_a_base_of_dockers_schema_2_is_relabelled(shared: Shared, tmp_path: Path) -> None:
    inputs = with_base(shared, tmp_path, Flavour(docker=True))
    result = made(shared, tmp_path / "out", inputs=inputs)
    digest, base, _ = base_of(inputs, "linux/amd64")

    assert not any(b"vnd.docker" in document for document in result.documents)
    assert [layer["digest"] for layer in result.manifest["layers"][:2]] == [layer["digest"] for layer in base["layers"]]
    assert [layer["mediaType"] for layer in result.manifest["layers"][:2]] == [
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar",
    ]
    assert result.manifest["annotations"]["org.opencontainers.image.base.digest"] == digest
    for layer in base["layers"]:
        assert builds.raw(result.layout, layer["digest"]) == builds.raw(inputs.base, layer["digest"])
    # What describes the machine that made the base is gone, its history is kept and made whole.
    assert not {"docker_version", "container", "container_config"} & result.config.keys()
    assert [(entry["created_by"], entry.get("empty_layer", False)) for entry in result.config["history"]] == [
        ("ADD file", False), ("CMD", True), ("base layer", False), ("ociassemble: application", False),
    ]  # fmt: skip


@pytest.mark.spec("DIGEST-21")
def test_the_form_of_documents(shared: Shared, tmp_path: Path) -> None:
    result = made(
        shared, tmp_path, "-l", "note=\u00e4 \u65e5", "-a", "z=1", "-a", "a=2", "-a", "index:b=3", "-a", "index:a=4"
    )

    for document in result.documents:
        text = document.decode("utf-8")
        assert json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) == text
    assert "\u00e4 \u65e5".encode() in builds.raw(result.layout, result.manifest["config"]["digest"])
    assert list(result.index) == ["schemaVersion", "mediaType", "manifests", "annotations"]
    assert list(result.index["annotations"]) == ["a", "b"]
    assert list(result.manifest) == ["schemaVersion", "mediaType", "config", "layers", "annotations"]
    assert list(result.manifest["annotations"]) == ["a", "org.opencontainers.image.base.digest", "z"]
    assert list(result.manifest["layers"][-1]) == ["mediaType", "digest", "size", "annotations"]
    assert list(result.config) == [
        "created", "architecture", "os", "config", "rootfs", "history", "example.other",
    ]  # fmt: skip
    assert list(result.config["config"]) == [
        "User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "example.unknown",
    ]  # fmt: skip
    assert result.config["config"]["example.unknown"]["a"] == [1.5, 100.0, 1e-7, True, None, "\u00e4"]


@pytest.mark.spec("DIGEST-22")
def test_platforms_in_any_order(shared: Shared, tmp_path: Path) -> None:
    forwards = made(shared, tmp_path / "a")
    backwards = made(shared, tmp_path / "b", platforms=("linux/aarch64/v8", "amd64", "linux/amd64"))
    one = made(shared, tmp_path / "c", platforms=ONE)

    assert forwards.found == backwards.found
    assert [item["platform"]["architecture"] for item in forwards.index["manifests"]] == ["amd64", "arm64"]
    assert one.index["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert one.found["digest"] == forwards.found["images"]["linux/amd64"]["manifest"]


@pytest.mark.spec("DIGEST-23", "DIGEST-24")
@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ((), {}, CONSTANT),
        ((), {"SOURCE_DATE_EPOCH": fixture.EPOCH}, EPOCH_TEXT),
        (("--source-date-epoch", fixture.EPOCH), {"SOURCE_DATE_EPOCH": "1"}, EPOCH_TEXT),
        (("--source-date-epoch", "0"), {"SOURCE_DATE_EPOCH": "1"}, "1970-01-01T00:00:00Z"),
        (("--source-date-epoch", "253402300799"), {}, "9999-12-31T23:59:59Z"),
    ],
)
def test_created(
    flags: tuple[str, ...], environment: dict[str, str], expected: str, shared: Shared, tmp_path: Path
) -> None:
    result = made(shared, tmp_path, *flags, environment=environment, platforms=ONE)

    assert result.config["created"] == expected
    assert [entry["created"] for entry in result.config["history"]] == [expected] * 3
    # The time of the image is nowhere in its layers.
    committed = builds.golden()["images"]["directory"]["images"]["linux/amd64"]
    assert result.found["images"][""]["layers"] == committed["layers"]


@pytest.mark.spec("DIGEST-5")
def test_what_the_environment_decides_is_told(shared: Shared, tmp_path: Path) -> None:
    epoch = {"SOURCE_DATE_EPOCH": fixture.EPOCH}
    by_flag = made(shared, tmp_path / "a", "-l", "x=1", "--source-date-epoch", fixture.EPOCH)
    by_name = made(shared, tmp_path / "b", environment={**epoch, "OCIASSEMBLE_LABEL": "x=1"})
    told = builds.run(
        ["build", str(shared.applications["directory"]), "--base", f"oci:{shared.inputs.base}", "--cmd", '["/x"]',
         "--output", f"oci:{tmp_path / 'c'}", "--cache-dir", str(tmp_path / "cache")],
        shared.inputs, tmp_path, environment=epoch,
    ).stderr  # fmt: skip

    assert by_flag.found == by_name.found
    assert EPOCH_TEXT in told and "SOURCE_DATE_EPOCH" in told
    image = builds.described(tmp_path / "c")["images"][""]
    architecture = builds.blob(tmp_path / "c", image["config"])["architecture"]
    assert f"linux/{architecture}" in told


@pytest.mark.spec("DIGEST-25")
def test_layer_descriptors(shared: Shared, tmp_path: Path) -> None:
    result = made(shared, tmp_path, kind="python")
    _, base, _ = base_of(shared.inputs, "linux/amd64")

    assert result.manifest["layers"][: len(base["layers"])] == base["layers"]
    for layer in result.manifest["layers"][len(base["layers"]) :]:
        assert list(layer["annotations"]) == ["dev.ociassemble.layer.codec", "dev.ociassemble.layer.key"]
        assert re.fullmatch(r"gzip:zlib-ng/[0-9.]+:3:[0-9]+:2", layer["annotations"]["dev.ociassemble.layer.codec"])
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", layer["annotations"]["dev.ociassemble.layer.key"])


@pytest.mark.spec("DIGEST-26")
def test_the_digest_of_the_base(shared: Shared, tmp_path: Path) -> None:
    result = made(shared, tmp_path)
    for platform, image in result.found["images"].items():
        said = builds.blob(result.layout, image["manifest"])["annotations"]
        assert said == {"org.opencontainers.image.base.digest": base_of(shared.inputs, platform)[0]}


@pytest.mark.spec("DIGEST-11", "DIGEST-27")
@pytest.mark.parametrize("kind", fixture.KINDS)
def test_nothing_of_the_host_is_inside(kind: str, shared: Shared, tmp_path: Path) -> None:
    import gzip

    result = made(shared, tmp_path, kind=kind)
    layers = [
        gzip.decompress(builds.raw(result.layout, layer["digest"]))
        for image in result.found["images"].values()
        for layer in image["layers"]
    ]
    unwanted = {
        "version": __version__,
        "path": str(shared.folder),
        "scratch": str(tmp_path),
        "host": socket.gethostname(),
        "user": getpass.getuser() if getpass.getuser() != "root" else str(Path.home()),
        "registry": "registry.example" if kind == "directory" else str(shared.inputs.wheels),
    }
    for content in (*result.documents, *layers):
        found = [what for what, text in unwanted.items() if len(text) > 4 and text.encode() in content]
        assert not found


@pytest.mark.spec("DIGEST-30")
def test_a_layer_key_is_what_the_specification_says(shared: Shared, tmp_path: Path) -> None:
    """Made by hand, from the fixture alone."""
    committed = builds.golden()["images"]
    directories = [["usr/local", 0o2775, 0, 50]]
    alpha = next(wheel for wheel in fixture.wheels() if wheel.filename.startswith("alpha"))
    scheme = {
        "site": "/usr/local/lib/python3.13/dist-packages",
        "prefix": "/usr/local",
        "interpreter": "/usr/bin/python3.13",
        "minor": "3.13",
    }
    key = _key([{"type": "wheel", "artifact": alpha.sha256, "scheme": scheme}], directories)
    assert committed["python"]["images"]["linux/amd64"]["layers"][0]["key"] == key
    assert committed["python"]["images"]["linux/arm64"]["layers"][0]["key"] == key

    place = tmp_path / "small"
    fixture.write((fixture.File("\u00e4.txt", b"a\n"), fixture.File("b", target="\u00e4.txt")), place)
    found = builds.build("directory", place, shared.inputs, tmp_path / "out", platforms=ONE)
    digest = f"sha256:{hashlib.sha256(b'a' + bytes([10])).hexdigest()}"
    items = [
        ["/app/b", "symlink", 0o777, None, "\u00e4.txt", 0, 0],
        ["/app/\u00e4.txt", "file", 0o644, digest, "", 0, 0],
    ]
    assert found["images"][""]["layers"][0]["key"] == _key([{"type": "files", "items": items}], [])


def _key(sources: list[Any], directories: list[Any]) -> str:
    document = {"assemblyVersion": 1, "sources": sources, "links": [], "directories": directories}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.spec("DIGEST-31")
def test_a_base_that_moves_leaves_layers_alone(shared: Shared, tmp_path: Path) -> None:
    inputs = with_base(shared, tmp_path, Flavour(moved=True))
    cache = tmp_path / "cache"
    before = made(shared, tmp_path / "a", kind="python", cache=cache)
    after = made(shared, tmp_path / "b", kind="python", cache=cache, inputs=inputs)

    assert before.found["digest"] != after.found["digest"]
    for platform, image in before.found["images"].items():
        assert after.found["images"][platform]["layers"] == image["layers"]


@pytest.mark.spec("DIGEST-13", "DIGEST-32")
def test_the_codec_is_shown(shared: Shared, tmp_path: Path) -> None:
    arguments = [
        "-v", "build", str(shared.applications["python"]), "--base", f"oci:{shared.inputs.base}", "--format", "json",
        "--platform", ",".join(BOTH), "--output", f"oci:{tmp_path / 'out'}", "--cache-dir", str(tmp_path / "cache"),
    ]  # fmt: skip
    done = builds.run(arguments, shared.inputs, tmp_path)
    images = json.loads(done.stdout)["images"]
    codec = builds.golden()["images"]["python"]["codec"]

    assert {layer["codec"] for image in images for layer in image["layers"]} == {codec}
    assert codec in done.stderr
    # Two of three layers are the same for both platforms: made once, and hits the second time.
    layers = [layer for image in images for layer in image["layers"]]
    assert [layer["cached"] for layer in layers] == [False, False, False, True, False, True]


@pytest.mark.spec("DIGEST-6")
def test_what_a_build_writes_is_no_input_of_the_next(shared: Shared, tmp_path: Path) -> None:
    place = tmp_path / "app"
    fixture.write(fixture.application("directory"), place)
    arguments = [
        "build", ".", "--base", f"oci:{shared.inputs.base}", "--platform", ",".join(BOTH),
        "--cmd", '["/usr/bin/python3", "-V"]', "--output", "oci:out", "--cache-dir", "my-cache",
        "--digest-file", "digest.txt", "--image-refs", "refs.txt",
    ]  # fmt: skip
    committed = builds.golden()["images"]["directory"]["digest"]
    for _ in range(2):
        builds.run(arguments, shared.inputs, tmp_path, folder=place)
        assert (place / "digest.txt").read_text().strip() == committed
