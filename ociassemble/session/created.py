"""The time that an image states, where somebody asked for one; specs/behaviour/digest.md, DIGEST-24."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ociassemble.plan.created import from_epoch, rfc3339
from ociassemble.session.request import BuildRequest


def stated_time(request: BuildRequest, variables: Mapping[str, str], setting: str | None = None) -> tuple[str, str]:
    """RFC 3339, and who says it: told, because the digest depends on it. ("", "") where nobody says anything.

    The flag wins over SOURCE_DATE_EPOCH, and that over the setting. Raises `EpochError`, and `ToolError` where git is
    asked and cannot answer.
    """
    stated, variable = request.created, variables.get("SOURCE_DATE_EPOCH", "")
    by = request.created_by
    if stated is None and not variable and setting is not None:
        stated, by = setting, "source-date-epoch of the settings"
    if stated == "now":
        return rfc3339(int(time.time())), "the clock"
    if stated == "git":
        from ociassemble.session.git import commit_time

        epoch, origin = commit_time(request.folder, variables), "the time of the last commit"
    elif stated is not None:
        origin, epoch = by, stated
    elif variable:
        origin, epoch = "SOURCE_DATE_EPOCH", variable
    else:
        return "", ""
    return from_epoch(epoch, origin), origin
