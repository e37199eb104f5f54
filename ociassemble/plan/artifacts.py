"""Artifacts: downloadable files named by what they are, never by where they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from ociassemble.oci.digest import Digest


class ArtifactRef(NamedTuple):
    """A wheel, a Debian package, an npm tarball: sha256, size in bytes, and the file name its ecosystem gave it."""

    digest: Digest
    size: int
    filename: str

    def document(self) -> dict[str, Any]:
        return {"filename": self.filename, "sha256": self.digest.hex, "size": self.size}
