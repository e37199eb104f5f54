"""Names in zip archives: what can be a path below a folder, and how to show what cannot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Control, bidirectional and invisible format characters, private use, noncharacters. A fixed table: what the
# running Python's Unicode version calls a control character must not decide what is accepted.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
    "\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_DRIVE = re.compile(r"[A-Za-z]:")
# What nearly every name is like, and nothing that is refused below; names come by the hundred thousand.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_+-][A-Za-z0-9_.+-]*/)*[A-Za-z0-9_+-][A-Za-z0-9_.+-]*", re.ASCII)


def show(name: str) -> str:
    """A name from an archive, fit for a terminal and of bounded length."""
    text = repr(name)[1:-1]
    return f"`{text[:120]}...`" if len(text) > 123 else f"`{text}`"


def unusable(name: str) -> str:
    """Why `name` cannot be a path below some folder of an image, as a predicate; "" where it can."""
    if len(name) <= 255 and _PLAIN.fullmatch(name):
        return ""
    if not name:
        return "has no name"
    if "\\" in name:
        return "has a backslash in its name"
    if _UNPRINTABLE.search(name):
        return "has a control or invisible character in its name"
    if name[0] == "/" or _DRIVE.match(name):
        return "has an absolute name"
    if len(name) > 4095 or len(name.encode("utf-8", "surrogatepass")) > 4095:
        return "has a name of more than 4095 bytes"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "has an empty, `.` or `..` part in its name"
        if len(part) > 63 and len(part.encode("utf-8", "surrogatepass")) > 255:
            return "has a part of more than 255 bytes in its name"
    return ""


def clash(names: Iterable[str]) -> tuple[str, str] | None:
    """The first of `names` (folders end with a slash) that is there twice, or both a file and a folder; and which.

    Two that differ in Unicode normalisation only are one name to some readers, and to every eye. Two that differ by
    case are two files on Linux, whose own headers come in such pairs (xt_mark.h, xt_MARK.h).
    """
    seen: set[str] = set()
    files: set[str] = set()
    parents: set[str] = set()
    for full in names:
        name = full.removesuffix("/")
        key = name if name.isascii() else unicodedata.normalize("NFC", name)
        if key in seen:
            return full, "is there twice"
        seen.add(key)
        if name == full:
            files.add(key)
        parent = key.rpartition("/")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
    both = files & parents
    return (min(both), "is a file and a folder") if both else None
