"""Base and layers become an image: what was there is passed on, what is new is written in one way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ociassemble.image.assemble import assemble, image_or_index
from ociassemble.image.image import Image, Layer
from ociassemble.image.validate import validate_config, validate_node
from ociassemble.oci import mediatype
from ociassemble.oci.index import Index
from ociassemble.testing.images import image, layer

NOW = "2026-01-02T03:04:05Z"


def added(base: Image | None, **options: Any) -> Image:
    new = layer({"app/x": "1"}, annotations={"dev.ociassemble.layer.key": "sha256:" + "0" * 64})
    platform = base.platform if base is not None else image([]).platform
    made = assemble(
        platform=platform,
        base=base,
        added=[("application", new)],
        execution=options.pop("execution", {"Cmd": ["/app/x"], "User": "1"}),
        created=NOW,
        annotations={"b": "2", "a": "1"},
    )
    assert validate_node(made.node) == ()
    assert validate_config(made.config, len(made.layers)) == ()
    return made


@pytest.mark.parametrize("docker", [False, True])
def test_layers_of_the_base_come_first_and_untouched(docker: bool) -> None:
    base = image([layer({"a": "1"}), layer({"b": "2"}, compression="none")], docker=docker)
    made = added(base)

    assert [item.descriptor.digest for item in made.layers[:2]] == [item.descriptor.digest for item in base.layers]
    assert [item.descriptor.media_type for item in made.layers] == [
        mediatype.OCI_LAYER_GZIP,
        mediatype.OCI_LAYER,
        mediatype.OCI_LAYER_GZIP,
    ]
    assert [item.blob.read() for item in made.layers[:2]] == [item.blob.read() for item in base.layers]
    assert made.config.diff_ids == tuple(item.diff_id for item in made.layers)
    assert made.manifest.config.media_type == mediatype.OCI_CONFIG
    assert made.manifest.media_type == mediatype.OCI_MANIFEST


def test_what_a_descriptor_of_the_base_says_besides_is_kept_but_for_urls() -> None:
    first = layer({"a": "1"}, annotations={"note": "x"})
    blob = first.blob.of(
        first.blob.read(), first.descriptor.with_(urls=("https://layers.example/1",), extra={"more": 1})
    )
    made = added(image([Layer(blob=blob, diff_id=first.diff_id)]))

    found = json.loads(made.manifest.raw)["layers"][0]
    assert found["annotations"] == {"note": "x"}
    assert found["more"] == 1
    assert "urls" not in found


def test_layers_of_a_kind_we_do_not_know_keep_it() -> None:
    first = layer({"a": "1"})
    kind = "application/vnd.example.layer+encrypted"
    blob = first.blob.of(first.blob.read(), first.descriptor.with_(media_type=kind))
    made = added(image([Layer(blob=blob, diff_id=first.diff_id)]))

    assert made.layers[0].descriptor.media_type == kind


def test_history_is_padded_to_one_entry_a_layer() -> None:
    placeholder = {"created": NOW, "created_by": "base layer"}
    ours = {"created": NOW, "created_by": "ociassemble: application"}
    layers = [layer({"a": "1"}), layer({"b": "2"})]
    short = [{"created_by": "one"}, {"created_by": "env", "empty_layer": True}]

    assert list(added(image(layers)).config.history) == [placeholder, placeholder, ours]
    assert list(added(image(layers, history=[])).config.history) == [placeholder, placeholder, ours]
    assert list(added(image(layers, history=short)).config.history) == [*short, placeholder, ours]
    long = [{"created_by": str(number)} for number in range(3)]
    assert list(added(image(layers, history=long)).config.history) == [placeholder, placeholder, ours]


def test_the_config_keeps_what_it_does_not_know_and_loses_what_was_of_a_machine() -> None:
    more = {
        "variant": "v3",
        "os.version": "1",
        "moby.buildkit.buildinfo.v1": "e30=",
        "container": "c0ffee",
        "container_config": {"Hostname": "build-7"},
        "docker_version": "20.10.7",
        "author": "x",
        "id": "1",
        "parent": "2",
    }
    base = image([layer({"a": "1"})], execution={"Env": ["OLD=1"]}, created="2020-01-01T00:00:00Z", more=more)
    made = added(base)

    assert list(made.config.document) == [
        "created",
        "architecture",
        "os",
        "os.version",
        "variant",
        "config",
        "rootfs",
        "history",
        "moby.buildkit.buildinfo.v1",
    ]
    assert made.config.created == NOW
    assert made.config.execution == {"User": "1", "Cmd": ["/app/x"]}  # the whole of it is the caller's
    assert made.platform == base.platform
    assert b" " not in made.manifest.raw.replace(b"ociassemble: ", b"")


def test_without_a_base_there_is_only_what_is_added() -> None:
    made = added(None)

    assert len(made.layers) == len(made.config.history) == 1
    assert made.manifest.annotations == {"a": "1", "b": "2"}
    assert made.config_blob.read() == made.config.raw


def test_the_same_in_is_the_same_out() -> None:
    assert added(image([layer({"a": "1"})])).manifest.raw == added(image([layer({"a": "1"})])).manifest.raw


def test_one_image_stands_alone_and_several_in_an_index_by_platform() -> None:
    one, two = (added(image([layer({"a": "1"})], platform=name)) for name in ("linux/s390x", "linux/arm64"))

    assert image_or_index([one], {"a": "1"}) == one.node
    node = image_or_index([one, two], {"a": "1"})
    assert node == image_or_index([two, one], {"a": "1"})
    found = Index.parse(node.raw)
    assert [str(item.platform) for item in found.manifests] == ["linux/arm64", "linux/s390x"]
    assert found.annotations == {"a": "1"}
