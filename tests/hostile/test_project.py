"""Projects that try to run programs of theirs, to hang, or to end in a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ociassemble.errors import ProjectError
from ociassemble.layer import _wheel_metadata as metadata
from ociassemble.layer.wheel import WheelError, WheelNameError, wheel_name
from ociassemble.lock.application import read_lock
from ociassemble.plan.lock import LockFormatError
from ociassemble.project import reading
from ociassemble.session.created import stated_time
from ociassemble.session.request import BuildRequest

DIGITS = "9" * 5000


def git(folder: Path, *words: str, text: str = "") -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_repository_cannot_have_git_run_its_programs(tmp_path: Path) -> None:
    """`log.showSignature` and `gpg.program` in .git/config, over a commit that seems signed."""
    program, ran = tmp_path / "program", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    app = tmp_path / "app"
    app.mkdir()
    git(app, "init", "-q")
    git(app, "commit", "-q", "--allow-empty", "-m", "x")
    head, _, body = git(app, "cat-file", "commit", "HEAD").partition("\n\n")
    signed = head + "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n aaaa\n -----END PGP SIGNATURE-----\n\n" + body
    git(app, "update-ref", "HEAD", git(app, "hash-object", "-t", "commit", "-w", "--stdin", text=signed).strip())
    git(app, "config", "log.showSignature", "true")
    git(app, "config", "gpg.program", str(program))
    when, origin = stated_time(BuildRequest(application=app, created="git"), os.environ)
    assert when and origin == "the time of the last commit"
    assert not ran.exists()
    git(app, "log", "-1", "--format=%ct")
    assert ran.exists(), "git as it is would have run it"


def test_pipes_in_place_of_files_do_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "app").mkdir()
    with pytest.raises(LockFormatError, match="is not a file"):
        read_lock(pipe)
    with pytest.raises(ProjectError, match="is not a file"):
        reading.read(tmp_path / "app", ignorefile=pipe)


def test_versions_of_thousands_of_digits() -> None:
    for name in (f"x-{DIGITS}-py3-none-any.whl", f"x-1-{DIGITS}-py3-none-any.whl"):
        with pytest.raises(WheelNameError):
            wheel_name(name)
    text = f"Metadata-Version: 2.1\nName: x\nVersion: {DIGITS}\n".encode()
    with pytest.raises(WheelError):
        metadata.check_identity(text, wheel_name("x-1-py3-none-any.whl"), "the wheel")
