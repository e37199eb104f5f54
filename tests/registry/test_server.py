"""The small registry by its protocol: what the client never does must work, too, or be refused properly."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.errors import DestinationError
from ociassemble.oci import mediatype
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.registry.server import RegistryServer, serve
from tests.registry.chaos import blob_of

DATA = os.urandom(100_000)
DIGEST = Digest.of(DATA)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    with serve("127.0.0.1", 0, tmp_path / "storage") as running:
        yield running


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])


def ask(
    server: RegistryServer,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    **more: bool,
) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {}, **more)  # type: ignore[arg-type]
        return Reply(connection.getresponse())
    finally:
        connection.close()


def push(server: RegistryServer, data: bytes = DATA, repository: str = "a/b") -> Digest:
    reply = ask(server, "POST", f"/v2/{repository}/blobs/uploads/?digest={Digest.of(data)}", data)
    assert reply.status == 201
    return Digest.of(data)


def begin(server: RegistryServer) -> str:
    reply = ask(server, "POST", "/v2/a/b/blobs/uploads/")
    assert reply.status == 202
    assert reply.headers["range"] == "0-0"
    return reply.headers["location"]


def test_it_says_what_it_is(server: RegistryServer) -> None:
    reply = ask(server, "GET", "/v2/")
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"
    assert server.host == f"127.0.0.1:{server.port}"


def test_a_blob_in_chunks(server: RegistryServer) -> None:
    where = begin(server)
    one = ask(server, "PATCH", where, DATA[:40_000], {"Content-Range": "0-39999"})
    assert (one.status, one.headers["range"]) == (202, "0-39999")
    status = ask(server, "GET", where)
    assert (status.status, status.headers["range"]) == (204, "0-39999")
    wrong = ask(server, "PATCH", where, DATA[50_000:], {"Content-Range": "50000-99999"})
    assert (wrong.status, wrong.code) == (416, "BLOB_UPLOAD_INVALID")
    assert ask(server, "PATCH", where, DATA[40_000:70_000]).status == 202
    done = ask(server, "PUT", f"{where}?digest={DIGEST}", DATA[70_000:])
    assert (done.status, done.headers["docker-content-digest"]) == (201, DIGEST)
    assert ask(server, "GET", f"/v2/a/b/blobs/{DIGEST}").body == DATA
    assert ask(server, "PUT", f"{where}?digest={DIGEST}").code == "BLOB_UPLOAD_UNKNOWN"


def test_a_blob_of_unknown_length(server: RegistryServer) -> None:
    where = begin(server)
    assert ask(server, "PATCH", where, iter([DATA[:1], DATA[1:]]), encode_chunked=True).status == 202
    assert ask(server, "PUT", f"{where}?digest={DIGEST}").status == 201
    assert ask(server, "GET", f"/v2/a/b/blobs/{DIGEST}").body == DATA


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-", 200, 0, 100_000),
        ("bytes=1-", 206, 1, 100_000),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=99999-", 206, 99_999, 100_000),
        ("bytes=-5", 206, 99_995, 100_000),
        ("bytes=5-999999999", 206, 5, 100_000),
        ("bytes=0-1,5-6", 200, 0, 100_000),
        ("lines=1-2", 200, 0, 100_000),
        ("bytes=100000-", 416, 0, 0),
        ("bytes=20-10", 416, 0, 0),
    ],
)
def test_ranges(server: RegistryServer, asked: str, status: int, start: int, end: int) -> None:
    push(server)
    reply = ask(server, "GET", f"/v2/a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert reply.status == status
    if status == 206:
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/100000"
    if status != 416:
        assert reply.body == DATA[start:end]


def test_head(server: RegistryServer) -> None:
    push(server)
    reply = ask(server, "HEAD", f"/v2/a/b/blobs/{DIGEST}")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "100000", b"")
    assert ask(server, "HEAD", f"/v2/a/c/blobs/{DIGEST}").status == 404


def test_a_blob_is_of_the_repository_it_was_pushed_to(server: RegistryServer) -> None:
    push(server)
    assert ask(server, "GET", f"/v2/a/c/blobs/{DIGEST}").code == "BLOB_UNKNOWN"
    assert ask(server, "POST", f"/v2/a/c/blobs/uploads/?mount={DIGEST}&from=a/x").status == 202
    assert ask(server, "POST", f"/v2/a/c/blobs/uploads/?mount={DIGEST}&from=../a/b").status == 202
    assert ask(server, "POST", f"/v2/a/c/blobs/uploads/?mount={DIGEST}").status == 202
    assert ask(server, "POST", f"/v2/a/c/blobs/uploads/?mount={DIGEST}&from=a/b").status == 201
    assert ask(server, "GET", f"/v2/a/c/blobs/{DIGEST}").body == DATA
    assert ask(server, "DELETE", f"/v2/a/b/blobs/{DIGEST}").status == 202
    assert ask(server, "DELETE", f"/v2/a/b/blobs/{DIGEST}").status == 404
    assert ask(server, "GET", f"/v2/a/c/blobs/{DIGEST}").body == DATA


def test_wrong_bytes_are_not_kept(server: RegistryServer, tmp_path: Path) -> None:
    where = begin(server)
    reply = ask(server, "PUT", f"{where}?digest={DIGEST}", b"other")
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    assert ask(server, "HEAD", f"/v2/a/b/blobs/{DIGEST}").status == 404
    for digest in ("", "sha256:abc", "md5:" + "0" * 32, "sha256:../../x"):
        assert ask(server, "PUT", f"{begin(server)}?digest={digest}", DATA).status == 400
    assert not [path for path in (tmp_path / "storage" / "blobs").rglob("*") if path.is_file()]


def test_an_upload_that_breaks_off_leaves_nothing(server: RegistryServer, tmp_path: Path) -> None:
    where = begin(server)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"PUT {where}?digest={DIGEST} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode())
        client.sendall(DATA[:50_000])
        client.shutdown(socket.SHUT_WR)
        client.recv(1000)
    assert ask(server, "HEAD", f"/v2/a/b/blobs/{DIGEST}").status == 404
    assert not list((tmp_path / "storage" / "partial").iterdir())


def test_an_upload_can_be_cancelled(server: RegistryServer, tmp_path: Path) -> None:
    where = begin(server)
    assert ask(server, "PATCH", where, DATA).status == 202
    assert ask(server, "DELETE", where).status == 204
    assert ask(server, "GET", where).code == "BLOB_UPLOAD_UNKNOWN"
    assert not list((tmp_path / "storage" / "partial").iterdir())


def manifest_of(*blobs: bytes) -> Manifest:
    config, *layers = [blob_of(data).descriptor for data in blobs]
    return Manifest.create(config=config.with_(media_type=mediatype.OCI_CONFIG), layers=layers)


def put(server: RegistryServer, target: str, raw: bytes, media_type: str = mediatype.OCI_MANIFEST) -> Reply:
    return ask(server, "PUT", f"/v2/a/b/manifests/{target}", raw, {"Content-Type": media_type})


def test_manifests_are_checked(server: RegistryServer) -> None:
    push(server, b"config")
    manifest = manifest_of(b"config", b"layer")
    assert put(server, "1", manifest.raw).code == "MANIFEST_BLOB_UNKNOWN"
    push(server, b"layer")
    assert put(server, str(Digest.of(b"other")), manifest.raw).code == "MANIFEST_INVALID"
    assert put(server, "1", manifest.raw, "text/plain").code == "MANIFEST_INVALID"
    assert put(server, "1", manifest.raw, mediatype.OCI_INDEX).code == "MANIFEST_INVALID"
    assert put(server, "1", b"{}").code == "MANIFEST_INVALID"
    assert put(server, "1", b"x" * (5 << 20)).status == 413
    assert put(server, "1", manifest.raw).status == 201
    reply = ask(server, "GET", "/v2/a/b/manifests/1")
    assert (reply.body, reply.headers["content-type"]) == (manifest.raw, mediatype.OCI_MANIFEST)
    assert reply.headers["docker-content-digest"] == manifest.digest


def test_an_index_needs_its_manifests(server: RegistryServer) -> None:
    push(server, b"config")
    manifest = manifest_of(b"config")
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [manifest.descriptor.document()]}
    ).encode()
    assert put(server, "1", index, mediatype.OCI_INDEX).code == "MANIFEST_BLOB_UNKNOWN"
    assert put(server, str(manifest.digest), manifest.raw).status == 201
    assert put(server, "1", index, mediatype.OCI_INDEX).status == 201


def test_lists_in_pages(server: RegistryServer) -> None:
    push(server, b"config")
    for tag in ("c", "a", "b"):
        put(server, tag, manifest_of(b"config").raw)
    first = ask(server, "GET", "/v2/a/b/tags/list?n=2")
    assert json.loads(first.body) == {"name": "a/b", "tags": ["a", "b"]}
    following = first.headers["link"].split(">")[0].removeprefix("<")
    assert json.loads(ask(server, "GET", following).body)["tags"] == ["c"]
    assert json.loads(ask(server, "GET", "/v2/_catalog").body) == {"repositories": ["a/b"]}
    assert ask(server, "GET", "/v2/none/tags/list").code == "NAME_UNKNOWN"


def test_a_tag_can_be_deleted_alone(server: RegistryServer) -> None:
    push(server, b"config")
    manifest = manifest_of(b"config")
    for tag in ("1", "2"):
        put(server, tag, manifest.raw)
    assert ask(server, "DELETE", "/v2/a/b/manifests/1").status == 202
    assert ask(server, "DELETE", "/v2/a/b/manifests/1").status == 404
    assert ask(server, "GET", "/v2/a/b/manifests/2").status == 200
    assert ask(server, "DELETE", f"/v2/a/b/manifests/{manifest.digest}").status == 202
    assert ask(server, "GET", "/v2/a/b/manifests/2").status == 404


def test_a_restart_keeps_what_there_was(server: RegistryServer, tmp_path: Path) -> None:
    push(server, b"config")
    manifest = manifest_of(b"config")
    put(server, "1", manifest.raw)
    server.shutdown()
    with serve("127.0.0.1", 0, tmp_path / "storage") as again:
        assert ask(again, "GET", "/v2/a/b/manifests/1").body == manifest.raw
        assert ask(again, "GET", f"/v2/a/b/blobs/{manifest.config.digest}").body == b"config"


def test_a_manifest_that_went_bad_on_disk_is_absent(server: RegistryServer, tmp_path: Path) -> None:
    push(server, b"config")
    manifest = manifest_of(b"config")
    put(server, "1", manifest.raw)
    path = tmp_path / "storage" / "blobs" / "sha256" / manifest.digest.hex
    path.chmod(0o600)
    path.write_bytes(b"x" * len(manifest.raw))
    assert ask(server, "GET", "/v2/a/b/manifests/1").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/A/b/manifests/1", 404),
        ("GET", "/v2/a/../../etc/manifests/1", 404),
        ("GET", "/v2/_tags/manifests/1", 404),
        ("GET", "/v2/a/b/manifests/..", 404),
        ("GET", "/v2/a/b/manifests/%2e%2e", 404),
        ("GET", "/v2/a/b/blobs/sha256:..%2f..%2f", 404),
        ("GET", "/v2/a/b/blobs/sha256:abcd", 400),
        ("GET", "/v2/a/b/blobs/md5:" + "0" * 32, 400),
        ("PUT", "/v2/", 405),
        ("PATCH", "/v2/a/b/manifests/1", 405),
        ("OPTIONS", "/v2/", 501),
    ],
)
def test_strange_requests(server: RegistryServer, method: str, path: str, status: int) -> None:
    assert ask(server, method, path).status == status


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /v2/a/blobs/uploads/?digest=sha256:"
        + b"0" * 64
        + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\n",
        b"GET " + b"/x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
    ids=range(6),
)
def test_garbage_ends_the_connection_and_not_the_server(server: RegistryServer, raw: bytes) -> None:
    # The server may hang up before it has read all of this.
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client, contextlib.suppress(OSError):
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert ask(server, "GET", "/v2/").status == 200


def test_a_port_that_is_taken_is_said(server: RegistryServer, tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot listen") as caught:
        serve("127.0.0.1", server.port, tmp_path / "other")
    assert "another port" in (caught.value.hint or "")


def test_a_line_is_logged_for_each_request(tmp_path: Path) -> None:
    lines: list[str] = []
    with serve("127.0.0.1", 0, tmp_path / "storage", log=lines.append) as server:
        ask(server, "GET", "/v2/")
    assert lines == ['127.0.0.1 "GET /v2/ HTTP/1.1" 200 -']


def test_ipv6(tmp_path: Path) -> None:
    try:
        running = serve("::1", 0, tmp_path / "storage")
    except DestinationError:
        pytest.skip("no IPv6 on this machine")
    with running:
        assert running.host == f"[::1]:{running.port}"
