"""WWW-Authenticate as registries really write it, and as they should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.registry.challenge import parse

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push"'
HUB_PARAMETERS = {
    "realm": "https://auth.docker.io/token",
    "service": "registry.docker.io",
    "scope": "repository:library/x:pull,push",
}

CASES: list[tuple[list[str], list[tuple[str, dict[str, str]]]]] = [
    ([HUB], [("bearer", HUB_PARAMETERS)]),
    (['Basic realm="Registry"'], [("basic", {"realm": "Registry"})]),
    (["Basic"], [("basic", {})]),
    (['BEARER Realm="a" , SERVICE = "b"'], [("bearer", {"realm": "a", "service": "b"})]),
    (['Basic realm="a", Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
    (['Basic realm="a"', 'Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
    (["Bearer realm=https://h/t?a=b,service=c"], [("bearer", {"realm": "https://h/t?a=b", "service": "c"})]),
    ([r'Bearer realm="a\"b\\c"'], [("bearer", {"realm": 'a"b\\c'})]),
    (["Negotiate abc==, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
    (["Negotiate"], [("negotiate", {})]),
    (["Negotiate, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
    (['Bearer realm="a",realm="b"'], [("bearer", {"realm": "a"})]),
    (['Bearer ,,, realm="a",,'], [("bearer", {"realm": "a"})]),
    (['Bearer realm="",scope=""'], [("bearer", {"realm": "", "scope": ""})]),
    (['Bearer realm="unclosed'], [("bearer", {"realm": "unclosed"})]),
    (["Bearer realm="], [("bearer", {})]),
    (['Bearer error="insufficient_scope",realm="a"'], [("bearer", {"error": "insufficient_scope", "realm": "a"})]),
    (['realm="a"'], []),
    (["", " ", ",", "=", '"'], []),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "expected"), CASES, ids=range(len(CASES)))
def test_challenges(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(found.scheme, dict(found.parameters)) for found in parse(headers)] == expected


def test_their_number_is_bounded() -> None:
    assert len(parse(["A b=c, " * 1000])) == 16


@given(st.lists(st.text(alphabet='aB="\\, \t=:/\x00\u00e9', max_size=60), max_size=3))
def test_it_is_total(headers: list[str]) -> None:
    for found in parse(headers):
        assert found.scheme == found.scheme.lower()
