"""Packages that would have to be compiled are refused when they are locked."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import ingest_all
from ociassemble.errors import FormatError
from ociassemble.kinds.node.errors import NativeAddonError
from ociassemble.kinds.protocol import WantedPackage
from ociassemble.lock import addons
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.progress import Progress
from tests.kinds.node import samples


class Told(Progress):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def tarball(manifest: dict[str, Any] | bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in (("package/package.json", data), *((f"package/{name}", b"x") for name in names)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def check(*packages: tuple[str, bytes, bool]) -> Told:
    store, told = MemoryStore(), Told()
    artifacts, wanted = {}, []
    for name, data, optional in packages:
        digest, size = ingest_all(store, [data])
        item = WantedPackage(f"node_modules/{name}", name, "1.0.0", f"sha512-{name}")
        artifacts[item.key] = ArtifactRef(digest, size, f"{name}.tgz")
        wanted.append((item, optional))
    addons.check(wanted, artifacts, samples.distroless(), store, told)
    return told


@pytest.mark.spec("NODE-23")
def test_all_of_them_are_named() -> None:
    with pytest.raises(NativeAddonError, match=r"`one@1\.0\.0` is an addon") as caught:
        check(
            ("one", tarball({}, "binding.gyp"), False),
            ("fine", tarball({"scripts": {"postinstall": "node x.js"}}, "x.js"), False),
            ("two", tarball({"scripts": {"install": "node-gyp rebuild"}}, "x.js"), False),
        )
    assert len(caught.value.details) == 1 and "`two@1.0.0`" in caught.value.details[0]
    assert "prebuilds" in str(caught.value.hint)


@pytest.mark.spec("NODE-23")
def test_what_the_application_can_do_without_is_told() -> None:
    told = check(("one", tarball({}, "binding.gyp"), True))
    assert len(told.warnings) == 1 and "`one@1.0.0`" in told.warnings[0] and "optional" in told.warnings[0]
    assert check(("one", tarball({}, "binding.gyp", "prebuilds/linux-x64/a.node"), False)).warnings == []


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_package_json_that_cannot_be_read_says_nothing(manifest: bytes) -> None:
    assert check(("one", tarball(manifest), False)).warnings == []


def test_a_tarball_that_is_none_names_its_package() -> None:
    with pytest.raises(FormatError) as caught:
        check(("one", b"\x1f\x8bnonsense", False))
    assert "in the npm package `one@1.0.0`" in caught.value.details
