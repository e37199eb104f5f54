"""The command line: one thin module per verb, imported when that verb is used.

`verbs` is the table of names; `command` the lazy group and what every verb shares; `console` where results and
progress go; `failure` how errors look and which status they give. Only this room prints, exits or reads the
environment (besides `ociassemble.session`, which freezes it).
"""

from __future__ import annotations

from collections.abc import Sequence

from ociassemble.cli.command import root
from ociassemble.cli.failure import guarded

__all__ = ["main", "root"]

PROGRAM = "ociassemble"


def main(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit status of specs/behaviour/errors.md."""
    return guarded(root, PROGRAM, list(argv))
