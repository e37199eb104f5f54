"""Which process of a Procfile is the application."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.errors import ProjectError
from ociassemble.project import procfile, reading
from ociassemble.project.procfile import Process


class NoneError(ProjectError):
    code = "project.test"


def chosen(folder: Path, text: str) -> Process | None:
    (folder / "Procfile").write_text(text)
    return procfile.read(reading.read(folder), "Procfile", NoneError)


@pytest.mark.spec("PY-23")
@pytest.mark.spec("NODE-24")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: a b\n", ("web", "a b")),
        ("worker: x\r\nweb:  a b \r\n", ("web", "a b")),
        ("worker: x\n", ("worker", "x")),
        ("release: migrate\nworker: x\n# web: y\n", ("worker", "x")),
        ("web: first\nweb: second\n", ("web", "first")),
    ],
)
def test_web_or_the_only_one(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    assert chosen(tmp_path, text) == expected


@pytest.mark.parametrize("text", ["", "web:\n", "release: x\n", "a: x\nb: y\n"])
def test_where_nobody_can_tell(tmp_path: Path, text: str) -> None:
    with pytest.raises(NoneError, match="has no `web` process") as caught:
        chosen(tmp_path, text)
    assert caught.value.hint


def test_without_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert procfile.read(reading.read(tmp_path), "Procfile", NoneError) is None
