"""When an image says it was made (config.md, `created`): never the clock, unless that was asked for by name."""

from __future__ import annotations

from datetime import UTC, datetime

from ociassemble.errors import UsageError
from ociassemble.formats.tar import MTIME

CONSTANT = MTIME  # seconds since 1970: 1980-01-02, the mtime of every file in our layers
_LATEST = 253402300799  # the last second of the year 9999


class EpochError(UsageError):
    """Not a number of seconds since 1970."""

    code = "usage.source-date-epoch"


def rfc3339(seconds: int) -> str:
    """`2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_epoch(text: str, name: str) -> str:
    """A SOURCE_DATE_EPOCH as RFC 3339; `name` is where it was said."""
    # Of numbers with thousands of digits Python makes an error of its own.
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > _LATEST:
        raise EpochError(
            f"{name} is `{text:.40}`, which is not a number of seconds since 1970",
            hint="`date +%s` and `git log -1 --format=%ct` print such numbers",
        )
    return rfc3339(int(text))
