"""Whether something could be written at a place, before work is done for it."""

from __future__ import annotations

import os
from pathlib import Path

from ociassemble._files import translate
from ociassemble.errors import DestinationError


def check_place(path: Path, *, folder: bool = False) -> None:
    """Refuse a name under which no file (or, with `folder`, no folder) could be written, before work is done for it."""
    try:
        if path.is_dir() != folder and path.exists():
            raise DestinationError(f"`{path}` is {'not ' * folder}a folder", hint="choose another name for the output")
        there = path if folder else path.parent
        while folder and not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            missing = "not a folder" if there.exists() else "no such folder"
            raise DestinationError(f"cannot write `{path}`: `{there}` is {missing}", hint="make the folder first")
    except OSError as error:
        raise translate(error, path, "write") from error
    if not os.access(there, os.W_OK | os.X_OK):
        raise DestinationError(
            f"cannot write `{path}`: `{there}` may not be written to", hint="choose another place for the output"
        )
