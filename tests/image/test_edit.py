"""Configs changed by value."""

from __future__ import annotations

from ociassemble.image.edit import padded_history, to_oci
from ociassemble.oci import mediatype
from ociassemble.testing.images import image, layer


def test_dockers_types_have_oci_names_and_blobs_stay() -> None:
    made = image([layer({"a": "1"})], docker=True)
    found = to_oci(made.manifest.layers[0])

    assert found.media_type == mediatype.OCI_LAYER_GZIP
    assert found.bare().with_(media_type="x") == made.manifest.layers[0].bare().with_(media_type="x")
    assert to_oci(made.manifest.config).media_type == mediatype.OCI_CONFIG
    assert to_oci(found) == found


def test_empty_layers_of_a_history_are_no_layers() -> None:
    history = [{"empty_layer": True}, {"created_by": "1"}, {"empty_layer": True}]
    config = image([layer({"a": "1"})], history=history).config

    assert list(padded_history(config, "now")) == history
