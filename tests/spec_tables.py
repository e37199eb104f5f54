"""The tables of cases in specs/behaviour/*.md, for tests that run them.

A table follows a line `<!-- cases: NAME -->`. Cells are text as written; a `|` in a cell is written `\\|`.
"""

from __future__ import annotations

import re
from pathlib import Path

BEHAVIOUR = Path(__file__).parent.parent / "specs" / "behaviour"


def cases(document: str, name: str) -> list[dict[str, str]]:
    """The rows of the table `name` in `document`, each by column heading."""
    text = (BEHAVIOUR / document).read_text(encoding="utf-8")
    _, marker, rest = text.partition(f"<!-- cases: {name} -->\n")
    assert marker, f"{document} has no table of cases named {name!r}"
    lines = rest.lstrip("\n").split("\n")
    rows = [
        _cells(line) for line in lines[: next((n for n, line in enumerate(lines) if not line.startswith("|")), None)]
    ]
    heading, _, *body = rows
    assert body, f"the table {name!r} in {document} is empty"
    return [dict(zip(heading, row, strict=True)) for row in body]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
