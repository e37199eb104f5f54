"""Figures that tests leave in build/reliability/, for `make scoreboard` (scripts/scoreboard)."""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "reliability"


def kept(name: str, *, what: str, tried: int, survived: int, note: str = "") -> None:
    """`what` was tried `tried` times and stood `survived` times; `name` is one file's, so that workers do not meet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = {"what": what, "tried": tried, "survived": survived, "note": note}
    path = FOLDER / (re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") + ".json")
    path.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
