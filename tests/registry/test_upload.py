"""Pushing to registries that lose answers, stumble, refuse or lie."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest

from ociassemble.content.blob import Blob
from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import DestinationError, Error, NetworkError, UnreachableError
from ociassemble.net.wire import Wire
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.reference import Reference
from ociassemble.progress import Advanced, Event, Finished, Progress, Started
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.errors import DeniedError, ImmutableTagError, PushRefusedError
from tests.net.scripted import Answer, Request, ScriptedServer
from tests.registry.chaos import ChaosRegistry, blob_of

DATA = b"layer" * 100_000


@pytest.fixture
def registry() -> Iterator[ChaosRegistry]:
    with ChaosRegistry() as running:
        yield running


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def client(events: list[Event]) -> RegistryClient:
    return RegistryClient(Wire(sleep=lambda s: None), sleep=lambda s: None, progress=Progress(events.append))


def image(registry: ScriptedServer, name: str = "a/b:1") -> Reference:
    return Reference.parse(f"{registry.host}/{name}")


def asked(registry: ScriptedServer) -> list[str]:
    """Methods of the requests about blobs and manifests, the first look at the scheme left out."""
    return [request.method for request in registry.requests if request.path != "/v2/"]


def bytes_told(events: list[Event]) -> int:
    return sum(event.amount for event in events if isinstance(event, Advanced))


def test_one_head_one_post_one_put(registry: ChaosRegistry, client: RegistryClient, events: list[Event]) -> None:
    blob = blob_of(DATA)
    assert client.push_blob(image(registry), blob) == "uploaded"
    assert asked(registry) == ["HEAD", "POST", "PUT"]
    assert registry.blobs[blob.descriptor.digest] == DATA
    put = registry.requests[-1]
    # The session's URL is the registry's own: nothing in it is re-written.
    assert put.path == f"/v2/a/b/blobs/uploads/1?_state=a%2Fb&empty=&digest={blob.descriptor.digest}"
    assert put.headers["content-length"] == str(len(DATA))
    assert put.headers["content-type"] == "application/octet-stream"
    assert isinstance(events[0], Started)
    assert (events[0].kind, events[0].total, bytes_told(events)) == ("upload", len(DATA), len(DATA))
    assert isinstance(events[-1], Finished)
    assert events[-1].outcome == "done"


def test_what_is_there_is_not_sent(registry: ChaosRegistry, client: RegistryClient, events: list[Event]) -> None:
    registry.add_blob(DATA)
    assert client.push_blob(image(registry), blob_of(DATA)) == "exists"
    assert asked(registry) == ["HEAD"]
    assert [event.outcome for event in events if isinstance(event, Finished)] == ["exists"]


def test_an_empty_blob(registry: ChaosRegistry, client: RegistryClient) -> None:
    assert client.push_blob(image(registry), blob_of(b"")) == "uploaded"
    assert registry.blobs[Digest.of(b"")] == b""


def test_mounted(registry: ChaosRegistry, client: RegistryClient) -> None:
    blob = blob_of(DATA)
    registry.on("POST", r".*\?mount=.*", Answer(201))
    there = Blob(descriptor=blob.descriptor, source=blob.source, repository=f"{registry.host}/base/x")
    assert client.push_blob(image(registry), there) == "mounted"
    assert asked(registry) == ["POST"]
    assert registry.requests[-1].path.endswith(f"?mount={blob.descriptor.digest}&from=base/x")


def test_a_mount_that_becomes_an_upload_uses_its_session(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("POST", r".*\?mount=.*", Answer(202, headers=(("Location", "/v2/a/b/blobs/uploads/7"),)))
    assert client.push_blob(image(registry), blob_of(DATA), f"{registry.host}/base/x") == "uploaded"
    assert asked(registry) == ["POST", "HEAD", "PUT"]
    # A registry that does not mount is asked first what it has: there would be a session too many each time.
    assert client.push_blob(image(registry), blob_of(b"other"), f"{registry.host}/base/x") == "uploaded"
    assert asked(registry)[3:] == ["HEAD", "POST", "PUT"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_refused_is_forgotten(registry: ChaosRegistry, client: RegistryClient, status: int) -> None:
    registry.on("POST", r".*\?mount=.*", Answer(status))
    assert client.push_blob(image(registry), blob_of(DATA), f"{registry.host}/base/x") == "uploaded"
    assert client.push_blob(image(registry), blob_of(b"2"), f"{registry.host}/base/x") == "uploaded"
    assert len([line for line in registry.asked("POST") if "mount" in line]) == 1


@pytest.mark.parametrize("source", ["other.example/base/x", "a/b", "", "127.0.0.1:1/base/x"])
def test_nothing_is_mounted_from_elsewhere(registry: ChaosRegistry, client: RegistryClient, source: str) -> None:
    client.push_blob(image(registry), blob_of(DATA), source)
    assert not [line for line in registry.asked("POST") if "mount" in line]


# --- failures that a new session cures ------------------------------------------------------------------------


def test_a_lost_201_is_no_failure(registry: ChaosRegistry, client: RegistryClient) -> None:
    def commit_and_hang_up(request: Request) -> Answer:
        registry.work(request)
        return Answer(cut=-1)

    registry.on("PUT", ".*/uploads/.*", commit_and_hang_up)
    assert client.push_blob(image(registry), blob_of(DATA)) == "uploaded"
    assert asked(registry) == ["HEAD", "POST", "PUT", "HEAD"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(cut=-1),
        Answer(cut=-1, reset=True),
        Answer(500),
        Answer(503),
        Answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'),
        Answer(400, b'{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}'),
        Answer(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}'),
        Answer(202),
    ],
    ids=["cut", "reset", "500", "503", "unknown", "invalid", "digest", "202"],
)
def test_a_new_session_is_begun(
    registry: ChaosRegistry, client: RegistryClient, events: list[Event], answer: Answer
) -> None:
    registry.on("PUT", ".*/uploads/.*", answer, registry.work)
    assert client.push_blob(image(registry), blob_of(DATA)) == "uploaded"
    looks = ["HEAD"] * (2 if answer.status == 202 else 1)  # 202 is neither yes nor no
    assert asked(registry) == ["HEAD", "POST", "PUT", *looks, "POST", "PUT"]
    assert bytes_told(events) == len(DATA)


def test_it_gives_up(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("PUT", ".*/uploads/.*", Answer(500))
    with pytest.raises(NetworkError, match="500"):
        client.push_blob(image(registry), blob_of(DATA))
    assert len(registry.asked("PUT")) == 4


def test_a_slow_commit_is_waited_for_by_looking(registry: ChaosRegistry, client: RegistryClient) -> None:
    # As GHCR does: 404 for the session, and the blob is there all the same.
    def late(request: Request) -> Answer:
        registry.work(request)
        return Answer(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')

    registry.on("PUT", ".*/uploads/.*", late)
    assert client.push_blob(image(registry), blob_of(DATA)) == "uploaded"
    assert len(registry.asked("PUT")) == 1


# --- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "answer", "code", "exit_code"),
    [
        ("POST", Answer(401), "auth.unauthorized", 5),
        ("POST", Answer(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), "auth.denied", 5),
        ("POST", Answer(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'), "destination.refused", 11),
        ("POST", Answer(405), "destination.refused", 11),
        ("POST", Answer(202), "network.registry", 6),
        ("POST", Answer(202, headers=(("Location", "http://169.254.169.254/x"),)), "network.registry", 6),
        ("POST", Answer(202, headers=(("Location", "http://u:p@127.0.0.1/x"),)), "network.registry", 6),
        ("POST", Answer(202, headers=(("Location", "ftp://127.0.0.1/x"),)), "network.registry", 6),
        ("PUT", Answer(413, b"<html>nginx"), "destination.refused", 11),
        ("PUT", Answer(400), "destination.refused", 11),
        ("PUT", Answer(403), "auth.denied", 5),
    ],
)
def test_refusals(
    registry: ChaosRegistry, client: RegistryClient, method: str, answer: Answer, code: str, exit_code: int
) -> None:
    registry.on(method, ".*/uploads/.*", answer)
    with pytest.raises(Error) as caught:
        client.push_blob(image(registry), blob_of(DATA))
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert len(registry.asked("PUT")) <= 1


def test_a_head_that_is_forbidden_is_no_answer(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("HEAD", ".*", Answer(403))
    assert client.push_blob(image(registry), blob_of(DATA)) == "uploaded"


def test_an_unreachable_registry_is_told_at_once(client: RegistryClient) -> None:
    with pytest.raises(UnreachableError):
        client.push_blob(Reference.parse("registry.example/a/b:1"), blob_of(DATA))


def test_a_source_that_went_bad_is_not_pushed(registry: ChaosRegistry, client: RegistryClient) -> None:
    good = blob_of(DATA)
    bad = Blob(descriptor=good.descriptor, source=lambda: io.BytesIO(b"x" * len(DATA)))
    with pytest.raises(DigestMismatchError):
        client.push_blob(image(registry), bad)
    assert registry.blobs == {}


def test_threads_that_push_one_blob_send_it_once(registry: ChaosRegistry, client: RegistryClient) -> None:
    outcomes: list[str] = []

    def work() -> None:
        outcomes.append(client.push_blob(image(registry), blob_of(DATA)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["exists"] * 7 + ["uploaded"]
    assert len(registry.asked("PUT")) == 1


# --- manifests ------------------------------------------------------------------------------------------------


def test_a_manifest_is_put_byte_for_byte(registry: ChaosRegistry, client: RegistryClient) -> None:
    raw = b'{"schemaVersion": 2,   "config":{}, "layers":[]}'
    client.put_manifest(image(registry), raw, mediatype.DOCKER_MANIFEST)
    client.put_manifest(image(registry), raw, mediatype.DOCKER_MANIFEST, "other")
    client.put_manifest(image(registry)._replace(tag=""), raw, mediatype.DOCKER_MANIFEST)
    kept = (mediatype.DOCKER_MANIFEST, raw)
    assert registry.manifests == {"1": kept, "other": kept, Digest.of(raw): kept}


def test_a_manifest_is_put_again_after_a_lost_answer(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("PUT", ".*/manifests/.*", Answer(cut=-1), Answer(502), registry.work)
    client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)
    assert registry.manifests["1"][1] == b"{}"


def test_blobs_that_are_not_seen_yet_are_waited_for(registry: ChaosRegistry, client: RegistryClient) -> None:
    unknown = Answer(400, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"sha256:.."}]}')
    registry.on("PUT", ".*/manifests/.*", unknown, registry.work)
    client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)
    registry.on("PUT", ".*/manifests/.*", unknown)
    with pytest.raises(PushRefusedError) as caught:
        client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)
    assert "MANIFEST_BLOB_UNKNOWN" in caught.value.details[0]


def test_a_registry_that_rewrites_manifests_is_caught(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("PUT", ".*/manifests/.*", Answer(201, headers=(("Docker-Content-Digest", Digest.of(b"other")),)))
    with pytest.raises(DestinationError, match="stored"):
        client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)


def test_an_immutable_tag_that_is_ours_already_is_fine(registry: ChaosRegistry, client: RegistryClient) -> None:
    refuse = Answer(400, b'{"errors":[{"code":"TAG_INVALID","message":"The tag is immutable"}]}')
    registry.on("PUT", ".*/manifests/1", refuse)
    registry.add_manifest("1", b"{}")
    client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)
    with pytest.raises(ImmutableTagError) as caught:
        client.put_manifest(image(registry), b'{"a":1}', mediatype.OCI_MANIFEST)
    assert (caught.value.exit_code, caught.value.hint) == (11, "push under another tag")


def test_a_push_that_is_denied_says_what_is_missing(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.on("PUT", ".*/manifests/1", Answer(403))
    with pytest.raises(DeniedError, match="denies pushing"):
        client.put_manifest(image(registry), b"{}", mediatype.OCI_MANIFEST)


def test_deleting(registry: ChaosRegistry, client: RegistryClient) -> None:
    registry.add_manifest("1", b"{}")
    client.delete(image(registry))
    with pytest.raises(Error) as caught:
        client.delete(image(registry))
    assert caught.value.exit_code == 4
    registry.on("DELETE", ".*", Answer(405))
    with pytest.raises(PushRefusedError, match="tag alone"):
        client.delete(image(registry))
