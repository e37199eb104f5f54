"""An npm registry on loopback that a test can watch, protect, and make fail: it serves tarballs and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.layer.npm_tarball import package
from tests.net.scripted import Answer, Request, ScriptedServer


class Packed(NamedTuple):
    """A package and its tarball."""

    name: str
    version: str
    data: bytes

    @property
    def integrity(self) -> str:
        return sri("sha512", self.data)

    @property
    def path(self) -> str:
        """Where registries have it."""
        return f"/{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


def make(name: str, version: str = "1.0.0", **options: Any) -> Packed:
    """A package with one module."""
    return Packed(name, version, package(name, version, **options))


def sri(algorithm: str, data: bytes) -> str:
    """Subresource Integrity."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


class NpmRegistry(ScriptedServer):
    """`registry` is its URL, below `prefix`. With `token` it answers only who has it; a later rule of the test wins."""

    def __init__(self, *packages: Packed, prefix: str = "/npm", token: str = "") -> None:
        super().__init__()
        self.prefix = prefix
        self.token = token
        for item in packages:
            self.add(item)

    @property
    def registry(self) -> str:
        return self.url + self.prefix

    @property
    def key(self) -> str:
        """How .npmrc names it before `:_authToken`."""
        return f"//{self.host}{self.prefix}/"

    def add(self, item: Packed, data: bytes | None = None) -> None:
        """Serve a package, or wrong bytes in its place."""

        def answer(request: Request) -> Answer:
            if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
                return Answer(401, b"who are you?")
            return Answer(200, item.data if data is None else data)

        self.on("GET", self.prefix + item.path, answer)

    def fetched(self) -> list[str]:
        """The paths below the prefix that were asked for, in their order by name."""
        return sorted(request.path.removeprefix(self.prefix) for request in self.requests)

    def credentials(self) -> set[str]:
        """Every Authorization header that came."""
        return {request.headers["authorization"] for request in self.requests if "authorization" in request.headers}


def package_lock(
    *packages: Packed,
    resolved: str | None = None,
    places: Mapping[str, Packed] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> str:
    """A package-lock.json of these packages at the top of node_modules, and of others at their places.

    `resolved` is the registry that it says they come from; `changes` are made to the entry of each.
    """
    placed = {f"node_modules/{item.name}": item for item in packages} | dict(places or {})
    entries: dict[str, Any] = {"": {"name": "shop", "version": "1.0.0"}}
    entries[""]["dependencies"] = {item.name: item.version for item in packages}
    for place, item in placed.items():
        entries[place] = {"version": item.version, "integrity": item.integrity}
        if resolved is not None:
            entries[place]["resolved"] = resolved + item.path
        if not place.endswith(f"node_modules/{item.name}"):
            entries[place]["name"] = item.name
        entries[place].update(changes or {})
    return json.dumps({"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": entries})
