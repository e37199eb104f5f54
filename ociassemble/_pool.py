"""One bounded way to do things in parallel in this process: threads, in order, and quick to stop; and its cores.

Hashing, compressing and socket reads release the interpreter lock, so threads are enough for them. Layers, which are
as much Python, may have processes: `layer.apart`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
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
    thread that waits for a server cannot be woken. No thread is left when it returns: what forks next must be alone.
    """
    work = list(items)
    if jobs <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    lock = threading.Lock()
    todo = deque(range(len(work)))
    results: dict[int, B] = {}
    errors: dict[int, BaseException] = {}

    def run() -> None:
        while True:
            with lock:
                if not todo:
                    return
                number = todo.popleft()
            try:
                results[number] = function(work[number])
            except BaseException as error:
                with lock:
                    errors[number] = error
                    todo.clear()

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(jobs, len(work))):
            thread = threading.Thread(target=run, daemon=True)
            if not _started(thread):
                break
            threads.append(thread)
        if not threads:
            run()
        for thread in threads:
            thread.join()
    except (KeyboardInterrupt, SystemExit):
        with lock:
            todo.clear()
        until = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise
    # Of several the error of the earliest item, so that which one is shown does not depend on timing alone.
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(work))]


def _started(thread: threading.Thread) -> bool:
    """False where the system has no more threads for this user: then fewer do it, or whoever asked."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


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
                self._running = _started(threading.Thread(target=self._run, name="background", daemon=True))

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
