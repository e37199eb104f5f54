"""Start commands: the table of specs/behaviour/packing.md, and agreement with the standard library's quoting."""

from __future__ import annotations

import contextlib
import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.project.command import CommandError, split_command
from tests.spec_tables import cases


@pytest.mark.spec("PACK-50", "PACK-51")
@pytest.mark.parametrize("case", cases("packing.md", "commands"), ids=str)
def test_the_table(case: dict[str, str]) -> None:
    text = case["text"].removeprefix("`").removesuffix("`")
    if case["words"] == "error":
        with pytest.raises(CommandError) as caught:
            split_command(text)
        assert caught.value.code == "usage.command" and caught.value.exit_code == 2
    else:
        assert split_command(text) == tuple(json.loads(case["words"].strip("`")))


@pytest.mark.spec("PACK-50")
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6), max_size=5))
def test_what_was_quoted_comes_back(words: list[str]) -> None:
    quoted = shlex.join(words)
    if words and shlex.quote(words[0]) == words[0] and "=" in words[0]:
        return  # an assignment in front
    assert split_command(quoted) == tuple(words)
    assert split_command(json.dumps(words)) == tuple(words)


@pytest.mark.spec("PACK-51")
@given(st.text(st.sampled_from("ab '\"\\$`|&;<>()[]{}*?~#=\n,"), max_size=12))
def test_words_are_what_a_posix_split_says_or_an_error(text: str) -> None:
    with contextlib.suppress(CommandError):
        words = split_command(text)
        if not text.strip().startswith("[") and "\\\n" not in text:
            assert list(words) == shlex.split(text)


@pytest.mark.parametrize("text", ["a\0b", '["a\\u0000"]', "[" * 100_000, '{"a": 1}[', "[1e999]", '[["a"]]'])
def test_hostile_commands_are_errors_or_words(text: str) -> None:
    with contextlib.suppress(CommandError):
        assert all("\0" not in word for word in split_command(text))


def test_hints() -> None:
    for text, words in (("x $PORT", "PORT"), ("x | y", "single quotes"), ("A=1 x", "--env A=1")):
        with pytest.raises(CommandError) as caught:
            split_command(text)
        assert words in (caught.value.hint or "")
