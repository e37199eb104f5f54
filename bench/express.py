"""examples/express with a changed app.js, built and pushed to a loopback registry: seconds, requests, bytes sent.

The first build asks the npm registry and Debian and fills the cache; what is timed speaks with loopback only.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import measure
from door import Door
from registry import MANIFESTS, free_port

SECONDS = 0.5
HEADERS = 16 << 10  # bytes of request lines and headers, of all requests


@contextlib.contextmanager
def registry(storage: Path, port: int, log: Path) -> Iterator[None]:
    """Our own registry; `log` gets a line a request."""
    command = [*measure.PROGRAM, "registry", "serve", "-v", "--address", f"127.0.0.1:{port}", "--storage", str(storage)]
    with (
        log.open("w") as stream,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, env=measure.variables()) as server,
    ):
        try:
            assert server.stdout is not None
            if not server.stdout.readline():
                raise SystemExit(f"the registry did not start:\n{log.read_text()}")
            yield
        finally:
            server.terminate()


def sizes(host: str, name: str, tag: str) -> int:
    """What must be sent of an image when its base and its packages are there: application, config, manifest."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/{tag}", headers={"Accept": MANIFESTS})
    with opener.open(request, timeout=20) as answer:
        raw = answer.read()
    manifest = json.loads(raw)
    return int(manifest["layers"][-1]["size"] + manifest["config"]["size"] + len(raw))


def main() -> None:
    runs = measure.arguments(11).runs
    measure.title("examples/express, with a changed app.js, pushed")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        port = free_port()
        host, storage, log = f"127.0.0.1:{port}", work / "registry", work / "registry.log"
        files = work / "express"
        shutil.copytree(measure.REPOSITORY / "examples" / "express", files)
        cache = ["--cache-dir", str(work / "cache"), "-q"]
        build = ["build", str(files), "--locked", "--registry-mirror", f"gcr.io={host}", "-t", f"{host}/express:v1"]

        def program(*arguments: str) -> measure.Run:
            return measure.run([*measure.PROGRAM, *arguments, *cache])

        def change(number: int) -> measure.Run:
            with (files / "app.js").open("a") as file:
                file.write(f"// change {number}\n")
            return program(*build, "--push")

        program("base", "build", "distroless/nodejs24", "-o", f"oci:{work / 'base'}:v1")
        with registry(storage, port, log):
            program("copy", f"oci:{work / 'base'}:v1", f"{host}/distroless/nodejs24-debian13:nonroot")
            measure.cost("first: packages are fetched", program(*build, "--push"))
            again = measure.median([change(number) for number in range(runs)])
        measure.cost("after a change", again)
        behind = free_port()
        with registry(storage, behind, log), Door(behind, port) as door:
            change(runs)
            sent, requests = door.up, len(door.requests)
            needed = sizes(host, "express", "v1")
        measure.row("requests", str(requests))
        measure.row("sent", f"{sent:,} bytes", f"{needed:,} of them application, config and manifest")
        print()
        measure.finish(
            measure.target("after a change", again.seconds, SECONDS, "s"),
            measure.target("sent besides what is new", (sent - needed) / 1024, HEADERS / 1024, "KiB"),
        )


if __name__ == "__main__":
    main()
