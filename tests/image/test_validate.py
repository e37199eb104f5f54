"""Findings about documents: returned, never raised."""

from __future__ import annotations

from typing import Any

import pytest

from ociassemble.image.image import Image, Node
from ociassemble.image.validate import validate_config, validate_node
from ociassemble.testing.images import image, index, layer


def made(**options: Any) -> Image:
    return image([layer({"a": "1"})], **options)


@pytest.mark.parametrize("docker", [False, True])
def test_honest_images_have_no_findings(docker: bool) -> None:
    node = index([made(docker=docker), made(platform="linux/arm64", docker=docker)], docker=docker)

    assert validate_node(node) == ()
    assert validate_config(made(docker=docker).config, 1) == ()


def test_documents_with_something_amiss() -> None:
    one = made()
    empty = image([])
    mixed = made(docker=True)
    manifest = mixed.manifest.create(config=one.manifest.config, layers=mixed.manifest.layers)
    broken = Node(descriptor=one.node.descriptor, raw=b"{}")

    assert validate_node(empty.node) == (f"{empty.digest}: a manifest should have at least one layer",)
    assert validate_node(Node(descriptor=manifest.descriptor, raw=manifest.raw)) == (
        f"{manifest.digest}: mixes Docker and OCI media types",
    )
    assert "schemaVersion" in validate_node(broken)[0]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"history": [{"created_by": "1"}, {"created_by": "2"}]}, "2 history entries that are not empty for 1 layers"),
        ({"created": "yesterday"}, "`created` is not RFC 3339: yesterday"),
        ({"execution": {"Env": ["PATH"]}}, "Env entry without `=`: PATH"),
        ({"execution": {"ExposedPorts": ["80"]}}, "`ExposedPorts` is not a map to empty objects"),
        ({"execution": {"Volumes": {"/data": {"x": 1}}}}, "`Volumes` is not a map to empty objects"),
    ],
)
def test_configs_with_something_amiss(options: dict[str, Any], finding: str) -> None:
    assert validate_config(made(**options).config, 1) == (finding,)


def test_more_layers_than_diff_ids() -> None:
    assert validate_config(made().config, 2) == ("1 diff_ids for 2 layers",)
