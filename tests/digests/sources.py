"""One layer plan for each kind of source, with links and directories of a base: keys, diff_ids and blobs of them.

The packages are made by hand, without a compressor, so that nothing depends on an archive or on this machine. Run as
a program (`python -m tests.digests.sources`) it prints the digests: so it runs on other CPUs and Pythons.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from typing import BinaryIO

from ociassemble.content import compress
from ociassemble.content.memory import MemoryStore
from ociassemble.layer.build import build_layers
from ociassemble.layer.entry import Content, constant
from ociassemble.layer.key import layer_key
from ociassemble.layer.sources import Materials
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import DirectoryFact
from ociassemble.plan.plan import (
    DebSource,
    DerivedSource,
    DirectorySource,
    FileItem,
    FilesSource,
    LayerPlan,
    LinkSource,
    PythonScheme,
    TextSource,
    WheelSource,
)
from ociassemble.progress import Progress
from tests.debian_archive import ar, elf
from tests.digests import fixture
from tests.formats import tar_builder as tar

_LIB = "usr/lib/x86_64-linux-gnu"


def _deb(name: str, members: bytes, sums: bytes = b"") -> bytes:
    control = f"Package: {name}\nVersion: 1:2.3-4\nArchitecture: amd64\nDescription: \u00e4\n more\n".encode()
    meta = tar.file(b"./control", control) + tar.file(b"./md5sums", sums) + tar.END
    return ar([("debian-binary", b"2.0\n"), ("control.tar", meta), ("data.tar", members + tar.END)])


def _folders(*paths: str) -> bytes:
    return b"".join(tar.block(f"./{path}/".encode(), type=b"5", mode=b"0000755\0") for path in paths)


def _debs() -> dict[str, bytes]:
    library = _folders("usr", "usr/lib", _LIB, "usr/share", "usr/share/doc", "usr/share/doc/libone", "var")
    library += b"".join(
        (
            tar.file(f"./{_LIB}/libone.so.1.2".encode(), elf("libone.so.1", ["libc.so.6"])),
            tar.block(f"./{_LIB}/libone.so.1".encode(), type=b"2", link=b"libone.so.1.2", mode=b"0000777\0"),
            tar.file(b"./usr/share/doc/libone/copyright", b"free\n"),
            tar.file(b"./usr/share/doc/libone/changelog", b"dropped\n"),
            tar.block(b"./usr/share/doc/libone/hard", type=b"1", link=b"./usr/share/doc/libone/copyright"),
            tar.block(b"./var/mail/", type=b"5", mode=b"0002775\0", gid=b"0000010\0"),
            tar.file(b"./usr/bin/su", b"su\n", mode=b"0004755\0"),
            tar.file(b"./etc/ld.so.conf", f"include /etc/ld.so.conf.d/*.conf\n/{_LIB}\n".encode()),
        )
    )
    certificates = b"".join(
        tar.file(f"./usr/share/ca-certificates/mozilla/{name}.crt".encode(), f"{name}\n".encode()) for name in "BaZ"
    )
    return {
        "libone": _deb("libone", library, b"0" * 32 + b"  usr/share/doc/libone/copyright\n"),
        "ca-certificates": _deb("ca-certificates", certificates),
    }


def _ref(data: bytes, filename: str) -> ArtifactRef:
    return ArtifactRef(Digest.from_hex(hashlib.sha256(data).hexdigest()), len(data), filename)


DEBS = {name: (_ref(data, f"{name}.deb"), data) for name, data in _debs().items()}
WHEEL = fixture.wheels()[1]
LINKS = (("bin", "usr/bin"), ("lib", "usr/lib"), ("opt/app", "../srv/app"))
DIRECTORIES = (DirectoryFact("srv", 0o750, 1000, 1000), DirectoryFact("tmp", 0o1777, 0, 0))


def plans() -> dict[str, LayerPlan]:
    artifacts = tuple(ref for ref, _ in DEBS.values())
    libone, certificates = artifacts
    wheel = _ref(WHEEL.data, WHEEL.filename)
    scheme = PythonScheme("/usr/lib/python3.14t/site-packages", "/usr", "/usr/bin/python3.14t", "3.14")
    digest = Digest.of(b"file\n")
    items = (
        FileItem("/opt/app/x", "file", 0o755, digest, 5, source="x", uid=2_097_152, gid=7),
        FileItem("/opt/app/empty", "directory", 0o755),
        FileItem("/opt/app/link", "symlink", 0o777, target="x" * 101),
    )
    rules = ("drop:usr/share/doc/**", "keep:usr/share/doc/*/copyright")
    sources = {
        "deb": (DebSource(libone, "libone", rules),),
        "derived": (
            DerivedSource("ca-bundle", (certificates,)),
            DerivedSource("ld.so.cache", artifacts, (("architecture", "amd64"),)),
        ),
        "wheel": (WheelSource(wheel, scheme),),
        "files": (
            FilesSource(items),
            TextSource("/etc/passwd", "root:x:0:0:r\u00f6\u00f6t:/root:/sbin/nologin\n", 0o600, 1, 2),
            DirectorySource("/tmp", 0o1777),
            DirectorySource("/home/nonroot", 0o700, 65532, 65532),
            LinkSource("/lib/os-release", "../etc/os-release"),
        ),
    }
    return {
        name: LayerPlan(title=name, role="base", sources=found, links=LINKS, directories=DIRECTORIES)
        for name, found in sources.items()
    }


def digests(jobs: int) -> dict[str, dict[str, str]]:
    """Key, diff_id and digest of each."""
    content = {ref.digest: data for ref, data in DEBS.values()} | {Digest.of(WHEEL.data): WHEEL.data}

    def artifact(ref: ArtifactRef) -> BinaryIO:
        return io.BytesIO(content[ref.digest])

    def file(item: FileItem) -> Content:
        return constant(b"file\n")

    wanted = plans()
    built = build_layers(
        tuple(wanted.values()),
        codec=lambda plan: compress.parse("gzip", "base"),
        store=MemoryStore(),
        fetch=lambda artifacts: None,
        materials=Materials(artifact=artifact, file=file),
        use_records=False,
        jobs=jobs,
        progress=Progress(),
    )
    return {
        name: {
            "key": layer_key(plan),
            "diffId": made.layer.diff_id,
            "digest": made.layer.descriptor.digest,
            "codec": made.codec,
        }
        for (name, plan), made in zip(wanted.items(), built, strict=True)
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(int(sys.argv[1]) if len(sys.argv) > 1 else 1), indent=1) + "\n")
