"""Files that a verb writes of its result: all of them at once, and only when everything else has worked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ociassemble import _files
from ociassemble.errors import UsageError


def check(paths: Sequence[Path]) -> None:
    """Refuse, before any work, what cannot be meant: standard output is the result's, and two files under one name."""
    for path in paths:
        if str(path) == "-":
            raise UsageError("`-` is no name for a file of the result", hint="`--format json` prints all of it")
        if paths.count(path) > 1:
            raise UsageError(f"`{path}` would be written twice", hint="name a file for each")


def write_together(files: Sequence[tuple[Path, str]]) -> None:
    """Write every file beside its place first, then give all of them their names."""
    with contextlib.ExitStack() as stack:
        made = []
        for path, text in files:
            temporary = stack.enter_context(_files.TemporaryFile(path.parent, mode=0o644))
            temporary.write(text.encode("utf-8", "surrogateescape"))
            made.append((temporary, path))
        for temporary, path in made:
            temporary.commit(path)
