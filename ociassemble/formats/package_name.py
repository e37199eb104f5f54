"""Names of Python packages as they are compared (PEP 503)."""

from __future__ import annotations

import re


def normalised(name: str) -> str:
    """Lower case, and each run of `-`, `_` and `.` is one `-`: "Foo._bar" is "foo-bar"."""
    return re.sub(r"[-_.]+", "-", name).lower()
