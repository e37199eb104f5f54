"""Bases and projects for the tests of the Python kind."""

from __future__ import annotations

from pathlib import Path

from ociassemble.kinds.protocol import LockedPackage
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import BaseFacts, PythonFacts
from ociassemble.project import reading
from ociassemble.project.tree import ProjectTree


def python(minor: str = "3.13", version: str | None = None, *, free_threaded: bool = False) -> PythonFacts:
    return PythonFacts(
        interpreter=f"/usr/bin/python{minor}",
        minor=minor,
        version=f"{minor}.5" if version is None else version,
        prefix="/usr/local",
        site=f"/usr/local/lib/python{minor}/dist-packages",
        free_threaded=free_threaded,
    )


def distroless(platform: str = "linux/amd64", minor: str = "3.13") -> BaseFacts:
    """As gcr.io/distroless/python3-debian13:nonroot."""
    return BaseFacts(
        platform=Platform.parse(platform),
        distribution="debian",
        distribution_version="13",
        libc="glibc",
        libc_version="2.41",
        python=python(minor),
        user="65532",
        workdir="/home/nonroot",
        env={"PATH": "/usr/local/bin:/usr/bin", "LANG": "C.UTF-8"},
        entrypoint=(f"/usr/bin/python{minor}",),
    )


def slim(minor: str = "3.12") -> BaseFacts:
    """As an official python:slim: no entrypoint, the interpreter in /usr/local."""
    return BaseFacts(
        platform=Platform.parse("linux/amd64"),
        libc="glibc",
        libc_version="2.36",
        python=PythonFacts(
            interpreter=f"/usr/local/bin/python{minor}",
            minor=minor,
            version=f"{minor}.8",
            prefix="/usr/local",
            site=f"/usr/local/lib/python{minor}/site-packages",
        ),
        cmd=("python3",),
    )


def alpine() -> BaseFacts:
    return BaseFacts(
        platform=Platform.parse("linux/arm64"),
        distribution="alpine",
        libc="musl",
        libc_version="1.2.5",
        python=python("3.12"),
    )


def project(folder: Path, files: dict[str, str | bytes]) -> ProjectTree:
    """A folder with these files, read."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return reading.read(folder)


def package(name: str, version: str = "1.0", size: int = 1000, tag: str = "py3-none-any") -> LockedPackage:
    filename = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    return LockedPackage(name, version, ArtifactRef(Digest.of(filename.encode()), size, filename))


def packages(*names: str) -> tuple[LockedPackage, ...]:
    return tuple(package(name) for name in names)
