"""The table of verbs. A new verb is one line here and one module beside it.

The module is imported when the verb is used; `ociassemble --help` shows this table and imports none of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """Where a verb is: the module below `ociassemble.cli`, the click command in it, and its line of help."""

    module: str
    attribute: str
    help: str


VERBS: dict[str, Verb] = {
    "completion": Verb("completion", "completion", "Print the completion script of a shell."),
}

ALIASES: dict[str, str] = {"cp": "copy"}
