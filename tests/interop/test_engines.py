"""`--load` and `run` with engines that are real: podman, its Docker API on a socket, containerd, runc.

Docker, nerdctl, k3s and kind cannot be run here: tests/runtime/test_load.py has stand-ins for them.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ociassemble.image.image import Image
from ociassemble.testing import images
from tests.failure.scene import Child, Scene, scene_below, tree
from tests.peers import Peer
from tests.peers.engines import Containerd, Podman, containerd, podman, podman_api
from tests.ports import free_port

__all__ = ["containerd", "podman", "podman_api"]

pytestmark = pytest.mark.interop

NAME = "registry.example/team/app:v1"
BUSYBOX = Path("/bin/busybox")
SERVE = 'trap "exit 7" TERM INT; /bin/busybox httpd -f -p "$PORT" -h /www & wait'


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_below(tmp_path / "scene") as found:
        yield found


@pytest.fixture
def image(scene: Scene) -> Image:
    """`oci:image:v1`: busybox serves a page as 65532."""
    if not BUSYBOX.is_file():
        pytest.skip("busybox-static is not installed (`make test` installs it where apt and root are there)")
    made = images.image(
        [
            images.layer({"bin/busybox": images.program(BUSYBOX.read_bytes()), "tmp": images.Folder(0o1777)}),
            images.layer({"www/index.html": "it runs\n"}),
        ],
        execution={
            "Entrypoint": ["/bin/busybox"],
            "Cmd": ["sh", "-c", SERVE],
            "User": "65532:65532",
            "Env": ["PATH=/bin", "PORT=8080"],
        },
    )
    images.lay_out(made, scene.root / "image", "v1")
    return made


# --- --load --------------------------------------------------------------------------------------------------


@pytest.mark.spec("LOAD-1", "LOAD-2", "LOAD-4", "LOAD-5")
def test_a_build_is_loaded_through_dockers_api(scene: Scene, podman: Podman, podman_api: str) -> None:
    """podman's service is asked exactly what Docker would be."""
    scene.files(page__html="hello")
    argv = ("build", "project", "-b", scene.base(), "--platform", "linux/amd64", "--cmd", "/x", "--load")
    done = scene.spawn(*argv, "-t", NAME, "-t", "other:2", environment={"DOCKER_HOST": podman_api}).worked()
    assert podman.names() == ["docker.io/library/other:2", NAME]
    lines = done.out.splitlines()
    assert [line.partition("@")[0] for line in lines] == [NAME, "docker.io/library/other:2"]
    assert "loading into docker podman " in done.err and f" at {podman_api}\n" in done.err
    laid = scene.spawn(*argv[:-1], "-o", "oci:outputs/x:v1").worked().out.strip()
    assert {line.partition("@")[2] for line in lines} == {laid.partition("@")[2]}
    config = json.loads(scene.spawn("manifest", "oci:outputs/x:v1").out)["config"]["digest"]
    assert {podman("image", "inspect", "--format", "{{.Id}}", name).strip() for name in podman.names()} == {config[7:]}
    assert tree(scene.temporary) == {".": "drwxr-xr-x"}


@pytest.mark.spec("LOAD-1", "LOAD-3", "LOAD-5")
def test_of_an_index_the_hosts_image_is_loaded_into_podman(scene: Scene, podman: Podman) -> None:
    scene.files(page__html="hello")
    host = f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }"
    argv = ("build", "project", "-b", scene.base("linux/amd64", "linux/arm64"), "--platform", "linux/amd64,linux/arm64",
            "--cmd", "/x", "--load", "-o", "oci-archive:outputs/all.tar")  # fmt: skip
    environment = {**podman.environment, "DOCKER_HOST": f"unix://{scene.root}/none"}
    done = scene.spawn(*argv, environment=environment).worked()
    assert podman.names() == ["localhost/project:latest"]
    assert f"podman: the image for {host} is loaded" in done.err
    assert f"(not docker: cannot reach `unix://{scene.root}/none`" in done.err
    archive, loaded = done.out.splitlines()
    assert podman("image", "inspect", "--format", "{{.Digest}} {{.Os}}/{{.Architecture}}", "project").split() == [
        loaded.partition("@")[2],
        host,
    ]
    assert archive.partition("@")[2] != loaded.partition("@")[2]


@pytest.mark.spec("LOAD-2", "LOAD-5")
def test_copy_to_an_engine_by_skopeos_names(scene: Scene, image: Image, podman: Podman, podman_api: str) -> None:
    environment = {**podman.environment, "DOCKER_HOST": podman_api}
    scene.spawn(
        "copy", "oci:image:v1", "docker-daemon:one:1", "containers-storage:two:2", environment=environment
    ).worked()
    assert podman.names() == ["docker.io/library/one:1", "docker.io/library/two:2"]
    assert podman("image", "inspect", "--format", "{{.Id}}", "one:1", "two:2").split() == [image.config.digest.hex] * 2


@pytest.mark.spec("LOAD-1", "LOAD-5")
@pytest.mark.parametrize("namespace", ["", "k8s.io"])
def test_containerd(scene: Scene, image: Image, containerd: Containerd, namespace: str) -> None:
    scene.files(page__html="hello")
    argv = ("build", "project", "-b", "oci:image:v1", "--platform", "linux/amd64", "-t", NAME, "--load", "--runtime",
            "containerd" + f":{namespace}" * bool(namespace))  # fmt: skip
    done = scene.spawn(*argv, environment=containerd.environment).worked()
    ((name, kind, digest),) = containerd.images(namespace or "default")
    assert f"{name}@{digest}" == done.out.strip()
    assert name == NAME
    assert kind == "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.spec("LOAD-6", "FAIL-2")
def test_an_engine_that_is_not_there_is_known_before_the_work(scene: Scene, containerd: Containerd) -> None:
    scene.files(page__html="hello")
    argv = ("build", "project", "-b", "nowhere.invalid/x", "--load", "--runtime")
    nowhere = {"CONTAINERD_ADDRESS": str(scene.root / "none"), "DOCKER_HOST": f"unix://{scene.root}/none"}
    scene.spawn(*argv, "containerd", environment=nowhere).failed(
        10, "`containerd` cannot take the image", hint="archive"
    )
    scene.spawn(*argv, "docker", environment=nowhere).failed(10, "cannot reach `unix://", hint="archive")
    scene.spawn(*argv, "rkt").failed(2, "`--runtime rkt`", hint="docker, podman")


# --- run -----------------------------------------------------------------------------------------------------


def answer(port: int, child: Child) -> bytes:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                body: bytes = page.read()
                return body
        except OSError:
            assert child.process.poll() is None, child.end().err
            assert time.monotonic() < until, "no answer"
            time.sleep(0.05)


def mounts(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


def processes(text: str) -> list[str]:
    """Command lines of processes that hold `text`."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in words:
            found.append(words)
    return found


@pytest.mark.spec("RUN-1", "RUN-6")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_runc_and_leaves_nothing(
    scene: Scene, image: Image, runc: Peer, umoci: Peer, number: signal.Signals
) -> None:
    """The signal goes to the whole process group, as a terminal sends it."""
    port = free_port()
    child = scene.start("run", "oci:image:v1", "--runtime", "runc", "-p", str(port))
    assert answer(port, child) == b"it runs\n"
    assert "ociassemble-run-" in " ".join(path.name for path in scene.temporary.iterdir())
    os.killpg(child.process.pid, number)
    assert child.end(30).status == 7
    assert tree(scene.temporary) == {".": "drwxr-xr-x"}
    assert mounts(scene.temporary) == []
    assert processes(str(scene.temporary)) == []


@pytest.mark.spec("RUN-1", "RUN-6")
def test_ctrl_c_ends_podman_and_leaves_nothing(scene: Scene, image: Image, podman: Podman) -> None:
    # On these hosts podman cannot give a network of its own: the image is told another port to find it on.
    port = free_port()
    argv = ("run", "oci:image:v1", "--runtime", "podman", "-e", f"PORT={port}", "-p", str(port))
    child = scene.start(*argv, environment=podman.environment)
    assert answer(port, child) == b"it runs\n"
    assert len(podman.containers()) == 1
    os.killpg(child.process.pid, signal.SIGINT)
    assert child.end(60).status == 7
    assert podman.containers() == []
    assert podman.names() == []
    assert tree(scene.temporary) == {".": "drwxr-xr-x"}


@pytest.mark.spec("RUN-1", "RUN-2")
def test_podman_runs_what_it_is_told_read_only_as_the_images_user(scene: Scene, image: Image, podman: Podman) -> None:
    script = "id -u; touch /forbidden; touch /tmp/allowed && echo tmp; grep CapEff /proc/self/status; exit 9"
    argv = ("run", "oci:image:v1", "--runtime", "podman", "--", "sh", "-c", script)
    done = scene.spawn(*argv, environment=podman.environment)
    assert done.status == 9
    assert done.out.splitlines() == ["65532", "tmp", "CapEff:\t0000000000000000"]
    assert "Read-only file system" in done.err
    assert podman.containers() == podman.names() == []


@pytest.mark.spec("RUN-3")
def test_an_engine_that_cannot_start_it_is_passed_over(
    scene: Scene, image: Image, podman: Podman, runc: Peer, umoci: Peer
) -> None:
    """podman answers, takes the image, and then cannot start it: runc does, and podman keeps nothing."""
    broken = scene.root / "containers.conf"
    text = Path(podman.environment["CONTAINERS_CONF"]).read_text()
    broken.write_text(text.replace("nofile=1024:1024", "nofile=999999999:999999999"))
    environment = {**podman.environment, "CONTAINERS_CONF": str(broken)}
    done = scene.spawn("run", "oci:image:v1", "--", "id", "-u", environment=environment)
    assert (done.status, done.out) == (0, "65532\n")
    assert "podman could not start the image" in done.err
    assert "running with runc" in done.err
    assert podman.containers() == podman.names() == []


@pytest.mark.spec("RUN-4")
def test_a_folder_is_built_first(scene: Scene, image: Image, runc: Peer, umoci: Peer) -> None:
    scene.files(page__txt="from the folder\n")
    argv = ("run", "project", "-b", "oci:image:v1", "--platform", "linux/amd64", "--runtime", "runc", "-q", "--")
    done = scene.spawn(*argv, "cat", "/app/page.txt").worked()
    assert done.out == "from the folder\n"
