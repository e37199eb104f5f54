"""Bases, locks and projects for the tests of the Node kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ociassemble.kinds.node.lockfile import wanted
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts, NodeFacts
from ociassemble.project import reading
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree


def distroless(platform: str = "linux/amd64", version: str = "24.11.1", *, libc: str = "glibc") -> BaseFacts:
    """As gcr.io/distroless/nodejs24-debian13:nonroot."""
    return BaseFacts(
        platform=Platform.parse(platform),
        distribution="debian",
        distribution_version="13",
        libc=libc,
        libc_version="2.41" if libc == "glibc" else "",
        node=NodeFacts(interpreter="/nodejs/bin/node", version=version),
        user="65532",
        workdir="/home/nonroot",
        env={"PATH": "/usr/local/bin:/usr/bin"},
        entrypoint=("/nodejs/bin/node",),
    )


def official(version: str = "22.20.0") -> BaseFacts:
    """As an official node image: an entrypoint of its own that needs a shell."""
    return BaseFacts(
        platform=Platform.parse("linux/amd64"),
        libc="glibc",
        node=NodeFacts(interpreter="/usr/local/bin/node", version=version),
        entrypoint=("docker-entrypoint.sh",),
        cmd=("node",),
    )


def integrity(place: str) -> str:
    """A hash that is a hash, different for each place."""
    return "sha512-" + Digest.of(repr(place).encode()).hex + "=="


def lock(packages: Mapping[str, Mapping[str, Any]], root: Mapping[str, Any] | None = None, **top: Any) -> str:
    """A package-lock.json. Entries in a node_modules folder get a version and a hash where they say none."""
    entries: dict[str, Any] = {"": root or {}}
    for place, value in packages.items():
        plain = {} if value.get("link") or "node_modules" not in place else {"version": "1.0.0"}
        if plain and not value.get("inBundle"):
            plain["integrity"] = integrity(place)
        entries[place] = {**plain, **value}
    return json.dumps({"lockfileVersion": 3, "packages": entries, **top})


def project(folder: Path, files: Mapping[str, str | bytes | dict[str, Any]]) -> ProjectTree:
    """A folder with these files, read; a table is written as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return reading.read(folder)


def packages(
    text: str, facts: BaseFacts, settings: Settings | None = None, size: int = 1000
) -> tuple[LockedPackage, ...]:
    """What a lock selects, as if each file had been fetched."""
    return tuple(
        LockedPackage(item.name, item.version, ArtifactRef(Digest.of(item.key.encode()), size, f"{len(item.name)}.tgz"))
        for item in wanted(text, settings or Settings(), facts)
    )
