"""Progress without a terminal: plain lines, JSON lines, or next to nothing."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, TextIO

from ociassemble.cli.failure import printable
from ociassemble.progress import Advanced, Event, Finished, Note, Started

# What an outcome is called in front of a reader.
WORDS = {
    "done": "",
    "hit": "from the cache",
    "exists": "already there",
    "mounted": "mounted",
    "again": "to be done again",
    "failed": "failed",
}
_EVERY = 10.0  # seconds between two lines about one long task
# Dozens of packages and blobs are told as one line: what moves fewer bytes than this, in less time, is one of them.
_SMALL = 1_000_000  # bytes
_QUICK = 1.0  # seconds
_FEW = 3  # so many small ones still have their own lines
_MANY = {"download": "files", "upload": "blobs"}
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

    def close(self) -> None: ...
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
    """`download  flask-3.1.0-py3-none-any.whl  (103 kB, 0.2 s)`"""
    return _line(task.kind, task.label, _amount(task, outcome), outcome, seconds)


def _line(kind: str, label: str, amount: int, outcome: str, seconds: float) -> str:
    facts = []
    if amount:
        facts.append(size(amount))
    if word := WORDS.get(outcome, outcome):
        facts.append(word)
    elif seconds >= 0.05:
        facts.append(f"{seconds:.1f} s")
    return f"{kind:<9} {label}" + (f"  ({', '.join(facts)})" if facts else "")


def _amount(task: _Running, outcome: str) -> int:
    return task.done or (task.total or 0 if outcome != "failed" else 0)


class _Ended(NamedTuple):
    task: _Running
    outcome: str
    at: float

    @property
    def line(self) -> str:
        return finished_line(self.task, self.outcome, self.at - self.task.since)

    @property
    def small(self) -> bool:
        if self.task.kind not in _MANY or self.outcome not in WORDS or self.outcome == "failed":
            return False
        if self.outcome != "done":
            return True  # nothing was moved
        return _amount(self.task, self.outcome) < _SMALL and self.at - self.task.since < _QUICK


class Lines(Sink, ABC):
    """For people: one line for each finished task, but one for many small ones of a kind; each warning once."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        super().__init__(stream)
        self._verbose = verbose  # details are shown, too
        self._small: dict[tuple[str, str], list[_Ended]] = {}
        self._warned: set[str] = set()

    @abstractmethod
    def say(self, text: str, what: str) -> None:
        """One line; `what` is "info", "warning", or the outcome of a task."""

    def close(self) -> None:
        """Tell what was still held back."""
        with self._lock:
            self._tell_small()

    def note(self, event: Note) -> None:
        if event.level == "warning":
            if event.text in self._warned:
                return
            self._warned.add(event.text)
        if event.level == "detail" and not self._verbose:
            return
        self._tell_small()
        self.say(note_line(event), event.level)

    def finished(self, event: Finished, task: _Running, now: float) -> None:
        ended = _Ended(task, event.outcome, now)
        if not ended.small:
            # Large ones end among the small ones of their kind: these are told when all have ended.
            self._tell_small(but=task.kind)
            self.say(ended.line, event.outcome)
            return
        held = self._small.setdefault((task.kind, event.outcome), [])
        held.append(ended)
        if now - held[0].task.since >= _EVERY:
            self._tell_small()

    def _tell_small(self, but: str = "") -> None:
        for (kind, outcome), held in list(self._small.items()):
            if kind == but:
                continue
            del self._small[kind, outcome]
            if len(held) <= _FEW:
                for ended in held:
                    self.say(ended.line, outcome)
                continue
            amount = sum(_amount(ended.task, outcome) for ended in held)
            seconds = held[-1].at - min(ended.task.since for ended in held)
            self.say(_line(kind, f"{len(held)} {_MANY[kind]}", amount, outcome, seconds), outcome)


class Plain(Lines):
    """Lines, and one now and then for a long task."""

    def say(self, text: str, what: str) -> None:
        self.line(text)

    def advanced(self, event: Advanced, task: _Running, now: float) -> None:
        if now - task.told >= _EVERY:
            task.told = now
            of = f" of {size(task.total)}" if task.total else " so far"
            self.line(f"{task.kind:<9} {task.label}  {size(task.done)}{of}")


class Quiet(Sink):
    """Warnings only, each once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._warned: set[str] = set()

    def note(self, event: Note) -> None:
        if event.level == "warning" and event.text not in self._warned:
            self._warned.add(event.text)
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
