"""What an application kind is (contract: tests/contract/test_kinds.py).

A kind is pure: it looks at a `ProjectTree`, at settings and at facts about the base, and returns values. It never
fetches, never runs anything, and never imports code of the project.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ociassemble.errors import UsageError
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.locked import LockedPackage as LockedPackage
from ociassemble.plan.plan import ApplicationPlan, FileItem
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree, TreeFile

WORKDIR = "/app"  # where an application goes, unless it is told


class WorkdirError(UsageError):
    """A working directory that is no absolute path of the image, or no folder for an application."""

    code = "usage.workdir"


class Recognition(NamedTuple):
    """A kind that claims the folder, and on what evidence ("requirements.txt")."""

    kind: str
    evidence: str
    weak: bool = False  # counts only where no other kind claims the folder


class DefaultBase(NamedTuple):
    """The base an application gets when the user names none: its short name, and on what evidence.

    The evidence is told; it is "" where the kind takes the same base for every application.
    """

    name: str
    evidence: str = ""


class ResolveRequest(NamedTuple):
    """What must be resolved, as pure data; its inputs' bytes decide whether a lock is fresh.

    `form` names the grammar of `primary`: "pylock", "uv.lock", "requirements", "pyproject". `inputs` are all files
    (relative to the project) whose content the answer depends on: `primary`, what it includes, manifests beside it.
    `required_hashes` are sha256 hex digests that the input itself pins, by normalised package name: a resolved
    artifact of that package must be among them.
    """

    ecosystem: str  # "python"
    form: str
    primary: str
    inputs: tuple[str, ...]
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    python: str = ""  # the base's minor version, "3.13"
    required_hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    package: str = ""  # the workspace member that is the application, "" for the folder's own project
    provided: tuple[str, ...] = ()  # normalised names that the user's own wheels bring: neither locked nor selected


class WantedPackage(NamedTuple):
    """A package that an input names by another hash than sha256: locking fetches it, checks it and hashes it.

    `name` is what a `LockedPackage` of it is called: for npm its place in the lock, "node_modules/a/node_modules/b".
    """

    name: str
    package: str  # as its registry knows it: "@scope/b"
    version: str
    integrity: str  # Subresource Integrity: "sha512-...", or several with spaces between; "" where it says none
    url: str = ""  # where the input says it is, "" where it says nothing

    @property
    def key(self) -> str:
        """What `Resolution.artifacts` calls its file: its integrity, or without one what it is and where."""
        return self.integrity or f"{self.package}@{self.version} {self.url}"


class Resolution(NamedTuple):
    """A resolver's answer in a neutral form: for Python a pylock.toml (PEP 751), for Node a package-lock.json.

    `artifacts` are the files behind `WantedPackage`s, by their `key`; a pylock.toml names its own.
    """

    form: str  # "pylock", "package-lock"
    text: str
    artifacts: Mapping[str, ArtifactRef] = MappingProxyType({})


class ApplicationKind(Protocol):
    """One kind of application. Stateless."""

    name: str

    def recognise(self, tree: ProjectTree) -> Recognition | None:
        """Whether this folder is one of ours, and why."""
        ...

    def default_base(self, tree: ProjectTree, settings: Settings, platforms: Sequence[Platform]) -> DefaultBase:
        """The base where the user names none: one for all `platforms`, as a lock asks for one."""
        ...

    def request(self, tree: ProjectTree, settings: Settings, facts: BaseFacts | None) -> ResolveRequest | None:
        """What to resolve; None where the application has no dependencies to speak of."""
        ...

    def select(self, request: ResolveRequest, resolution: Resolution, facts: BaseFacts) -> tuple[LockedPackage, ...]:
        """The packages for one platform, by name. An artifact whose size nobody told has the size -1."""
        ...

    def plan(
        self, tree: ProjectTree, settings: Settings, facts: BaseFacts, packages: tuple[LockedPackage, ...]
    ) -> ApplicationPlan:
        """The layers (dependencies first, the application last) and the start command."""
        ...


def workdir_of(settings: Settings, *, root: bool = False) -> str:
    """Where the application goes: absolute, normalised. `root` says whether that may be "/".

    Raises `WorkdirError`.
    """
    stated = settings.workdir or WORKDIR
    if not stated.startswith("/") or ".." in stated.split("/") or "\n" in stated:
        raise WorkdirError(
            f"the working directory `{stated}` is not an absolute path of the image", hint="write it like `/app`"
        )
    found = "/" + posixpath.normpath(stated).lstrip("/")
    if found == "/" and not root:
        raise WorkdirError(
            f"the application cannot be put into `{stated}`", hint="choose a folder of its own, like `/app`"
        )
    return found


def place(tree: ProjectTree, prefix: str, keep: Callable[[TreeFile], bool] | None = None) -> tuple[FileItem, ...]:
    """What `tree` packs (and `keep` wants), at and below the absolute `prefix` of the image, in the tree's order.

    The folders above are the layer writer's job; only a tree of which nothing is left states `prefix` itself, so
    that a working directory always exists. Files of the project belong to 0:0 (design: settled decisions, 4).
    """
    above = prefix.rstrip("/")
    items = tuple(
        FileItem(
            path=f"{above}/{file.path}",
            kind=file.kind,
            mode=file.mode,
            digest=file.digest,
            size=file.size,
            target=file.target,
            source=file.path,
        )
        for file in tree.files
        if keep is None or keep(file)
    )
    return items or ((FileItem(path=above, kind="directory", mode=0o755),) if above else ())
