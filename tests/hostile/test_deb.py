"""Packages made to harm: whatever they are, the answer is one of our errors and nothing is written anywhere."""

from __future__ import annotations

import contextlib
import io
import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.errors import Error, FormatError
from ociassemble.layer import deb
from ociassemble.layer.writer import LayerWriter
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DebSource
from tests.debian_archive import File, ar, control, folder, link, tarball
from tests.debian_archive import deb as package

CONTROL = tarball([File("control", control("x", "1", "all"))])
DATA = tarball([File("usr/bin/x", b"x" * 3000)])
BINARY = ("debian-binary", b"2.0\n")


def written(data: bytes, name: str = "x") -> bytes:
    result: list[bytes] = []
    writer = LayerWriter(result.append)
    source = DebSource(ArtifactRef(Digest.of(b""), 0, "hostile.deb"), name)
    for entry in deb.entries(io.BytesIO(data), source):
        writer.add(entry)
    writer.finish()
    return b"".join(result)


def refused(data: bytes, name: str = "x") -> Error:
    with pytest.raises(Error) as caught:
        written(data, name)
    assert caught.value.code.startswith(("integrity.", "project."))
    return caught.value


def test_the_honest_one_is_taken() -> None:
    assert b"usr/bin/x" in written(ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA)]))


@pytest.mark.spec("DEBIAN-DEB-1")
@pytest.mark.parametrize(
    "members",
    [
        [],
        [BINARY],
        [BINARY, ("control.tar", CONTROL)],
        [("control.tar", CONTROL), ("data.tar", DATA)],
        [BINARY, ("data.tar", DATA), ("control.tar", CONTROL)],
        [BINARY, ("control.tar", CONTROL), ("data.tar", DATA), ("data.tar", DATA)],
        [BINARY, ("control.tar", CONTROL), ("control.tar", CONTROL), ("data.tar", DATA)],
        [BINARY, ("control.tar", CONTROL), ("data.tar", DATA), ("_gpgorigin", b"x")],
        [BINARY, ("_first", b"x"), ("control.tar", CONTROL), ("data.tar", DATA)],
        [("debian-binary", b"3.0\n"), ("control.tar", CONTROL), ("data.tar", DATA)],
        [("debian-binary", b"2.0\n" * 100), ("control.tar", CONTROL), ("data.tar", DATA)],
        [("debian-binary", b""), ("control.tar", CONTROL), ("data.tar", DATA)],
        [BINARY, ("control.tar.lz4", CONTROL), ("data.tar", DATA)],
        [BINARY, ("control.tar.xz", CONTROL), ("data.tar", DATA)],
        [BINARY, ("control.tar", CONTROL), ("data.tar.xz", DATA)],
        [BINARY, ("control.tar", CONTROL), ("data.tar.xz", lzma.compress(DATA) + b"more")],
        [BINARY, ("control.tar", CONTROL), ("data.tar.xz", lzma.compress(DATA)[:-9])],
        [BINARY, ("control.tar", CONTROL), ("data.tar", b"")],
        [BINARY, ("control.tar", b""), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([])), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([link("control", "/etc/passwd")])), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([File("control", b"Package: x\n")])), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([File("control", b"")])), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([File("control", b"\xff\n")])), ("data.tar", DATA)],
        [BINARY, ("control.tar", tarball([File("control", control("x", "1", "all"))] * 2)), ("data.tar", DATA)],
    ],
)  # fmt: skip
def test_other_structures(members: list[tuple[str, bytes]]) -> None:
    refused(ar(members))


@pytest.mark.parametrize("cut", range(0, 1400, 37))
def test_truncated_packages(cut: int) -> None:
    whole = package("x", [File("usr/bin/x", bytes(range(256)) * 40)])
    assert len(whole) > 900
    error = refused(whole[: len(whole) * cut // 1400])

    assert isinstance(error, FormatError)
    assert any("hostile.deb" in detail for detail in error.details)


def test_a_package_under_another_name() -> None:
    assert "`x`, not `y`" in str(refused(package("x", []), "y"))


@pytest.mark.parametrize(
    "file",
    [
        File("../evil", b""),
        File("usr/../../evil", b""),
        File("usr/.wh.bin", b""),
        File("a" * 300, b""),
        File("dev/sda", kind=tarfile.BLKTYPE),
        File("dev/mem", kind=tarfile.CHRTYPE),
        File("run/pipe", kind=tarfile.FIFOTYPE),
        File("hard", kind=tarfile.LNKTYPE, target="./absent"),
        File("hard", kind=tarfile.LNKTYPE, target="/etc/shadow"),
        File("hard", kind=tarfile.LNKTYPE, target="./hard"),
    ],
    ids=lambda file: repr(file.path)[:24] + repr(file.kind),
)
def test_members_no_layer_may_hold(file: File) -> None:
    refused(ar([BINARY, ("control.tar", CONTROL), ("data.tar", tarball([file]))]))


@pytest.mark.parametrize(
    "files",
    [
        [File("a", b"1"), File("a", b"2")],
        [File("a", b"1"), File("./a", b"2")],
        [File("a", b"1"), File("a/b", b"2")],
        [link("a", "/etc"), File("a/passwd", b"evil")],
        [folder("a"), link("a", "/etc")],
    ],
)
def test_paths_that_contradict_each_other(files: list[File]) -> None:
    refused(ar([BINARY, ("control.tar", CONTROL), ("data.tar", tarball(files))]))


def test_a_control_archive_that_never_ends() -> None:
    bomb = lzma.compress(tarball([File("postinst", bytes(20 << 20)), File("control", control("x", "1", "all"))]))
    assert len(bomb) < 1 << 16
    assert "integrity.format" in refused(ar([BINARY, ("control.tar.xz", bomb), ("data.tar", DATA)])).code


@given(st.data())
def test_total_on_changed_packages(data: st.DataObject) -> None:
    changed = bytearray(ar([BINARY, ("control.tar", CONTROL), ("data.tar", DATA)]))
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Error):
        written(bytes(changed))
