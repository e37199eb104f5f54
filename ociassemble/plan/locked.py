"""What a lock records for one platform: facts, packages, the pinned base, finished layers, the verdict of `prove`.

Each value has its JSON form (`document`) and the strict reading of it (`read`); specs/behaviour/lock.md.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, cast

from ociassemble.oci.config import ImageConfig
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts, NodeFacts, PythonFacts
from ociassemble.plan.layout import Layout
from ociassemble.plan.release import Release
from ociassemble.plan.started import Started
from ociassemble.plan.strict import Invalid, Object

_FILENAME = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f]+")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*")
# A relative path without `.`, `..` or empty parts.
PATH = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+(?:/(?!\Z)|\Z))+")

Severity = Literal["error", "warning", "info"]


class LockedFacts(NamedTuple):
    """What dependencies were chosen for; of these, the interpreters' ABIs and the libc decide (LOCK-6).

    The two about Node are in the document only where the base has one; `layout` is of a pinned base only (LOCK-21).
    """

    distribution: str
    distribution_version: str
    libc: str
    libc_version: str
    python: str = ""  # minor, "3.13"; "" for a base without Python
    python_version: str = ""  # exact, "" where nothing told
    free_threaded: bool = False
    node: str = ""  # major, "24"; "" for a base without Node
    node_version: str = ""  # exact, "" where nothing told
    layout: Layout | None = None  # the rest of what planning knows of a base, but what its config says

    @classmethod
    def of(cls, facts: BaseFacts) -> LockedFacts:
        python, node = facts.python, facts.node
        return cls(
            facts.distribution,
            facts.distribution_version,
            facts.libc,
            facts.libc_version,
            python.minor if python else "",
            python.version if python else "",
            python.free_threaded if python else False,
            node.major if node else "",
            node.version if node else "",
        )

    def document(self) -> dict[str, Any]:
        said = {name.replace("_", "-"): value for name, value in zip(self._fields[:-1], self, strict=False)}
        result = {name: value for name, value in said.items() if value or not name.startswith("node")}
        return result if self.layout is None else {**result, "layout": self.layout.document()}

    def whole(self, platform: Platform, config: ImageConfig) -> BaseFacts | None:
        """All that planning may know of the base with this config; None where no layout was recorded."""
        layout = self.layout
        if layout is None:
            return None
        python = None
        if layout.python is not None:
            interpreter, prefix, site = layout.python
            python = PythonFacts(
                interpreter=interpreter,
                minor=self.python,
                version=self.python_version,
                prefix=prefix,
                site=site,
                free_threaded=self.free_threaded,
            )
        return BaseFacts(
            platform=platform,
            distribution=self.distribution,
            distribution_version=self.distribution_version,
            libc=self.libc,
            libc_version=self.libc_version,
            python=python,
            node=NodeFacts(interpreter=layout.node, version=self.node_version) if layout.node else None,
            user=config.user,
            workdir=config.workdir,
            env=config.env,
            entrypoint=config.entrypoint,
            cmd=config.cmd,
            links=layout.links,
            directories=layout.directories,
            programs=layout.programs,
            trust=layout.trust,
        )

    @classmethod
    def read(cls, value: Any, path: str) -> LockedFacts:
        with Object(value, path) as source:
            return cls(
                source.text("distribution", empty=True),
                source.text("distribution-version", empty=True),
                source.text("libc", empty=True),
                source.text("libc-version", empty=True),
                source.text("python", empty=True),
                source.text("python-version", empty=True),
                source.truth("free-threaded"),
                source.text("node") if source.has("node") else "",
                source.text("node-version") if source.has("node-version") else "",
                Layout.read(source.take("layout"), source.at("layout")) if source.has("layout") else None,
            )


class LockedPackage(NamedTuple):
    """One package chosen for one platform."""

    name: str  # normalised
    version: str
    artifact: ArtifactRef

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, **self.artifact.document()}

    @classmethod
    def read(cls, value: Any, path: str) -> LockedPackage:
        with Object(value, path) as source:
            artifact = ArtifactRef(
                source.sha256("sha256"),
                source.integer("size"),
                source.matching("filename", _FILENAME, "a file name"),
            )
            return cls(source.text("name"), source.text("version"), artifact)


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
                source.matching("archive", _FILENAME, "the name of an archive"),
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


class LockedLayer(NamedTuple):
    """A finished dependency layer; it counts only where `key` is that of the plan and `codec` is ours."""

    title: str
    key: Digest
    diff_id: Digest
    digest: Digest
    size: int  # compressed bytes
    codec: str  # library, version, level, block size

    def document(self) -> dict[str, Any]:
        return dict(self._asdict())

    @classmethod
    def read(cls, value: Any, path: str) -> LockedLayer:
        with Object(value, path) as source:
            return cls(
                source.text("title", empty=True),
                source.digest("key"),
                source.digest("diff_id"),
                source.digest("digest"),
                source.integer("size"),
                source.text("codec"),
            )


class LockedFinding(NamedTuple):
    """What `prove` found when it read the layers."""

    code: str
    severity: Severity
    message: str

    def document(self) -> dict[str, Any]:
        return dict(self._asdict())

    @classmethod
    def read(cls, value: Any, path: str) -> LockedFinding:
        with Object(value, path) as source:
            severity = source.text("severity")
            if severity not in ("error", "warning", "info"):
                raise Invalid(f"`{source.at('severity')}` is not error, warning or info")
            return cls(source.text("code"), cast(Severity, severity), source.text("message"))


class Verdict(NamedTuple):
    """What was proved, and about exactly what; anything else must be proved anew (LOCK-8)."""

    base: Digest  # the base's manifest
    dependencies: tuple[Digest, ...]  # diff_ids, in order
    command: tuple[str, ...]  # entrypoint and cmd
    findings: tuple[LockedFinding, ...] = ()
    started: Started | None = None

    def document(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "dependencies": list(self.dependencies),
            "command": list(self.command),
            "findings": [item.document() for item in self.findings],
            **({} if self.started is None else {"started": self.started.document()}),
        }

    @classmethod
    def read(cls, value: Any, path: str) -> Verdict:
        with Object(value, path) as source:
            return cls(
                source.digest("base"),
                source.digests("dependencies"),
                source.texts("command"),
                tuple(LockedFinding.read(item, where) for item, where in source.items("findings")),
                Started.read(source.take("started"), source.at("started")) if source.has("started") else None,
            )


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
            repository = source.matching("repository", _REPOSITORY, "a repository without its host") if there else ""
            return RegistryBase(*manifest, layers, repository)
        if kind == "debian":
            packages = tuple(DebianPackage.read(item, where) for item, where in source.items("packages"))
            items = source.items("releases") if source.has("releases") else ()
            releases = tuple(Release.read(item, where) for item, where in items)
            return DebianBase(source.text("recipe"), packages, *manifest, layers, source.text("codec"), releases)
        raise Invalid(f"`{source.at('source')}` is neither registry nor debian")
