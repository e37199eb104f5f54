"""The only door to running programs of others. Never through a shell; the argument vector is what is run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ociassemble.errors import ToolError


class ToolMissingError(ToolError):
    """The program is not on PATH."""

    code = "tool.missing"


class ToolFailedError(ToolError):
    """The program ended with a status other than 0, or did not end in time."""

    code = "tool.failed"


class Completed(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


def find(program: str, *, path: str | None = None) -> str | None:
    """Absolute name of `program` on PATH (or on `path`), or None."""
    return shutil.which(program, path=path)


def run(
    argv: Sequence[str],
    *,
    input: bytes = b"",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run `argv` to its end and return what it printed; with `check`, a failure is a `ToolFailedError`.

    `timeout` is in seconds. `environment` replaces the child's environment; None hands on our own.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=input,
            capture_output=True,
            env=environment,
            cwd=folder,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise _not_run(argv[0], error) from error
    except subprocess.TimeoutExpired as error:
        raise ToolFailedError(f"`{argv[0]}` did not end within {timeout:g} s") from error
    if check and done.returncode != 0:
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-20:]
        raise ToolFailedError(f"`{Path(argv[0]).name}` failed with status {done.returncode}", details=tail)
    return Completed(done.returncode, done.stdout, done.stderr)


_GRACE = 5.0  # seconds between asking a group of processes to end and ending it


def follow(
    argv: Sequence[str],
    *,
    line: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> int:
    """Run `argv` to its end, tell `line` each line of its output (both streams) as it comes, return its status.

    It has no input, and a process group of its own: a ctrl-C reaches us alone, and whatever ends the wait ends the
    group. What it leaves running in that group is ended with it.
    """
    process: Process | None = None
    try:
        with _signals_later():
            process = subprocess.Popen(
                list(argv),
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        reader = threading.Thread(target=_read, args=(process, line), daemon=True)
        reader.start()
        status = process.wait()
        _signal(process, signal.SIGKILL)
        reader.join(_GRACE)
        return status
    except OSError as error:
        raise _not_run(argv[0], error) from error
    except BaseException:
        if process is not None:
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            _signal(process, signal.SIGKILL)
            process.wait()
        raise


def _read(process: subprocess.Popen[bytes], line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for raw in process.stdout:
        line(raw.decode("utf-8", "replace").rstrip())


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """What the block starts is known before a signal can end us: one that comes meanwhile counts at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in handlers.items():
        if callable(handler):  # what is ignored stays so, and a program inherits that
            signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        for sent in came:
            signal.raise_signal(sent)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Tell a whole group: npm and make do not hand on what they are told."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _not_run(program: str, error: OSError) -> ToolError:
    if isinstance(error, FileNotFoundError):
        return ToolMissingError(f"`{program}` is not installed or not on PATH")
    return ToolFailedError(f"`{program}` could not be run: {error.strerror}")


Process = subprocess.Popen[bytes]
StillRunning = subprocess.TimeoutExpired


def start(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: BinaryIO | None = None,
    detached: bool = False,
) -> Process:
    """Start `argv` with our own standard streams; the caller waits for it (`wait(timeout)` raises `StillRunning`).

    `output` takes both its output streams. `detached`: nothing to read, and a session of its own, so that a ctrl-C on
    the terminal reaches us alone and we decide what it is told.
    """
    try:
        return subprocess.Popen(
            list(argv),
            env=environment,
            stdin=subprocess.DEVNULL if detached else None,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=detached,
        )
    except OSError as error:
        raise _not_run(argv[0], error) from error
