"""What a lock records for one platform: facts, packages, finished layers, the verdict of `prove`.

Each value has its JSON form (`document`) and the strict reading of it (`read`); specs/behaviour/lock.md.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

from ociassemble.oci.config import ImageConfig
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import FILE_NAME, ArtifactRef
from ociassemble.plan.facts import BaseFacts, NodeFacts, PythonFacts
from ociassemble.plan.layout import Layout
from ociassemble.plan.started import Started
from ociassemble.plan.strict import Invalid, Object

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
                source.matching("filename", FILE_NAME, "a file name"),
            )
            return cls(source.text("name"), source.text("version"), artifact)


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
