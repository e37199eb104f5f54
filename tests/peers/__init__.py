"""Real peers as fixtures: Debian's docker-registry, skopeo, umoci, runc and crane read what we write, and back.

Each fixture skips with a visible reason where its program is missing; `make test` installs them where apt and root
are there (tests/peers/install). Programs are started by absolute path and stopped by their process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# Where `make test` unpacks programs that this Debian release has no package of.
UNPACKED = Path(__file__).parent.parent.parent / ".make" / "peers" / "usr" / "bin"


def find(program: str) -> str | None:
    """Absolute path of a peer: on PATH, in the folders of the administrator, or unpacked by `make test`."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", str(UNPACKED)))
    return shutil.which(program, path=path)


class Peer(NamedTuple):
    """A program of others. Calling it runs it to its end and returns what it printed, as text."""

    path: str
    first: tuple[str, ...] = ()

    def __call__(
        self,
        *args: str | Path,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.path, *self.first, *(str(arg) for arg in args)],
            input=input, env=env, cwd=cwd, timeout=timeout, text=True, capture_output=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(f"{Path(self.path).name} {' '.join(map(str, args))}: {done.returncode}\n{done.stderr}", False)
        return done

    def json(self, *args: str | Path) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self(*args).stdout)


def require(program: str, *first: str) -> Peer:
    """The peer, or a skip that says which program is missing."""
    path = find(program)
    if path is None:
        pytest.skip(f"{program} is not installed (`make test` installs it where apt and root are there)")
    return Peer(path, first)


@pytest.fixture
def skopeo() -> Peer:
    return require("skopeo", "--insecure-policy")


@pytest.fixture
def umoci() -> Peer:
    return require("umoci")


@pytest.fixture
def crane() -> Peer:
    return require("crane")


@pytest.fixture
def runc(tmp_path: Path) -> Peer:
    """runc with a state folder of the test's own; skipped where containers cannot be started."""
    peer = require("runc", "--root", str(tmp_path / "runc-state"))
    if os.geteuid() != 0:
        pytest.skip("runc needs root here")
    return peer


class RegistryServer(NamedTuple):
    """A running registry: `host` is "127.0.0.1:PORT", `root` its storage, `log` all it said."""

    host: str
    root: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_docker_registry(folder: Path, *, extra: str = "", http: str = "") -> RegistryServer:
    """Start Debian's docker-registry on a port the system picks, with storage below `folder`, deletes enabled.

    `extra` is YAML appended at the top level (an `auth:` section for example), `http` YAML below `http:`
    (indented by two spaces).
    """
    program = require("docker-registry").path
    root = folder / "storage"
    root.mkdir(parents=True)
    config, log = folder / "config.yml", folder / "registry.log"
    config.write_text(
        "version: 0.1\n"
        "log:\n  level: info\n  accesslog: {disabled: true}\n"
        f"storage:\n  filesystem: {{rootdirectory: {json.dumps(str(root))}}}\n"
        "  delete: {enabled: true}\n  maintenance: {uploadpurging: {enabled: false}}\n"
        f"http:\n  addr: 127.0.0.1:0\n  secret: only-for-tests\n{http}{extra}"
    )
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    # It asks the system for a port and says which it got: nobody can take it in between.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        found = re.search(r"listening on (127\.0\.0\.1:\d+)", said)
        if found:
            return RegistryServer(found.group(1), root, log, process)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    pytest.fail(f"docker-registry did not start:\n{log.read_text(errors='replace')}", False)


@pytest.fixture
def docker_registry_factory(tmp_path: Path) -> Iterator[Callable[..., RegistryServer]]:
    """Starts registries with settings of the test's choice (see `start_docker_registry`); stops them at the end."""
    started: list[RegistryServer] = []

    def start(*, extra: str = "", http: str = "") -> RegistryServer:
        server = start_docker_registry(tmp_path / f"docker-registry-{len(started)}", extra=extra, http=http)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def docker_registry(docker_registry_factory: Callable[..., RegistryServer]) -> RegistryServer:
    """An empty, anonymous docker-registry on loopback, for this test alone."""
    return docker_registry_factory()
