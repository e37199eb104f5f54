"""Ignore files, any of them: total, and with the laws that make a pattern list readable."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ociassemble.project import ignore
from ociassemble.project.ignore import IgnoreFileError

names = st.text(st.sampled_from("ab.é*?[]\\! #-^+()"), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
lines = st.text(st.sampled_from("ab/.*?[]\\!#-^ é"), max_size=8)


@given(st.binary(max_size=80), paths)
def test_any_bytes_are_rules_or_a_named_line(data: bytes, path: str) -> None:
    with contextlib.suppress(IgnoreFileError):
        assert ignore.parse(data).excludes(path) in (True, False)


def escaped(path: str) -> str:
    return "".join("\\" + character if character in "*?[]\\ " else character for character in path)


@given(paths, paths)
def test_an_escaped_path_matches_itself_and_what_is_below(path: str, other: str) -> None:
    line = escaped(path).replace("!", "\\!").replace("#", "\\#")
    if line.endswith(" ") or "/ " in line or " /" in line:
        return
    rules = ignore.parse(line.encode())
    assert rules.excludes(path)
    assert rules.excludes(f"{path}/{other}")
    assert rules.excludes(other) is (other == path or other.startswith(path + "/"))


@given(st.lists(lines, max_size=4), paths)
def test_all_but_nothing_comes_back(some: list[str], path: str) -> None:
    """With `**` last everything is out, with `!**` last nothing is, whatever came before."""
    try:
        before = [line.replace("\n", "") for line in some]
        out = ignore.parse("\n".join([*before, "**"]).encode())
        back = ignore.parse("\n".join([*before, "!**"]).encode())
    except IgnoreFileError:
        return
    assert out.excludes(path)
    assert not back.excludes(path)


@given(st.lists(lines, max_size=4), paths, paths)
def test_pruning_never_loses_what_comes_back(some: list[str], folder: str, rest: str) -> None:
    """Where an excluded folder is not looked into, nothing below it would have been packed."""
    try:
        rules = ignore.parse("\n".join(["**", *some]).encode())
    except IgnoreFileError:
        return
    if not rules.may_include_below(folder) and rules.excludes(folder):
        assert rules.excludes(f"{folder}/{rest}")


@given(st.lists(lines, max_size=5), paths)
def test_one_walk_down_says_what_the_whole_path_says(some: list[str], path: str) -> None:
    """The state carried from folder to folder is moby's answer for the whole path."""
    try:
        rules = ignore.parse("\n".join(some).encode())
    except IgnoreFileError:
        return
    parts = path.split("/")
    places = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    expected = False
    for pattern in rules.patterns:
        if pattern.negative is expected and any(pattern.match(place) for place in places):
            expected = not pattern.negative
    assert rules.excludes(path) is expected
