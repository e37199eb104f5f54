"""Durations as Docker and Go write them: `30s`, `1m30s`, `500ms` (specs/behaviour/config-merge.md, MERGE-9)."""

from __future__ import annotations

import re

from ociassemble.errors import UsageError

DURATION = "^(0|([0-9]{1,9}([.][0-9]{1,9})?(ns|us|ms|s|m|h))+)$"
_PART = r"(?a)([0-9]+)(?:[.]([0-9]+))?(ns|us|ms|s|m|h)"
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SHORTEST = 10**6  # ns: what docker takes
_LONGEST = 2**53  # ns: numbers beyond it are not the same in every reader of JSON


class DurationError(UsageError):
    """Not a duration, or one that no runtime takes."""

    code = "usage.duration"


def nanoseconds(text: str, shown: str) -> int:
    """The duration in nanoseconds; 0 is "the runtime's own default". `shown` is how to call it in a message."""
    if not re.fullmatch(DURATION, text, re.ASCII):
        raise DurationError(f"{shown}: `{text:.40}` is not a duration", hint="write it like `30s`, `1m30s` or `500ms`")
    total = 0
    for whole, fraction, unit in re.findall(_PART, text):
        scale = _UNITS[unit]
        total += int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    if total and not _SHORTEST <= total < _LONGEST:
        raise DurationError(f"{shown}: `{text:.40}` is not between 1ms and 2500h")
    return total
