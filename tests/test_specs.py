"""The specifications are executable: ids and the tests that cite them, tables of cases, console blocks.

A console block of specs/cli/ runs in a temporary folder of its document: `$ ociassemble ...` lines, what they print
(stdout and stderr in one), and `[exit N]` where the status is not 0. `...` is any text: on a line of its own, any
number of lines. Other programs a block may use: `mkdir`, `printf`, `cat`, `ls`, `rm`, `cmp`, `curl`. One `|` feeds
a command with what another prints; one that ends in `&` runs until its document ends, and the next waits for its first
line.

`<!-- setup: base registry -->` names functions of tests/spec_setups.py that provide what a document stands on: files in
its folder, variables, and names that stand for others (`127.0.0.1:5000` for the port that a registry has here).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.spec_setups import Setup, prepare
from tests.spec_tables import SPECS, Block, Command, blocks, cases, sentences, tables

TESTS = Path(__file__).parent
OTHERS = frozenset({"mkdir", "printf", "cat", "ls", "rm", "cmp", "curl"})

# Sentences that no test cites yet. The list may only shrink: a new sentence comes with its test.
NOT_COVERED: frozenset[str] = frozenset()


@functools.cache
def cited() -> dict[str, list[str]]:
    """Every id in a `@pytest.mark.spec(...)` below tests/, with the files that cite it; read, not imported."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        source = path.read_text("utf-8")
        if "mark.spec" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "spec":
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        found.setdefault(argument.value, []).append(path.relative_to(TESTS).as_posix())
    return found


def test_an_id_is_given_once() -> None:
    twice = {number for number, count in Counter(number for number, _ in sentences()).items() if count > 1}

    assert not twice


def test_every_id_that_a_test_cites_exists() -> None:
    known = {number for number, _ in sentences()}
    unknown = {number: files for number, files in cited().items() if number not in known}

    assert not unknown


def test_every_sentence_is_cited_by_a_test() -> None:
    without = {number: file for number, file in sentences() if number not in cited()}

    assert set(without) - NOT_COVERED == set(), "cite them with @pytest.mark.spec"
    assert NOT_COVERED - set(without) == set(), "covered by now, or gone: take them off the list"


@pytest.mark.parametrize(("file", "name"), tables())
def test_every_table_can_be_read_and_is_run_by_a_test(file: str, name: str) -> None:
    assert cases(file, name)
    wanted = re.compile(rf"cases\(\s*\"{re.escape(file)}\",\s*\"{re.escape(name)}\"")
    users = [path for path in TESTS.rglob("test_*.py") if wanted.search(path.read_text("utf-8"))]

    assert users, f'no test calls cases("{file}", "{name}")'


def expected_pattern(lines: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for the output: `...` in a line is any text of one line, on its own any number of lines."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(
                ".*".join(re.escape(part.rstrip() if last else part) for part, last in _pieces(line)) + r"[ ]*\n"
            )
    return re.compile("".join(parts))


def _pieces(line: str) -> list[tuple[str, bool]]:
    pieces = line.split("...")
    return [(piece, number == len(pieces) - 1) for number, piece in enumerate(pieces)]


def run_command(command: Command, folder: Path, setup: Setup) -> tuple[int, str]:
    words = [setup.real(word) for word in shlex.split(command.text)]
    target, given = None, None
    if len(words) > 2 and words[-2] == ">":
        target = folder / words[-1]
        words = words[:-2]
    if words[-1] == "&":
        start_command(command, words[:-1], folder, setup)
        return 0, ""
    if "|" in words:
        first, words = words[: words.index("|")], words[words.index("|") + 1 :]
        given = run_words(command, first, folder, setup, None).stdout
    done = run_words(command, words, folder, setup, given)
    if target is not None:
        target.write_text(done.stdout)
        return done.returncode, ""
    return done.returncode, setup.written(done.stdout)


def program(command: Command, words: list[str], setup: Setup) -> tuple[list[str], dict[str, str]]:
    """What is started, and its environment."""
    environment = {**os.environ, **setup.environment, "PYTHONPATH": str(SPECS.parent), "COLUMNS": "100"}
    words = list(words)
    while words and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if words[0] == "ociassemble":
        words[:1] = [sys.executable, "-m", "ociassemble"]
    else:
        assert words[0] in OTHERS, f"line {command.line}: `{words[0]}` is not run here"
    return words, environment


def run_words(
    command: Command, words: list[str], folder: Path, setup: Setup, given: str | None
) -> subprocess.CompletedProcess[str]:
    argv, environment = program(command, words, setup)
    source: dict[str, object] = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
    return subprocess.run(
        argv, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False, **source,
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


def start_command(command: Command, words: list[str], folder: Path, setup: Setup) -> None:
    """In the background until the document ends; returns when it has said something, or has ended."""
    argv, environment = program(command, words, setup)
    said = folder / f".line-{command.line}"
    with said.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    setup.stack.callback(end, process)
    deadline = time.monotonic() + 60
    while not said.stat().st_size and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert said.stat().st_size, f"line {command.line}: nothing was said: {process.poll()}"


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def documents() -> list[object]:
    """One test for each document of specs/cli/; marks of its blocks (`packages`, `interop`) are the test's."""
    found: list[object] = []
    for path in sorted((SPECS / "cli").glob("*.md")):
        words = {word for block in blocks(path) for word in block.words}
        marks = [getattr(pytest.mark, word) for word in sorted(words & {"packages", "interop", "long"})]
        found.append(pytest.param(path, marks=marks, id=path.stem))
    return found


@pytest.mark.parametrize("path", documents())
def test_the_console_blocks_of_the_command_line(path: Path, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        setup = prepare(path.read_text("utf-8"), tmp_path, stack)
        for block in blocks(path):
            if block.file:
                write(block, tmp_path)
            for command in block.commands:
                status, said = run_command(command, tmp_path, setup)
                shown = f"{path.name}:{command.line}: $ {command.text}\n{said}[exit {status}]"
                if said and not said.endswith("\n"):
                    said += "\n"
                assert expected_pattern(command.output).fullmatch(said), shown
                assert status == command.status, shown


def write(block: Block, folder: Path) -> None:
    target = folder / block.file
    assert target.resolve().is_relative_to(folder.resolve())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(block.content)


@pytest.mark.parametrize(
    ("lines", "output", "matches"),
    [
        (("a",), "a\n", True),
        (("a",), "b\n", False),
        (("a",), "a\nb\n", False),
        (("a", "..."), "a\nb\nc\n", True),
        (("...", "c"), "a\nb\nc\n", True),
        (("a ... c",), "a b c\n", True),
        (("a ... c",), "a b\nc\n", False),
        (("x...",), "x\n", True),
        ((), "", True),
        ((), "a\n", False),
        (("a", "", "b"), "a\n\nb\n", True),
    ],
)
def test_wildcards(lines: tuple[str, ...], output: str, matches: bool) -> None:
    assert bool(expected_pattern(lines).fullmatch(output)) is matches


def test_a_console_block_is_read(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "# One\n\n```toml file=a/b.toml\nx = 1\n```\n\n## Two\n\n```console packages\n$ ociassemble a \\\n> b\nout\n"
        "\nmore\n$ ociassemble c\n[exit 2]\n```\n```\nignored\n```\n"
    )
    file, console = blocks(document)

    assert (file.file, file.content) == ("a/b.toml", "x = 1\n")
    assert console.name == "Two"
    assert console.words == ("packages",)
    assert [(c.text, c.output, c.status) for c in console.commands] == [
        ("ociassemble a b", ("out", "", "more"), 0),
        ("ociassemble c", (), 2),
    ]
