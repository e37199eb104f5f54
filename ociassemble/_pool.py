"""One bounded way to do things in parallel in this process: threads, in order, and quick to stop; and its cores.

Hashing, compressing and socket reads release the interpreter lock, so threads are enough for them. Layers, which are
as much Python, may have processes: `layer.apart`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

_GRACE = 1.0  # seconds


def cores() -> int:
    """CPUs this process may use; decides how much runs at once, never what comes out."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def each(function: Callable[[A], B], items: Iterable[A], *, jobs: int) -> list[B]:
    """`function` over `items`, at most `jobs` at once; results in the order of `items`.

    The first error cancels what has not begun, waits for what has, and is raised. A ctrl-C waits a moment only: a
    thread that waits for a server cannot be woken.
    """
    work = list(items)
    if jobs <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    executor = ThreadPoolExecutor(max_workers=min(jobs, len(work)))
    futures: list[Future[B]] = []
    try:
        futures += (executor.submit(function, item) for item in work)
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done and future.exception() is not None:
                break
        else:
            executor.shutdown()  # its threads are gone when we return: what forks next must be alone
            return [future.result() for future in futures]
        executor.shutdown(wait=True, cancel_futures=True)
        # Raise the error of the earliest item, so that which one is shown does not depend on timing alone.
        for future in futures:
            if not future.cancelled() and (error := future.exception()) is not None:
                raise error
        raise AssertionError("a failed future without an exception")
    except (KeyboardInterrupt, SystemExit):
        executor.shutdown(wait=False, cancel_futures=True)
        wait(futures, timeout=_GRACE)
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class Cores:
    """The cores of a run, shared by several who could each use all of them: enter it while there is work to do."""

    def __init__(self, jobs: int) -> None:
        self.jobs = max(1, jobs)
        self._lock = threading.Lock()
        self._busy = 0

    def idle(self) -> bool:
        """Whether a core is free; where none is, handing work to another thread only costs."""
        return self._busy < self.jobs

    def __enter__(self) -> Cores:
        with self._lock:
            self._busy += 1
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._busy -= 1


class Background:
    """Work that may begin early, one piece at a time, in a thread that ends when there is none left.

    Nobody is told how it went: a piece that fails is done again, and fails again, by whoever needs it done. The
    thread holds nothing up: a process that ends does not wait for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._running = False

    def begin(self, work: Callable[[], object]) -> None:
        """Do `work` when all that was begun before is done."""
        with self._lock:
            self._waiting.append(work)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="background", daemon=True).start()

    def drop(self) -> None:
        """Forget what has not begun."""
        with self._lock:
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                work = self._waiting.popleft()
            with contextlib.suppress(Exception):
                work()
