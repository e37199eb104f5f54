"""Pulling from registries that lie, break off, or answer strangely."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from ociassemble.errors import (
    AuthError,
    Error,
    FormatError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    OfflineError,
    UnreachableError,
)
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.index import Index
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.progress import Event, Note, Progress
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.credentials import Credential, Keychain
from ociassemble.registry.endpoints import MirrorError, parse_mirror
from ociassemble.registry.errors import ImageNotFoundError, RemoteBlobNotFoundError
from tests.net.scripted import Answer, Request, ScriptedServer, ranged
from tests.registry.chaos import ChaosRegistry

BIG = os.urandom(300_000)


@pytest.fixture
def registry() -> Iterator[ChaosRegistry]:
    with ChaosRegistry() as running:
        yield running


def client(**more: object) -> RegistryClient:
    return RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None, **more)  # type: ignore[arg-type]


def image(registry: ScriptedServer, tag: str = "1") -> Reference:
    return Reference.parse(f"{registry.host}/a/b:{tag}")


def about_manifests(registry: ScriptedServer) -> list[str]:
    return [line for line in registry.asked() if "/manifests/" in line]


# --- tags and manifests ---------------------------------------------------------------------------------------


def test_a_tag_is_resolved_by_one_request(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    assert client().resolve(image(registry)) == (manifest.descriptor, manifest.raw)
    assert about_manifests(registry) == ["GET /v2/a/b/manifests/1"]
    accepted = registry.requests[-1].headers["accept"].split(", ")
    assert accepted[0] == mediatype.OCI_INDEX
    assert set(accepted) == mediatype.INDEXES | mediatype.MANIFESTS


def test_a_tag_that_moves_under_our_feet_gives_one_consistent_image(registry: ChaosRegistry) -> None:
    first, second = registry.add_image("x", b"first"), registry.add_image("y", b"second")
    turns = [first, second]

    def flip(request: Request) -> Answer:
        turns.reverse()
        return Answer(200, turns[1].raw, (("Content-Type", mediatype.OCI_MANIFEST),))

    registry.on("GET", "/v2/a/b/manifests/1", flip)
    one = client()
    descriptor, raw = one.resolve(image(registry))
    assert one.manifest(image(registry), descriptor) == raw
    layer = Manifest.parse(raw).layers[0]
    assert one.blob(image(registry), layer).read() == b"first"
    assert registry.asked().count("GET /v2/a/b/manifests/1") == 1


def test_a_digest_decides_over_the_tag(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    pinned = image(registry).with_digest(manifest.digest)
    assert client().resolve(pinned)[0] == manifest.descriptor
    assert about_manifests(registry) == [f"GET /v2/a/b/manifests/{manifest.digest}"]


@pytest.mark.parametrize("what", ["resolve", "manifest", "config", "layer"])
def test_other_bytes_than_the_pinned_ones_are_refused(registry: ChaosRegistry, what: str) -> None:
    manifest, other = registry.add_image("1"), registry.add_image("2", b"other")
    answer = Answer(
        200, other.raw, (("Content-Type", mediatype.OCI_MANIFEST), ("Docker-Content-Digest", manifest.digest))
    )
    registry.on("GET", f"/v2/a/b/manifests/{manifest.digest}", answer)
    registry.on("GET", "/v2/a/b/blobs/.*", Answer(200, b"x" * manifest.config.size))
    one, reference = client(), image(registry)
    with pytest.raises(IntegrityError):
        if what == "resolve":
            one.resolve(reference.with_digest(manifest.digest))
        elif what == "manifest":
            one.manifest(reference, manifest.descriptor)
        else:
            one.blob(reference, manifest.config if what == "config" else manifest.layers[0]).read()


def test_a_wrong_digest_header_is_told_and_not_believed(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    wrong = "sha256:" + "0" * 64
    answer = Answer(200, manifest.raw, (("Content-Type", mediatype.OCI_MANIFEST), ("Docker-Content-Digest", wrong)))
    registry.on("GET", "/v2/a/b/manifests/1", answer)
    events: list[Event] = []
    assert client(progress=Progress(events.append)).resolve(image(registry))[0].digest == manifest.digest
    assert [event.level for event in events if isinstance(event, Note)] == ["warning"]


def test_a_digest_that_is_a_path_is_never_one(registry: ChaosRegistry) -> None:
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": mediatype.OCI_CONFIG, "digest": "sha256:../../../../evil", "size": 1},
            "layers": [],
        }
    ).encode()
    registry.add_manifest("1", raw)
    with pytest.raises(FormatError, match="not a digest"):
        client().resolve(image(registry))


OCI, DOCKER, LIST, INDEX = (
    mediatype.OCI_MANIFEST, mediatype.DOCKER_MANIFEST, mediatype.DOCKER_INDEX, mediatype.OCI_INDEX,
)  # fmt: skip


@pytest.mark.parametrize(
    ("announced", "own", "shape", "expected"),
    [
        (OCI, OCI, "image", OCI),
        (OCI, "", "image", OCI),
        (f"{OCI}; charset=utf-8", OCI, "image", OCI),
        ("", OCI, "image", OCI),
        ("application/json", DOCKER, "image", DOCKER),
        ("text/plain", "", "image", OCI),
        (INDEX, INDEX, "index", INDEX),
        (LIST, LIST, "index", LIST),
        ("", "", "index", INDEX),
        (OCI, INDEX, "index", None),
        (INDEX, OCI, "image", None),
        (INDEX, INDEX, "image", None),
        (OCI, OCI, "index", None),
        (OCI, DOCKER, "image", None),
        (INDEX, INDEX, "both", None),
        (OCI, OCI, "both", None),
        ("", "", "both", None),
        ("text/html", "", "image", None),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "", "schema1", None),
    ],
)
def test_header_body_and_shape_must_agree(
    registry: ChaosRegistry, announced: str, own: str, shape: str, expected: str | None
) -> None:
    part = {"mediaType": mediatype.OCI_CONFIG, "digest": "sha256:" + "a" * 64, "size": 2}
    document: dict[str, object] = {"schemaVersion": 1 if shape == "schema1" else 2}
    if own:
        document["mediaType"] = own
    if shape in ("image", "both"):
        document |= {"config": part, "layers": []}
    if shape in ("index", "both"):
        document["manifests"] = []
    registry.on("GET", ".*/manifests/1", Answer(200, json.dumps(document).encode(), (("Content-Type", announced),)))
    if expected is None:
        with pytest.raises(FormatError):
            client().resolve(image(registry))
    else:
        assert client().resolve(image(registry))[0].media_type == expected


def test_a_manifest_of_another_type_than_its_descriptors_is_refused(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    wrong = manifest.descriptor.with_(media_type=mediatype.OCI_INDEX)
    with pytest.raises(FormatError, match="is of the type"):
        client().manifest(image(registry), wrong)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"x" * (5 << 20)),
        Answer(200, b"x" * 65536, endless=True),
        Answer(200, b"<html>a web server</html>", (("Content-Type", "text/html"),)),
        Answer(200, b""),
        Answer(200, b"[]"),
        Answer(200, b"[" * 100_000),
        Answer(200, b'{"schemaVersion":2,"schemaVersion":2}'),
        Answer(200, b"\xff\xfe"),
        Answer(204),
        Answer(302),
        Answer(200, b"{}", length=500, cut=2),
    ],
    ids=["large", "endless", "html", "empty", "list", "deep", "duplicate", "utf16", "204", "302", "cut"],
)
def test_what_is_no_manifest_is_an_error_of_ours(registry: ChaosRegistry, answer: Answer) -> None:
    registry.on("GET", ".*/manifests/1", answer)
    with pytest.raises(Error) as caught:
        client().resolve(image(registry))
    assert caught.value.exit_code in (6, 7)


def test_what_does_not_exist(registry: ChaosRegistry) -> None:
    with pytest.raises(ImageNotFoundError, match="a/b:1` does not exist") as caught:
        client().resolve(image(registry))
    assert caught.value.details == ("MANIFEST_UNKNOWN: manifest unknown",)
    missing = Descriptor(media_type=mediatype.OCI_LAYER, digest=Digest.of(b"no"), size=2)
    with pytest.raises(RemoteBlobNotFoundError, match="does not have the blob"):
        client().blob(image(registry), missing).read()
    assert not client().blob_exists(image(registry), missing)


def test_head_says_what_a_tag_points_at(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    assert client().head(image(registry)) == manifest.descriptor
    assert about_manifests(registry) == ["HEAD /v2/a/b/manifests/1"]
    with pytest.raises(NotFoundError):
        client().head(image(registry, "2"))


@pytest.mark.parametrize("answer", [Answer(405), Answer(403), Answer(200), Answer(412)])
def test_where_head_says_nothing_get_does(registry: ChaosRegistry, answer: Answer) -> None:
    manifest = registry.add_image("1")
    registry.on("HEAD", ".*", answer)
    assert client().head(image(registry)) == manifest.descriptor


# --- blobs ----------------------------------------------------------------------------------------------------


def test_a_blob_is_asked_for_when_it_is_opened(registry: ChaosRegistry) -> None:
    layer = registry.add_blob(BIG)
    blob = client().blob(image(registry), layer)
    assert registry.requests == []
    assert blob.repository == f"{registry.host}/a/b"
    for _ in range(2):
        with blob.open() as stream:
            assert stream.read() == BIG


def test_a_blob_goes_on_after_cuts(registry: ChaosRegistry) -> None:
    layer = registry.add_blob(BIG)
    registry.on("GET", ".*/blobs/.*", ranged(BIG, 1, 100_000, 0, 7))
    assert client().blob(image(registry), layer).read() == BIG
    assert len([line for line in registry.asked() if "/blobs/" in line]) == 5


@pytest.mark.parametrize("data", [BIG + b"x", BIG[:-1], b"", b"x" * len(BIG)], ids=["long", "short", "empty", "other"])
def test_a_blob_that_is_not_what_it_should_be_is_never_read_to_the_end(registry: ChaosRegistry, data: bytes) -> None:
    layer = registry.add_blob(BIG)
    registry.on("GET", ".*/blobs/.*", Answer(200, data))
    with pytest.raises(IntegrityError):
        client().blob(image(registry), layer).read()


def test_an_endless_blob_ends(registry: ChaosRegistry) -> None:
    layer = registry.add_blob(BIG)
    registry.on("GET", ".*/blobs/.*", Answer(200, BIG, endless=True))
    with pytest.raises(IntegrityError):
        client().blob(image(registry), layer).read()


def test_a_blob_that_is_left_early_ends_its_request(registry: ChaosRegistry) -> None:
    layer = registry.add_blob(BIG)
    one = client()
    for _ in range(40):  # more than there are connections
        with one.blob(image(registry), layer).open() as stream:
            assert stream.read(10) == BIG[:10]


def test_embedded_data_needs_no_request(registry: ChaosRegistry) -> None:
    layer = registry.add_blob(b"{}").with_(data=b"{}")
    assert client().blob(image(registry), layer).read() == b"{}"
    assert registry.requests == []


def test_foreign_urls_are_never_followed(registry: ChaosRegistry) -> None:
    with ScriptedServer() as foreign:
        missing = Descriptor(
            media_type=mediatype.DOCKER_FOREIGN_GZIP, digest=Digest.of(b"x"), size=1, urls=(f"{foreign.url}/layer",)
        )
        with pytest.raises(NotFoundError):
            client().blob(image(registry), missing).read()
        assert foreign.requests == []


# --- lists ----------------------------------------------------------------------------------------------------


def page(names: list[str] | None, link: str = "") -> Answer:
    return Answer(200, json.dumps({"name": "a/b", "tags": names}).encode(), (("Link", link),) if link else ())


def test_tags_over_pages(registry: ChaosRegistry) -> None:
    registry.on("GET", r"/v2/a/b/tags/list\?n=1000", page(["1", "2"], '</v2/a/b/tags/list?n=1000&last=2>; rel="next"'))
    registry.on("GET", r"/v2/a/b/tags/list\?n=1000&last=2", page(["3"], "<?n=9>; rel=prev, <?n=1000&last=3>; rel=next"))
    registry.on("GET", r"/v2/a/b/tags/list\?n=1000&last=3", page(["2", "4\x1b[0m", "5"]))
    assert client().tags(image(registry)) == ["1", "2", "3", "5"]


def test_no_tags(registry: ChaosRegistry) -> None:
    registry.on("GET", "/v2/a/b/tags/list.*", page(None))
    assert client().tags(image(registry)) == []


def test_a_loop_of_pages_ends(registry: ChaosRegistry) -> None:
    registry.on("GET", "/v2/a/b/tags/list.*", page(["1"], '<?n=1000>; rel="next"'))
    assert client().tags(image(registry)) == ["1"]
    assert len(registry.requests) <= 3


def test_a_list_does_not_go_on_elsewhere(registry: ChaosRegistry) -> None:
    with ScriptedServer() as evil:
        registry.on("GET", "/v2/a/b/tags/list.*", page(["1"], f'<{evil.url}/x>; rel="next"'))
        with pytest.raises(NetworkError, match="another host"):
            client().tags(image(registry))
        assert evil.requests == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": 5}', b"[" * 100_000, b"x" * (5 << 20)], ids=range(5))
def test_lists_that_are_none(registry: ChaosRegistry, body: bytes) -> None:
    registry.on("GET", "/v2/a/b/tags/list.*", Answer(200, body))
    with pytest.raises(NetworkError):
        client().tags(image(registry))


# --- mirrors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("gcr.io=127.0.0.1:5000", ("gcr.io", "127.0.0.1:5000")),
        ("docker.io=mirror.example/dockerhub/", ("docker.io", "mirror.example/dockerhub")),
        ("index.docker.io=MIRROR.example", ("docker.io", "mirror.example")),
    ],
)
def test_mirrors_are_written_so(text: str, pair: tuple[str, str]) -> None:
    assert parse_mirror(text) == pair


@pytest.mark.parametrize(
    "text", ["", "=", "gcr.io", "gcr.io=", "=m.example", "a/b=c", "gcr.io=http://m.example", "g=c d"]
)
def test_what_is_no_mirror(text: str) -> None:
    with pytest.raises(MirrorError, match="HOST=MIRROR"):
        parse_mirror(text)


def test_pulls_go_to_the_mirror(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("nonroot")
    reference = Reference.parse("gcr.io/distroless/static:nonroot")
    one = client(mirrors={"gcr.io": f"{registry.host}/proxy"})
    assert one.resolve(reference)[0] == manifest.descriptor
    blob = one.blob(reference, manifest.layers[0])
    assert blob.read() == b"a layer"
    assert blob.repository == "gcr.io/distroless/static"
    assert {line.split("/v2/")[1].split("/manifests")[0].split("/blobs")[0] for line in registry.asked()[1:]} == {
        "proxy/distroless/static"
    }


def test_what_the_mirror_does_not_have_is_asked_of_the_registry(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("1")
    with ChaosRegistry() as mirror:
        one = client(mirrors={registry.host: mirror.host})
        assert one.resolve(image(registry))[0] == manifest.descriptor
        mirror.on("GET", ".*/blobs/.*", Answer(200, b"poison!"))
        mirror.on("GET", ".*/manifests/.*", Answer(200, b"poison!"))
        events: list[Event] = []
        one = client(mirrors={registry.host: mirror.host}, progress=Progress(events.append))
        assert one.resolve(image(registry))[0] == manifest.descriptor
        assert "passed over" in str(events)
    assert one.resolve(image(registry))[0] == manifest.descriptor  # the mirror is gone


def test_an_unreachable_registry_behind_a_mirror_says_both() -> None:
    with ChaosRegistry() as mirror:
        with pytest.raises(UnreachableError) as caught:
            client(mirrors={"registry.example": mirror.host}).resolve(Reference.parse("registry.example/a:1"))
        assert "its mirror" in caught.value.details[-1]


def test_a_mirror_never_sees_the_registrys_credentials(registry: ChaosRegistry) -> None:
    registry.add_image("1")
    with ChaosRegistry() as mirror:
        mirror.on("*", "/v2/.*", Answer(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),)))
        keychain = Keychain(explicit={registry.host: Credential(source="s", username="u", password="canary")})
        one = client(mirrors={registry.host: mirror.host}, keychain=keychain)
        one.resolve(image(registry))
        assert mirror.requests
        assert all("authorization" not in request.headers for request in mirror.requests)


def test_pushes_do_not_go_to_the_mirror(registry: ChaosRegistry) -> None:
    with ChaosRegistry() as mirror:
        manifest = registry.add_image("1")
        one = client(mirrors={registry.host: mirror.host})
        one.put_manifest(image(registry, "2"), manifest.raw, manifest.media_type)
        one.delete(image(registry, "2"))
        assert not one.blob_exists(image(registry), Descriptor(media_type="x", digest=Digest.of(b"-"), size=1))
        assert mirror.requests == []


# --- which scheme, and offline --------------------------------------------------------------------------------


def test_a_tls_registry_on_this_machine_is_recognised(registry: ChaosRegistry) -> None:
    # Go's server answers a request in clear like this; the client must then speak TLS (and fail here, at that).
    registry.on("*", "/v2/.*", Answer(400, b"Client sent an HTTP request to an HTTPS server."))
    with pytest.raises(NetworkError) as caught:
        client().resolve(image(registry))
    assert not isinstance(caught.value, UnreachableError)
    assert registry.asked() == ["GET /v2/a/b/manifests/1", "GET /v2/"]


def test_the_first_request_tells_what_a_registry_on_this_machine_speaks(registry: ChaosRegistry) -> None:
    registry.add_image("1")
    one = client()
    one.head(image(registry))
    one.resolve(image(registry))
    assert registry.asked() == ["HEAD /v2/a/b/manifests/1", "GET /v2/a/b/manifests/1"]


def test_a_first_answer_that_is_bad_or_cut_does_not_make_it_tls(registry: ChaosRegistry) -> None:
    registry.add_image("1")
    for answer in (Answer(cut=-1), Answer(503)):
        registry.on("GET", "/v2/a/.*", answer, registry.work)
        assert client().resolve(image(registry))[1]
    registry.on("GET", "/v2/a/.*", Answer(400))
    with pytest.raises(NetworkError, match="400"):
        client().resolve(image(registry))


def test_another_host_is_never_asked_in_clear() -> None:
    with ScriptedServer() as proxy:
        wire = Wire(proxies={"all": proxy.url}, sleep=lambda s: None)
        with pytest.raises(NetworkError):
            RegistryClient(wire).resolve(Reference.parse("registry.example/a:1"))
        assert {request.method for request in proxy.requests} == {"CONNECT"}


def test_offline_asks_nobody(registry: ChaosRegistry) -> None:
    with pytest.raises(OfflineError):
        RegistryClient(Wire(offline=True)).resolve(image(registry))
    assert registry.requests == []


def test_an_image_behind_an_index(registry: ChaosRegistry) -> None:
    manifest = registry.add_image("x")
    index = Index.create([manifest.descriptor])
    registry.add_manifest("1", index.raw, index.media_type)
    one = client()
    descriptor, raw = one.resolve(image(registry))
    child = Index.parse(raw, descriptor.media_type).manifests[0]
    assert one.manifest(image(registry), child) == manifest.raw


def test_rate_limits_are_told(registry: ChaosRegistry) -> None:
    headers = (("Retry-After", "3600"), ("ratelimit-limit", "100;w=21600"))
    registry.on("GET", "/v2/a/.*", Answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow"}]}', headers))
    with pytest.raises(Error) as caught:
        client().resolve(image(registry))
    assert caught.value.code == "network.rate-limited"
    assert "ratelimit-limit: 100;w=21600" in caught.value.details
    assert not isinstance(caught.value, AuthError)
