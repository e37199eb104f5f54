"""Docker's API, which podman's service speaks too: where it is, and loading an image. Never Docker's own program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ociassemble.net import unix
from ociassemble.net.unix import Endpoint
from ociassemble.oci.reference import Reference
from ociassemble.runtime.load_engines import LoadRefusedError

_DEFAULT = "unix:///var/run/docker.sock"
_MAX_SETTINGS = 1 << 20
_LOAD = 900.0  # seconds; an engine unpacks a large image before it answers


class DockerApi:
    """An engine that speaks Docker's API."""

    name = "docker"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def version(self) -> str:
        answer = unix.ask(self._endpoint, "GET", "/version")
        if answer.status != 200:
            raise unix.failed(self._endpoint, answer)
        found = answer.document(f"`{self._endpoint.text}`")
        parts = found.get("Components")
        names = [item.get("Name") for item in parts if isinstance(item, dict)] if isinstance(parts, list) else []
        podman = "podman " if "Podman Engine" in names else ""
        return f"{podman}{found.get('Version') or 'of an unknown version'} at {self._endpoint.text}"

    def load(self, archive: Path) -> None:
        with archive.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            answer = unix.ask(self._endpoint, "POST", "/images/load?quiet=1", body=stream, size=size, timeout=_LOAD)
        if answer.status != 200:
            error = unix.failed(self._endpoint, answer)
            raise LoadRefusedError("docker could not take the image", details=[error.message])
        # A list of objects, one a line; what went wrong after the status was sent is told in the last one.
        for line in answer.body.splitlines():
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict) and said.get("error"):
                raise LoadRefusedError("docker could not take the image", details=[str(said["error"])[:500]])

    def digests(self, name: Reference) -> frozenset[str]:
        """The image's id: its config's digest, or in a containerd store its manifest's."""
        path = f"/images/{quote(name.familiar, safe='/:')}/json"
        answer = unix.ask(self._endpoint, "GET", path)
        if answer.status == 404:
            return frozenset()
        if answer.status != 200:
            raise unix.failed(self._endpoint, answer)
        found = str(answer.document(f"`{self._endpoint.text}`").get("Id") or "")
        return frozenset({found if ":" in found else f"sha256:{found}"})


def endpoint(variables: Mapping[str, str], home: Path) -> Endpoint:
    """Where Docker's own program would look: DOCKER_HOST, the current context, the usual socket."""
    text = variables.get("DOCKER_HOST", "")
    folder = Path(variables.get("DOCKER_CONFIG") or home / ".docker")
    if not text:
        name = variables.get("DOCKER_CONTEXT") or _text(_read(folder / "config.json"), "currentContext")
        if name and name != "default":
            place = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
            endpoints = _read(place).get("Endpoints")
            docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
            text = _text(docker if isinstance(docker, dict) else {}, "Host")
    certificates = None
    if variables.get("DOCKER_TLS_VERIFY"):
        certificates = Path(variables.get("DOCKER_CERT_PATH") or folder)
    return Endpoint.parse(text or _DEFAULT, certificates)


def _read(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_MAX_SETTINGS))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(document: Mapping[str, object], key: str) -> str:
    found = document.get(key)
    return found if isinstance(found, str) else ""
