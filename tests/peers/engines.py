"""Engines as fixtures: podman with its own storage, its API on a socket, and a containerd of a test's own.

Nothing of theirs is outside the test's folder; both daemons are stopped by their process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.peers import Peer, require

_STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/storage"\nrunroot = "{0}/run"\n'
# What a container may be given on hosts that are containers or small machines themselves: no cgroups, no network of
# its own, no higher limits than there are.
_CONTAINERS = (
    '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\nevents_logger = "file"\ntmp_dir = "{0}/tmp"\n'
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\nnetns = "host"\nlog_driver = "k8s-file"\n'
)


class Podman(NamedTuple):
    """podman, and what makes any podman that is started use this test's storage."""

    program: Peer
    environment: dict[str, str]

    def __call__(self, *args: str | Path, check: bool = True) -> str:
        return self.program(*args, check=check, env={**os.environ, **self.environment}).stdout

    def names(self) -> list[str]:
        """The images it has, sorted."""
        return sorted(self("images", "--format", "{{.Repository}}:{{.Tag}}").split())

    def containers(self) -> list[str]:
        return self("ps", "--all", "--quiet").split()


@pytest.fixture
def podman() -> Iterator[Podman]:
    program = require("podman")
    if os.geteuid() != 0:
        pytest.skip("podman needs root here")
    # pytest's folders are long, and where a path is too long for a socket podman waits 20 s for its monitor.
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as short:
        yield from _podman(program, Path(short))


def _podman(program: Peer, folder: Path) -> Iterator[Podman]:
    (folder / "storage.conf").write_text(_STORAGE.format(folder))
    (folder / "containers.conf").write_text(_CONTAINERS.format(folder))
    made = Podman(
        program,
        {
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        },
    )
    if program("info", check=False, env={**os.environ, **made.environment}).returncode != 0:
        pytest.skip("podman does not work here")
    yield made
    made("rm", "--all", "--force", check=False)


@contextmanager
def running(*argv: str, socket: Path, environment: dict[str, str], log: Path) -> Iterator[None]:
    """A daemon until the block ends; it is there when its socket is."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until = time.monotonic() + 20
        while not socket.is_socket():
            assert process.poll() is None and time.monotonic() < until, log.read_text(errors="replace")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def podman_api(podman: Podman, tmp_path: Path) -> Iterator[str]:
    """`podman system service`, which speaks Docker's API: its DOCKER_HOST."""
    socket = tmp_path / "podman.sock"
    with running(
        podman.program.path, "system", "service", "--time", "0", f"unix://{socket}",
        socket=socket, environment={**os.environ, **podman.environment}, log=tmp_path / "podman.log",
    ):  # fmt: skip
        yield f"unix://{socket}"


class Containerd(NamedTuple):
    """A running containerd; `environment` is how `ctr` finds it."""

    ctr: Peer
    environment: dict[str, str]

    def images(self, namespace: str) -> list[list[str]]:
        """Name, media type and digest of each image."""
        said = self.ctr("--namespace", namespace, "images", "ls", env={**os.environ, **self.environment}).stdout
        return [line.split()[:3] for line in said.splitlines()[1:]]


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[Containerd]:
    program, ctr = require("containerd").path, require("ctr")
    if os.geteuid() != 0:
        pytest.skip("containerd needs root here")
    folder = tmp_path / "containerd"
    folder.mkdir()
    socket = folder / "s"
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{folder}/t"\n'
    )
    with running(
        program, "--config", str(folder / "config.toml"),
        socket=socket, environment=dict(os.environ), log=tmp_path / "containerd.log",
    ):  # fmt: skip
        yield Containerd(ctr, {"CONTAINERD_ADDRESS": str(socket)})
