"""What one build is asked for, as the command line (or a caller) says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """One build. `flags` are settings that win over the project's own, by the names of `Settings.override`."""

    application: Path
    flags: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    push: bool = False
    outputs: tuple[str, ...] = ()  # as given to -o
    lockfile: Path | None = None
    locked: bool = False
    use_lock: bool = True
    use_cache: bool = True
    pin_base: bool = True  # for `lock`: False leaves the base open
    pull: str = "always"
    created: str | None = None  # seconds since 1970, "git" or "now"
