"""Two layers differ if and only if something is told of them, and what was changed is among it."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from ociassemble.image.compare import compare
from ociassemble.image.image import Node
from ociassemble.testing.images import Content, File, Folder, Link, archive, image, layer

_NAMES = st.lists(st.sampled_from(["a", "b", "c", "d/e", "d/f", "d/g/h", "z"]), unique=True, max_size=7)
_FILE = st.builds(
    File, st.binary(max_size=40), st.sampled_from([0o644, 0o755]), st.integers(0, 3), st.integers(0, 3), st.just({})
)
_ENTRY: st.SearchStrategy[Content] = st.one_of(_FILE, st.builds(Link, st.sampled_from(["x", "y"])), st.just(Folder()))


@st.composite
def entries(draw: st.DrawFn) -> list[tuple[str, Content]]:
    return [(name, draw(_ENTRY)) for name in draw(_NAMES)]


def node(content: list[tuple[str, Content]]) -> Node:
    return image([layer(content)]).node


@settings(max_examples=100)
@given(entries(), entries())
def test_something_is_told_where_bytes_differ(one: list[Any], other: list[Any]) -> None:
    comparison = compare(node(one), node(other))

    assert bool(comparison.differences) is (archive(one) != archive(other))
    paths, others = {path for path, _ in one}, {path for path, _ in other}
    missing = {item.path for item in comparison.differences if item.field == "presence"}
    assert missing == paths ^ others
    changed = {path for path in paths & others if dict(one)[path] != dict(other)[path]}
    told = {item.path for item in comparison.differences if item.field not in ("presence", "order")}
    assert told == changed
    common = [[path for path, _ in side if path in paths & others] for side in (one, other)]
    assert ("order" in {item.field for item in comparison.differences}) is (common[0] != common[1])


@settings(max_examples=60)
@given(entries(), st.binary(min_size=1, max_size=300_000), st.integers(0, 10**9))
def test_the_first_byte_that_differs_is_found(around: list[Any], data: bytes, place: int) -> None:
    at = place % len(data)
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    sides = [[*around, ("file", File(content))] for content in (data, changed)]
    (item,) = compare(node(sides[0]), node(sides[1])).differences

    assert (item.path, item.field, item.offset) == ("file", "content", at)


@settings(max_examples=60)
@given(entries(), entries())
def test_it_is_symmetrical(one: list[Any], other: list[Any]) -> None:
    there = {(item.path, item.field, repr(item.one), repr(item.other)) for item in compare(node(one), node(other))[0]}
    back = {(item.path, item.field, repr(item.other), repr(item.one)) for item in compare(node(other), node(one))[0]}

    assert {item for item in there if item[1] != "order"} == {item for item in back if item[1] != "order"}
