"""Artifacts: downloadable files named by what they are, never by where they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from ociassemble.errors import FormatError
from ociassemble.oci.digest import Digest


class ArtifactRef(NamedTuple):
    """A wheel, a Debian package, an npm tarball: sha256, size in bytes, and the file name its ecosystem gave it."""

    digest: Digest
    size: int
    filename: str

    def document(self) -> dict[str, Any]:
        return {"filename": self.filename, "sha256": self.digest.hex, "size": self.size}

    @classmethod
    def from_document(cls, document: Any) -> ArtifactRef:
        try:
            filename, size = document["filename"], document["size"]
            digest = Digest.from_hex(document["sha256"])
        except (KeyError, TypeError) as error:
            raise FormatError(f"not an artifact: {document!r:.100}") from error
        if not isinstance(filename, str) or "/" in filename or not isinstance(size, int) or size < 0:
            raise FormatError(f"not an artifact: {document!r:.100}")
        return cls(digest, size, filename)
