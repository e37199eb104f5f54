"""Progress on a terminal: a bar for each running download, layer and upload; finished ones become lines above."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from ociassemble.cli.render import Lines, _Running
from ociassemble.progress import Advanced, Finished, Started

_EVERY = 1 / 8  # seconds between two drawings


class Bars(Lines):
    """A sink and a context manager: leaving it takes the bars off the terminal."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        super().__init__(stream, verbose=verbose)
        self._console = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[kind]:<9} {task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
            transient=True,
            # With a thread of rich's own there would be no process with one thread, which is what can be forked
            # (`layer.apart`). The price: nothing moves while a program or a server is waited for.
            auto_refresh=False,
        )
        self._bars: dict[int, TaskID] = {}
        self._drawn = 0.0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        self._progress.stop()

    def say(self, text: str, what: str) -> None:
        style = {"info": "", "warning": "yellow", "failed": "red"}.get(what, "dim")
        self._progress.console.print(Text(text, style))

    def started(self, event: Started, task: _Running) -> None:
        self._bars[event.task] = self._progress.add_task(_short(task.label), total=event.total, kind=event.kind)
        self._draw(time.monotonic())

    def advanced(self, event: Advanced, task: _Running, now: float) -> None:
        self._progress.update(self._bars[event.task], advance=event.amount)
        self._draw(now)

    def _draw(self, now: float) -> None:
        if now - self._drawn >= _EVERY:
            self._drawn = now
            self._progress.refresh()

    def finished(self, event: Finished, task: _Running, now: float) -> None:
        self._progress.remove_task(self._bars.pop(event.task))
        self._draw(now)
        super().finished(event, task, now)


def _short(label: str, width: int = 40) -> str:
    """A label that leaves room for the bar, cut in its middle: both ends of a file name tell something."""
    return label if len(label) <= width else label[: width // 2 - 1] + "\N{HORIZONTAL ELLIPSIS}" + label[-width // 2 :]
