"""specs/ as data: tables of cases, ids of normative sentences, console blocks. What tests of the specs read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SPECS = Path(__file__).parent.parent / "specs"
BEHAVIOUR = SPECS / "behaviour"

_MARK = re.compile(r"<!--\s*cases:\s*(.+?)\s*-->")
_CELL = re.compile(r"(?<!\\)\|")
# A sentence is a list item or a line that begins with its id: "- LAYER-4: Each parent ...".
_SENTENCE = re.compile(r"^(?:[-*] )?\**([A-Z][A-Z0-9]*(?:-[A-Z]+)*-\d+)\**:", re.MULTILINE)


def cases(file: str, name: str) -> list[dict[str, str]]:
    """The rows of the table after `<!-- cases: name -->` in specs/behaviour/`file`, by the header's names.

    A cell that is one code span is given without its backticks; `\\|` is a bar.
    """
    path = BEHAVIOUR / file
    lines = iter(path.read_text("utf-8").splitlines())
    for line in lines:
        mark = _MARK.fullmatch(line.strip())
        if mark is not None and mark.group(1) == name:
            break
    else:
        raise LookupError(f"{file} has no table of cases `{name}`")
    rows = list(_rows(lines))
    if len(rows) < 3 or not all(re.fullmatch(r":?-+:?", cell) for cell in rows[1]):
        raise LookupError(f"{file}: no table with rows follows the mark `{name}`")
    header = rows[0]
    for row in rows[2:]:
        if len(row) != len(header):
            raise LookupError(f"{file}: `{name}`: {len(row)} cells in place of {len(header)}: {' | '.join(row)}")
    return [dict(zip(header, map(_bare, row), strict=True)) for row in rows[2:]]


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    """The rows of the first table in `lines`, as cells."""
    begun = False
    for line in lines:
        text = line.strip()
        if text.startswith("|") and text.endswith("|"):
            begun = True
            yield [cell.strip().replace("\\|", "|") for cell in _CELL.split(text)[1:-1]]
        elif begun or (text and not text.startswith("<!--")):
            return


def _bare(cell: str) -> str:
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == "`" and "`" not in cell[1:-1] else cell


def tables() -> list[tuple[str, str]]:
    """Every table of cases there is, as (file, name)."""
    return [
        (path.name, mark.group(1))
        for path in sorted(BEHAVIOUR.glob("*.md"))
        for mark in _MARK.finditer(path.read_text("utf-8"))
    ]


def sentences() -> list[tuple[str, str]]:
    """The id of every normative sentence, with its file; an id that stands twice is there twice."""
    return [
        (number, path.name)
        for path in sorted(BEHAVIOUR.glob("*.md"))
        for number in _SENTENCE.findall(_without_code(path.read_text("utf-8")))
    ]


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """One `$ ...` of a console block: the words after the prompt, what it prints, its exit status."""

    line: int
    text: str
    output: tuple[str, ...]
    status: int


class Block(NamedTuple):
    """A fenced block of specs/cli/: ```console with its commands, or a file that the next ones find.

    `name` is the heading above it. A block ```text file=app.py (any language, a `file=` word) is such a file.
    """

    path: Path
    line: int
    name: str
    commands: tuple[Command, ...] = ()
    file: str = ""
    content: str = ""
    words: tuple[str, ...] = ()  # further words of the fence: `packages`, `interop`


def blocks(path: Path) -> list[Block]:
    """The blocks of one document that are run or written, in order."""
    found: list[Block] = []
    heading, fence, start, body = "", "", 0, []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not fence and line.startswith("#"):
            heading = line.lstrip("# ").strip()
        elif not fence and line.startswith("```") and line.strip("`").strip():
            fence, start, body = line.strip("`").strip(), number, []
        elif fence and line.startswith("```"):
            words = fence.split()
            named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
            if named:
                found.append(Block(path, start, heading, file=named[0], content="\n".join(body) + "\n"))
            elif words[0] == "console":
                found.append(Block(path, start, heading, tuple(_commands(body, start)), words=tuple(words[1:])))
            fence = ""
        elif fence:
            body.append(line)
    return found


def _commands(body: list[str], start: int) -> Iterator[Command]:
    line, text, output = 0, "", []
    for number, content in enumerate([*body, "$ "], start + 1):
        if content.startswith("$ "):
            if text:
                status = 0
                if output and (end := re.fullmatch(r"\[exit (\d+)\]", output[-1])):
                    status = int(end.group(1))
                    output = output[:-1]
                yield Command(line, text, tuple(output), status)
            line, text, output = number, content[2:], []
        elif text.endswith("\\") and not output:
            text = text[:-1] + content.removeprefix("> ")
        else:
            output.append(content)
