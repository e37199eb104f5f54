"""Where a verb speaks: results to stdout, progress and decisions to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ociassemble.cli.command import Globals, globals_of
from ociassemble.progress import Progress

if TYPE_CHECKING:
    from ociassemble.transports.protocols import Written


class Console:
    """`progress` is handed to library code; `result` is the only way to stdout."""

    def __init__(self, options: Globals, progress: Progress) -> None:
        self.options = options
        self.progress = progress

    def result(self, line: str) -> None:
        """One line of the result; in UTF-8 where the locale's encoding has no place for it."""
        try:
            sys.stdout.write(line + "\n")
        except UnicodeEncodeError:
            self.result_bytes((line + "\n").encode("utf-8", "surrogateescape"))
        sys.stdout.flush()

    def result_bytes(self, data: bytes) -> None:
        """A result that is bytes (a manifest as it is, a blob)."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def written(self, written: Sequence[Written]) -> None:
        """The line of each destination; told on stderr where an archive took stdout."""
        taken = ("oci-archive:-:", "oci-archive:-@", "docker-archive:-:", "docker-archive:-@")
        for item in written:
            if any(other.line.startswith(taken) for other in written):
                self.progress.info(item.line)
            else:
                self.result(item.line)

    def result_json(self, document: Any) -> None:
        """A result as JSON, for `--format json`."""
        import json

        self.result(json.dumps(document, indent=2, ensure_ascii=False))


def form_of(options: Globals, *, terminal: bool) -> str:
    """Which rendering `--progress` and `-q` ask for, `auto` decided by whether stderr is a terminal."""
    if options.quiet and options.progress in ("auto", "tty", "plain"):
        return "quiet"
    if options.progress != "auto":
        return options.progress
    return "tty" if terminal and os.environ.get("TERM") != "dumb" else "plain"


@contextmanager
def console(ctx: click.Context) -> Iterator[Console]:
    """The console of one run; bars are taken off the terminal before the block is left, also by an error."""
    options = globals_of(ctx)
    form = form_of(options, terminal=sys.stderr.isatty())
    if form == "tty":
        # rich is imported here and nowhere else: it takes as long as the rest of a start.
        from ociassemble.cli.bars import Bars

        with Bars(sys.stderr, verbose=bool(options.verbose)) as bars:
            yield Console(options, Progress(bars))
        return
    from ociassemble.cli.render import JsonLines, Plain, Quiet, Sink

    if form == "plain":
        sink: Sink = Plain(sys.stderr, verbose=bool(options.verbose))
    else:
        sink = JsonLines(sys.stderr) if form == "json" else Quiet(sys.stderr)
    try:
        yield Console(options, Progress(sink))
    finally:
        sink.close()
