"""The same work done by ociassemble and by its peers, in turn, on one machine. Prints tables in markdown.

Needs docker-registry; compares with those of crane, umoci, skopeo and buildah that are there. On Debian, as root:
`make peers && apt-get install --no-install-recommends buildah`. What each tool is told to do is in peer_commands.py.

The first part asks Debian's mirror and the Python index and fills every tool's cache; what is timed speaks with a
registry on loopback only. Figures are medians of --runs runs, the tools taking turns.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import measure
from peer_commands import COPYING, FORGET, JOBS, LOCK, METHODS, READING, SITE

MACHINE = os.uname().machine
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


Pair = tuple[str, str]  # of a method and a job
Runs = defaultdict[Pair, list[measure.Run]]


class Result(NamedTuple):
    """An image in the registry: its digest, the size of its layers in bytes, how many there are."""

    digest: str
    size: int
    layers: int


class Bench:
    """Folders, the one address every registry of this run has, and how a script is run."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        starter = work / "bin" / "ociassemble"
        starter.parent.mkdir()
        starter.write_text(f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n')
        starter.chmod(0o755)
        unpacked = measure.REPOSITORY / ".make" / "peers" / "usr" / "bin"  # where `make peers` puts crane
        places = (starter.parent, Path(sys.executable).parent, os.environ["PATH"], "/usr/sbin", "/sbin", unpacked)
        self.path = os.pathsep.join(map(str, places))
        self.environment = {
            "PATH": self.path,
            "WORK": str(work),
            "MACHINE": MACHINE,
            "PLATFORM": "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(MACHINE, MACHINE),
            "SITE": SITE,
            "BASE": f"{self.host}/base/python3:v1",
            "IMAGE": f"{self.host}/bench/ociassemble-data:first",
            "COPY": f"{self.host}/bench/copy:v1",
            "OCIASSEMBLE_CACHE_DIR": str(work / "cache"),
            "UV_CACHE_DIR": str(work / "uv-cache"),
            "BUILDAH": f"buildah --root {work}/buildah/root --runroot {work}/buildah/run --storage-driver overlay",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def there(self, program: str) -> bool:
        return shutil.which(program, path=self.path) is not None

    def shell(self, script: str, folder: Path, **more: str) -> measure.Run:
        """Run a script to its end. Anything that fails ends the comparison."""
        start = f"cd {shlex.quote(str(folder))}; unset SOURCE_DATE_EPOCH\n"
        command = ["bash", "-euo", "pipefail", "-c", start + script]
        return measure.run(command, environment={**self.environment, **more})

    @contextlib.contextmanager
    def registry(self, storage: Path, port: int | None = None) -> Iterator[None]:
        """A docker-registry over `storage`, at this run's address unless a port is given."""
        config = self.work / "registry.yml"
        address = f"127.0.0.1:{port or self.port}"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(storage))}}}}}\n"
            f"http: {{addr: {json.dumps(address)}, secret: only-for-measuring}}\n"
        )
        program = shutil.which("docker-registry", path=self.path) or "docker-registry"
        environment = {"PATH": self.path, "OTEL_TRACES_EXPORTER": "none"}
        with (self.work / "registry.log").open("ab") as log:
            process = subprocess.Popen(
                [program, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port or self.port), 1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"error: docker-registry did not start; see {self.work}/registry.log")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait()

    def result(self, repository: str, tag: str) -> Result:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS}
        )
        with opener.open(request, timeout=20) as answer:
            layers = json.load(answer)["layers"]
            digest = answer.headers["Docker-Content-Digest"]
        return Result(digest, sum(layer["size"] for layer in layers), len(layers))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
    return number


def program() -> list[str]:
    """What users start: the installed script, where there is one."""
    installed = Path(sys.executable).parent / "ociassemble"
    return [str(installed)] if installed.exists() else measure.PROGRAM


class Counting:
    """A door on loopback that counts the bytes going in; used for runs that are not timed."""

    def __init__(self, port: int, behind: int) -> None:
        self.uploaded = 0
        self._lock = threading.Lock()
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._behind))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, count: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if count:
                    with self._lock:
                        self.uploaded += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown wakes the thread that waits in accept; close alone leaves the port taken.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def warm_up(bench: Bench) -> dict[str, str]:
    """Base and packages are fetched, everything is locked; package versions of each job."""
    say("warm-up: base, packages, locks")
    shell, work = bench.shell, bench.work
    shell(f"ociassemble base build distroless/python3 --platform $PLATFORM -q -o oci:{work}/base:v1", work)
    (work / "template").mkdir()
    versions = {}
    with bench.registry(work / "template"):
        shell(f"ociassemble copy -q oci:{work}/base:v1 $BASE", work)
        if bench.there("buildah"):
            pull = "$BUILDAH pull -q --tls-verify=false $BASE"
            try:
                shell(pull, work)
            except SystemExit:
                bench.environment["BUILDAH"] = bench.environment["BUILDAH"].replace("overlay", "vfs")
                shell(pull, work)
        for name, job in JOBS.items():
            folder = work / "jobs" / name
            (folder / "app").mkdir(parents=True)
            (folder / "app" / job.file).write_text(job.source)
            (folder / "requirements.in").write_text("\n".join(job.needs) + "\n")
            shell(LOCK, folder)
            lines = (folder / "app" / "requirements.txt").read_text().splitlines()
            found = dict(line.split()[0].split("==") for line in lines if "==" in line)
            versions[name] = ", ".join(f"{need} {found[need]}" for need in job.needs)
    return versions


def step(bench: Bench, place: Path, name: str, job: str, which: str, tag: str) -> measure.Run:
    """One method's `first` or `again` for one job, in a folder of its own below `place`."""
    folder = place / name / job
    if not folder.exists():
        shutil.copytree(bench.work / "jobs" / job, folder)
    shutil.rmtree(folder / "deps", ignore_errors=True)
    method = METHODS[name]
    told = {"JOB": job, "COMMAND": JOBS[job].command, "STEP": which, "TAG": tag}
    told["REPO"] = f"{bench.host}/bench/{name}-{job}"
    bench.shell(method.ready or ":", folder, **told)
    return bench.shell(method.first if which == "first" else method.again, folder, **told)


class Comparison(NamedTuple):
    """What was found, by method and job."""

    firsts: dict[Pair, Result]
    uploaded: dict[tuple[str, str, str], int]  # by method, job and step
    again: Runs
    first: Runs
    digests: dict[Pair, set[str]]  # of the timed runs of `first`, each in a new folder


def compare(bench: Bench, names: list[str], runs: int) -> Comparison:
    """Every method of `names` for every job: once to count and to fill caches, then timed, in turn."""
    found = Comparison({}, {}, defaultdict(list), defaultdict(list), defaultdict(set))
    kept, storage = bench.work / "kept", bench.work / "kept-registry"
    pairs = [(name, job) for job in JOBS for name in names]

    def change(number: int) -> None:
        for name, job in pairs:
            with (kept / name / job / "app" / JOBS[job].file).open("a") as file:
                file.write(f"# change {number}\n")

    shutil.copytree(bench.work / "template", storage)
    behind = free_port()
    with bench.registry(storage, behind), Counting(bench.port, behind) as door:
        for which in ("first", "again"):
            say(f"what is uploaded: {which}")
            for name, job in pairs:
                before = door.uploaded
                step(bench, kept, name, job, which, which)
                found.uploaded[name, job, which] = door.uploaded - before
                if which == "first":
                    found.firsts[name, job] = bench.result(f"bench/{name}-{job}", which)
            change(0)
    with bench.registry(storage):
        for number in range(1, runs + 1):
            say(f"after a changed line, round {number}")
            for name, job in pairs:
                found.again[name, job].append(step(bench, kept, name, job, "again", f"again-{number}"))
            change(number)
    for number in range(1, runs + 1):
        say(f"every layer, round {number}")
        for name, job in pairs:
            if METHODS[name].only_again:
                continue
            fresh = bench.work / "fresh"
            shutil.copytree(bench.work / "template", fresh / "registry")
            with bench.registry(fresh / "registry"):
                found.first[name, job].append(step(bench, fresh / "work", name, job, "first", "first"))
                found.digests[name, job].add(bench.result(f"bench/{name}-{job}", "first").digest)
            shutil.rmtree(fresh)
    return found


def asked(bench: Bench, cases: dict[str, dict[str, str]], runs: int) -> dict[str, measure.Run]:
    """The medians of every command of `cases`, each in an empty folder, by "TOOL: WHAT"."""
    copies = bench.work / "kept-registry/docker/registry/v2/repositories/bench/copy"

    def action(command: str) -> measure.Run:
        shutil.rmtree(copies, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=bench.work) as folder:
            return bench.shell(command, Path(folder))

    actions = {
        f"{tool}: {what}": partial(action, command)
        for what, commands in cases.items()
        for tool, command in commands.items()
        if bench.there(tool)
    }
    say("reading and copying")
    with bench.registry(bench.work / "kept-registry"):
        return measure.alternate(actions, runs)


def timing(run: measure.Run | None, ours: measure.Run) -> str:
    """Seconds, also of the CPU, and the first as a multiple of ours."""
    if run is None:
        return ""
    ratio = "" if run is ours else f", {run.seconds / ours.seconds:.2f}x"
    return f"{run.seconds:.2f} s ({run.cpu:.2f} CPU{ratio})"


def amount(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:,.0f} kB"


def show(found: Comparison, names: list[str], job: str) -> None:
    """The table of one job."""
    print("| how | every layer | after a changed line | uploaded first | uploaded then | whole image | same digest |")
    print("|---|--:|--:|--:|--:|--:|---|")
    first = {pair: measure.median(runs) for pair, runs in found.first.items()}
    again = {pair: measure.median(runs) for pair, runs in found.again.items()}
    for name in names:
        pair, image = (name, job), found.firsts[name, job]
        cells = [
            METHODS[name].title,
            timing(first.get(pair), first["ociassemble", job]),
            timing(again[pair], again["ociassemble", job]),
            amount(found.uploaded[name, job, "first"]),
            amount(found.uploaded[name, job, "again"]),
            f"{image.layers} layers, {amount(image.size)}",
            ("yes" if found.digests[pair] == {image.digest} else "no") if pair in found.digests else "",
        ]
        print(f"| {' | '.join(cells)} |")


def heading(bench: Bench, runs: int) -> str:
    """Date, machine, versions."""

    def version(name: str) -> str:
        found = shutil.which(name, path=bench.path) or name
        # Debian's crane does not know its own version; its change log does.
        log = Path(found).parent.parent / "share/doc/crane/changelog.Debian.gz"
        if name == "crane" and log.is_file():
            return gzip.decompress(log.read_bytes()).decode().partition("(")[2].partition(")")[0]
        words = measure.run([found, "version" if name == "crane" else "--version"], check=False).output.split()
        return next((word for word in words if word[0].isdigit()), "?")

    tools = ("ociassemble", "crane", "umoci", "skopeo", "buildah", "uv", "docker-registry")
    versions = ", ".join(f"{tool} {version(tool)}" for tool in tools if bench.there(tool))
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), MACHINE)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores ({cpu}), Python {sys.version.split()[0]}, "
        f"medians of {runs} runs in turn (reading: {2 * runs}), load at the end {load}.\n{versions}."
    )


def report(bench: Bench, runs: int) -> None:
    """Measure, then print."""
    versions = warm_up(bench)
    names = [name for name, method in METHODS.items() if all(map(bench.there, method.programs))]
    found = compare(bench, names, runs)
    reading, copying = asked(bench, READING, 2 * runs), asked(bench, COPYING, runs)
    print(heading(bench, runs))
    for job, about in JOBS.items():
        print(f"\n{about.title} ({versions[job]}):\n")
        show(found, names, job)
    print("\nOne command each, its start included, on the image of b:\n")
    print("| what | ociassemble | crane | skopeo |\n|---|--:|--:|--:|")
    for cases, times in ((READING, reading), (COPYING, copying)):
        for what in cases:
            ours = times[f"ociassemble: {what}"]
            cells = [timing(times.get(f"{tool}: {what}"), ours) for tool in ("ociassemble", "crane", "skopeo")]
            print(f"| {' | '.join((what, *cells))} |")


def main() -> None:
    runs = measure.arguments(5).runs
    with tempfile.TemporaryDirectory(prefix="ociassemble-bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        for needed in ("docker-registry", "uv"):
            if not bench.there(needed):
                sys.exit(f"error: {needed} is not installed")
        try:
            report(bench, runs)
        finally:
            if bench.there("buildah"):
                bench.shell(FORGET, bench.work)


if __name__ == "__main__":
    main()
