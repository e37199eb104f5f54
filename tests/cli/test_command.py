"""What every verb shares: global options before and after it, the environment, the table of verbs."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import ociassemble.cli
from ociassemble.cli.command import Command, Globals, Group, globals_of, root
from ociassemble.cli.console import console
from ociassemble.cli.verbs import VERBS, Verb

Run = Callable[..., tuple[int, Globals, dict[str, Any]]]


def is_group(name: str) -> bool:
    return isinstance(root.get_command(click.Context(root), name), Group)


def group_of(name: str) -> Group:
    found = root.get_command(click.Context(root), name)
    assert isinstance(found, Group)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `ociassemble try`, a verb with a few options; gives status, global options, and its own values."""
    seen: list[tuple[Globals, dict[str, Any]]] = []

    @click.command("try", cls=Command)
    @click.option("-t", "--tag", multiple=True)
    @click.option("--push/--no-push", default=False)
    @click.option("--source-date-epoch")
    @click.option("-w")
    @click.argument("words", nargs=-1)
    @click.pass_context
    def attempt(ctx: click.Context, **values: Any) -> None:
        seen.append((globals_of(ctx), values))
        with console(ctx) as out:
            out.progress.info("a decision")
            out.result("the result")

    monkeypatch.setitem(sys.modules, "ociassemble.cli.attempt", types.SimpleNamespace(attempt=attempt))  # type: ignore[arg-type]
    monkeypatch.setitem(VERBS, "try", Verb("attempt", "attempt", "Try."))

    def runner(*argv: str) -> tuple[int, Globals, dict[str, Any]]:
        seen.clear()
        status = ociassemble.cli.main(argv)
        return (status, *seen[-1]) if seen else (status, Globals(), {})

    yield runner


def test_defaults(run: Run) -> None:
    assert run("try")[1] == Globals()


@pytest.mark.spec("CLI-1")
def test_global_options_stand_before_the_verb_or_after_it(run: Run, tmp_path: Path) -> None:
    before = run("--offline", "--cache-dir", str(tmp_path), "-j", "3", "try")[1]
    after = run("try", "--offline", "--cache-dir", str(tmp_path), "-j", "3")[1]

    assert before == after == Globals(offline=True, cache_dir=tmp_path, jobs=3)


@pytest.mark.spec("CLI-1")
def test_after_the_verb_wins_and_repeatable_ones_add_up(run: Run) -> None:
    found = run("-j", "2", "--registry-mirror", "a=b", "-v", "try", "-j", "5", "--registry-mirror", "c=d", "-v", "-v")[
        1
    ]

    assert (found.jobs, found.registry_mirror, found.verbose) == (5, ("a=b", "c=d"), 3)


@pytest.mark.spec("CLI-2")
def test_long_options_have_a_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIASSEMBLE_TAG", "one two")
    monkeypatch.setenv("OCIASSEMBLE_PUSH", "true")
    monkeypatch.setenv("OCIASSEMBLE_SOURCE_DATE_EPOCH", "5")
    monkeypatch.setenv("OCIASSEMBLE_JOBS", "4")
    monkeypatch.setenv("OCIASSEMBLE_PROGRESS", "")
    monkeypatch.setenv("OCIASSEMBLE_W", "no")
    _, options, values = run("try")

    assert (options.jobs, options.progress) == (4, "auto")
    assert values == {"tag": ("one", "two"), "push": True, "source_date_epoch": "5", "w": None, "words": ()}


@pytest.mark.spec("CLI-2")
def test_the_command_line_wins_over_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIASSEMBLE_TAG", "one")
    monkeypatch.setenv("OCIASSEMBLE_PUSH", "true")
    monkeypatch.setenv("OCIASSEMBLE_JOBS", "4")
    _, options, values = run("try", "-t", "two", "--no-push", "--jobs", "1")

    assert (options.jobs, values["tag"], values["push"]) == (1, ("two",), False)


@pytest.mark.spec("CLI-2")
def test_a_wrong_value_in_the_environment_is_a_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIASSEMBLE_JOBS", "many")

    assert run("try")[0] == 2


@pytest.mark.spec("CLI-3")
def test_stdout_is_the_result(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("try")[0] == 0
    assert capsys.readouterr() == ("the result\n", "a decision\n")
    assert run("-q", "try")[0] == 0
    assert capsys.readouterr() == ("the result\n", "")


@pytest.mark.spec("CLI-6")
def test_a_wrong_verb(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completoin")[0] == 2
    assert "did you mean `ociassemble completion`?" in capsys.readouterr().err
    assert run("zzzzzzzz")[0] == 2
    assert "`ociassemble --help` shows" in capsys.readouterr().err


@pytest.mark.spec("CLI-6")
@pytest.mark.parametrize("group", [name for name in root.list_commands(click.Context(root)) if is_group(name)])
def test_a_wrong_verb_of_a_verb(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    verbs = group_of(group).commands
    for name in verbs:
        wrong = name[:-1]
        assert ociassemble.cli.main(["--offline", group, wrong]) == 2
        err = capsys.readouterr().err
        assert f"error: there is no verb `{group} {wrong}`\n" in err
        assert f"hint: did you mean `ociassemble {group} {name}`?" in err
    assert ociassemble.cli.main([group, "zzzzzzzz"]) == 2
    assert f"hint: `ociassemble {group} --help` shows" in capsys.readouterr().err
    assert ociassemble.cli.main([group, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: ociassemble {group} [OPTIONS] VERB ...") and "\nVerbs:\n" in out
    assert all(f"\n  {name} " in out for name in verbs)


@pytest.mark.spec("CLI-6")
def test_no_verb_is_help_and_a_usage_error(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run()[0] == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: ociassemble")
    assert run("--help")[0] == 0
    assert capsys.readouterr().out == err


def test_a_global_option_has_one_spelling() -> None:
    names = [name for param in root.params for name in param.opts]

    assert len(names) == len(set(names))


@pytest.mark.spec("CLI-7")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ociassemble.cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_OCIASSEMBLE_COMPLETE={shell}_complete" in script


@pytest.mark.spec("CLI-7")
def test_completing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_OCIASSEMBLE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ociassemble completion z")
    monkeypatch.setenv("COMP_CWORD", "2")
    ociassemble.cli.main([])

    assert capsys.readouterr().out.split() == ["plain,zsh"]
