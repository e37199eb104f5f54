"""What git says of a folder, where it was asked: and that a repository makes it run nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ociassemble.errors import ToolError
from ociassemble.progress import Event, Note, Progress
from ociassemble.session.git import read_git

REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "main.py").write_text("print(1)\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@registry.example", "commit", "-q", "-m", "one")
    return folder


def git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def asked(folder: Path) -> tuple[dict[str, str], list[str]]:
    notes: list[str] = []

    def sink(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(f"{event.level}: {event.text}")

    return read_git(folder, dict(os.environ), Progress(sink)), notes


@pytest.mark.spec("MERGE-13")
def test_the_last_commit_and_the_remote(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://user:sesame@git.registry.example/team/app.git")
    found, notes = asked(repository)

    assert found == {REVISION: git(repository, "rev-parse", "HEAD"), SOURCE: "https://git.registry.example/team/app"}
    assert len(notes) == 1
    assert found[REVISION] in notes[0]
    assert "sesame" not in notes[0]


@pytest.mark.spec("MERGE-13")
def test_a_changed_file_is_said(repository: Path) -> None:
    (repository / "main.py").write_text("print(2)\n")
    found, notes = asked(repository)

    assert found == {REVISION: git(repository, "rev-parse", "HEAD") + "-dirty"}
    assert notes[0].startswith("warning: files differ from the last commit (`main.py`)")


@pytest.mark.spec("MERGE-13")
def test_new_files_and_touched_ones_are_no_difference(repository: Path) -> None:
    (repository / "new.txt").write_text("x")
    os.utime(repository / "main.py", (1, 1))

    assert "-dirty" not in asked(repository)[0][REVISION]


@pytest.mark.spec("MERGE-13")
def test_a_path_of_this_host_is_no_source(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "/srv/git/app")

    assert SOURCE not in asked(repository)[0]


@pytest.mark.spec("MERGE-13")
def test_a_repository_makes_git_run_nothing(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=trap diff=trap\n")
    git(repository, "add", ".gitattributes")
    git(repository, "-c", "user.name=x", "-c", "user.email=x@registry.example", "commit", "-q", "-m", "two")
    for name in (
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "core.fsmonitor",
        "diff.trap.textconv",
    ):
        git(repository, "config", name, str(program))
    (repository / "main.py").write_text("print(3)\n")
    os.utime(repository / "main.py", (1, 1))
    found, _ = asked(repository)

    assert found[REVISION].endswith("-dirty")
    assert not trap.exists()


@pytest.mark.spec("MERGE-13")
def test_no_repository_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ToolError, match="git"):
        asked(tmp_path)
