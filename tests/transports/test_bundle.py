"""Bundles: what is written, and that it is read again as what it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ociassemble.image.image import open_image
from ociassemble.image.validate import validate_node
from ociassemble.operations.images import validate
from ociassemble.transports.bundle import BundleArchive, BundleSource, read_bundle
from ociassemble.transports.bundle_write import bundle_of, write_bundle
from ociassemble.transports.layout_reader import LayoutMissingError
from tests.transports.bundles import base, file, members, small, store_of, written


@pytest.mark.spec("BUNDLE-1", "BUNDLE-3", "BUNDLE-11")
def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    made = small(b"one", b"two")

    found = read_bundle(BundleArchive(str(written(made, tmp_path / "x"))))

    assert (found.name, found.digest, found.base_name, found.since) == ("shop", made.digest, made.base_name, None)
    assert found.files == made.files
    assert [file.licence for file in found.files] == ["", ""]
    assert validate(found.root).findings == () and validate_node(found.root) == ()
    (artifact,) = [child for child in found.root.children if child.descriptor.artifact_type]
    document = json.loads(artifact.raw)
    assert document["artifactType"] == "application/vnd.ociassemble.bundle.wheel.v1"
    assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert [layer["annotations"]["org.opencontainers.image.title"] for layer in document["layers"]] == [
        "w0-1.0-py3-none-any.whl",
        "w1-1.0-py3-none-any.whl",
    ]


@pytest.mark.spec("BUNDLE-1", "BUNDLE-16")
def test_its_base_is_an_image_like_any_other(tmp_path: Path) -> None:
    image = base("linux/amd64", "linux/arm64")
    made = bundle_of("shop", image, "registry.example/base:v1", [], store_of().open)
    path = str(written(made, tmp_path / "x"))

    for tag in ("", "base", "registry.example/base:v1"):
        assert BundleSource(BundleArchive(path), tag).read().raw == image.raw
    one = image.children[1]
    node = BundleSource(BundleArchive(path), "", one.descriptor.digest).read()
    assert open_image(node).platform.architecture == "arm64" and node.raw == one.raw
    with pytest.raises(LayoutMissingError) as missing:
        BundleSource(BundleArchive(path), "v9").read()
    assert missing.value.details == ("there: base, bundle",)


@pytest.mark.spec("BUNDLE-4")
def test_the_same_in_any_order_is_the_same_bytes(tmp_path: Path) -> None:
    store = store_of(b"a", b"b", b"c")
    files = [file(b"b", "b.deb", "debian"), file(b"a", "a.whl"), file(b"c", "c.deb", "debian")]

    def one(path: Path, order: list[int]) -> bytes:
        made = bundle_of("shop", base("linux/amd64"), "", [files[number] for number in order], store.open)
        return written(made, path).read_bytes()

    assert one(tmp_path / "1", [0, 1, 2]) == one(tmp_path / "2", [2, 1, 0, 0])
    for member, _ in members(tmp_path / "1"):
        assert (member.isreg(), member.mode, member.mtime, member.uid) == (True, 0o644, 315619200, 0)


@pytest.mark.spec("BUNDLE-3")
def test_titles_are_unique_within_an_artifact(tmp_path: Path) -> None:
    store = store_of(b"a", b"b")
    files = [file(b"a", "x-1.0.tgz", "npm", "@one/x"), file(b"b", "x-1.0.tgz", "npm", "@two/x")]

    found = read_bundle(BundleArchive(str(written(bundle_of("shop", None, "", files, store.open), tmp_path / "x"))))

    assert {item.name for item in found.files} == {"@one/x", "@two/x"}
    assert [len(child.blobs) for child in found.root.children] == [2, 2]


@pytest.mark.spec("BUNDLE-6")
def test_a_delta_has_what_is_new_and_all_documents(tmp_path: Path) -> None:
    old = small(b"one")
    new = small(b"one", b"two", since=old)

    saved = write_bundle(new, tmp_path / "delta", since=old)

    names = [member.name for member, _ in members(tmp_path / "delta")]
    blobs = {hashlib.sha256(data).hexdigest() for data in (b"one", b"two")}
    assert {name.rpartition("/")[2] for name in names} & blobs == {hashlib.sha256(b"two").hexdigest()}
    found = read_bundle(BundleArchive(str(tmp_path / "delta")))
    assert found.since == old.digest and found.files == new.files
    assert len(saved.left_out) == 4  # config and layer of the base, the empty config, the first wheel
    assert (tmp_path / "delta").stat().st_size == saved.size


@pytest.mark.spec("BUNDLE-9")
def test_wheels_of_the_tool_are_there_by_their_names(tmp_path: Path) -> None:
    made = bundle_of("shop", None, "", [file(b"w", "ociassemble-1-py3-none-any.whl", "tool")], store_of(b"w").open)

    assert ("tool/ociassemble-1-py3-none-any.whl", b"w") in {
        (member.name, data) for member, data in members(written(made, tmp_path / "x"))
    }
