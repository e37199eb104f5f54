"""Every error the package can raise has a code of its own in its family, an exit status, and a place in the specs.

`python -m tests.test_errors` writes the table of codes of specs/behaviour/errors.md anew.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import pkgutil
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ociassemble
from ociassemble import errors
from ociassemble.cli.failure import describe, printable
from ociassemble.errors import Error
from tests.spec_tables import BEHAVIOUR

DOCUMENT = BEHAVIOUR / "errors.md"
_TABLE = re.compile(r"(?<=<!-- codes -->\n).*(?=<!-- end of codes -->)", re.DOTALL)
_FAMILIES = {item.code: item for item in vars(errors).values() if isinstance(item, type) and item.__bases__ == (Error,)}


def classes() -> list[type[Error]]:
    """All subclasses of `Error` in all modules of the package, in the order of their codes."""
    for module in pkgutil.walk_packages(ociassemble.__path__, "ociassemble."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {item for item in _below(Error) if item.__module__.startswith("ociassemble.")}
    return sorted(found, key=lambda item: (item.exit_code, item.code, item.__module__))


def _below(parent: type[Error]) -> Iterator[type[Error]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)


def table() -> str:
    """The table of codes, from the classes' own words."""
    rows = ["| code | exit status | meaning |", "|---|---|---|"]
    for item in classes():
        first = re.split(r"\n\s*\n", (item.__doc__ or "").strip())[0]
        meaning = " ".join(first.split()).rstrip(".").replace("|", "\\|")
        rows.append(f"| `{item.code}` | {item.exit_code} | {meaning} |")
    return "\n".join(rows) + "\n"


@pytest.mark.spec("ERR-1")
def test_codes_are_unique() -> None:
    owners: dict[str, list[str]] = {}
    for item in classes():
        owners.setdefault(item.code, []).append(f"{item.__module__}.{item.__name__}")

    assert {code: names for code, names in owners.items() if len(names) > 1} == {}


@pytest.mark.spec("ERR-1")
def test_each_class_has_its_own_code_below_its_familys() -> None:
    wrong = []
    for item in classes():
        parent = next(base for base in item.__mro__[1:] if issubclass(base, Error))
        family = next((base for base in item.__mro__ if base in _FAMILIES.values()), item)
        own = "code" in vars(item) and re.fullmatch(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", item.code)
        below = item is family or item.code.startswith(family.code + ".")
        if not own or not below or item.exit_code != family.exit_code or (parent is Error and item is not family):
            wrong.append(f"{item.__module__}.{item.__name__}: {item.code} ({item.exit_code})")

    assert wrong == []


@pytest.mark.spec("ERR-1")
def test_the_families_are_the_documented_ones() -> None:
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)

    assert {code: int(status) for status, code in rows} == {
        "error": 1,
        **{code: item.exit_code for code, item in _FAMILIES.items()},
    }


@pytest.mark.spec("ERR-1")
def test_every_code_is_documented() -> None:
    found = _TABLE.search(DOCUMENT.read_text("utf-8"))

    assert found is not None
    assert found.group() == table(), "run `python -m tests.test_errors`"


def test_an_error_can_be_copied_between_processes() -> None:
    error = errors.NotFoundError("no such image `x`", hint="look", details=["a", "b"])
    copy = pickle.loads(pickle.dumps(error))

    assert (str(copy), copy.hint, copy.details) == ("no such image `x`", "look", ("a", "b"))


# --- how they look -------------------------------------------------------------------------------------------


@pytest.mark.spec("ERR-2")
def test_message_details_hint() -> None:
    text = describe("base image `x` has no linux/arm/v7 variant", ["available: linux/amd64"], "choose another")

    assert text == (
        "error: base image `x` has no linux/arm/v7 variant\n  available: linux/amd64\n\nhint: choose another"
    )
    assert describe("only this") == "error: only this"
    assert describe("first\nsecond") == "error: first\n  second"


@pytest.mark.spec("ERR-6")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
        ("caf\u00e9 \u4f60\u597d", "caf\u00e9 \u4f60\u597d"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_nothing_steers_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert "\x1b" not in describe(text, [text], text)


def run(code: str, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line with one more verb, `try`, whose body is `code`."""
    return subprocess.run(
        [sys.executable, "-c", program(code), *argv],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def program(code: str) -> str:
    body = "\n".join("    " + line for line in code.splitlines())
    return (
        f"import sys; sys.path.insert(0, {str(Path(ociassemble.__file__).parent.parent)!r})\n"
        "import click, types, ociassemble.cli\n"
        "from ociassemble.cli import verbs, command\n"
        "@click.command('try', cls=command.Command)\n@click.pass_context\n"
        f"def attempt(ctx):\n{body}\n"
        "sys.modules['ociassemble.cli.attempt'] = types.SimpleNamespace(attempt=attempt)\n"
        "verbs.VERBS['try'] = verbs.Verb('attempt', 'attempt', 'Try.')\n"
        "sys.exit(ociassemble.cli.main(['try', *sys.argv[1:]]))\n"
    )


RAISE = "from ociassemble.errors import PolicyError\nraise PolicyError('no \\x1b[1m', details=['a'], hint='b')"


@pytest.mark.spec("ERR-1", "ERR-2", "ERR-7")
def test_an_error_ends_the_run_with_its_familys_status() -> None:
    done = run(RAISE)

    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr == "error: no \\x1b[1m\n  a\n\nhint: b\n"


@pytest.mark.spec("ERR-3")
@pytest.mark.parametrize("argv", [["--progress", "json"], ["--progress=json"]])
def test_an_error_as_json(argv: list[str]) -> None:
    done = run(RAISE, *argv)

    assert json.loads(done.stderr) == {
        "type": "error", "code": "policy", "exit_code": 8, "message": "no \x1b[1m", "details": ["a"], "hint": "b",
    }  # fmt: skip
    assert json.loads(run(RAISE, OCIASSEMBLE_PROGRESS="json").stderr)["code"] == "policy"
    assert json.loads(run(RAISE, "--nonsense", *argv).stderr)["code"] == "usage"


@pytest.mark.spec("ERR-4")
def test_a_bug_is_called_one() -> None:
    done = run("{}['key']")

    assert done.returncode == 1
    assert done.stderr.startswith("error: this is a bug in ociassemble: KeyError: 'key'\n  at ")
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("{}['key']", "--debug").stderr
    assert "Traceback" in run("{}['key']", OCIASSEMBLE_DEBUG="1").stderr


@pytest.mark.spec("ERR-4")
@pytest.mark.parametrize(
    "code",
    ["raise MemoryError", "raise EOFError", "def f(): f()\nf()", "raise UnicodeDecodeError('a', b'', 0, 0, '')"],
)
def test_no_exception_gives_a_traceback(code: str) -> None:
    done = run(code)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "this is a bug" in done.stderr


@pytest.mark.spec("ERR-5")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cleans_up_and_has_its_status(tmp_path: Path, number: signal.Signals, status: int) -> None:
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    code = (
        "import pathlib, time\ntry:\n"
        f"    pathlib.Path({str(ready)!r}).touch(); time.sleep(60)\n"
        f"finally:\n    pathlib.Path({str(cleaned)!r}).touch()"
    )
    process = subprocess.Popen([sys.executable, "-c", program(code)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)

    assert process.returncode == status
    assert cleaned.exists()
    assert b"Traceback" not in said


@pytest.mark.spec("ERR-5")
def test_a_closed_stdout_is_quiet() -> None:
    code = (
        "from ociassemble.cli.console import console\n"
        "with console(ctx) as out:\n    for n in range(100000): out.result('x' * 80)"
    )
    process = subprocess.Popen([sys.executable, "-c", program(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert (process.wait(30), said) == (141, b"")


if __name__ == "__main__":
    DOCUMENT.write_text(_TABLE.sub(lambda _: table(), DOCUMENT.read_text("utf-8")), "utf-8")
