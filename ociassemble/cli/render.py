"""Progress without a terminal: plain lines, JSON lines, or next to nothing."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, TextIO

from ociassemble.cli.failure import printable
from ociassemble.progress import Advanced, Event, Finished, Note, Started

# What an outcome is called in front of a reader.
WORDS = {"done": "", "hit": "from the cache", "exists": "already there", "mounted": "mounted", "failed": "failed"}
_EVERY = 10.0  # seconds between two lines about one long task
_JSON_EVERY = 0.2  # seconds between two JSON lines about one task


def size(number: int) -> str:
    """Bytes for people: decimal, as registries and browsers show them."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


class _Running:
    __slots__ = ("done", "kind", "label", "since", "told", "total")

    def __init__(self, event: Started, now: float) -> None:
        self.kind, self.label, self.total = event.kind, printable(event.label), event.total
        self.done, self.since, self.told = 0, now, now


class Sink:
    """Keeps what runs; subclasses say something about it. Called from several threads, hence the lock."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        with self._lock:
            if isinstance(event, Note):
                self.note(event)
            elif isinstance(event, Started):
                self._running[event.task] = task = _Running(event, now)
                self.started(event, task)
            elif isinstance(event, Advanced):
                task = self._running[event.task]
                task.done += event.amount
                self.advanced(event, task, now)
            else:
                self.finished(event, self._running.pop(event.task), now)

    def note(self, event: Note) -> None: ...
    def started(self, event: Started, task: _Running) -> None: ...
    def advanced(self, event: Advanced, task: _Running, now: float) -> None: ...
    def finished(self, event: Finished, task: _Running, now: float) -> None: ...

    def line(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # stderr is gone: the work goes on, its result is what counts


def note_line(event: Note) -> str:
    """A decision as it is, a warning with its mark."""
    return ("warning: " if event.level == "warning" else "") + printable(event.text)


def finished_line(task: _Running, outcome: str, seconds: float) -> str:
    """`download  flask-3.1.0-py3-none-any.whl  103 kB  0.2 s`"""
    facts = []
    amount = task.done or (task.total or 0)
    if amount:
        facts.append(size(amount))
    if word := WORDS.get(outcome, outcome):
        facts.append(word)
    elif seconds >= 0.05:
        facts.append(f"{seconds:.1f} s")
    return f"{task.kind:<9} {task.label}" + (f"  ({', '.join(facts)})" if facts else "")


class Plain(Sink):
    """One line for each finished task, and one now and then for a long one."""

    def note(self, event: Note) -> None:
        self.line(note_line(event))

    def advanced(self, event: Advanced, task: _Running, now: float) -> None:
        if now - task.told >= _EVERY:
            task.told = now
            of = f" of {size(task.total)}" if task.total else ""
            self.line(f"{task.kind:<9} {task.label}  {size(task.done)}{of}")

    def finished(self, event: Finished, task: _Running, now: float) -> None:
        self.line(finished_line(task, event.outcome, now - task.since))


class Quiet(Sink):
    """Warnings only."""

    def note(self, event: Note) -> None:
        if event.level == "warning":
            self.line(note_line(event))


class JsonLines(Sink):
    """One JSON object a line: `started`, `advanced` (with the bytes so far), `finished`, `note`; and `error`."""

    def _emit(self, **document: Any) -> None:
        self.line(json.dumps(document))

    def note(self, event: Note) -> None:
        self._emit(type="note", level=event.level, text=event.text)

    def started(self, event: Started, task: _Running) -> None:
        self._emit(type="started", **event._asdict())

    def advanced(self, event: Advanced, task: _Running, now: float) -> None:
        if now - task.told >= _JSON_EVERY:
            task.told = now
            self._emit(type="advanced", task=event.task, done=task.done)

    def finished(self, event: Finished, task: _Running, now: float) -> None:
        self._emit(type="finished", task=event.task, outcome=event.outcome, done=task.done)
