"""Engines of this host that take images: podman, nerdctl, containerd, k3s and kind, through their own programs.

Docker, which is spoken to through its API, is in `docker.py`. The order of preference is in `load.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ociassemble import _run
from ociassemble.errors import ToolError
from ociassemble.oci.reference import Reference

_ASK, _LOAD = 15.0, 900.0  # seconds


class LoadRefusedError(ToolError):
    """An engine was given an image and did not take it, or does not have it afterwards."""

    code = "tool.load-refused"


class Engine(Protocol):
    """Something on this host that keeps images."""

    name: str

    def version(self) -> str:
        """What it says of itself; raises where it cannot be used."""
        ...

    def load(self, archive: Path) -> None:
        """Take the images of a docker archive, under the names it has there."""
        ...

    def digests(self, name: Reference) -> frozenset[str] | None:
        """What it now has under `name`: digests of config or manifest; none, or None where it cannot be asked."""
        ...


class Cli:
    """podman and nerdctl: the command line that Docker gave the world."""

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self._program = program

    def version(self) -> str:
        field = "{{.Version.Version}}" if self.name == "podman" else "{{.ServerVersion}}"
        return _said(_ask(self._program, "info", "--format", field)) or "of an unknown version"

    def load(self, archive: Path) -> None:
        _load(self.name, self._program, "load", "--quiet", "--input", str(archive))

    def digests(self, name: Reference) -> frozenset[str]:
        # podman says `{{.Digest}}` as well, the manifest's; nerdctl's id is the config's, or the manifest's.
        done = _ask(self._program, "image", "inspect", "--format", "{{.Id}}", str(name), check=False)
        return frozenset(text if ":" in text else f"sha256:{text}" for text in _said(done).split())


class Containerd:
    """containerd through `ctr`, in one of its namespaces; `first` are the words before (k3s has it built in)."""

    def __init__(self, name: str, program: str, namespace: str, *first: str, socket: str = "") -> None:
        self.name = name
        self._socket = socket
        self._program = program
        self._namespace = namespace
        self._words = (*first, "--namespace", namespace)

    def version(self) -> str:
        # `ctr` waits for a socket to appear; that takes longer than anybody wants to wait for a no.
        if self._socket.startswith("/") and not Path(self._socket).is_socket():
            raise ToolError(f"no socket at `{self._socket}`")
        lines = _said(_ask(self._program, *self._words, "version")).partition("Server:")[2].split()
        version = lines[lines.index("Version:") + 1] if "Version:" in lines[:-1] else "of an unknown version"
        return f"{version}, namespace {self._namespace}"

    def load(self, archive: Path) -> None:
        _load(self.name, self._program, *self._words, "images", "import", str(archive))

    def digests(self, name: Reference) -> frozenset[str]:
        done = _ask(self._program, *self._words, "images", "ls", f"name=={name}", check=False)
        rows = [line.split() for line in _said(done).splitlines()[1:]]
        return frozenset(row[2] for row in rows if len(row) > 2 and row[0] == str(name))


class Kind:
    """The nodes of a kind cluster; kind cannot be asked what they have."""

    name = "kind"

    def __init__(self, program: str, cluster: str) -> None:
        self._program = program
        self._cluster = cluster

    def version(self) -> str:
        clusters = _said(_ask(self._program, "get", "clusters")).split()
        if self._cluster not in clusters:
            there = f"there: {', '.join(clusters)}" if clusters else "there is none"
            raise ToolError(f"no cluster `{self._cluster}` ({there})")
        return f"cluster {self._cluster}"

    def load(self, archive: Path) -> None:
        _load(self.name, self._program, "load", "image-archive", str(archive), "--name", self._cluster)

    def digests(self, name: Reference) -> None:
        return None


def _ask(program: str, *words: str, check: bool = True) -> _run.Completed:
    done = _run.run([program, *words], timeout=_ASK, check=False)
    if check and done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ToolError(said[-1][:300] if said else f"status {done.returncode}")
    return done


def _load(name: str, program: str, *words: str) -> None:
    try:
        _run.run([program, *words], timeout=_LOAD)
    except ToolError as error:
        raise LoadRefusedError(f"{name} could not take the image", details=error.details or [error.message]) from error


def _said(done: _run.Completed) -> str:
    return done.stdout.decode("utf-8", "replace").strip()
