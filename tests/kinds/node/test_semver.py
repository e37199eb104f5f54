"""Versions and ranges, as npm's own `semver` judges them."""

from __future__ import annotations

import pytest

from ociassemble.kinds.node import semver


@pytest.mark.spec("NODE-20")
@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ("^1.2.3", "1.2.3 1.9.0 1.2.4+build", "1.2.2 2.0.0 2.0.0-0 1.3.0-beta"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 1.0.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.9.9", "1.0.0"),
        ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.9.9", "1.2.3-alpha 1.2.4-beta.2"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0"),
        ("~>1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.9.9", "2.0.0"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.2.*", "1.2.9", "1.3.0"),
        ("1", "1.9.9", "2.0.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-beta"),
        ("", "1.0.0", "1.0.0-beta"),
        ("1.2 - 2.3", "1.2.0 2.3.9", "1.1.9 2.4.0"),
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "2.3.5 1.2.2"),
        (">=1.2.3 <2", "1.2.3 1.9.9", "2.0.0 1.2.2 2.0.0-rc"),
        (">1.2", "1.3.0 2.0.0", "1.2.9"),
        ("<=1.2", "1.2.9 0.0.1", "1.3.0"),
        (">1", "2.0.0", "1.9.9"),
        ("<1", "0.9.9", "1.0.0 1.0.0-rc"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("v1.2.3", "1.2.3 v1.2.3", "1.2.4"),
        (">= 1.2.3", "1.2.4", "1.2.2"),
        ("^18.19 || ^20.5 || >=22", "18.20.0 20.5.0 24.0.0", "18.18.0 19.0.0 21.0.0"),
        ("<0.0.0", "", "0.0.0 0.0.0-0"),
        (">=0.0.0", "0.0.0 1.0.0", "1.0.0-beta"),
        ("latest", "", "1.0.0"),
        ("x.1", "", "1.1.0"),
        ("01.2.3", "", "1.2.3"),
        (">", "", "1.0.0"),
        ("1.2.3.4", "", "1.2.3"),
        (">=9007199254740992", "", "9007199254740991.0.0"),
        ("~>=1.0", "1.0.1", ""),
    ],
)
def test_ranges(spec: str, inside: str, outside: str) -> None:
    for version in inside.split():
        assert semver.satisfies(version, spec), version
    for version in outside.split():
        assert not semver.satisfies(version, spec), version


@pytest.mark.spec("NODE-20")
def test_engines_count_prereleases_in() -> None:
    for version, spec in (
        ("24.0.0-rc.1", ">=22"),
        ("24.0.0-rc.1", "*"),
        ("22.0.0-0", ">=22.0.0-0"),
        ("1.2.9-a", "~1.2"),
    ):
        assert semver.satisfies(version, spec, prereleases=True)
    assert not semver.satisfies("24.0.0-rc.1", ">=24.0.0", prereleases=True)
    assert not semver.satisfies("25.0.0-rc.1", "^24", prereleases=True)


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "a.b.c", "1.2.3 4", "1" * 300]
)
def test_what_is_no_version(text: str) -> None:
    assert semver.parse(text) is None and not semver.satisfies(text, "*")


def test_the_order_of_the_specification() -> None:
    ordered = (
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10.0"
    )
    found = [semver.parse(text) for text in ordered.split()]
    assert found == sorted(found, key=lambda item: item or ()) and len(set(found)) == len(found)
    assert semver.parse("1.0.0+a") == semver.parse("1.0.0+b")
