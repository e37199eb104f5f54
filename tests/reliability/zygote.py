"""A process that has the product imported and forks for each command: kills and full disks by the hundred.

`python -m tests.reliability.zygote` reads one JSON object a line (`Order`) and answers each with one (`Outcome`).
What is forked runs the same `main` as the program does, in a folder and an environment of its own. The forking process
has one thread only, and no test's locks.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parent.parent.parent
FULL = ("write", "truncate", "mkdir", "open", "link", "fsync")  # what needs room on a disk


class Fault(NamedTuple):
    """What goes wrong: `kind` is "none", "kill" (at file operation `at`, from 1), "full" (from the operation `at` on
    every one that needs room fails, if it is below one of `below`), "after" (the process is killed after `at` ms)."""

    kind: str = "none"
    at: int = 0
    below: tuple[str, ...] = ()
    error: int = errno.ENOSPC


NONE = Fault()


class Outcome(NamedTuple):
    """How a command ended: its exit status (negative: a signal), what it wrote, the file operations it came to.

    Of the processes that it forked, operations are counted as well; there were so many.
    """

    status: int
    out: str
    err: str
    points: int
    forked: int


class Zygote:
    """Runs commands with faults. Use as a context manager."""

    def __enter__(self) -> Zygote:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            start_new_session=True,
            text=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        fault: Fault = NONE,
        apart: bool = False,
    ) -> Outcome:
        """Run `ociassemble ARGV` in `folder` with exactly this environment; `apart`: layers by processes of their own,
        however small."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"environment": dict(environment), "folder": str(folder), "fault": fault, "apart": apart}
        order = {"argv": list(argv), **told}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return Outcome(*json.loads(self._process.stdout.readline()))


def main() -> None:
    from ociassemble.testing import images  # noqa: F401  (most of the product, so that a fork has it)

    _import_all()
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as told:
            child = os.fork()
            if not child:
                _child(order, out.fileno(), err.fileno(), told.fileno())
            if order["fault"][0] == "after":
                time.sleep(order["fault"][1] / 1000)
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            _wait_for_group(child)
            texts = []
            for file in (out, err, told):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        ended = os.waitstatus_to_exitcode(status)
        points, forked = map(int, texts[2].split() or (0, 0))
        print(json.dumps([ended, texts[0], texts[1], points, forked]), flush=True)


def _wait_for_group(leader: int) -> None:
    """Until what a command forked has ended as well: with it, or when it finds that it is gone."""
    for _ in range(1000):
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError("processes go on without the one that forked them")


def _import_all() -> None:
    """What a command imports is no file operation of it, and need not be waited for each time."""
    import importlib
    import pkgutil

    import ociassemble

    for found in pkgutil.walk_packages(ociassemble.__path__, "ociassemble."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def _child(order: dict[str, object], out: int, err: int, told: int) -> None:
    status = 70
    try:
        os.setsid()
        for descriptor, target in ((out, 1), (err, 2)):
            os.dup2(descriptor, target)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(order["environment"])  # type: ignore[arg-type]
        os.chdir(str(order["folder"]))
        tempfile.tempdir = None
        _arm(Fault(*order["fault"]), told)  # type: ignore[misc]
        if order["apart"]:
            from ociassemble.layer import apart

            apart.LEAST = 1
        from ociassemble.cli import main as product

        status = product([str(word) for word in order["argv"]])  # type: ignore[attr-defined]
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 70
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _arm(fault: Fault, told: int) -> None:
    """Stand at the one door to the disk (`_files`), count what goes through, and do what the fault says."""
    from ociassemble import _files

    counted = mmap.mmap(-1, 16)  # shared with what is forked: file operations, forks
    lock = threading.Lock()

    def count(which: int) -> int:
        with lock:
            fcntl.lockf(told, fcntl.LOCK_EX)
            numbers = list(struct.unpack("<qq", counted[:]))
            numbers[which] += 1
            counted[:] = struct.pack("<qq", *numbers)
            os.pwrite(told, b"%10d %10d" % tuple(numbers), 0)
            fcntl.lockf(told, fcntl.LOCK_UN)
            return numbers[which]

    os.register_at_fork(after_in_parent=lambda: count(1))

    def point(operation: str, path: Path) -> None:
        number = count(0)
        if fault.kind == "kill" and number == fault.at:
            os.kill(os.getpid(), signal.SIGKILL)
        below = not fault.below or str(path).startswith(tuple(fault.below))
        if fault.kind == "full" and number >= fault.at and operation in FULL and below:
            raise OSError(fault.error, os.strerror(fault.error), str(path))

    _files.at_point = point


if __name__ == "__main__":
    main()
