"""How a run ends: the text of an error, and the exit status (specs/behaviour/errors.md)."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn, TextIO

import click

from ociassemble.cli.command import PREFIX, UnknownVerb, globals_of
from ociassemble.errors import Error

BUG = 1
USAGE = 2
INTERRUPTED = 130
UNPRINTED = 11  # the status of a destination that cannot be written
CLOSED_PIPE = 141  # 128 + SIGPIPE: nobody reads the result any more

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of stdout: files of ours have their own errors


def guarded(root: click.Command, program: str, argv: list[str]) -> int:
    """Run a click command line; every way it can end becomes an exit status, and never a traceback unasked."""
    complete = os.environ.get("_OCIASSEMBLE_COMPLETE")
    if complete:
        from ociassemble.cli.completion import answer

        return answer(root, program, complete)
    _end_on_signals()
    form = _Form(argv)
    try:
        try:
            with root.make_context(program, argv) as ctx:
                form.ctx = ctx
                status = root.invoke(ctx)
            sys.stdout.flush()
            return status if isinstance(status, int) and not isinstance(status, bool) else 0
        except click.exceptions.Exit as end:
            sys.stdout.flush()
            return end.exit_code
        except click.exceptions.NoArgsIsHelpError as usage:
            click.echo(usage.ctx.get_help() if usage.ctx else "", err=True)
            return USAGE
        except click.ClickException as usage:
            form.show(*_usage(usage, program), code="usage", status=USAGE)
            return USAGE
        except Error as error:
            form.show(error.message, error.details, error.hint, code=error.code, status=error.exit_code)
            return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        form.show("interrupted", (), None, code="interrupted", status=INTERRUPTED)
        return INTERRUPTED
    except Signalled as told:
        form.show(told.word, (), None, code="interrupted", status=told.status)
        return told.status
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as bug:
        if isinstance(bug, OSError) and bug.errno == errno.EPIPE:
            return _closed_pipe()
        if isinstance(bug, OSError) and bug.errno in _FULL and bug.filename is None:
            _give_up_stdout()
            text = f"cannot write the result: {bug.strerror}"
            form.show(text, (), None, code="destination", status=UNPRINTED)
            return UNPRINTED
        form.bug(bug)
        return BUG


class _Form:
    """Text for people, or one JSON object a line with `--progress json`; a traceback only with `--debug`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.ctx: click.Context | None = None
        self._words = argv[: argv.index("--")] if "--" in argv else argv

    @property
    def debug(self) -> bool:
        return globals_of(self.ctx).debug or "--debug" in self._words or bool(os.environ.get(PREFIX + "DEBUG"))

    @property
    def json(self) -> bool:
        # The words as they stand count, too: the error may be in an option, before all of them are parsed.
        words = " ".join(self._words).replace("--progress=", "--progress ")
        asked = "--progress json" in words or os.environ.get(PREFIX + "PROGRESS") == "json"
        return asked or globals_of(self.ctx).progress == "json"

    def show(self, message: str, details: Sequence[str], hint: str | None, *, code: str, status: int) -> None:
        if self.debug and sys.exc_info()[0] is not None and code != "interrupted":
            _traceback(sys.stderr)
        if self.json:
            import json

            document = {"type": "error", "code": code, "exit_code": status, "message": message}
            if details:
                document["details"] = list(details)
            if hint:
                document["hint"] = hint
            _write(sys.stderr, json.dumps(document))
            return
        _write(sys.stderr, describe(message, details, hint, colour=colours(sys.stderr)))

    def bug(self, bug: BaseException) -> None:
        last = bug.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = (f"at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}",) if last is not None else ()
        self.show(
            f"this is a bug in ociassemble: {type(bug).__name__}: {bug}",
            where,
            "report it, with what `--debug` prints" if not self.debug else "report it, with the traceback above",
            code="bug",
            status=BUG,
        )


def describe(message: str, details: Sequence[str] = (), hint: str | None = None, *, colour: bool = False) -> str:
    """The text of an error: what about what, facts indented, a blank line, what to try."""
    first, *rest = printable(message).splitlines() or [""]
    lines = [_paint("error:", "1;31", colour) + " " + first]
    lines += ["  " + line for text in (*rest, *map(printable, details)) for line in text.splitlines()]
    if hint:
        lines += ["", _paint("hint:", "1;36", colour) + " " + printable(hint)]
    return "\n".join(lines)


def printable(text: str) -> str:
    """`text` without control characters: what servers and archives say must not steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def _escape(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def colours(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: a terminal, and nobody said no (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def _usage(error: click.ClickException, program: str) -> tuple[str, tuple[str, ...], str | None]:
    """Click's words in our form, with the verb whose help is wanted."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else program
    hint = f"`{path} --help` shows what it takes"
    if isinstance(error, UnknownVerb) and error.nearest:
        hint = f"did you mean `{path} {error.nearest}`?"
    message = error.format_message().expandtabs(2).rstrip(".")
    return message[:1].lower() + message[1:], (), hint


def _traceback(stream: TextIO) -> None:
    import traceback

    traceback.print_exc(file=stream)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except (OSError, ValueError):
        pass  # nobody is there to read it; the exit status still says it


def _closed_pipe() -> int:
    _give_up_stdout()
    return CLOSED_PIPE


def _give_up_stdout() -> None:
    """Python flushes its streams once more when it ends; that must not complain either."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nothing, stream.fileno())


class Signalled(SystemExit):
    """A polite request to stop, as an exception: it unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)  # as a shell reports it
        self.status = 128 + number
        self.word = {signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal is gone"}[signal.Signals(number)]


def _end_on_signals() -> None:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Signalled(number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, stop)
