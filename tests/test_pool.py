"""Work in parallel: in order, stopped by the first error, and no thread left behind."""

from __future__ import annotations

import threading
import time

import pytest

from ociassemble import _pool


def test_results_are_in_the_order_of_the_items() -> None:
    def slower_first(number: int) -> int:
        time.sleep((4 - number) / 100)
        return number * number

    assert _pool.each(slower_first, range(5), jobs=5) == [0, 1, 4, 9, 16]


def test_no_thread_is_left_when_all_is_done() -> None:
    """What forks next must be alone in its process (LAYER-36)."""
    before = set(threading.enumerate())

    for _ in range(200):
        _pool.each(str, range(8), jobs=8)
        assert set(threading.enumerate()) <= before


def test_the_error_of_the_earliest_item_is_raised_and_the_rest_not_begun() -> None:
    both = threading.Barrier(2)
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        if number < 2:
            both.wait(10)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        _pool.each(work, range(100), jobs=2)

    assert len(begun) < 100


@pytest.mark.parametrize("threads", [0, 1])
def test_where_there_are_no_more_threads_fewer_do_it(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left, start = iter(range(threads)), threading.Thread.start

    def few(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    assert _pool.each(str, range(5), jobs=3) == ["0", "1", "2", "3", "4"]


def test_one_job_works_here() -> None:
    here = threading.get_ident()

    assert _pool.each(lambda _: threading.get_ident(), range(3), jobs=1) == [here] * 3
    assert _pool.each(lambda _: threading.get_ident(), [0], jobs=4) == [here]
