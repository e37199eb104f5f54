"""The examples are planned as their READMEs say, and name no registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ociassemble.kinds.python.kind import Python
from ociassemble.kinds.registry import choose
from ociassemble.project import reading, settings
from tests.kinds.python import samples

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("name", "packages", "cmd", "form"),
    [
        (
            "python-flask",
            "flask gunicorn",
            ("-m", "gunicorn", "--worker-tmp-dir", "/dev/shm", "app:app"),
            "requirements",
        ),
        ("python-fastapi", "fastapi uvicorn", None, "uv.lock"),
        ("python-plain", "", ("main.py",), None),
    ],
)
def test_python_examples(name: str, packages: str, cmd: tuple[str, ...] | None, form: str | None) -> None:
    project, stated = reading.read(EXAMPLES / name), settings.load(EXAMPLES / name)
    kind, _ = choose(project, "auto")
    assert isinstance(kind, Python)
    request = kind.request(project, stated, samples.distroless())
    assert (request.form if request is not None else None) == form
    config = kind.plan(project, stated, samples.distroless(), samples.packages(*packages.split())).config
    assert config.entrypoint == ("/usr/bin/python3.13",)
    assert config.cmd == cmd or (cmd is None and "'main:app'" in (config.cmd or ("", ""))[1])
    assert config.ports == (("8080/tcp",) if packages else ())  # the plain one says so in its settings
    assert stated.ports == (() if packages else ("8080/tcp",))


def test_the_folder_example_is_just_a_folder() -> None:
    project = reading.read(EXAMPLES / "directory")
    assert choose(project, "auto")[0].name == "directory"
    assert [file.path for file in project.files if file.kind == "file"] == ["assets/style.css", "index.html"]


def test_no_example_names_a_registry() -> None:
    allowed = re.compile(r"https?://(registry\.example|127\.0\.0\.1|localhost|\{)")
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and path.suffix in (".lock", ".toml", ".txt", ".in", ".md", ".json"):
            for url in re.findall(r"https?://[^\s\"')]+", path.read_text("utf-8")):
                assert allowed.match(url), f"{path.relative_to(EXAMPLES)}: {url}"
