"""The base that a lock pins: one of a registry by its manifest, or one assembled from packages by its recipe.

Each value has its JSON form (`document`) and the strict reading of it (`read`); specs/behaviour/lock.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import FILE_NAME, PATH, ArtifactRef
from ociassemble.plan.strict import Invalid, Object

if TYPE_CHECKING:
    from ociassemble.plan.release import Release

REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*")


class BaseLayer(NamedTuple):
    """One layer of a pinned base."""

    digest: Digest
    diff_id: Digest
    size: int  # compressed bytes

    def document(self) -> dict[str, Any]:
        return dict(self._asdict())

    @classmethod
    def read(cls, value: Any, path: str) -> BaseLayer:
        with Object(value, path) as source:
            return cls(source.digest("digest"), source.digest("diff_id"), source.integer("size"))


class RegistryBase(NamedTuple):
    """A base pinned to one manifest, which `asked.base` is then never asked for by tag.

    `repository` is what a short name stood for, without its host ("distroless/nodejs24-debian13"): the name may stand
    for a newer line by now, and the manifest is where it was. "" for a full name, which cannot move.
    """

    digest: Digest
    size: int
    media_type: str
    layers: tuple[BaseLayer, ...]
    repository: str = ""


class DebianPackage(NamedTuple):
    """One package of an assembled base. `path` is the archive's own `Filename`, below the root of `archive`.

    `suite` is where the archive had it when it was resolved ("trixie-security"): for people, who want to know why it
    moved.
    """

    name: str
    version: str
    archive: str  # "debian", "debian-security"
    path: str  # "pool/main/o/openssl/libssl3t64_3.5.4-1_amd64.deb"
    digest: Digest
    size: int
    suite: str = ""  # "" where nobody told

    @property
    def artifact(self) -> ArtifactRef:
        return ArtifactRef(self.digest, self.size, self.path.rpartition("/")[2])

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "archive": self.archive,
            "filename": self.path,
            "sha256": self.digest.hex,
            "size": self.size,
            **({"suite": self.suite} if self.suite else {}),
        }

    @classmethod
    def read(cls, value: Any, path: str) -> DebianPackage:
        with Object(value, path) as source:
            return cls(
                source.text("name"),
                source.text("version"),
                source.matching("archive", FILE_NAME, "the name of an archive"),
                source.matching("filename", PATH, "a path below the archive's root"),
                source.sha256("sha256"),
                source.integer("size"),
                source.text("suite") if source.has("suite") else "",
            )


class DebianBase(NamedTuple):
    """A base assembled from these packages (and releases) by `recipe`, and the manifest that comes of it.

    With `codec` the recipe alone makes manifest and config again: no package is needed to name the base's layers.
    """

    recipe: str
    packages: tuple[DebianPackage, ...]
    digest: Digest
    size: int
    media_type: str
    layers: tuple[BaseLayer, ...]
    codec: str  # library, version, level, block size
    releases: tuple[Release, ...] = ()


def base_document(base: RegistryBase | DebianBase) -> dict[str, Any]:
    """The JSON form of a pinned base, told apart by `source`."""
    result: dict[str, Any] = {
        "digest": base.digest,
        "size": base.size,
        "media-type": base.media_type,
        "layers": [item.document() for item in base.layers],
    }
    if isinstance(base, DebianBase):
        result["packages"] = [item.document() for item in base.packages]
        if base.releases:
            result["releases"] = [item.document() for item in base.releases]
        return {"source": "debian", "recipe": base.recipe, "codec": base.codec, **result}
    if base.repository:
        result["repository"] = base.repository
    return {"source": "registry", **result}


def read_base(value: Any, path: str) -> RegistryBase | DebianBase:
    """From `base_document`'s form."""
    with Object(value, path) as source:
        kind = source.text("source")
        manifest = (source.digest("digest"), source.integer("size"), source.text("media-type"))
        layers = tuple(BaseLayer.read(item, where) for item, where in source.items("layers"))
        if kind == "registry":
            there = source.has("repository")
            repository = source.matching("repository", REPOSITORY, "a repository without its host") if there else ""
            return RegistryBase(*manifest, layers, repository)
        if kind == "debian":
            from ociassemble.plan.release import Release

            packages = tuple(DebianPackage.read(item, where) for item, where in source.items("packages"))
            items = source.items("releases") if source.has("releases") else ()
            releases = tuple(Release.read(item, where) for item, where in items)
            return DebianBase(source.text("recipe"), packages, *manifest, layers, source.text("codec"), releases)
        raise Invalid(f"`{source.at('source')}` is neither registry nor debian")
