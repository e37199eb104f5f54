"""The plan of an image: which layers, from which sources, and what the config says. Pure data, JSON both ways.

A `LayerPlan` holds exactly what decides the bytes of a layer (design: identity); its title is for people and is
not part of its key. Content is named by sha256; where it comes from is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import DirectoryFact

ASSEMBLY_VERSION = 1


class PythonScheme(NamedTuple):
    """Where a wheel's files go and who runs its scripts. All paths absolute in the image."""

    site: str  # purelib and platlib
    prefix: str  # scripts to prefix/bin, data to prefix, headers to prefix/include/pythonX.Y/<name>
    interpreter: str
    minor: str  # "3.13"


class WheelSource(NamedTuple):
    """One wheel, installed."""

    artifact: ArtifactRef
    scheme: PythonScheme


class NpmSource(NamedTuple):
    """One npm package, laid out as npm would, without running any script of it.

    `path` is its folder, absolute in the image ("/app/node_modules/express"); `executables` are the files of it,
    relative to that folder, that its `bin` names: npm makes them executable.
    """

    artifact: ArtifactRef
    path: str
    executables: tuple[str, ...] = ()


class TarSource(NamedTuple):
    """A part of a node_modules folder, as locking packed it: an uncompressed tar of files and symlinks.

    `path` is the folder it goes to, absolute in the image ("/app/node_modules/express").
    """

    artifact: ArtifactRef
    path: str


class FileItem(NamedTuple):
    """One path of the project, as it will be in the image.

    `path` absolute in the image. For a file `digest` and `size` say what its bytes are and `source` where in
    the project they are (relative to the project's folder; not part of the key). For a symlink `target`.
    """

    path: str
    kind: Literal["file", "directory", "symlink"]
    mode: int = 0o644
    digest: Digest | None = None
    size: int = 0
    target: str = ""
    source: str = ""
    uid: int = 0
    gid: int = 0


class FilesSource(NamedTuple):
    """Files of the project folder."""

    items: tuple[FileItem, ...]


class TextSource(NamedTuple):
    """A small generated file, with its content."""

    path: str  # absolute in the image
    text: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


class DirectorySource(NamedTuple):
    """A folder stated by itself, with its mode and owner."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class LinkSource(NamedTuple):
    """A symlink stated by itself."""

    path: str
    target: str


class DebSource(NamedTuple):
    """One Debian package: its data.tar through `rules`, and its status.d entries.

    `rules` name what is left out or kept: see `layer.deb`.
    """

    artifact: ArtifactRef
    package: str
    rules: tuple[str, ...] = ()


class TrustSource(NamedTuple):
    """A bundle of certificates of the base, with others after them."""

    path: str  # absolute in the image
    bundle: ArtifactRef | None  # the base's file; None where it has none
    certificates: str  # PEM
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


class DerivedSource(NamedTuple):
    """Files computed from the content of packages: `recipe` is "ca-bundle" or "ld.so.cache" (see `layer.derived`)."""

    recipe: str
    artifacts: tuple[ArtifactRef, ...]
    parameters: tuple[tuple[str, str], ...] = ()


class ArchiveFile(NamedTuple):
    """One file of an upstream release: where it is in the archive, below the one folder at the top, and its place."""

    inside: str  # "bin/node"
    path: str  # absolute in the image
    digest: Digest
    size: int
    mode: int = 0o644


class ArchiveSource(NamedTuple):
    """Files of an upstream release. `archives` (.tar.gz) all hold them: any one is enough, and none is in the key."""

    files: tuple[ArchiveFile, ...]
    archives: tuple[ArtifactRef, ...]


Source = (
    WheelSource
    | NpmSource
    | TarSource
    | FilesSource
    | TextSource
    | DirectorySource
    | LinkSource
    | DebSource
    | DerivedSource
    | TrustSource
    | ArchiveSource
)


class LayerPlan(NamedTuple):
    """A recipe for one layer."""

    title: str  # "dependencies", "numpy", "application": for people and for history
    role: Literal["base", "dependency", "application"]
    sources: tuple[Source, ...]
    links: tuple[tuple[str, str], ...] = ()  # the base's links on the way to the places, path -> text
    directories: tuple[DirectoryFact, ...] = ()  # the base's folders there that are not 0755 0:0


class ConfigPlan(NamedTuple):
    """What changes in the base's config; None keeps the base's, an empty value clears it (specs: merge)."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: Mapping[str, str | None] = MappingProxyType({})  # None unsets
    labels: Mapping[str, str | None] = MappingProxyType({})
    user: str | None = None
    workdir: str | None = None
    ports: tuple[str, ...] = ()  # "8080/tcp"; "8080/tcp-" takes one away
    volumes: tuple[str, ...] = ()  # likewise
    stop_signal: str | None = None
    healthcheck: Mapping[str, Any] | None = None  # keys as in the config; without `Test` the base's check is timed


class ImagePlan(NamedTuple):
    """Everything needed to build the image for one platform on a given base."""

    platform: Platform
    layers: tuple[LayerPlan, ...]
    config: ConfigPlan
    annotations: Mapping[str, str] = MappingProxyType({})


class Reason(NamedTuple):
    """A decision that was taken for the user, and on what evidence; printed, and pinnable in settings."""

    decision: str
    evidence: str


class ApplicationPlan(NamedTuple):
    """What a kind says about an application: its layers and how to start it."""

    layers: tuple[LayerPlan, ...]
    config: ConfigPlan
    reasons: tuple[Reason, ...] = ()


def artifacts_of(layer: LayerPlan) -> tuple[ArtifactRef, ...]:
    """The artifacts that building `layer` reads, each once; of an `ArchiveSource` all it could read."""
    found: dict[Digest, ArtifactRef] = {}
    for source in layer.sources:
        if isinstance(source, WheelSource | NpmSource | TarSource | DebSource):
            found.setdefault(source.artifact.digest, source.artifact)
        elif isinstance(source, DerivedSource):
            for artifact in source.artifacts:
                found.setdefault(artifact.digest, artifact)
        elif isinstance(source, ArchiveSource):
            for artifact in source.archives:
                found.setdefault(artifact.digest, artifact)
        elif isinstance(source, TrustSource) and source.bundle is not None:
            found.setdefault(source.bundle.digest, source.bundle)
    return tuple(found.values())


def places_of(layer: LayerPlan) -> tuple[str, ...]:
    """Absolute paths of the image that `layer` writes to or below, as far as the plan can tell."""
    places: list[str] = []
    for source in layer.sources:
        if isinstance(source, WheelSource):
            places += (source.scheme.site, source.scheme.prefix)
        elif isinstance(source, FilesSource):
            places += (item.path for item in source.items)
        elif isinstance(source, ArchiveSource):
            places += (item.path for item in source.files)
        elif isinstance(source, NpmSource | TarSource | TextSource | DirectorySource | LinkSource | TrustSource):
            places.append(source.path)
        else:
            places.append("/")
    return tuple(dict.fromkeys(places))


def document(value: Any) -> Any:
    """JSON form of any value of this module; tagged where a reader must tell alternatives apart."""
    if isinstance(value, ArtifactRef):
        return value.document()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        body = {name: document(getattr(value, name)) for name in value._fields}
        tag = _TAGS.get(type(value))
        return body if tag is None else {"type": tag, **body}
    if isinstance(value, tuple):
        return [document(item) for item in value]
    if isinstance(value, Mapping):
        return {key: document(item) for key, item in value.items()}
    if isinstance(value, Platform):
        return value.document()
    return value


_TAGS: dict[type, str] = {
    WheelSource: "wheel",
    NpmSource: "npm",
    TarSource: "tar",
    FilesSource: "files",
    TextSource: "text",
    DirectorySource: "directory",
    LinkSource: "link",
    DebSource: "deb",
    DerivedSource: "derived",
    TrustSource: "trust",
    ArchiveSource: "archive",
}
