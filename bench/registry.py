"""The one registry of a run: Debian's docker-registry on loopback, what it stores, and the door that counts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from door import Door
from measure import Failed

MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Image(NamedTuple):
    """An image in the registry, as its manifest tells: sizes are in bytes."""

    digest: str
    size: int  # of the manifest
    config: int
    layers: tuple[tuple[str, int], ...]  # digest and size of each


class Registry:
    """Storage below `work`, one address for the whole run; `path` is where the program is looked for."""

    def __init__(self, work: Path, path: str) -> None:
        self._work = work
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.storage = work / "storage"

    def start(self, port: int) -> None:
        config, log = self._work / "registry.yml", self._work / "registry.log"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(self.storage))}}}}}\n"
            f'http: {{addr: "127.0.0.1:{port}", secret: only-for-measuring}}\n'
        )
        command = [shutil.which("docker-registry", path=self._path) or "docker-registry", "serve", str(config)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={"PATH": self._path, "OTEL_TRACES_EXPORTER": "none"},
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"docker-registry did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None

    @contextlib.contextmanager
    def door(self) -> Iterator[Door]:
        """The same registry at the same address, behind a door that counts; nothing is timed while it is there."""
        self.stop()
        behind = free_port()
        self.start(behind)
        try:
            with Door(behind, self.port) as door:
                yield door
        finally:
            self.stop()
            self.start(self.port)

    def fresh(self) -> None:
        """A registry that holds the base and nothing else. It goes on running: it keeps nothing in memory."""
        shutil.rmtree(self.storage / "docker", ignore_errors=True)
        shutil.copytree(self._work / "template" / "docker", self.storage / "docker")
        os.sync()  # what was written before is not written during the next run

    def stored(self) -> int:
        """The bytes of all blobs in the registry."""
        blobs = self.storage / "docker" / "registry" / "v2" / "blobs"
        return sum(path.stat().st_size for path in blobs.rglob("data"))

    def image(self, repository: str, tag: str = "v1") -> Image:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        address = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        with opener.open(urllib.request.Request(address, headers={"Accept": MANIFESTS}), timeout=20) as answer:
            raw, digest = answer.read(), answer.headers["Docker-Content-Digest"]
        manifest = json.loads(raw)
        layers = tuple((layer["digest"], layer["size"]) for layer in manifest["layers"])
        return Image(digest, len(raw), manifest["config"]["size"], layers)

    def added(self, repository: str) -> int:
        """The bytes of the layers that an image has above the base."""
        base = {digest for digest, _ in self.image("base/python3").layers}
        return sum(size for digest, size in self.image(repository).layers if digest not in base)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that this one started, and wait for it."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
    return number
