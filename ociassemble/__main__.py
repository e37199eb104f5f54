"""The entry point. Answers `--version` by itself; everything else is `ociassemble.cli`."""

from __future__ import annotations

import sys

# Objects between two looks for cycles among them. A run makes hundreds of thousands, nearly all of which live until
# it ends or go by reference count: looking as often as Python does by itself is a tenth of a warm build.
_OBJECTS = 50_000


def main() -> None:
    """Run the command line of this process and exit with its status."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        _stand_in()
    if sys.argv[1:] == ["--version"]:
        # Before click is imported: scripts ask for the version often, and should not wait for it.
        from ociassemble import __version__

        sys.stdout.write(f"ociassemble {__version__}\n")
        return
    import gc

    gc.set_threshold(_OBJECTS)
    try:
        from ociassemble.cli import main

        status = main(sys.argv[1:])
    except KeyboardInterrupt:  # before our modules were there, or once more while they cleaned up
        sys.stderr.write("error: interrupted\n")
        status = 130
    if status in (129, 130, 143):
        _abandon()
        _end(status)
    if _alone():
        _end(status)
    sys.exit(status)


def _stand_in() -> None:
    """Give a process that was started without one of its three streams one that leads nowhere, before a file has it."""
    import os

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest number that is free: its own, as those before it are taken by now.
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115


def _abandon() -> None:
    """Leave nothing behind after a signal, though threads may still wait for a server."""
    import signal

    from ociassemble import _files

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _files.abandon()


def _alone() -> bool:
    """Whether nobody has anything left to do: no other thread, no debugger, profiler or tracer with a report."""
    import threading

    return threading.active_count() == 1 and sys.gettrace() is None and sys.getprofile() is None


def _end(status: int) -> None:
    """End at once: taking every module and object apart costs a warm build a tenth of its time."""
    import contextlib
    import os

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
