"""Which annotations go where (specs/behaviour/config-merge.md, MERGE-10 and MERGE-11). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ociassemble.errors import UsageError

_WORD = r"(manifest|index)(-descriptor)?(\[[^\]]*\])?"
_UNFIT = r"[\x00-\x20\x7f]"
_HINT = "write `KEY=VALUE`, `manifest:KEY=VALUE`, `index:KEY=VALUE` or `index,manifest:KEY=VALUE`"


class AnnotationError(UsageError):
    """An annotation with a key that cannot be, or for a place that gets none."""

    code = "usage.annotation"


def annotations_of(stated: Mapping[str, str | None], described: Mapping[str, str], level: str) -> dict[str, str]:
    """The annotations of a "manifest" or of the "index".

    `stated` was asked for: keys may say their level, without one they are the manifest's; None takes away. `described`
    is what was found out, and goes to both; what is stated without a level takes its place in both.
    """
    result = dict(described)
    for text, value in stated.items():
        levels, key = parse(text)
        if level in levels or (not _leveled(text) and key in described):
            if value is None:
                result.pop(key, None)
            else:
                result[key] = value
    return result


def index_only(stated: Mapping[str, str | None]) -> tuple[str, ...]:
    """What was asked for on the index and nowhere else, as it was written."""
    return tuple(text for text, value in stated.items() if value is not None and parse(text)[0] == ("index",))


def parse(text: str) -> tuple[tuple[str, ...], str]:
    """Levels and key of `index,manifest:KEY`; AnnotationError for what no image can have."""
    levels: tuple[str, ...] = ("manifest",)
    key = text
    if _leveled(text):
        head, _, key = text.partition(":")
        levels = tuple(sorted(set(head.split(","))))
        if unknown := [word for word in levels if word not in ("manifest", "index")]:
            raise AnnotationError(f"annotations of `{unknown[0]}` are not written", hint=_HINT)
    if not key or re.search(_UNFIT, key):
        raise AnnotationError(f"`{text:.80}` is not a key of an annotation", hint=_HINT)
    return levels, key


def _leveled(text: str) -> bool:
    head, colon, _ = text.partition(":")
    return bool(colon) and all(re.fullmatch(_WORD, word) for word in head.split(","))
