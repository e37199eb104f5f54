"""Which mirror: settings, or what the host's apt is configured with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.sources.debian import MirrorMissingError, discover


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.spec("DEBIAN-INDEX-6")
def test_what_is_configured_wins(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://host.example/debian trixie main\n")

    assert discover("https://mirror.example/x/", tmp_path).roots == {
        "debian": ("https://mirror.example/x/debian",),
        "debian-security": ("https://mirror.example/x/debian-security",),
    }


@pytest.mark.parametrize("text", ["mirror.example", "ftp://mirror.example", "file:///srv/mirror", "https://", "/srv"])
def test_what_is_no_url(text: str, tmp_path: Path) -> None:
    with pytest.raises(MirrorMissingError) as caught:
        discover(text, tmp_path)
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.spec("DEBIAN-INDEX-6")
def test_one_line_sources_of_any_suite(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        "# deb http://commented.example/debian trixie main\n"
        "deb [ arch=amd64 signed-by=/usr/share/keyrings/x.gpg ] http://a.example/debian/ bookworm main non-free # why\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb http://a.example/debian bookworm-updates main\n"
        "deb http://s.example/debian-security bookworm-security main\n",
    )

    assert discover(None, tmp_path).roots == {
        "debian": ("http://a.example/debian",),
        "debian-security": ("http://s.example/debian-security",),
    }


@pytest.mark.spec("DEBIAN-INDEX-6")
def test_deb822_sources(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list.d/debian.sources",
        "# Debian\nTypes: deb deb-src\nURIs: http://a.example/debian http://b.example/debian\n"
        "Suites: sid\nComponents: main\n\n"
        "Types: deb\nURIs: http://s.example/mirror-of-security\nSuites: trixie-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: sid\nComponents: main\n\n"
        "Types: deb-src\nURIs: http://src.example/debian\nSuites: sid\nComponents: main\n",
    )
    write(tmp_path, "sources.list.d/debian.sources.save", "Types: deb\nURIs: http://old.example/debian\nSuites: sid\n")

    assert discover(None, tmp_path).roots == {
        "debian": ("http://a.example/debian", "http://b.example/debian"),
        "debian-security": ("http://s.example/mirror-of-security",),
    }


def test_security_is_looked_for_beside_the_archive(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://a.example/deb/debian stable main\n")

    assert discover(None, tmp_path).roots["debian-security"] == ("http://a.example/deb/debian-security",)


def test_others_who_publish_for_debian_come_last_or_not_at_all(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        "deb https://tools.example trixie main\n"
        "deb https://vendor.example/apt trixie-vendor main\n"
        "deb https://runtime.example/linux/debian trixie stable\n"
        "deb http://ubuntu.example/ubuntu noble main\n"
        "deb http://a.example/debian trixie main\n",
    )

    assert discover(None, tmp_path).roots["debian"] == ("http://a.example/debian", "https://tools.example")


def test_mirror_lists(tmp_path: Path) -> None:
    write(tmp_path, "mirrors/debian.list", "http://a.example/debian\tpriority:1\n# no\nhttp://b.example/debian\n")
    write(
        tmp_path,
        "sources.list.d/debian.sources",
        f"Types: deb\nURIs: mirror+file://{tmp_path}/mirrors/debian.list\nSuites: trixie\nComponents: main\n",
    )

    assert discover(None, tmp_path).roots["debian"] == ("http://a.example/debian", "http://b.example/debian")


@pytest.mark.spec("DEBIAN-INDEX-6")
@pytest.mark.parametrize(
    "text",
    ["", "deb http://ubuntu.example/ubuntu noble main\n", "deb cdrom:[Debian] trixie main\n", "\x00\xff", "deb\n"],
)
def test_a_host_without_debian(tmp_path: Path, text: str) -> None:
    write(tmp_path, "sources.list", text)
    write(tmp_path, "sources.list.d/broken.sources", "no field\n")
    with pytest.raises(MirrorMissingError) as caught:
        discover(None, tmp_path)
    assert "OCIASSEMBLE_DEBIAN_MIRROR" in (caught.value.hint or "")
    with pytest.raises(MirrorMissingError):
        discover(None, tmp_path / "absent")
