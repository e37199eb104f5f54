"""What peers are shown: images written by the real command line, of every kind, compression and number of platforms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ociassemble.testing import images
from ociassemble.testing.images import Folder, Link, program
from tests.digests import fixture
from tests.interop.commands import Commands

PLATFORMS = ("linux/amd64", "linux/arm64")
NAMES = [
    f"{kind}-{compression}-{count}"
    for kind in ("python", "directory")
    for compression in ("gzip", "zstd", "none")
    for count in (1, 2)
]


@dataclass(frozen=True, kw_only=True)
class Product:
    """One image (or index) that was pushed and written to a layout by one command."""

    kind: str
    compression: str
    platforms: tuple[str, ...]
    reference: str  # HOST/REPOSITORY:TAG
    layout: Path
    tag: str
    lines: tuple[str, ...]  # the names of what was written, one a destination
    result: Mapping[str, Any]  # what the command printed

    @property
    def digest(self) -> str:
        return str(self.result["digest"])

    @property
    def is_index(self) -> bool:
        return len(self.platforms) > 1

    @property
    def place(self) -> str:
        """As skopeo and umoci name it."""
        return f"{self.layout}:{self.tag}"

    def manifests(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(platform, digest, manifest) of each image, read from the files of the layout alone."""
        document = document_at(self.layout, self.digest)
        if self.is_index:
            for item in document["manifests"]:
                name = f"{item['platform']['os']}/{item['platform']['architecture']}"
                yield name, item["digest"], document_at(self.layout, item["digest"])
        else:
            yield self.platforms[0], self.digest, document

    def diff_ids(self, manifest: Mapping[str, Any]) -> list[str]:
        """Of all layers, as the config says them."""
        found: list[str] = document_at(self.layout, manifest["config"]["digest"])["rootfs"]["diff_ids"]
        return found


def document_at(layout: Path, digest: str) -> dict[str, Any]:
    """A JSON document of a layout."""
    found: dict[str, Any] = json.loads(blob_at(layout, digest).read_bytes())
    return found


def blob_at(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def entries(layout: Path) -> dict[str, str]:
    """The names in a layout with their digests."""
    found = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {item.get("annotations", {}).get("org.opencontainers.image.ref.name", ""): item["digest"] for item in found}


def base(platform: str) -> images.Image:
    """A Debian 13 with Python 3.13 as far as its facts go: links, odd folders, no `history`; all gzip."""
    triplet = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[platform.partition("/")[2]]
    system = images.layer(
        {
            "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
            "lib": Link("usr/lib"),
            "bin": Link("usr/bin"),
            "tmp": Folder(0o1777),
            "usr/local": Folder(0o2775, 0, 50),
            f"usr/lib/{triplet}/libc.so.6": program(),
            "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
        }
    )
    python = images.layer({"usr/bin/python3.13": program(platform), "usr/bin/python3": Link("python3.13")})
    execution = {"Entrypoint": ["/usr/bin/python3.13"], "User": "65532", "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"]}
    return images.image([system, python], platform=platform, execution=execution)


class Products(dict[str, Product]):
    """Every product by its name (`python-gzip-2`); each is built when it is asked for first."""

    def __init__(self, folder: Path, registry: str) -> None:
        super().__init__()
        self._folder, self._registry = folder, registry
        self._base = images.lay_out(images.index([base(platform) for platform in PLATFORMS]), folder / "base", "v1")
        fixture.write_wheels(folder / "wheels")
        for kind in fixture.KINDS:
            fixture.write(fixture.application(kind), folder / "projects" / kind)
        self._ociassemble = Commands(folder, UV_NO_INDEX="1", UV_FIND_LINKS=str(folder / "wheels"))

    def __missing__(self, name: str) -> Product:
        kind, compression, count = name.split("-")
        reference, layout = f"{self._registry}/{kind}:{compression}-{count}", self._folder / "layout"
        platforms = PLATFORMS[: int(count)]
        printed = self._ociassemble(
            "build", self._folder / "projects" / kind, "--base", self._base, "--platform", ",".join(platforms),
            "--compression", compression, *(("--cmd", '["/usr/bin/python3", "-V"]') if kind == "directory" else ()),
            "-t", reference, "--push", "-o", f"oci:{layout}:{name}", "--format", "json",
        )  # fmt: skip
        self[name] = Product(
            kind=kind,
            compression=compression,
            platforms=platforms,
            reference=reference,
            layout=layout,
            tag=name,
            lines=tuple(item["name"] for item in printed.json["destinations"]),
            result=printed.json,
        )
        return self[name]
