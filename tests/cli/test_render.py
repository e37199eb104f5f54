"""Progress for people, for machines and for terminals, from the same events."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ociassemble
from ociassemble.cli.command import Globals
from ociassemble.cli.console import form_of
from ociassemble.cli.render import JsonLines, Plain, Quiet, size
from ociassemble.progress import Progress


def walk(progress: Progress) -> None:
    """One of everything."""
    progress.info("base python3 is example/python3\x1b[1m")
    progress.warn("no network")
    with progress.task("download", "a\x07.whl", 2_000_000) as task:
        task.advance(1_500_000)
        task.advance(500_000)
    with progress.task("upload", "sha256:1234", 10) as task:
        task.outcome = "mounted"
    try:
        with progress.task("layer", "deps"):
            raise ValueError
    except ValueError:
        pass


@pytest.mark.spec("CLI-4")
def test_plain_lines() -> None:
    stream = io.StringIO()
    walk(Progress(Plain(stream)))

    assert stream.getvalue().splitlines() == [
        "base python3 is example/python3\\x1b[1m",
        "warning: no network",
        "download  a\\x07.whl  (2.0 MB)",
        "upload    sha256:1234  (10 B, mounted)",
        "layer     deps  (failed)",
    ]


def small(progress: Progress, kind: str, count: int, outcome: str = "done", each: int = 1000) -> None:
    for number in range(count):
        with progress.task(kind, f"{kind}-{number}", each) as task:
            if outcome == "done":
                task.advance(each)
            task.outcome = outcome


@pytest.mark.spec("CLI-4")
def test_many_small_ones_are_one_line() -> None:
    stream = io.StringIO()
    sink = Plain(stream)
    progress = Progress(sink)
    small(progress, "download", 2)
    with progress.task("download", "large.whl", 2_000_000) as task:
        task.advance(2_000_000)
    small(progress, "download", 60)
    with progress.task("layer", "dependencies"):
        pass
    small(progress, "download", 3)
    progress.info("told")
    small(progress, "upload", 4, "exists", 5_000_000)
    small(progress, "upload", 2)
    small(progress, "layer", 4)
    small(progress, "upload", 5)
    sink.close()

    assert stream.getvalue().splitlines() == [
        "download  large.whl  (2.0 MB)",
        "download  62 files  (62.0 kB)",
        "layer     dependencies",
        "download  download-0  (1.0 kB)",
        "download  download-1  (1.0 kB)",
        "download  download-2  (1.0 kB)",
        "told",
        "upload    4 blobs  (20.0 MB, already there)",
        "upload    upload-0  (1.0 kB)",
        "upload    upload-1  (1.0 kB)",
        "layer     layer-0  (1.0 kB)",
        "layer     layer-1  (1.0 kB)",
        "layer     layer-2  (1.0 kB)",
        "layer     layer-3  (1.0 kB)",
        "upload    5 blobs  (5.0 kB)",
    ]


@pytest.mark.spec("CLI-4", "CLI-5")
def test_details_are_for_those_who_ask() -> None:
    shown = []
    for make in (Plain, lambda stream: Plain(stream, verbose=True), Quiet, JsonLines):
        stream = io.StringIO()
        Progress(make(stream)).detail("layers: gzip")
        shown.append(stream.getvalue())

    assert shown[:3] == ["", "layers: gzip\n", ""]
    assert json.loads(shown[3]) == {"type": "note", "level": "detail", "text": "layers: gzip"}


@pytest.mark.spec("CLI-4")
def test_a_failure_among_small_ones_is_told_at_once() -> None:
    stream = io.StringIO()
    progress = Progress(Plain(stream))
    small(progress, "download", 4)
    with pytest.raises(ValueError), progress.task("download", "bad.whl", 1000):
        raise ValueError

    assert stream.getvalue() == "download  bad.whl  (failed)\n"


@pytest.mark.spec("CLI-5")
def test_json_lines_have_every_small_one() -> None:
    stream = io.StringIO()
    progress = Progress(JsonLines(stream))
    small(progress, "download", 60)
    progress.warn("again")
    progress.warn("again")
    kinds = [json.loads(line)["type"] for line in stream.getvalue().splitlines()]

    assert (kinds.count("started"), kinds.count("finished"), kinds.count("note")) == (60, 60, 2)


@pytest.mark.spec("CLI-4")
@pytest.mark.parametrize("kind", [Plain, Quiet])
def test_a_warning_is_told_once(kind: type[Plain]) -> None:
    stream = io.StringIO()
    progress = Progress(kind(stream))
    for _ in range(2):
        progress.warn("mind this")
        progress.warn("and that")

    assert stream.getvalue() == "warning: mind this\nwarning: and that\n"


@pytest.mark.spec("CLI-4")
def test_quiet_leaves_warnings() -> None:
    stream = io.StringIO()
    walk(Progress(Quiet(stream)))

    assert stream.getvalue() == "warning: no network\n"


@pytest.mark.spec("CLI-5")
def test_json_lines() -> None:
    stream = io.StringIO()
    walk(Progress(JsonLines(stream)))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert events[0] == {"type": "note", "level": "info", "text": "base python3 is example/python3\x1b[1m"}
    started = {"type": "started", "task": 1, "kind": "download", "label": "a\x07.whl", "total": 2_000_000}
    assert started in events
    assert {"type": "finished", "task": 1, "outcome": "done", "done": 2_000_000} in events
    assert {"type": "finished", "task": 3, "outcome": "failed", "done": 0} in events


@pytest.mark.parametrize("kind", [Plain, Quiet, JsonLines])
def test_a_stream_that_is_gone_does_not_stop_the_work(kind: type[Plain]) -> None:
    stream = io.StringIO()
    stream.close()
    walk(Progress(kind(stream)))


def test_threads_do_not_tear_lines() -> None:
    stream = io.StringIO()
    progress = Progress(Plain(stream))

    def work(number: int) -> None:
        for _ in range(200):
            with progress.task("layer", f"n{number}", 1) as task:
                task.advance(1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(set(stream.getvalue().splitlines())) == [f"layer     n{number}  (1 B)" for number in range(4)]
    assert len(stream.getvalue().splitlines()) == 800


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_499, "99.5 kB"), (99_600, "100 kB"), (123_456, "123 kB"),
        (999_499, "999 kB"), (999_500, "1.0 MB"), (5_000_000_000, "5.0 GB"), (5_000_000_000_000, "5000 GB"),
    ],
)  # fmt: skip
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.spec("CLI-4")
@pytest.mark.parametrize(
    ("options", "terminal", "term", "form"),
    [
        (Globals(), True, "xterm", "tty"),
        (Globals(), False, "xterm", "plain"),
        (Globals(), True, "dumb", "plain"),
        (Globals(quiet=True), True, "xterm", "quiet"),
        (Globals(quiet=True, progress="json"), True, "xterm", "json"),
        (Globals(progress="plain"), True, "xterm", "plain"),
        (Globals(progress="tty"), False, "xterm", "tty"),
    ],
)
def test_the_form(options: Globals, terminal: bool, term: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)

    assert form_of(options, terminal=terminal) == form


@pytest.mark.spec("CLI-4", "ERR-7")
@pytest.mark.parametrize("no_color", ["", "1"])
def test_bars_on_a_terminal(no_color: str) -> None:
    """A real pseudo-terminal: bars come and go, finished tasks stay as lines, nothing is left running."""
    script = (
        f"import sys, time; sys.path.insert(0, {str(Path(ociassemble.__file__).parent.parent)!r})\n"
        "import threading\nfrom ociassemble.cli.bars import Bars\nfrom ociassemble.progress import Progress\n"
        "with Bars(sys.stderr) as bars:\n"
        "    p = Progress(bars); p.warn('mind [bold]this[/bold]'); p.info('chosen :smile:')\n"
        "    with p.task('download', 'flask[async].whl', 1000000) as t:\n"
        "        for _ in range(10): t.advance(100000); time.sleep(0.04)\n"
        "        assert threading.active_count() == 1  # or layers would not be written by processes\n"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": no_color}
    process = subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        said += block
    os.close(ours)
    assert process.wait(30) == 0
    text = said.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    assert "warning: mind [bold]this[/bold]" in plain
    assert "chosen :smile:" in plain
    assert re.search(r"download  flask\[async\]\.whl  \(1\.0 MB, [0-9.]+ s\)", plain)
    assert "\x1b[?25h" in text  # the cursor is shown again
    coloured = re.search(r"\x1b\[[0-9;]*3[0-9]", text) is not None
    assert coloured == (not no_color)
