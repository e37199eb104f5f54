"""Tarballs of npm packages, honest and odd ones."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.formats import tar_builder as raw


def member(path: str | bytes, data: bytes = b"", mode: int = 0o644, **fields: Any) -> bytes:
    """One file of a tar archive."""
    name = path if isinstance(path, bytes) else path.encode()
    return raw.file(name, data, mode=b"%07o\0" % mode, **fields)


def manifest(name: str = "x", version: str = "1.0.0", **more: Any) -> bytes:
    """package.json, where npm packs it."""
    return member("package/package.json", json.dumps({"name": name, "version": version, **more}).encode())


def packed(*members: bytes, end: bytes = raw.END) -> bytes:
    """The tarball of these members."""
    return gzip.compress(b"".join(members) + end, mtime=0)


def package(name: str = "x", version: str = "1.0.0", files: dict[str, bytes] | None = None, **more: Any) -> bytes:
    """A tarball as `npm pack` makes it."""
    named = {"index.js": f"module.exports = {name!r}\n".encode()} if files is None else files
    return packed(manifest(name, version, **more), *(member(f"package/{path}", data) for path, data in named.items()))
