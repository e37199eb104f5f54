"""The command line for tests that share what they build: it runs in this process, with an environment of its own.

Fixtures of a module are made before a test's own home is, so nothing here leans on it. What is slow to make is made
once a run: `shared` gives the folder for it, `once` the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from ociassemble.cli import main


class Ended(NamedTuple):
    """How a command ended; `raw` is its stdout."""

    status: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Commands:
    """`ociassemble`, with home and cache below a folder; what else it sees of the environment is given."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "OCIASSEMBLE_CACHE_DIR": str(folder / "cache"),
            "OCIASSEMBLE_PROGRESS": "plain",
            **environment,
        }

    def __call__(self, *argv: str | Path, status: int = 0, **environment: str) -> Ended:
        """Run one command, which must end with `status`."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        out, err = _Stream(), _Stream()
        with (
            mock.patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                found = main([str(word) for word in argv])
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        ended = Ended(found, out.kept.getvalue(), err.kept.getvalue().decode())
        assert found == status, f"ociassemble {' '.join(map(str, argv))}: {found}\n{ended.err}\n{ended.out}"
        return ended


class _Stream(io.TextIOWrapper):
    """A standard stream that keeps what is written to it."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, "utf-8", write_through=True)


def shared(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all workers of this run share, and no other run."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name


@contextlib.contextmanager
def once(folder: Path) -> Iterator[Callable[[], bool]]:
    """Whoever comes first makes what belongs in `folder`, the others wait for it.

    Yields a function that says whether it is to be made; leaving the block without an error marks it as made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / ".made"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: not mark.exists()
        mark.touch()
