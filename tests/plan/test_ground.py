"""Which links and folders of a base decide the bytes of a layer."""

from __future__ import annotations

import pytest

from ociassemble.formats.paths import real_path
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts, DirectoryFact
from ociassemble.plan.ground import ground
from ociassemble.plan.plan import LayerPlan, TextSource


def facts(links: dict[str, str], *directories: DirectoryFact) -> BaseFacts:
    return BaseFacts(platform=Platform.parse("linux/amd64"), links=links, directories=directories)


def layer(*paths: str) -> LayerPlan:
    return LayerPlan(title="x", role="application", sources=tuple(TextSource(path, "") for path in paths))


def test_only_what_is_on_the_way_counts() -> None:
    base = facts(
        {"lib": "usr/lib", "bin": "usr/bin"},
        DirectoryFact("tmp", 0o1777, 0, 0),
        DirectoryFact("home/nonroot", 0o700, 65532, 65532),
    )
    found = ground(layer("/app/main.py"), base)
    assert found.links == () and found.directories == ()
    found = ground(layer("/lib/x", "/tmp/y"), base)
    assert found.links == (("lib", "usr/lib"),)
    assert [item.path for item in found.directories] == ["tmp"]


def test_a_link_into_a_place_with_links_of_its_own() -> None:
    base = facts({"var/run": "/run", "run/lock": "/var/lock"}, DirectoryFact("var/lock", 0o1777, 0, 0))
    found = ground(layer("/var/run/lock/x"), base)
    assert dict(found.links) == {"var/run": "/run", "run/lock": "/var/lock"}
    assert [item.path for item in found.directories] == ["var/lock"]


@pytest.mark.parametrize(
    ("path", "links", "last", "expected"),
    [
        ("lib/x", {"lib": "usr/lib"}, False, "usr/lib/x"),
        ("lib", {"lib": "usr/lib"}, False, "lib"),
        ("lib", {"lib": "usr/lib"}, True, "usr/lib"),
        ("a/b/c", {"a/b": "../d"}, False, "d/c"),
        ("a/x", {"a": "/b", "b": "c"}, False, "c/x"),
        ("a/x", {"a": "../../../etc"}, False, "etc/x"),
        ("a/x", {}, False, "a/x"),
    ],
)
def test_real_paths(path: str, links: dict[str, str], last: bool, expected: str) -> None:
    assert real_path(path, links, last=last) == expected


def test_a_circle_of_links_ends() -> None:
    assert real_path("a/x", {"a": "b", "b": "a"}, last=False) in ("a/x", "b/x")
