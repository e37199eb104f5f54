"""Bundles with certificates appended: bytes, and the layer with them."""

from __future__ import annotations

import io

import pytest

from ociassemble.layer.trust import entries
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import LayerPlan, TrustSource, artifacts_of, places_of

BUNDLE = ArtifactRef(Digest.of(b"old"), 3, "")


@pytest.mark.spec("PACK-81")
@pytest.mark.parametrize(
    ("bundle", "data", "expected"),
    [(BUNDLE, b"old", b"old\nnew\n"), (BUNDLE, b"old\n", b"old\nnew\n"), (None, b"", b"new\n")],
)
def test_the_certificates_come_last(bundle: ArtifactRef | None, data: bytes, expected: bytes) -> None:
    source = TrustSource("/etc/ssl/cert.pem", bundle, "new\n", 0o444, 1, 2)
    (entry,) = entries(source, lambda ref: io.BytesIO(data))
    assert (entry.path, entry.mode, entry.uid, entry.gid) == ("etc/ssl/cert.pem", 0o444, 1, 2)
    assert b"".join(entry.content()) == expected and entry.size == len(expected)


def test_the_bundle_of_the_base_is_asked_for_where_the_layer_is_written() -> None:
    """Facts that come from a lock brought no bundle along: it is then read from the base's layers (PACK-84)."""
    layer = LayerPlan(title="x", role="dependency", sources=(TrustSource("/etc/ssl/cert.pem", BUNDLE, "new"),))
    assert artifacts_of(layer) == (BUNDLE,) and places_of(layer) == ("/etc/ssl/cert.pem",)
