"""`--load` and engines that cannot be run in tests: Docker's API and the programs of others, by stand-ins at that seam.

The real ones (podman, its service, containerd) are in tests/interop/test_engines.py.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ociassemble.errors import UnreachableError, UsageError
from ociassemble.image.image import Node
from ociassemble.net.errors import AnswerError, CutError
from ociassemble.net.unix import Endpoint, ask
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.progress import Event, Note, Progress
from ociassemble.runtime.docker import DockerApi, endpoint
from ociassemble.runtime.load import AlsoNamed, Chosen, EngineDestination, NoEngineError, choose
from ociassemble.runtime.load_engines import Engine, LoadRefusedError
from ociassemble.testing import images
from ociassemble.transports.archive import ArchiveDestination
from ociassemble.transports.transfer import write_all
from tests.failure.scene import scene_below

NAME = Reference.parse("registry.example/team/app:v1")


class Docker(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A stand-in for Docker's daemon. `store` is "classic" (an image's id is its config's digest) or "containerd"."""

    daemon_threads = True

    def __init__(self, place: Path) -> None:
        self.images: dict[str, str] = {}
        self.store = "classic"
        self.answers: dict[str, tuple[int, bytes]] = {}  # path -> instead of the usual
        self.asked: list[str] = []
        super().__init__(str(place), Handler)
        self.url = f"unix://{place}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def take(self, data: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {item.name: archive.extractfile(item).read() for item in archive}  # type: ignore[union-attr]
        (entry,) = json.loads(files["manifest.json"])
        (first, *_) = json.loads(files["index.json"])["manifests"]
        for tag in entry["RepoTags"]:
            config = "sha256:" + hashlib.sha256(files[entry["Config"]]).hexdigest()
            self.images[str(Reference.parse(tag))] = config if self.store == "classic" else first["digest"]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Docker

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/version":
            self._say(200, b'{"Version":"28.0.0","Components":[{"Name":"Engine"}]}')
        elif self.path.startswith("/images/") and self.path.endswith("/json"):
            found = self.server.images.get(str(Reference.parse(self.path[8:-5])))
            self._say(200, json.dumps({"Id": found}).encode()) if found else self._say(
                404, b'{"message":"no such image"}'
            )
        else:
            self._say(404, b"")

    def do_POST(self) -> None:
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self._say(200, b'{"stream":"Loaded image: x\\n"}\n')

    def _say(self, status: int, body: bytes) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        status, body = self.server.answers.get(self.path.partition("?")[0], (status, body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    server = Docker(tmp_path / "docker.sock")
    yield server
    server.shutdown()
    server.server_close()


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "$0.log"\n{script}\n')
    path.chmod(0o755)


def asked(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.log").read_text().splitlines()


def chosen(folder: Path, name: str = "", **variables: str) -> Chosen:
    """What is chosen on a host that has the programs of `folder` and no others."""

    def find(program: str) -> str | None:
        return str(folder / program) if (folder / program).exists() else None

    return choose(find, {"DOCKER_HOST": f"unix://{folder}/none", **variables}, folder, name)


def load(engine: Engine, what: Node, *names: Reference, tell: list[Event] | None = None) -> list[str]:
    def archive(place: Path) -> ArchiveDestination:
        return ArchiveDestination(str(place), "docker", names=names, durable=False)

    progress = Progress(tell.append if tell is not None else None)
    choice = Chosen(engine, "1.0", ())
    first = EngineDestination(choice, names, archive, Platform.parse("linux/amd64"), progress)
    places = [first, *(AlsoNamed(first, name) for name in names[1:])]
    return [item.line for item in write_all(what, places, progress=Progress(), jobs=2)]


def image(platform: str = "linux/amd64") -> images.Image:
    return images.image([images.layer({"x": platform})], platform=platform)


# ---------------------------------------------------------------------------------------------- docker


@pytest.mark.spec("LOAD-2", "LOAD-4", "LOAD-5")
@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_docker_takes_it_and_is_asked_for_every_name(docker: Docker, store: str) -> None:
    docker.store = store
    made, other = image(), Reference.parse("other:2")
    lines = load(DockerApi(Endpoint.parse(docker.url)), made.node, NAME, other)
    assert lines == [f"{NAME}@{made.digest}", f"docker.io/library/other:2@{made.digest}"]
    wanted = made.digest if store == "containerd" else made.manifest.config.digest
    assert docker.images == {str(NAME): wanted, str(other): wanted}
    assert docker.asked == [
        "POST /images/load?quiet=1",
        "GET /images/registry.example/team/app:v1/json",
        "GET /images/other:2/json",
    ]


@pytest.mark.spec("LOAD-5", "LOAD-6")
@pytest.mark.parametrize(
    ("path", "status", "body", "says"),
    [
        ("/images/load", 500, b'{"message":"no space left on device"}', "no space left"),
        ("/images/load", 500, b"not JSON", "not JSON"),
        ("/images/load", 200, b'{"errorDetail":{"message":"x"},"error":"unexpected EOF"}\n', "unexpected EOF"),
        ("/images/registry.example/team/app:v1/json", 404, b"{}", "it has: nothing"),
        ("/images/registry.example/team/app:v1/json", 200, b'{"Id":"sha256:%b"}' % (b"0" * 64), "it has: sha256:000"),
        ("/images/registry.example/team/app:v1/json", 200, b'{"Id":7}', "it has: "),
    ],
)
def test_docker_refuses(docker: Docker, path: str, status: int, body: bytes, says: str) -> None:
    docker.answers[path] = (status, body)
    with pytest.raises(LoadRefusedError) as caught:
        load(DockerApi(Endpoint.parse(docker.url)), image().node, NAME)
    assert says in " ".join(caught.value.details)
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b'{"Id":'])
def test_answers_that_make_no_sense(docker: Docker, body: bytes) -> None:
    docker.answers["/images/registry.example/team/app:v1/json"] = (200, body)
    with pytest.raises(AnswerError):
        load(DockerApi(Endpoint.parse(docker.url)), image().node, NAME)


@pytest.mark.spec("LOAD-3")
def test_of_an_index_one_image(docker: Docker) -> None:
    made, events = image(), []  # type: images.Image, list[Event]
    several = images.index([made, image("linux/arm64")])
    assert load(DockerApi(Endpoint.parse(docker.url)), several, NAME, tell=events) == [f"{NAME}@{made.digest}"]
    assert docker.images == {str(NAME): made.manifest.config.digest}
    assert [event.text for event in events if isinstance(event, Note)] == [
        "docker: the image for linux/amd64 is loaded"
    ]


@pytest.mark.spec("LOAD-5")
def test_a_spoilt_layer_is_never_handed_over(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = image()
    bad = images.Blob(descriptor=made.layers[0].descriptor, source=made.config_blob.source)
    node = Node(descriptor=made.descriptor, raw=made.manifest.raw, blobs=(made.config_blob, bad))
    with pytest.raises(Exception, match="blob"):
        load(DockerApi(Endpoint.parse(docker.url)), node, NAME)
    assert docker.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["docker.sock"]


@pytest.mark.spec("LOAD-2")
def test_where_docker_is_looked_for(tmp_path: Path) -> None:
    place = tmp_path / ".docker"
    meta = place / "contexts" / "meta" / hashlib.sha256(b"desktop").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text('{"Endpoints":{"docker":{"Host":"unix:///home/x/docker.sock"}}}')
    usual = "unix:///var/run/docker.sock"
    assert endpoint({}, tmp_path).text == usual
    assert endpoint({"DOCKER_CONTEXT": "desktop"}, tmp_path).path == "/home/x/docker.sock"
    (place / "config.json").write_text('{"currentContext":"desktop"}')
    assert endpoint({}, tmp_path).path == "/home/x/docker.sock"
    assert endpoint({"DOCKER_CONTEXT": "default"}, tmp_path).text == usual
    assert endpoint({"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CONTEXT": "desktop"}, tmp_path)[2:4] == (
        "127.0.0.1",
        1,
    )
    assert endpoint({"DOCKER_CONFIG": str(tmp_path / "none")}, tmp_path).text == usual
    secured = endpoint({"DOCKER_HOST": "tcp://[::1]:2376", "DOCKER_TLS_VERIFY": "1"}, tmp_path)
    assert (secured.host, secured.certificates) == ("::1", place)
    for text in ("[]", "{", '{"currentContext":[]}', '{"currentContext":"gone"}'):
        (place / "config.json").write_text(text)
        assert endpoint({}, tmp_path).text == usual
    (meta / "meta.json").write_text('{"Endpoints":{"docker":{"Host":"ssh://user@build.example"}}}')
    with pytest.raises(UsageError, match="ssh://"):
        endpoint({"DOCKER_CONTEXT": "desktop"}, tmp_path)


@pytest.mark.parametrize(
    "text", ["", "unix://", "tcp://", "tcp://x:0", "tcp://x:99999", "npipe:////./pipe/docker", "x"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.parse(text)


def test_daemons_that_are_not_there_or_break_off(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no such file"):
        ask(Endpoint.parse(f"unix://{tmp_path}/none"), "GET", "/version")
    with pytest.raises(UnreachableError, match="refused"):
        ask(Endpoint.parse("tcp://127.0.0.1:1"), "GET", "/version")

    class Rude(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)

    with socketserver.UnixStreamServer(str(tmp_path / "rude"), Rude) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(CutError):
            ask(Endpoint.parse(f"unix://{tmp_path}/rude"), "GET", "/version")


# ---------------------------------------------------------------------------------------------- choosing


@pytest.mark.spec("LOAD-1", "LOAD-6")
def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NoEngineError) as caught:
        chosen(tmp_path)
    assert [line.partition(":")[0] for line in caught.value.details] == [
        "docker", "podman", "nerdctl", "containerd", "k3s", "kind"
    ]  # fmt: skip
    assert "docker-archive" in str(caught.value.hint)


@pytest.mark.spec("LOAD-1")
def test_docker_first_then_the_others(tmp_path: Path, docker: Docker) -> None:
    program(tmp_path, "podman", "echo 4.3.1")
    program(tmp_path, "nerdctl", "echo 2.0")
    assert str(chosen(tmp_path, DOCKER_HOST=docker.url)) == f"docker 28.0.0 at {docker.url}"
    found = str(chosen(tmp_path))
    assert found.startswith("podman 4.3.1 (not docker: cannot reach `unix://")
    assert str(chosen(tmp_path, "nerdctl")) == "nerdctl 2.0"
    program(tmp_path, "podman", "echo >&2 'cannot open storage'; exit 125")
    assert chosen(tmp_path).passed_over[1] == "podman: cannot open storage"


@pytest.mark.parametrize("name", ["rkt", "docker:x", "kind:", "containerd:", ":", "podman:"])
def test_engines_that_nobody_knows(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        chosen(tmp_path, name)


# ---------------------------------------------------------------------------------------------- by their programs


@pytest.mark.spec("LOAD-1", "LOAD-5")
def test_nerdctl(tmp_path: Path) -> None:
    made = image()
    program(tmp_path, "nerdctl", f'[ "$1" = info ] && echo 2.0; [ "$1" = image ] && echo {made.digest}; exit 0')
    load(chosen(tmp_path).engine, made.node, NAME)
    words = asked(tmp_path, "nerdctl")
    assert words[1].startswith("load --quiet --input ")
    assert words[2] == f"image inspect --format {{{{.Id}}}} {NAME}"
    program(tmp_path, "nerdctl", '[ "$1" = info ] && echo 2.0; exit 0')
    with pytest.raises(LoadRefusedError, match="does not have the image"):
        load(chosen(tmp_path).engine, made.node, NAME)


@pytest.mark.spec("LOAD-1", "LOAD-5")
def test_k3s(tmp_path: Path) -> None:
    made = image()
    row = f"{NAME} application/x {made.digest} 1 KiB linux/amd64 -"
    program(
        tmp_path,
        "k3s",
        'case "$*" in *version*) printf "Client:\\n Version: 1\\nServer:\\n Version: 1.7\\n";;\n'
        f'*ls*) printf "REF\\n{row}\\n";; esac',
    )
    found = chosen(tmp_path, "k3s")
    assert found.version == "1.7, namespace k8s.io"
    load(found.engine, made.node, NAME)
    words = asked(tmp_path, "k3s")
    assert words[1].startswith("ctr --namespace k8s.io images import ")
    assert words[2] == f"ctr --namespace k8s.io images ls name=={NAME}"


@pytest.mark.spec("LOAD-1", "LOAD-5", "LOAD-6")
def test_kind(tmp_path: Path) -> None:
    program(tmp_path, "kind", '[ "$1" = get ] && printf "kind\\nother\\n"; exit 0')
    for name, variables, cluster in (
        ("kind", {}, "kind"),
        ("kind:other", {}, "other"),
        ("kind", {"KIND_CLUSTER_NAME": "other"}, "other"),
    ):
        load(chosen(tmp_path, name, **variables).engine, image().node, NAME)
        assert asked(tmp_path, "kind")[-1].startswith("load image-archive ")
        assert asked(tmp_path, "kind")[-1].endswith(f" --name {cluster}")
    with pytest.raises(NoEngineError) as caught:
        chosen(tmp_path, "kind:third")
    assert caught.value.details == ("kind: no cluster `third` (there: kind, other)",)
    program(tmp_path, "kind", '[ "$1" = get ] && echo kind && exit 0; echo >&2 "ERROR: no nodes"; exit 1')
    with pytest.raises(LoadRefusedError) as refused:
        load(chosen(tmp_path, "kind").engine, image().node, NAME)
    assert refused.value.details == ("ERROR: no nodes",)


@pytest.mark.spec("LOAD-2")
def test_offline_no_other_host_is_spoken_to(tmp_path: Path) -> None:
    with scene_below(tmp_path) as scene:
        images.lay_out(image(), scene.root / "image", "v1")
        done = scene.run("--offline", "copy", "oci:image:v1", "docker-daemon:x:1", DOCKER_HOST="tcp://127.0.0.1:1")
        done.failed(9, "`tcp://127.0.0.1:1` is needed to load", hint="--runtime")
        done = scene.run("--offline", "copy", "oci:image:v1", "docker-daemon:x:1", DOCKER_HOST=f"unix://{tmp_path}/no")
        done.failed(10, "cannot reach `unix://")
