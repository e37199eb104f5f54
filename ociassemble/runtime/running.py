"""A started container: wait for it, stop it, and clean up after it. One interface over all runtimes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from ociassemble import _run
from ociassemble.runtime.probe import RuntimeRefusedError

GRACE = 10.0  # seconds between asking a container to stop and stopping it


class Running:
    """`address` is where the application can be asked, where that is known; leaving the `with` block stops it.

    `process` is the runtime's attached client, whose status is the container's.
    """

    def __init__(
        self,
        *,
        runtime: str,
        process: _run.Process,
        address: tuple[str, int] | None,
        kill: Callable[[str], bool],
        finish: Callable[[int], None],
    ) -> None:
        self.runtime = runtime
        self.process = process
        self.address = address
        self._kill = kill
        self._finish = finish
        self._status: int | None = None

    @property
    def port(self) -> int | None:
        """The port of this host on which the application answers, if known."""
        return self.address[1] if self.address else None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, 128 + N after a signal N. Cleans up; raises `RuntimeRefusedError` if nothing ever ran.

        `timeout` is in seconds; past it `_run.StillRunning` is raised and the container runs on.
        """
        if self._status is None:
            ended = self.process.wait(timeout)
            self._status = 128 - ended if ended < 0 else ended
            self._finish(self._status)
        return self._status

    def signal(self, name: str) -> None:
        """Send the signal `name` ("TERM") to the container's first process."""
        if self.process.poll() is None and not self._kill(name) and name != "KILL":
            # Not created yet: the client passes it on, or dies of it, before anything has run.
            self.process.send_signal(getattr(signal, "SIG" + name))

    def stop(self, grace: float = GRACE) -> int:
        """Ask it to end, insist after `grace` seconds, clean up; returns the exit status."""
        if self._status is None:
            self.signal("TERM")
            try:
                self.process.wait(grace)
            except _run.StillRunning:
                self.signal("KILL")
                with contextlib.suppress(_run.StillRunning):
                    self.process.wait(grace)
                if self.process.poll() is None:
                    self.process.kill()
        # That a runtime we told to stop had not begun yet is no complaint.
        with contextlib.suppress(RuntimeRefusedError):
            self.wait()
        assert self._status is not None
        return self._status

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


@contextlib.contextmanager
def forwarding(running: Running) -> Iterator[None]:
    """While in the block, what this process is told by signal the container is told, too.

    A second request to stop, or `GRACE` seconds after the first, ends the container the hard way: a first process
    without a handler of its own never sees SIGTERM.
    """
    asked = False
    timers: list[threading.Timer] = []

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            if asked:
                running.signal("KILL")
                return
            asked = True
            timer = threading.Timer(GRACE, running.signal, ("KILL",))
            timer.daemon = True
            timers.append(timer)
            timer.start()
        running.signal(signal.Signals(number).name.removeprefix("SIG"))

    forwarded = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in forwarded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        for timer in timers:
            timer.cancel()
