"""The entry point. Answers `--version` by itself; everything else is `ociassemble.cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its status."""
    if sys.argv[1:] == ["--version"]:
        # Before click is imported: scripts ask for the version often, and should not wait for it.
        from ociassemble import __version__

        sys.stdout.write(f"ociassemble {__version__}\n")
        return
    try:
        from ociassemble.cli import main

        status = main(sys.argv[1:])
    except KeyboardInterrupt:  # before our modules were there, or once more while they cleaned up
        sys.stderr.write("error: interrupted\n")
        status = 130
    if status in (129, 130, 143):
        _leave(status)
    sys.exit(status)


def _leave(status: int) -> None:
    """End after a signal: at once, though threads may still wait for a server, and with nothing left behind."""
    import contextlib
    import os
    import signal

    from ociassemble import _files

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _files.abandon()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
