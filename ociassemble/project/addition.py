"""`--add SRC:DST[,chown=UID[:GID]][,chmod=MODE]`: reading what is written there (packing.md, PACK-70 on). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from ociassemble.errors import UsageError

_OPTION = r"(?s)(.*),([A-Za-z][A-Za-z-]*)=([^,]*)"
_OWNER = r"(?a)([0-9]{1,10})(?::([0-9]{1,10}))?"
_MODE = r"(?a)0?[0-7]{3}"
_LARGEST_ID = 2**31 - 1
_EXAMPLE = "write it like `--add conf/app.toml:/etc/app.toml,chown=65532:65532,chmod=640`"


class AddError(UsageError):
    """An `--add` that cannot be read."""

    code = "usage.add"


class Addition(NamedTuple):
    """One `--add`."""

    text: str  # as written
    source: str  # SRC: relative to the application's folder, or absolute
    target: str  # DST: absolute in the image; with "/" at the end the folder that a file goes into
    uid: int = 0
    gid: int = 0
    mode: int | None = None  # of files; None: 0644, or 0755 for what may be executed


def parse(text: str) -> Addition:
    """Read one `--add`. A comma or colon in SRC is a letter of it; `AddError` says what is wrong."""
    place = text
    options: list[tuple[str, str]] = []
    while found := re.fullmatch(_OPTION, place):
        place = found[1]
        options.insert(0, (found[2], found[3]))
    source, colon, target = place.rpartition(":")
    if not colon or not source or not target.startswith("/") or ".." in target.split("/"):
        raise AddError(f"`--add {text}` is not SRC:DST with an absolute DST", hint=_EXAMPLE)
    if "\0" in place or "\n" in target:
        raise AddError(f"`--add {text!r:.200}` has a character in its paths that no file name has", hint=_EXAMPLE)
    addition = Addition(text, source, target)
    for name, value in options:
        addition = _with(addition, name, value)
    return addition


def _with(addition: Addition, name: str, value: str) -> Addition:
    shown = f"`--add {addition.text}`"
    if name == "chown":
        owner = re.fullmatch(_OWNER, value)
        if owner is None:
            raise AddError(
                f"{shown}: `{value}` is not UID or UID:GID",
                hint="numbers only: which number a name has is known in the image alone; distroless nonroot is 65532",
            )
        uid, gid = int(owner[1]), int(owner[2] or owner[1])
        if max(uid, gid) > _LARGEST_ID:
            raise AddError(f"{shown}: an id in `{value}` is above {_LARGEST_ID}")
        return addition._replace(uid=uid, gid=gid)
    if name == "chmod":
        if not re.fullmatch(_MODE, value):
            raise AddError(
                f"{shown}: `{value}` is not a mode", hint="three octal digits, like 640; setuid and setgid stay out"
            )
        return addition._replace(mode=int(value, 8))
    raise AddError(f"{shown}: `{name}={value}` is not understood", hint=_EXAMPLE)
