"""Bundles of certificates of the base with others appended (specs/behaviour/packing.md, PACK-80 on)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from ociassemble.layer.entry import Entry
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import TrustSource


def entries(source: TrustSource, open_artifact: Callable[[ArtifactRef], BinaryIO]) -> Iterator[Entry]:
    """The bundle with the certificates at its end. `open_artifact` gives the base's file, verified."""
    data = b""
    if source.bundle is not None:
        with open_artifact(source.bundle) as stream:
            data = stream.read()
        if not data.endswith(b"\n"):
            data += b"\n"
    data += source.certificates.encode()
    path = source.path.lstrip("/")
    yield Entry.held(path, data, mode=source.mode, uid=source.uid, gid=source.gid, origin="--ca-cert")
