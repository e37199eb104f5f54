"""Bases that are not there or not what they say: refused with a word that helps, and nothing is left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ociassemble.image.image import Node
from ociassemble.oci.digest import Digest
from ociassemble.testing.images import image, index, lay_out, layer, push
from tests.interop.small_bases import slim
from tests.interop.wild import Cli, Ended, Registry, app, cli, google, registry, shared_cache

__all__ = ["app", "cli", "google", "registry", "shared_cache"]

pytestmark = pytest.mark.interop


def fails(cli: Cli, registry: Registry, app: Path, base: str, *options: str) -> Ended:
    """A build on `base` that goes wrong, and leaves nothing behind."""
    before = len(registry.requests())
    target = app.parent / "layout"
    ended = cli(
        "build", app, "--base", base, *options, "--cmd", "/app/run", "--push", "-t", f"{registry.host}/errors/app:1",
        "-o", f"oci:{target}:t",
    )  # fmt: skip
    assert ended.status not in (0, 1), ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert registry.since(before, "PUT") == []
    assert not (target / "index.json").exists()
    assert not list((app.parent / "cache").glob("store/refs/*"))
    return ended


def test_no_such_base(cli: Cli, registry: Registry, app: Path, tmp_path: Path) -> None:
    push(slim(), f"{registry.host}/errors/base:1")
    for base in (f"{registry.host}/errors/base:2", f"{registry.host}/errors/none:1", "gcr.io/distroless/none"):
        ended = fails(cli, registry, app, base, "--registry-mirror", f"gcr.io={registry.host}", "--offline")
        assert ended.status == 9
    ended = fails(cli, registry, app, f"{registry.host}/errors/base:2")
    assert ended.status == 4
    assert f"`{registry.host}/errors/base:2`" in ended.err
    assert fails(cli, registry, app, f"{registry.host}/errors/none:1").status == 4
    assert fails(cli, registry, app, f"oci:{tmp_path}/none:1").status == 4
    lay_out(slim(), tmp_path / "base", "1")
    assert fails(cli, registry, app, f"oci:{tmp_path}/base:2").status == 4


def test_a_base_without_the_platform_in_the_promised_words(cli: Cli, registry: Registry, app: Path) -> None:
    made = [image([layer({"x": name})], platform=name) for name in ("linux/amd64", "linux/arm64", "linux/riscv64")]
    push(index(made), f"{registry.host}/platforms/python3-debian13:nonroot")
    ended = fails(
        cli, registry, app, "gcr.io/platforms/python3-debian13:nonroot", *registry.mirror, "--platform", "linux/arm/v7"
    )

    assert ended.status == 4
    assert ended.err.endswith(
        "error: base image `gcr.io/platforms/python3-debian13:nonroot` has no linux/arm/v7 variant\n"
        "  available: linux/amd64, linux/arm64, linux/riscv64\n"
        "\n"
        "hint: pass `--platform linux/arm64`, or choose a base that has linux/arm/v7\n"
    )


def test_an_unreachable_registry(cli: Cli, registry: Registry, app: Path) -> None:
    options = ("--registry-mirror", "gcr.io=127.0.0.1:1", "--base-source", "registry")
    ended = fails(cli, registry, app, "127.0.0.1:1/a:1", *options)
    assert ended.status == 6
    assert "127.0.0.1:1" in ended.err

    ended = fails(cli, registry, app, "unreachable.example/distroless/python3:1", "--base-source", "registry")
    assert ended.status == 6


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
def test_bytes_that_were_tampered_with(cli: Cli, registry: Registry, app: Path, what: str) -> None:
    base = image([layer({"etc/os-release": f"ID={what}\n"})], annotations={"what": what})
    name = f"{registry.host}/tampered/{what}:1"
    push(base, name)
    digests = {"layer": base.layers[0].descriptor.digest, "config": base.config.digest, "manifest": base.digest}
    place = registry.blob_file(digests[what])
    data = place.read_bytes()
    # A manifest that is still JSON: docker-registry parses those it hands out, but does not hash them.
    place.write_bytes(data.replace(b"what", b"that") if what == "manifest" else data[:-1] + bytes([data[-1] ^ 1]))
    ended = fails(cli, registry, app, f"{name.rpartition(':')[0]}@{base.digest}")

    assert ended.status == 7
    assert digests[what] in ended.err


def test_a_diff_id_that_lies(cli: Cli, registry: Registry, app: Path) -> None:
    base = image([layer({"a": "1"}), layer({"b": "2"}, diff_id=Digest.of(b"other"))])
    push(base, f"{registry.host}/lies/base:1")

    for _ in range(2):  # nothing that was read the first time is believed the second time
        ended = fails(cli, registry, app, f"{registry.host}/lies/base:1")
        assert ended.status == 7
        assert f"the image config says {Digest.of(b'other')}" in ended.err


def test_a_base_that_is_no_image(cli: Cli, registry: Registry, app: Path) -> None:
    base = image([layer({"a": "1"})])
    config = base.manifest.config.with_(media_type="application/vnd.example.config+json")
    artifact = base.manifest.create(config=config, layers=base.manifest.layers)
    blobs = (replace(base.config_blob, descriptor=config), base.layers[0].blob)
    push(Node(descriptor=artifact.descriptor, raw=artifact.raw, blobs=blobs), f"{registry.host}/artifact:1")
    ended = fails(cli, registry, app, f"{registry.host}/artifact:1")

    assert ended.status == 7
    assert "is not an image" in ended.err
