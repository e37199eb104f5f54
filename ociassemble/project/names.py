"""Names of files: what they must not be in a layer, and what to tell of them (packing.md, PACK-13 and PACK-14)."""

from __future__ import annotations

import re
import unicodedata

from ociassemble.project.walk import FileNameError, Found

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_names(found: list[Found]) -> None:
    """Raise for names that mean something else in a layer."""
    for item in found:
        if item.path.rpartition("/")[2].startswith(".wh."):
            raise FileNameError(
                f"`{item.path}` is named like a whiteout: in a layer it would delete a file",
                hint="rename it, or leave it out with an ignore file",
            )


def twins(found: list[Found]) -> list[str]:
    """Warnings for paths that are one and the same on hosts that ignore case or normalise Unicode."""
    first: dict[str, str] = {}
    warnings: list[str] = []
    for item in found:
        folded = item.path if item.path.isascii() else unicodedata.normalize("NFC", item.path)
        other = first.setdefault(folded.casefold(), item.path)
        # Only where the folder is one and the same: its own twin is told already.
        if other != item.path and other.rpartition("/")[0] == item.path.rpartition("/")[0]:
            warnings.append(f"`{other}` and `{item.path}` differ only in case or Unicode form")
    return sorted(warnings)


def unseen(found: list[Found]) -> list[str]:
    """Warnings for names with control characters: what a listing shows of them is not what they are."""
    odd = (item.path for item in found if _CONTROL.search(item.path.rpartition("/")[2]))
    return [f"the name {path!a} has control characters" for path in odd]
