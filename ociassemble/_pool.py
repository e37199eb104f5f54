"""One bounded way to do things in parallel: threads, in order, and quick to stop.

Hashing, compressing and socket reads release the interpreter lock, so threads are enough.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """CPUs this process may use; decides how much runs at once, never what comes out."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def each(function: Callable[[A], B], items: Iterable[A], *, jobs: int) -> list[B]:
    """`function` over `items`, at most `jobs` at once; results in the order of `items`.

    The first error (or a ctrl-C) cancels what has not begun, waits for what has, and is raised.
    """
    work = list(items)
    if jobs <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    executor = ThreadPoolExecutor(max_workers=min(jobs, len(work)))
    try:
        futures = [executor.submit(function, item) for item in work]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done and future.exception() is not None:
                break
        else:
            return [future.result() for future in futures]
        executor.shutdown(wait=True, cancel_futures=True)
        # Raise the error of the earliest item, so that which one is shown does not depend on timing alone.
        for future in futures:
            if not future.cancelled() and (error := future.exception()) is not None:
                raise error
        raise AssertionError("a failed future without an exception")
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
