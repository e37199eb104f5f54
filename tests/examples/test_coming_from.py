"""What the page for newcomers promises of ours is there: every flag, every command."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from ociassemble.cli import root
from tests.examples.test_examples import commands, parsed

PAGE = Path(__file__).parent.parent.parent / "examples" / "coming-from.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| ociassemble")
]


def options(*path: str) -> set[str]:
    command: click.Command | None = root
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_every_flag_is_there() -> None:
    known = options() | options("build") | options("run") | options("login")
    promised = {
        flag for row in ROWS if len(row) == 2 for code in re.findall(r"`([^`]+)`", row[1]) for flag in
        re.findall(r"(?<![\w-])--?[a-z][a-z-]*(?=[\s,=]|$)", code)
    }  # fmt: skip

    assert len(promised) > 20
    assert promised <= known


@pytest.mark.parametrize("row", [row for row in ROWS if len(row) == 2], ids=lambda row: row[0])
def test_every_command_is_one(row: list[str]) -> None:
    for code in re.findall(r"`(ociassemble [^`]+)`", row[1]):
        parsed(code.split())


def test_the_blocks_can_be_typed_in() -> None:
    found = [words for words in commands(PAGE.read_text()) if words[0] == "ociassemble"]

    assert found
    for words in found:
        parsed(words)
