"""The CA bundle and the loader's cache, computed from packages."""

from __future__ import annotations

import io

import pytest

from ociassemble.formats import ldcache
from ociassemble.layer import derived
from ociassemble.layer.entry import Entry
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import DerivedSource
from tests.debian_archive import File, deb, elf, link

CONFIGURATION = [
    File("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n"),
    File("etc/ld.so.conf.d/libc.conf", b"# default\n/usr/local/lib\n"),
    File("etc/ld.so.conf.d/x86_64-linux-gnu.conf", b"/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu # same\n"),
]
MERGED = [link("lib", "usr/lib"), link("lib64", "usr/lib64")]


def make(recipe: str, *packages: bytes, architecture: str = "") -> tuple[Entry, bytes]:
    artifacts = tuple(ArtifactRef(Digest.of(data), len(data), f"p{number}.deb") for number, data in enumerate(packages))
    contents = {artifact.digest: data for artifact, data in zip(artifacts, packages, strict=True)}
    parameters = (("architecture", architecture),) if architecture else ()
    (entry,) = derived.entries(
        DerivedSource(recipe, artifacts, parameters), lambda ref: io.BytesIO(contents[ref.digest])
    )
    data = b"".join(entry.content())
    assert len(data) == entry.size
    return entry, data


def cache(*files: File, architecture: str = "amd64") -> list[tuple[str, str]]:
    entry, data = make("ld.so.cache", deb("x", files), architecture=architecture)
    assert (entry.path, entry.mode) == ("etc/ld.so.cache", 0o644)
    return [(library.soname, library.path) for library in ldcache.decode(data)]


@pytest.mark.spec("DEBIAN-CA-1")
def test_the_ca_bundle() -> None:
    package = deb(
        "ca-certificates",
        [
            File("usr/share/ca-certificates/mozilla/B.crt", b"-B-\n"),
            File("usr/share/ca-certificates/mozilla/A.crt", b"-A-"),
            File("usr/share/ca-certificates/mozilla/README", b"no"),
            File("usr/share/doc/ca-certificates/examples/x/local.crt", b"bogus"),
        ],
    )
    entry, data = make("ca-bundle", package)

    assert (entry.path, entry.mode) == ("etc/ssl/certs/ca-certificates.crt", 0o555)
    assert data == b"-A-\n-B-\n"
    with pytest.raises(derived.RecipeError, match="no certificates"):
        make("ca-bundle", deb("x", []))


@pytest.mark.spec("DEBIAN-CACHE-1")
def test_folders_as_configured_and_each_once() -> None:
    found = cache(
        *CONFIGURATION,
        *MERGED,
        File("usr/lib/x86_64-linux-gnu/libz.so.1.3.1", elf("libz.so.1")),
        link("usr/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.3.1"),
        File("usr/lib/libplain.so.2", elf("libplain.so.2")),
        File("usr/local/lib/libz.so.1", elf("libz.so.1")),
        File("usr/lib/x86_64-linux-gnu/private/libhidden.so.1", elf("libhidden.so.1")),
    )

    assert found == [
        ("libz.so.1", "/usr/local/lib/libz.so.1"),
        ("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1"),
        ("libplain.so.2", "/lib/libplain.so.2"),
    ]


def test_a_loader_that_is_linked_into_a_second_folder_is_there_twice() -> None:
    found = cache(
        File("etc/ld.so.conf", b"/lib/aarch64-linux-gnu\n"),
        *MERGED,
        File("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", elf("ld-linux-aarch64.so.1", machine=183)),
        link("usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1"),
        architecture="arm64",
    )

    assert found == [
        ("ld-linux-aarch64.so.1", "/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"),
        ("ld-linux-aarch64.so.1", "/lib/ld-linux-aarch64.so.1"),
    ]


def test_one_file_a_soname() -> None:
    found = cache(
        File("usr/lib/libx.so.1.9", elf("libx.so.1")),
        File("usr/lib/libx.so.1.10", elf("libx.so.1")),
        File("usr/lib/libnone.so", elf("")),
        link("usr/lib/libdev.so", "libx.so.1.10"),
    )

    assert found == [("libx.so.1", "/usr/lib/libx.so.1.10"), ("libnone.so", "/usr/lib/libnone.so")]


def test_what_is_no_library_of_the_architecture() -> None:
    found = cache(
        File("usr/lib/libscript.so", b"GROUP ( /lib/libx.so.1 )"),
        File("usr/lib/libarm.so.1", elf("libarm.so.1", machine=183)),
        File("usr/lib/libprogram.so.1", elf("libprogram.so.1", kind=2)),
        File("usr/lib/libcut.so.1", elf("libcut.so.1")[:100]),
        File("usr/lib/x.so", elf("x.so")),
        link("usr/lib/libdangling.so.1", "libabsent.so.1"),
        link("usr/lib/libround.so.1", "libround.so.1"),
    )

    assert found == []


def test_what_nobody_can_derive() -> None:
    with pytest.raises(derived.RecipeError, match="no such"):
        make("locale", deb("x", []))
    with pytest.raises(derived.RecipeError, match="architecture"):
        make("ld.so.cache", deb("x", []), architecture="vax")
    with pytest.raises(derived.RecipeError, match="includes itself"):
        cache(File("etc/ld.so.conf", b"include ld.so.conf\n"))
