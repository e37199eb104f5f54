"""Layers written by processes of their own, where there is much to write: making one is as much Python as compression,
and threads would wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ociassemble.layer import _workers
from ociassemble.progress import Advanced, Event, Progress, Task

LEAST = 32 << 20  # bytes of artifacts; below, processes cost more than they save


def worthwhile(weights: Sequence[int], jobs: int) -> bool:
    """Whether processes would be faster, and can be had: layers read artifacts of so many bytes each.

    Not where one layer is most of it: a process has one thread, and alone in this one it would have every core.
    """
    return (
        jobs > 1
        and sum(weights) >= LEAST
        and 2 * max(weights) <= sum(weights)
        and len(weights) <= _workers.MOST
        and _workers.able()
    )


def write_apart(
    titles: Sequence[str],
    write: Callable[[int, Progress], object],
    done: Callable[[int, float], object],
    *,
    jobs: int,
    progress: Progress,
) -> None:
    """`write(number, progress)` for the layers of these `titles`, elsewhere; `done` hears here of those that came to
    their end, and how many seconds it took. Of others nothing is heard.
    """
    with ExitStack() as stack:
        tasks: dict[int, Task] = {}
        open_tasks: dict[int, ExitStack] = {}

        def hear(said: _workers.Said) -> None:
            if said.what == _workers.BEGUN:
                open_tasks[said.number] = stack.enter_context(ExitStack())
                tasks[said.number] = open_tasks[said.number].enter_context(progress.task("layer", titles[said.number]))
                tasks[said.number].outcome = "again"  # until it is done: by whoever asked
            elif said.what == _workers.ADVANCED:
                tasks[said.number].advance(said.amount)
            else:
                tasks[said.number].outcome = "done"
                open_tasks[said.number].close()
                done(said.number, said.amount / 1e6)

        def work(number: int, advance: Callable[[int], None]) -> None:
            def forward(event: Event) -> None:
                if isinstance(event, Advanced):
                    advance(event.amount)

            write(number, Progress(forward))

        _workers.run(work, len(titles), jobs=jobs, hear=hear)
