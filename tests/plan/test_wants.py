"""The list of what is missing: read strictly, and written back as it was."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.locked_base import RegistryBase
from ociassemble.plan.wants import Want, WantedBase, Wants, WantsFormatError

WHEEL = Want("wheel", "alpha", "1.0", ArtifactRef(Digest.of(b"a"), 3, "alpha-1.0-py3-none-any.whl"))
DEB = Want(
    "debian", "libc6", "2.41-12", ArtifactRef(Digest.of(b"d"), 4, "libc6.deb"), "debian", "pool/main/g/libc6.deb"
)
PIN = RegistryBase(Digest.of(b"m"), 5, "application/vnd.oci.image.manifest.v1+json", (), "distroless/python3")
BASE = WantedBase("distroless/python3", "auto", {"linux/amd64": PIN, "linux/arm64": None})
WANTS = Wants(name="shop", base=BASE, files=(DEB, WHEEL))


@pytest.mark.spec("OFFLINE-7")
def test_what_is_written_is_read() -> None:
    assert Wants.parse(WANTS.dump(), "wants.json") == WANTS
    assert Wants.parse(Wants(name="shop").dump(), "x") == Wants(name="shop")
    assert WANTS and not Wants(name="shop")
    assert DEB.package.path == DEB.path and DEB.package.artifact == DEB.artifact


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(WANTS.dump()), **changes}).encode()


def artifact(**changes: Any) -> bytes:
    return changed(artifacts=[{**DEB.document(), **changes}])


@pytest.mark.spec("OFFLINE-7", "BUNDLE-10")
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"version":1,"version":1}',
        changed(version=2), changed(version=True), changed(name="../x"), changed(name=""), changed(more=1),
        changed(base={}), changed(base={"name": "x", "source": "auto", "platforms": {}}),
        changed(base={"name": "x", "source": "ftp", "platforms": {"linux/amd64": None}}),
        changed(base={"name": "x", "source": "auto", "platforms": {"linux/amd64": {"digest": "x"}}}),
        changed(artifacts={}), changed(artifacts=[1]), changed(releases=[{}]),
        artifact(kind="program"), artifact(sha256="x"), artifact(size=-1), artifact(size=1.5), artifact(name=""),
        artifact(filename="../x.deb"), artifact(path="/etc/passwd"), artifact(path="a/../../b"),
        artifact(archive="a/b"),
    ],
)  # fmt: skip
def test_what_is_none(raw: bytes) -> None:
    with pytest.raises(WantsFormatError) as refused:
        Wants.parse(raw, "wants.json")

    assert "wants.json" in str(refused.value) and refused.value.hint


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.booleans(),
        lambda item: (
            st.lists(item)
            | st.dictionaries(st.sampled_from(["name", "base", "platforms", "version", "artifacts", "kind"]), item)
        ),
        max_leaves=12,
    )
)
def test_any_json(value: Any) -> None:
    with contextlib.suppress(Error):
        Wants.parse(json.dumps(value).encode(), "x")
    with contextlib.suppress(Error):
        Wants.parse(changed(base=value, artifacts=[value]), "x")
