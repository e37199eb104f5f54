"""Ignore files: the table of specs/behaviour/packing.md, and answers recorded from moby's own implementation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ociassemble.project import ignore
from ociassemble.project.ignore import IgnoreFileError
from tests.spec_tables import cases

RECORDED = json.loads((Path(__file__).parent / "ignore_cases.json").read_text(encoding="utf-8"))


def rules(*lines: str) -> ignore.Rules:
    return ignore.parse("\n".join(lines).encode())


@pytest.mark.spec("PACK-2", "PACK-3", "PACK-5")
@pytest.mark.parametrize("case", cases("packing.md", "ignore"), ids=str)
def test_the_table(case: dict[str, str]) -> None:
    assert answer(json.loads(case["ignore file"]), case["path"]) == case["left out"]


def answer(lines: list[str], path: str) -> str:
    try:
        return "yes" if rules(*lines).excludes(path) else "no"
    except IgnoreFileError:
        return "error"


@pytest.mark.spec("PACK-5")
@pytest.mark.parametrize("case", cases("packing.md", "ignore, different on purpose"), ids=str)
def test_where_moby_says_something_else(case: dict[str, str]) -> None:
    assert answer(json.loads(case["ignore file"]), case["path"]) == case["left out"] != case["moby"]


@pytest.mark.spec("PACK-2")
def test_moby_says_the_same() -> None:
    words = {True: "yes", False: "no", None: "error"}
    wrong = [case for case in RECORDED if answer(case[0], case[1]) != words[case[2]]]
    assert not wrong
    for out in (True, False):  # the recording says something both ways
        assert sum(case[2] is out for case in RECORDED) > 100


@pytest.mark.spec("PACK-4")
@pytest.mark.parametrize(
    "line", ["[", "[]", "[a", "[^]", "[a-", "[c-a]", "[-a]", "[a-]", "a\\", "x/[/y", "!", "! ", "!/", "[\\", "[]a]"]
)
def test_a_line_that_is_no_pattern_is_named(line: str) -> None:
    with pytest.raises(IgnoreFileError, match="line 3") as caught:
        rules("fine", "# comment", line)
    assert caught.value.hint


def test_not_utf8_is_named() -> None:
    with pytest.raises(IgnoreFileError, match=r"`x` line 2 is not UTF-8"):
        ignore.parse(b"a\n\xff\n", "x")


@pytest.mark.spec("PACK-3")
def test_where_something_may_come_back() -> None:
    some = rules("*", "!src/keep/a.py", "!docs/*.md")
    folders = ("src", "src/keep", "src/other", "doc", "docs", "node_modules")
    assert [some.may_include_below(path) for path in folders] == [
        True, True, False, False, True, False,
    ]  # fmt: skip
    assert not rules("*").may_include_below("src")
    assert rules("*", "!**/*.py").may_include_below("any/where")


@pytest.mark.spec("PACK-7")
def test_only_a_plain_name_is_wanted() -> None:
    some = rules("*", "!**/venv", "!src/**", "!*.pyc", "!Dockerfile")
    assert [some.wants(path) for path in ("a/venv", "src/__pycache__", "a.pyc", "Dockerfile", "src/Dockerfile")] == [
        True, False, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [
        (".git", True, True),
        ("module/.git", False, True),  # a submodule's
        ("a/.hg", True, True),
        (".gitignore", False, False),
        (".github", True, False),
        ("venv", True, True),
        ("venv", False, False),
        ("src/.venv", True, True),
        ("a/__pycache__", True, True),
        ("a/b.pyc", False, True),
        ("a/b.pyc", True, False),
        ("a/b.py", False, False),
        (".ruff_cache", True, True),
        ("Dockerfile", False, True),
        ("Dockerfile.dev", False, True),
        ("Containerfile", False, True),
        ("Dockerfiles", False, False),
        ("docs/Dockerfile", False, False),
        ("ociassemble.lock", False, True),
        ("sub/ociassemble.lock", False, False),
        ("a/.DS_Store", False, True),
        ("node_modules", True, False),
        (".npmrc", False, True),
        ("packages/web/.npmrc", False, True),
        (".npmrc", True, False),
        ("npmrc", False, False),
    ],
)
@pytest.mark.spec("PACK-6")
def test_built_in_exclusions(path: str, is_folder: bool, left_out: bool) -> None:
    assert (ignore.builtin(path, is_folder) is not None) is left_out


def test_the_state_of_a_folder_carries_to_its_files() -> None:
    some = rules("a", "!a/b", "a/b/c")
    state = some.state("a/b", some.state("a"))
    assert [some.excluded(some.state(f"a/b/{name}", state)) for name in ("c", "d")] == [True, False]
    assert some.excludes("a/b/c/d") and not some.excludes("a/b/d/e")
