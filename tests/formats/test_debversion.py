"""The order of Debian versions (deb-version(7))."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.formats import debversion

ASCENDING = [
    "0~~", "0~", "0", "0+a", "0.0.1", "1~rc1", "1", "1-0.1", "1-1~bpo1", "1-1", "1-1+b1", "1-1.1", "1-2", "1-10", "1a",
    "1+", "1.0", "1.0-1", "1.0a", "1.0+dfsg", "1.1a0", "1.2", "1.10", "2.41-12", "2.41-12+deb13u4", "2.41-13", "10",
    "9999", "1:0", "1:1~", "2:0",
]  # fmt: skip


def test_a_list_that_dpkg_agrees_with() -> None:
    assert sorted(ASCENDING, key=debversion.key) == ASCENDING
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("dpkg is not installed")
    for one, other in pairwise(ASCENDING):
        subprocess.run([dpkg, "--compare-versions", one, "lt", other], check=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1~", "1"), ("1", "1a"), ("1a", "1+"), ("1+", "1."), ("1.9", "1.10"), ("1.2", "1.2-0.1"), ("1-1~", "1-1"),
        ("9", "1:0"), ("1.0~rc1-1", "1.0-1"), ("3.5.7-1~deb13u3", "3.5.7-1"), ("0", "00a"), ("1-2-3", "1-2-10"),
    ],
)  # fmt: skip
def test_less(one: str, other: str) -> None:
    assert debversion.key(one) < debversion.key(other)


@pytest.mark.parametrize(("one", "other"), [("1", "1-0"), ("0:1", "1"), ("1.0", "1.00"), ("1a", "1a0"), ("01", "1")])
def test_equal(one: str, other: str) -> None:
    assert debversion.key(one) == debversion.key(other)


def test_parts() -> None:
    assert debversion.split("1:1.3.dfsg+really1.3.1-1+deb13u1") == (1, "1.3.dfsg+really1.3.1", "1+deb13u1")
    assert debversion.split("2025-1-2") == (0, "2025-1", "2")
    assert debversion.upstream("3.13.5-2+deb13u5") == "3.13.5"


@pytest.mark.parametrize("version", ["", ":1", "a:1", "1 2", "1\n", "1_2", "-1", "1:", "9" * 600, "٣"])
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(debversion.VersionError):
        debversion.key(version)


VERSIONS = st.from_regex(r"([0-9]{1,2}:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


@settings(max_examples=25)
@given(VERSIONS, VERSIONS)
def test_dpkg_has_the_same_order(one: str, other: str) -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("dpkg is not installed")
    relation = "lt" if debversion.key(one) < debversion.key(other) else "gt"
    relation = "eq" if debversion.key(one) == debversion.key(other) else relation
    done = subprocess.run([dpkg, "--compare-versions", one, relation, other], check=False, capture_output=True)

    assert done.returncode == 0, (one, relation, other, done.stderr)
