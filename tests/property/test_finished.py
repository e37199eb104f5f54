"""Whatever is edited between two builds: the short way and the whole walk come to one digest, with the same words."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.failure.scene import scene_below
from tests.session.test_finished import UNCHANGED, told

PATHS = ("main.py", "a", "a/b", "pyproject.toml", ".dockerignore", "notes.txt")
CONTENTS = ("", "x", "y", "a\n", "notes.txt\n", '[project]\nname = "x"\n')
EDITS = st.tuples(st.sampled_from(["write", "remove", "mode", "link", "nothing", "nothing"]), st.sampled_from(PATHS),
                  st.sampled_from(CONTENTS))  # fmt: skip


def edit(project: Path, how: str, path: Path, content: str) -> None:
    """One edit; one that cannot be done changes nothing. Times stay what they were: nobody may rely on them."""
    with contextlib.suppress(OSError):
        if how == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        elif how == "remove":
            path.unlink()
        elif how == "mode":
            path.chmod(path.stat().st_mode ^ 0o111)
        elif how == "link":
            path.unlink(missing_ok=True)
            path.symlink_to(content.strip() or "main.py")
    for found in (project, *project.rglob("*")):
        os.utime(found, (1, 1), follow_symlinks=False)


@pytest.mark.spec("WARM-1", "WARM-3", "WARM-6")
@settings(max_examples=8)
@given(st.lists(EDITS, min_size=2, max_size=5))
def test_edits(edits: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, scene_below(Path(folder)) as scene:
        base = scene.registry_base()
        scene.files(main__py="print(1)\n")
        name = f"{scene.serve().host}/app:v1"
        argv = ("build", "project", "-b", base, "--platform", "linux/amd64", "-t", name, "--push")
        scene.run(*argv).worked()
        before = ""
        for how, path, content in edits:
            edit(scene.project, how, scene.project / path, content)
            short = scene.run(*argv)
            whole = scene.run(*argv, "--no-cache")
            assert (short.status, short.out, told(short.err)) == (whole.status, whole.out, told(whole.err))
            if before and how == "nothing" and before == whole.out:
                assert UNCHANGED in short.err
            before = whole.out
