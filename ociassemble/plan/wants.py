"""What a closed network lacks: the document that `lock --missing` writes and `bundle save --wants` reads.

It names content by digest, size and file name, a base by what the project calls it, and nothing else: no host of an
index or a mirror, no path, no file of the project. `specs/schema/wants.schema.json` says the same as a schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from ociassemble.errors import FormatError, ProjectError
from ociassemble.oci import _wire
from ociassemble.plan.artifacts import FILE_NAME, PATH, ArtifactRef
from ociassemble.plan.locked_base import REPOSITORY, BaseLayer, DebianPackage, RegistryBase
from ociassemble.plan.release import Release
from ociassemble.plan.strict import Invalid, Object

VERSION = 1
Kind = Literal["wheel", "npm", "modules", "debian"]
KINDS = ("wheel", "npm", "modules", "debian")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


class WantsFormatError(ProjectError):
    """The list of what is missing cannot be read."""

    code = "project.wants"


class Want(NamedTuple):
    """One file. `archive` and `path` are a Debian package's: which archive, and where below its root."""

    kind: Kind
    name: str  # as its index knows it: "flask", "@scope/b", "libc6"
    version: str
    artifact: ArtifactRef
    archive: str = ""
    path: str = ""

    @classmethod
    def debian(cls, package: DebianPackage) -> Want:
        return cls("debian", package.name, package.version, package.artifact, package.archive, package.path)

    @property
    def package(self) -> DebianPackage:
        """A "debian" want as the package it is."""
        return DebianPackage(self.name, self.version, self.archive, self.path, self.artifact.digest, self.artifact.size)

    def document(self) -> dict[str, Any]:
        more = {"archive": self.archive, "path": self.path} if self.kind == "debian" else {}
        return {"kind": self.kind, "name": self.name, "version": self.version, **self.artifact.document(), **more}

    @classmethod
    def read(cls, value: Any, path: str) -> Want:
        with Object(value, path) as source:
            kind = source.text("kind")
            if kind not in KINDS:
                raise Invalid(f"`{source.at('kind')}` is none of {', '.join(KINDS)}")
            artifact = ArtifactRef(
                source.sha256("sha256"),
                source.integer("size"),
                source.matching("filename", FILE_NAME, "a file name"),
            )
            archive = source.matching("archive", FILE_NAME, "the name of an archive") if kind == "debian" else ""
            place = source.matching("path", PATH, "a path below the archive's root") if kind == "debian" else ""
            return cls(cast(Kind, kind), source.text("name"), source.text("version"), artifact, archive, place)


class WantedBase(NamedTuple):
    """A base image. `platforms`: what is pinned of it, by platform; None where it is whatever its name stands for."""

    name: str  # as the project writes it
    source: str  # "auto", "registry", "debian"
    platforms: Mapping[str, RegistryBase | None]

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source,
            "platforms": {name: None if pin is None else _pin(pin) for name, pin in self.platforms.items()},
        }

    @classmethod
    def read(cls, value: Any, path: str) -> WantedBase:
        with Object(value, path) as source:
            said = source.text("source")
            if said not in ("auto", "registry", "debian"):
                raise Invalid(f"`{source.at('source')}` is none of auto, registry, debian")
            found = {name: _read_pin(item, where) for name, item, where in source.members("platforms")}
            if not found:
                raise Invalid(f"`{source.at('platforms')}` is empty")
            return cls(source.text("name"), said, found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wants:
    """All that is missing for one application, called `name`."""

    name: str
    base: WantedBase | None = None
    files: tuple[Want, ...] = ()
    releases: tuple[Release, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.base or self.files or self.releases)

    def dump(self) -> bytes:
        """The bytes of the file; equal wants give equal bytes."""
        document = {
            "version": VERSION,
            "name": self.name,
            "base": None if self.base is None else self.base.document(),
            "artifacts": [item.document() for item in sorted(self.files)],
            "releases": [item.document() for item in self.releases],
        }
        return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def parse(cls, raw: bytes, name: str) -> Wants:
        """From the bytes of the file called `name`; raises `WantsFormatError`."""
        hint = "it is what `ociassemble lock --missing` prints"
        try:
            document = _wire.parse(raw, f"`{name}`")
            with Object(document, "") as source:
                if source.integer("version") != VERSION:
                    raise Invalid(f"`version` is not {VERSION}")
                base = source.take("base")
                return cls(
                    name=source.matching("name", _NAME, "a plain name"),
                    base=None if base is None else WantedBase.read(base, "base"),
                    files=tuple(Want.read(item, where) for item, where in source.items("artifacts")),
                    releases=tuple(Release.read(item, where) for item, where in source.items("releases")),
                )
        except (FormatError, Invalid) as error:
            text = error.message if isinstance(error, FormatError) else f"`{name}`: {error}"
            raise WantsFormatError(text, hint=hint) from error


def _pin(pin: RegistryBase) -> dict[str, Any]:
    found: dict[str, Any] = {"digest": str(pin.digest), "size": pin.size, "media-type": pin.media_type}
    return found | ({"repository": pin.repository} if pin.repository else {})


def _read_pin(value: Any, path: str) -> RegistryBase | None:
    if value is None:
        return None
    with Object(value, path) as source:
        there = source.has("repository")
        repository = source.matching("repository", REPOSITORY, "a repository without its host") if there else ""
        layers: tuple[BaseLayer, ...] = ()
        return RegistryBase(
            source.digest("digest"), source.integer("size"), source.text("media-type"), layers, repository
        )
