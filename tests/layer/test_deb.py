"""Packages into entries: what is kept, with which modes, and what scanners will read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Sequence

import pytest
import zstandard

from ociassemble.layer import deb
from ociassemble.layer.entry import Entry
from ociassemble.layer.writer import LayerWriter
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DebSource
from tests.debian_archive import File, ar, control, folder, link, tarball
from tests.debian_archive import deb as package
from tests.spec_tables import cases

FILES = [
    File("usr/bin/x", b"program", 0o755),
    File("usr/share/doc/x/changelog.gz", b"changes"),
    File("usr/share/doc/x/copyright", b"mine"),
    link("usr/lib/libx.so.1", "libx.so.1.2"),
]


def source(name: str = "x", *rules: str) -> DebSource:
    return DebSource(ArtifactRef(Digest.of(b""), 0, f"{name}_1.0-1_amd64.deb"), name, rules)


def read(data: bytes, *rules: str, name: str = "x") -> list[tuple[Entry, bytes]]:
    return [(entry, b"".join(entry.content())) for entry in deb.entries(io.BytesIO(data), source(name, *rules))]


def paths(data: bytes, *rules: str) -> list[str]:
    return [entry.path for entry, _ in read(data, *rules)]


def content(found: Sequence[tuple[Entry, bytes]], path: str) -> bytes:
    return next(data for entry, data in found if entry.path == path)


@pytest.mark.spec("DEBIAN-DEB-2", "DEBIAN-DEB-5")
def test_everything_in_the_packages_order_and_status_last() -> None:
    found = read(package("x", FILES))

    assert [entry.path for entry, _ in found] == [
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/share",
        "usr/share/doc",
        "usr/share/doc/x",
        "usr/bin/x",
        "usr/share/doc/x/changelog.gz",
        "usr/share/doc/x/copyright",
        "usr/lib/libx.so.1",
        "var/lib/dpkg/status.d/x",
        "var/lib/dpkg/status.d/x.md5sums",
    ]
    assert content(found, "usr/bin/x") == b"program"
    assert content(found, "var/lib/dpkg/status.d/x") == control("x", "1.0-1", "amd64")
    assert found[6][0].origin == "Debian package x 1.0-1"
    assert found[9][0].target == "libx.so.1.2"


@pytest.mark.spec("DEBIAN-DEB-5")
def test_md5sums_name_what_is_there() -> None:
    found = read(package("x", FILES), "drop:usr/share/doc/**", "keep:usr/share/doc/*/copyright")
    sums = content(found, "var/lib/dpkg/status.d/x.md5sums").decode().split()[1::2]

    assert sums == ["usr/bin/x", "usr/share/doc/x/copyright"]


@pytest.mark.spec("DEBIAN-DEB-4")
def test_a_dropped_folder_comes_back_for_what_is_kept_in_it() -> None:
    assert paths(package("x", FILES), "drop:**", "keep:usr/share/doc/x/copyright")[:-2] == [
        "usr",
        "usr/share",
        "usr/share/doc",
        "usr/share/doc/x",
        "usr/share/doc/x/copyright",
    ]


@pytest.mark.spec("DEBIAN-DEB-4")
@pytest.mark.parametrize("case", cases("debian-base.md", "rules"), ids=lambda case: f"{case['rules']}:{case['path']}")
def test_rules(case: dict[str, str]) -> None:
    rules = tuple(case["rules"].strip("`").split())

    assert deb.keeper(rules)(case["path"]) is (case["kept"] == "yes")


@pytest.mark.parametrize("rule", ["", "drop", "drop:", "keep:/usr", "delete:x", "drop x"])
def test_what_is_no_rule(rule: str) -> None:
    with pytest.raises(deb.RuleError):
        deb.keeper((rule,))


@pytest.mark.spec("DEBIAN-DEB-3")
def test_modes_and_owners_without_set_id_bits() -> None:
    files = [
        folder("tmp", 0o1777),
        folder("srv", 0o2775),
        File("bin/su", b"", 0o4755),
        File("bin/mail", b"", 0o2755, gid=8),
        File("x", b"", 0o1644),
        File("home", b"", 0o600, uid=65532, gid=65532),
    ]
    found = {entry.path: entry for entry, _ in read(package("x", files))}

    assert [found[path].mode for path in ("tmp", "srv", "bin/su", "bin/mail", "x", "home")] == [
        0o1777, 0o775, 0o755, 0o755, 0o644, 0o600,
    ]  # fmt: skip
    assert (found["bin/mail"].gid, found["home"].uid) == (8, 65532)


@pytest.mark.spec("DEBIAN-DEB-3")
def test_hard_links_need_their_file() -> None:
    files = [File("a", b"1"), File("b", kind=tarfile.LNKTYPE, target="./a")]
    found = {entry.path: entry for entry, _ in read(package("x", files))}

    assert (found["b"].kind, found["b"].target) == ("hardlink", "a")
    with pytest.raises(deb.PackageFormatError, match="hard link"):
        read(package("x", files), "drop:a")


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".bz2", bz2.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_every_compression(suffix: str, compress: object) -> None:
    meta, data = tarball([File("control", control("x", "1", "all"))]), tarball(FILES[:1])
    raw = ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar" + suffix, compress(meta)),  # type: ignore[operator]
            ("data.tar" + suffix, compress(data)),  # type: ignore[operator]
        ]
    )

    # No md5sums in the package, none in the layer.
    assert paths(raw) == ["usr/bin/x", "var/lib/dpkg/status.d/x"]


def test_a_layer_of_two_packages() -> None:
    written: list[bytes] = []
    writer = LayerWriter(written.append, links=[("lib", "usr/lib")])
    old_layout = package("y", [File("lib/liby.so.1", b"y"), File("usr/bin/y", b"y", 0o755)])
    for name, data in (("x", package("x", FILES)), ("y", old_layout)):
        for entry in deb.entries(io.BytesIO(data), source(name)):
            writer.add(entry)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(b"".join(written))) as layer:
        names = layer.getnames()

    assert len(names) == len(set(names))
    assert "usr/lib/liby.so.1" in names and "lib" not in names
    assert "var/lib/dpkg/status.d/y" in names


def test_an_entry_that_is_read_too_late_is_an_error() -> None:
    found = list(deb.entries(io.BytesIO(package("x", FILES)), source()))
    program = next(entry for entry in found if entry.path == "usr/bin/x")

    with pytest.raises(RuntimeError):
        b"".join(program.content())
