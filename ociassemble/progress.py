"""Progress as events. Library code emits them; only `ociassemble.cli` renders them.

A task has an id of its own, a `kind` ("hash", "resolve", "inspect", "download", "layer", "upload"), a label for people
and, where known, a total in bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple


class Started(NamedTuple):
    task: int
    kind: str
    label: str
    total: int | None  # bytes


class Advanced(NamedTuple):
    task: int
    amount: int  # bytes since the last event


class Finished(NamedTuple):
    task: int
    outcome: str  # "done", "mounted", "exists", "hit", "again" (it failed, and another task does it), "failed"


class Note(NamedTuple):
    """A decision worth telling (`level` "info"), what must not be missed ("warning"), or is asked for ("detail")."""

    level: str
    text: str


Event = Started | Advanced | Finished | Note
Sink = Callable[[Event], None]


class Task:
    """Handle of one running task; cheap enough to be advanced once a block."""

    __slots__ = ("_sink", "number", "outcome")

    def __init__(self, sink: Sink, number: int) -> None:
        self._sink = sink
        self.number = number
        self.outcome = "done"

    def advance(self, amount: int) -> None:
        self._sink(Advanced(self.number, amount))


class Progress:
    """Where library code reports to. Without a sink nothing happens. Safe to share between threads."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sink: Sink = sink if sink is not None else _nothing
        self._numbers = itertools.count(1)
        self._kept: list[Note] | None = None

    def info(self, text: str) -> None:
        self._note(Note("info", text))

    def detail(self, text: str) -> None:
        """What a reader wants to know who asked for more (`-v`)."""
        self._note(Note("detail", text))

    def warn(self, text: str) -> None:
        self._note(Note("warning", text))

    def again(self, note: Note) -> None:
        """Tell what `noted` kept."""
        self._note(note)

    def _note(self, note: Note) -> None:
        if self._kept is not None:
            self._kept.append(note)
        self._sink(note)

    @contextmanager
    def noted(self) -> Iterator[list[Note]]:
        """Every note of the block, in order, as it is told: what a later run with the same inputs has to tell, too."""
        notes: list[Note] = []
        with self._keeping(notes):
            yield notes

    def passing(self) -> AbstractContextManager[None]:
        """Notes of the block are about how things went this time (servers, retries): `noted` leaves them out."""
        return self._keeping(None)

    @contextmanager
    def _keeping(self, notes: list[Note] | None) -> Iterator[None]:
        before, self._kept = self._kept, notes
        try:
            yield
        finally:
            self._kept = before

    @contextmanager
    def task(self, kind: str, label: str, total: int | None = None) -> Iterator[Task]:
        """Announce a task for the duration of the block; set `task.outcome` to say how it went."""
        task = Task(self._sink, next(self._numbers))
        self._sink(Started(task.number, kind, label, total))
        try:
            yield task
        except BaseException:
            task.outcome = "failed"
            raise
        finally:
            self._sink(Finished(task.number, task.outcome))


def _nothing(event: Event) -> None:
    pass
