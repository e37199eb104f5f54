"""The only door to running programs of others. Never through a shell; the argument vector is what is run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
    except FileNotFoundError as error:
        raise ToolMissingError(f"`{argv[0]}` is not installed or not on PATH") from error
    except OSError as error:
        raise ToolFailedError(f"`{argv[0]}` could not be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolFailedError(f"`{argv[0]}` did not end within {timeout:g} s") from error
    if check and done.returncode != 0:
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-20:]
        raise ToolFailedError(f"`{Path(argv[0]).name}` failed with status {done.returncode}", details=tail)
    return Completed(done.returncode, done.stdout, done.stderr)


def start(argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `argv` with our own standard streams; the caller waits for it."""
    try:
        return subprocess.Popen(list(argv), env=environment)
    except FileNotFoundError as error:
        raise ToolMissingError(f"`{argv[0]}` is not installed or not on PATH") from error
