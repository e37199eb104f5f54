"""What the benchmarks share: what a program costs, alternating runs, medians, and whether targets are met."""

from __future__ import annotations

import argparse
import ast
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "ociassemble"]


class Run(NamedTuple):
    """One finished program."""

    seconds: float
    cpu: float  # seconds, of all cores, with the programs it started
    memory: int  # bytes, the most that was resident: of the biggest process, its own or one it started
    output: str


Action = Callable[[int], Run]  # what a contender does in a round, given its number


class Failed(Exception):
    """A program that should have worked ended with another status than 0."""


def variables(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which our own program is started from this repository."""
    found = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(more or {})}
    found.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every module at each start is nobody's start-up
    return found


# A small process between us and what is measured: Linux counts what a process held before it became the program as
# memory of the program, and we may hold more than it.
_LAUNCHER = """\
import os, sys, time
command = sys.argv[2:]
began = time.perf_counter()
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - began
told = (seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
os.write(int(sys.argv[1]), repr(told).encode())
"""


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Run:
    """Run a program to its end and tell what it cost. Raises `Failed` where its status is not 0."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, open(reading, "rb") as told:
        launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=variables(environment), cwd=folder,
            pass_fds=(writing,), start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        try:
            launcher.wait()
        except BaseException:
            os.killpg(launcher.pid, signal.SIGKILL)  # whatever the program has started, too
            launcher.wait()
            raise
        output.seek(0)
        errors.seek(0)
        text, said = (stream.read().decode(errors="replace") for stream in (output, errors))
        result = told.read()
    if not result:
        raise Failed(f"{' '.join(command)[:300]}: not started\n{said[-2000:]}")
    seconds, cpu, memory, status = ast.literal_eval(result.decode())
    if status != 0:
        raise Failed(f"{' '.join(command)[:300]}: status {status}\n{said[-2000:]}")
    return Run(seconds, cpu, memory * (1 if sys.platform == "darwin" else 1024), text)


def median(runs: Sequence[Run]) -> Run:
    """The medians of what runs cost."""
    seconds, cpu, memory = (statistics.median(values) for values in zip(*(run[:3] for run in runs), strict=True))
    return Run(seconds, cpu, int(memory), "")


def alternate(
    actions: Mapping[str, Callable[[int], Run]], pairs: int, *, rehearse: bool = True
) -> dict[str, list[Run]]:
    """What each action cost, round by round. They take turns, every second round the other way about.

    An action is given the number of its round; with `rehearse`, round 0 comes first and does not count.
    """
    found: dict[str, list[Run]] = {name: [] for name in actions}
    for number in range(0 if rehearse else 1, pairs + 1):
        for name in list(actions) if number % 2 else reversed(list(actions)):
            cost = actions[name](number)
            if number:
                found[name].append(cost)
    return found


def arguments(runs: int) -> argparse.Namespace:
    """The command line that every small benchmark has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=runs, metavar="N", help=f"how often (default {runs})")
    return parser.parse_args()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def title(text: str) -> None:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{text}\nPython {platform.python_version()}, {platform.machine()}, {cores()} cores{load}\n", flush=True)


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
