"""Facts about a base image: what an application must know of it, read once from its layers and config."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform

# What runtimes search for a program where the config has no PATH.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DirectoryFact(NamedTuple):
    """A folder of the base. `path` as in `layer.entry.Entry`; the root is ""."""

    path: str
    mode: int  # permission bits, 0o0000 to 0o7777
    uid: int
    gid: int

    @property
    def plain(self) -> bool:
        """Whether it is what a missing parent would be given anyway: 0755 0:0."""
        return (self.mode, self.uid, self.gid) == (0o755, 0, 0)


class PythonFacts(NamedTuple):
    """The interpreter of a base and where it looks for packages; all paths absolute in the image."""

    interpreter: str  # "/usr/bin/python3.13"
    minor: str  # "3.13"
    version: str  # "3.13.5", or "" where nothing tells
    prefix: str  # "/usr/local": where scripts (prefix/bin), data and headers go
    site: str  # "/usr/local/lib/python3.13/dist-packages"
    free_threaded: bool = False


class NodeFacts(NamedTuple):
    """The Node of a base."""

    interpreter: str  # "/nodejs/bin/node", absolute in the image, no link
    version: str  # "24.11.1", or "" where nothing tells

    @property
    def major(self) -> str:
        """`24` of `24.11.1`; "" where nothing tells. Addons are built for it, and `engines` mostly names it."""
        return self.version.partition(".")[0]


class TrustFact(NamedTuple):
    """A bundle of certificates that programs in a base trust: one file, PEM."""

    path: str  # absolute in the image, no link
    digest: Digest
    size: int
    mode: int
    uid: int
    gid: int


class BaseFacts(NamedTuple):
    """All that planning may know of a base."""

    platform: Platform
    distribution: str = ""  # os-release ID: "debian", "wolfi", "alpine"
    distribution_version: str = ""  # os-release VERSION_ID
    libc: str = ""  # "glibc", "musl", or "" for none
    libc_version: str = ""  # "2.41"
    python: PythonFacts | None = None
    node: NodeFacts | None = None
    user: str = ""
    workdir: str = ""
    env: Mapping[str, str] = MappingProxyType({})
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    links: Mapping[str, str] = MappingProxyType({})  # symlinks to folders: path -> link text
    directories: tuple[DirectoryFact, ...] = ()  # folders other than 0755 0:0, by path
    programs: tuple[str, ...] = ()  # absolute paths of executable files (and links to them) on PATH, sorted
    trust: tuple[TrustFact, ...] = ()  # the bundle that $SSL_CERT_FILE names first, then those of known places

    def document(self) -> dict[str, Any]:
        """JSON form, for the cache and the lock."""
        result: dict[str, Any] = {
            "platform": self.platform.document(),
            "distribution": self.distribution,
            "distributionVersion": self.distribution_version,
            "libc": self.libc,
            "libcVersion": self.libc_version,
            "user": self.user,
            "workdir": self.workdir,
            "env": dict(self.env),
            "entrypoint": list(self.entrypoint),
            "cmd": list(self.cmd),
            "links": dict(self.links),
            "directories": [list(item) for item in self.directories],
            "programs": list(self.programs),
            "trust": [list(item) for item in self.trust],
        }
        if self.python is not None:
            result["python"] = self.python._asdict()
        if self.node is not None:
            result["node"] = self.node._asdict()
        return result

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BaseFacts:
        """From `document()`'s form."""
        python, node = document.get("python"), document.get("node")
        return cls(
            platform=Platform.from_document(document["platform"], "the base facts"),
            distribution=document["distribution"],
            distribution_version=document["distributionVersion"],
            libc=document["libc"],
            libc_version=document["libcVersion"],
            python=None if python is None else PythonFacts(**python),
            node=None if node is None else NodeFacts(**node),
            user=document["user"],
            workdir=document["workdir"],
            env=document["env"],
            entrypoint=tuple(document["entrypoint"]),
            cmd=tuple(document["cmd"]),
            links=document["links"],
            directories=tuple(DirectoryFact(*item) for item in document["directories"]),
            programs=tuple(document["programs"]),
            trust=tuple(TrustFact(path, Digest(digest), *rest) for path, digest, *rest in document["trust"]),
        )
