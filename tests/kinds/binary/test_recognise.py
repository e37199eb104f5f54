"""Whether a folder may hold a program, asked without the grammar of `find`: never no where `find` says yes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociassemble.kinds.binary import find, recognise


@given(st.from_regex(find._PLACES, fullmatch=True, alphabet=st.characters(max_codepoint=0x7F)))
@settings(max_examples=150)
def test_every_place_of_programs_is_looked_at(path: str) -> None:
    assert recognise._likely(path)


@pytest.mark.parametrize("path", ["lib/server", "node_modules/a/bin/a", "src/dist/a", "app/linux/a"])
def test_other_folders_are_not_read(path: str) -> None:
    assert not recognise._likely(path)
    assert not find._PLACES.fullmatch(path)


def test_the_top_is_looked_at() -> None:
    assert recognise._likely("server")
