"""The benchmarks are programs beside each other in bench/, not a package: here they can be imported by their names."""

from __future__ import annotations

import sys
from pathlib import Path

BENCH = str(Path(__file__).parent.parent.parent / "bench")
if BENCH not in sys.path:
    sys.path.append(BENCH)
