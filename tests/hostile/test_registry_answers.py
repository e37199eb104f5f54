"""Whatever a registry answers, what comes out is a result or one of our errors, and never an image in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.errors import Error
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.document import describe
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.registry.client import RegistryClient
from tests.net.scripted import Answer
from tests.registry.chaos import ChaosRegistry, blob_of

HEADERS = st.sampled_from(
    [
        ("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:1/t"'),
        ("WWW-Authenticate", "Basic"),
        ("WWW-Authenticate", "\x7f,=\""),
        ("Location", "http://[::g]/"),
        ("Location", "/v2/x"),
        ("Location", ""),
        ("Content-Type", mediatype.OCI_MANIFEST),
        ("Content-Type", mediatype.DOCKER_INDEX),
        ("Content-Range", "bytes 0-0/1"),
        ("Content-Encoding", "gzip"),
        ("Docker-Content-Digest", "sha256:../.."),
        ("Link", "<?last=x>; rel=next"),
        ("Link", "<http://h.example/>; rel=next"),
        ("Retry-After", "99999999999999"),
        ("Retry-After", "0"),
    ]
)  # fmt: skip
ANSWERS = st.tuples(
    st.sampled_from([200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 416, 429, 500, 599]),
    st.sampled_from([b"", b"{}", b"[]", b'{"tags":[1,"x"]}', b'{"errors":[1,{"code":2}]}', b"\xff", b"<html>"]),
    st.lists(HEADERS, max_size=3).map(tuple),
    st.sampled_from([None, None, None, 0, -1]),
    st.sampled_from([None, None, None, -5, 1 << 40]),
).map(lambda parts: Answer(*parts[:3], cut=parts[3], length=parts[4]))


@settings(max_examples=60)
@given(st.lists(ANSWERS, min_size=1, max_size=4), st.integers(0, 6))
def test_every_operation_is_total(answers: list[Answer], operation: int) -> None:
    with ChaosRegistry() as registry:
        registry.on("*", "/v2/a/.*", *answers)
        client = RegistryClient(Wire(sleep=lambda s: None, answer_timeout=0.2), sleep=lambda s: None)
        reference = Reference.parse(f"{registry.host}/a/b:1")
        blob = blob_of(b"data")
        operations: list[Any] = [
            lambda: client.resolve(reference),
            lambda: client.head(reference),
            lambda: client.blob(reference, blob.descriptor).read(),
            lambda: client.tags(reference),
            lambda: client.push_blob(reference, blob, f"{registry.host}/a/c"),
            lambda: client.put_manifest(reference, b"{}", mediatype.OCI_MANIFEST),
            lambda: client.delete(reference),
        ]
        try:
            operations[operation]()
        except Error as error:
            assert error.exit_code in (4, 5, 6, 7, 11)
            assert str(error).isprintable()


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["cut", "500", "lost", "unknown", "ok"]), max_size=6))
def test_a_tag_never_points_at_an_image_in_pieces(faults: list[str]) -> None:
    with ChaosRegistry() as registry:
        left = list(faults)

        def fail_or_work(request: Any) -> Answer:
            fault = left.pop(0) if left else "ok"
            if fault == "lost":
                registry.work(request)
            if fault in ("lost", "cut"):
                return Answer(cut=-1)
            if fault == "500":
                return Answer(500)
            if fault == "unknown":
                return Answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
            return registry.work(request)

        registry.on("PUT", ".*", fail_or_work)
        client = RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None)
        reference = Reference.parse(f"{registry.host}/a/b:1")
        config, layer = blob_of(b"{}", mediatype.OCI_CONFIG), blob_of(b"layer" * 999)
        manifest = Manifest.create(config=config.descriptor, layers=[layer.descriptor])
        try:
            for blob in (config, layer):
                client.push_blob(reference, blob)
            client.put_manifest(reference, manifest.raw, manifest.media_type)
        except Error:
            pass
        if "1" in registry.manifests:
            assert registry.manifests["1"][1] == manifest.raw
            assert set(registry.blobs) == {config.descriptor.digest, layer.descriptor.digest}
        for digest, data in registry.blobs.items():
            assert Digest.of(data) == digest


@settings(max_examples=150)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from([mediatype.OCI_INDEX, mediatype.OCI_MANIFEST, "x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size"]),
                inner,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["", mediatype.OCI_INDEX, mediatype.OCI_MANIFEST, "text/html"]),
)
def test_documents_are_described_or_refused(document: Any, announced: str) -> None:
    raw = json.dumps({"schemaVersion": 2, **document} if isinstance(document, dict) else document).encode()
    try:
        found = describe(raw, announced, "x")
    except Error as error:
        assert error.exit_code == 7
    else:
        assert found.digest == Digest.of(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"schemaVersion":2,"layers":[],"Layers":[]}',
        b'{"schemaVersion":2,"mediaType":"%s","config":{},"layers":[]}' % mediatype.OCI_MANIFEST.encode(),
        b'{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}',
        b'{"schemaVersion":1,"fsLayers":[],"name":"x"}',
        b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:x","size":-1}]}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"mediaType":[],"manifests":[]}',
        b'{"schemaVersion":9007199254740993,"layers":[]}',
    ],
    ids=range(8),
)
def test_ambiguous_documents_are_refused(raw: bytes) -> None:
    with pytest.raises(Error) as caught:
        describe(raw, "", "x")
    assert caught.value.exit_code == 7
