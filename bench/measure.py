"""What the benchmarks share: alternating runs, medians, a table, and whether targets are met."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "ociassemble"]


class Run(NamedTuple):
    """One finished program."""

    seconds: float
    cpu: float  # seconds, of all cores
    memory: int  # bytes, the most that was resident
    output: str


def variables(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which our own program is started from this repository."""
    found = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(more or {})}
    found.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every module at each start is nobody's start-up
    return found


def run(command: Sequence[str], *, check: bool = True, environment: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end and tell what it cost; the memory is its own, without its children's."""
    told = variables(environment)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=told, text=True)
    # What is printed here is short: it fits into the pipes.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    output, errors = process.communicate()
    if check and process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}\n{errors}")
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, memory, output)


def median(runs: Sequence[Run]) -> Run:
    """The medians of what runs cost."""
    seconds, cpu, memory = (statistics.median(values) for values in zip(*(run[:3] for run in runs), strict=True))
    return Run(seconds, cpu, int(memory), "")


def alternate(actions: Mapping[str, Callable[[], Run]], runs: int) -> dict[str, Run]:
    """The medians of each action; they take turns, after one round that does not count."""
    found: dict[str, list[Run]] = {name: [] for name in actions}
    for number in range(runs + 1):
        for name, action in actions.items():
            cost = action()
            if number:
                found[name].append(cost)
    return {name: median(costs) for name, costs in found.items()}


def arguments(runs: int) -> argparse.Namespace:
    """The command line that every benchmark has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=runs, metavar="N", help=f"how often (default {runs})")
    return parser.parse_args()


def title(text: str) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{text}\nPython {platform.python_version()}, {platform.machine()}, {cores} cores{load}\n", flush=True)


def row(what: str, value: str, note: str = "") -> None:
    print(f"  {what:<40}{value:>12}  {note}".rstrip(), flush=True)


def cost(what: str, of: Run, more: str = "") -> None:
    """A line about a run. On a machine that does other things as well, CPU time says more."""
    row(what, f"{of.seconds:.2f} s", f"{of.cpu:.2f} s of CPU, {of.memory / (1 << 20):.0f} MiB  {more}")


def target(what: str, value: float, limit: float, unit: str) -> bool:
    """Say whether a target is met."""
    met = value <= limit
    print(f"  {what:<40}{value:>8.2f} {unit:<3}  {'met' if met else 'MISSED'}: at most {limit:g} {unit}", flush=True)
    return met


def finish(*met: bool) -> None:
    sys.exit(0 if all(met) else 1)
