"""Bundles of tests: small ones, and archives of any members, written with the standard library."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import ingest_all
from ociassemble.image.image import Node
from ociassemble.testing import images
from ociassemble.transports.bundle import Bundle, File, Kind
from ociassemble.transports.bundle_write import bundle_of, write_bundle


def base(*platforms: str) -> Node:
    made = [images.image([images.layer({"etc/x": platform})], platform=platform) for platform in platforms]
    return images.index(made) if len(made) > 1 else made[0].node


def store_of(*contents: bytes) -> MemoryStore:
    store = MemoryStore()
    for data in contents:
        ingest_all(store, [data])
    return store


def file(data: bytes, filename: str, kind: Kind = "wheel", name: str = "alpha", licence: str = "") -> File:
    from ociassemble.oci.digest import Digest

    return File(kind, name, "1.0", filename, Digest.of(data), len(data), licence)


def small(*contents: bytes, name: str = "shop", since: Bundle | None = None) -> Bundle:
    """A bundle of an image for one platform and a wheel for each of `contents`."""
    store = store_of(*contents)
    files = [file(data, f"w{number}-1.0-py3-none-any.whl") for number, data in enumerate(contents)]
    return bundle_of(name, base("linux/amd64"), "registry.example/base:v1", files, store.open, since)


def written(bundle: Bundle, path: Path, **options: object) -> Path:
    write_bundle(bundle, path, **options)  # type: ignore[arg-type]
    return path


def members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        return [(member, (archive.extractfile(member) or io.BytesIO()).read()) for member in archive.getmembers()]


def repacked(path: Path, found: Sequence[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """The archive with these members, by another writer than ours."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in found:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return path
