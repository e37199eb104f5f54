"""Work in processes that are forked from this one: of one process, Python runs one thread at a time.

For work that is as much Python as native code, and leaves what it made on disk. The processes see all that this one
has in memory, share none of it, and end with it: at the latest when they next have something to say.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, NoReturn

from ociassemble import _files

MOST = 1000  # pieces: their numbers fit into any pipe at once
_NUMBER = struct.Struct("<H")
_SAID = struct.Struct("<HBxxxxxq")  # shorter than PIPE_BUF: what several write at once is not mixed
BEGUN, ADVANCED, DONE = range(3)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Said(NamedTuple):
    """What is heard of one piece of work: `amount` is bytes where it advanced, microseconds where it is done."""

    number: int
    what: int  # BEGUN, ADVANCED or DONE
    amount: int


def able() -> bool:
    """Whether this process can be forked: it has no other thread, which might hold a lock that nobody would release."""
    return sys.platform == "linux" and threading.active_count() == 1


def run(
    work: Callable[[int, Callable[[int], None]], object], pieces: int, *, jobs: int, hear: Callable[[Said], object]
) -> None:
    """`work(number, advance)` for every number below `pieces`, in `jobs` processes; `hear` is told here how it goes.

    Of a piece that fails, or whose process does, no DONE is heard and nothing else: whoever does it again meets the
    reason. An error of `hear`, and an interrupt, ends the processes.
    """
    todo, todo_end = os.pipe()
    said, said_end = os.pipe()
    children: list[int] = []
    try:
        with contextlib.closing(_Pipe(todo_end)) as pipe:
            pipe.write(b"".join(map(_NUMBER.pack, range(pieces))))
        with contextlib.closing(_Pipe(said_end)) as pipe, _uninterrupted() as before:
            parent = os.getpid()
            for _ in range(min(jobs, pieces)):
                try:
                    child = os.fork()
                except OSError:
                    break  # so many, or none: what they do not do is done by whoever asked
                if child == 0:
                    _work(work, todo, said, pipe, parent, before)
                children.append(child)
        _listen(said, hear)
    except BaseException:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        raise
    finally:
        os.close(todo)
        os.close(said)
        for child in children:
            # Where SIGCHLD is ignored, which is inherited, or others wait for every child, it is gone already.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[Collection[int]]:
    """No interrupt finds a process that is not yet known, or one that does not yet know what it is; the mask before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(said: int, hear: Callable[[Said], object]) -> None:
    """Until all processes have ended."""
    rest = b""
    while block := os.read(said, 1 << 16):
        rest += block
        whole = len(rest) - len(rest) % _SAID.size
        for number, what, amount in _SAID.iter_unpack(rest[:whole]):
            hear(Said(number, what, amount))
        rest = rest[whole:]


def _work(
    work: Callable[[int, Callable[[int], None]], object],
    todo: int,
    said: int,
    pipe: _Pipe,
    parent: int,
    mask: Collection[int],
) -> NoReturn:
    """What a process does: piece by piece, until none is left. It never returns into what it was forked from."""
    status = 1
    try:
        os.close(said)  # or nobody would be told that the last who reads it has gone
        _files.disown()
        gc.freeze()  # no look for cycles among what was there before: it belongs to the parent
        # Of what a terminal sends to all of them, the parent makes one of these.
        signal.signal(signal.SIGTERM, _ended)
        for other in (signal.SIGINT, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while len(item := os.read(todo, _NUMBER.size)) == _NUMBER.size:
            (number,) = _NUMBER.unpack(item)
            began = time.monotonic()
            pipe.say(number, BEGUN, 0)

            def advance(amount: int, number: int = number) -> None:
                if os.getppid() != parent:
                    _ended()
                pipe.say(number, ADVANCED, amount)

            try:
                work(number, advance)
            except Exception:
                continue
            pipe.say(number, DONE, int((time.monotonic() - began) * 1e6))
        status = 0
    finally:
        os._exit(status)


def _ended(*_: object) -> NoReturn:
    _files.abandon()
    os._exit(128 + signal.SIGTERM)


class _Pipe:
    """The end of a pipe that is written to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, number: int, what: int, amount: int) -> None:
        self.write(_SAID.pack(number, what, amount))

    def write(self, data: bytes) -> None:
        os.write(self._descriptor, data)

    def close(self) -> None:
        os.close(self._descriptor)
