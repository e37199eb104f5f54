"""TOML as projects have it is read as the standard library reads it; what would take hours or all memory is refused."""

from __future__ import annotations

import tomllib

import pytest

from ociassemble.formats import toml


def test_documents_of_every_day() -> None:
    text = '[tool.uv.sources]\n"a.b".c = {url = "https://h.example/1.2.3/' + "x." * 99 + '"}\nd = 1.5\n'
    assert toml.loads(text) == tomllib.loads(text)


@pytest.mark.parametrize("part", ["a", "-", '"a b"', "'.'", '"\\""', "a ", '"' + "b" * 999 + '"'])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[{}]]", "a = {{{} = 1}}", 'b = "x"\n{}=1'])
def test_a_key_of_thousands_of_parts(part: str, form: str) -> None:
    with pytest.raises(toml.TOMLDecodeError, match="a key of more than 100 parts"):
        toml.loads(form.format(".".join([part] * 4000)))


@pytest.mark.parametrize("text", ["a" * 1_000_000, '"' * 1_000_000, "'a" * 500_000, '"\\"' * 300_000, ". " * 500_000])
def test_long_lines_are_looked_at_once(text: str) -> None:
    with pytest.raises(toml.TOMLDecodeError):
        toml.loads(text)


def test_a_number_of_thousands_of_digits() -> None:
    with pytest.raises(toml.TOMLDecodeError, match="Exceeds the limit"):
        toml.loads("a = " + "9" * 5000)
