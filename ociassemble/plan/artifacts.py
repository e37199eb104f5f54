"""Artifacts: downloadable files named by what they are, never by where they are."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ociassemble.oci.digest import Digest

# The name of a file, and nothing else: no path, no control characters.
FILE_NAME = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f]{1,255}")
# A relative path without `.`, `..` or empty parts.
PATH = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+(?:/(?!\Z)|\Z))+")


# An absolute one, but for the root itself.
ABSOLUTE = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+)+")
MODE = re.compile(r"[01][0-7]{3}", re.ASCII)  # no set-id bits


class ArtifactRef(NamedTuple):
    """A wheel, a Debian package, an npm tarball: sha256, size in bytes, and the file name its ecosystem gave it."""

    digest: Digest
    size: int
    filename: str

    def document(self) -> dict[str, Any]:
        return {"filename": self.filename, "sha256": self.digest.hex, "size": self.size}
