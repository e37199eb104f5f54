"""A note for programs that do not end when they are told to.

The first process of a container gets no signal that it has no handler for. Python and Node install none for SIGTERM;
servers do. Where the application's own sources have anything to do with signals, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ociassemble.audit.prove import Finding
from ociassemble.audit.python import Runs
from ociassemble.audit.table import Table

_ALWAYS = ("SIGKILL", "KILL", "9", "SIGSTOP", "STOP", "19")
_PYTHON_HANDLES = ("SIGINT", "INT", "2")  # as KeyboardInterrupt


def prove(table: Table, runs: Runs, execution: Mapping[str, Any]) -> Iterator[Finding]:
    """The note, where it is true as far as anybody can know."""
    signal = str(execution.get("StopSignal") or "SIGTERM").upper()
    python = runs.what.startswith("python")
    if signal in _ALWAYS or (python and signal in _PYTHON_HANDLES) or not runs.own:
        return
    if any(facts.signals and table.brought(place) for place, facts in table.files.facts.items()):
        return
    yield Finding(
        "prove.signals",
        "info",
        f"`{runs.what}` as PID 1 does not handle {signal} by default: stopping it waits until the runtime kills it",
        f"handle {signal} in the program, or start it with an init (`docker run --init`)",
    )
