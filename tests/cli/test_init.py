"""`init`: the file it writes loads, and changes nothing until somebody changes it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.failure.scene import Scene

SCHEMA = json.loads((Path(__file__).parents[2] / "specs" / "schema" / "settings.schema.json").read_text("utf-8"))
PACKAGE = {"name": "site", "version": "1.0.0", "scripts": {"start": "node server.js"}}
FOLDERS: dict[str, dict[str, str]] = {
    "python": {"main.py": "print(1)\n"},
    "node": {"package.json": json.dumps(PACKAGE), "server.js": "require('http')\n"},
    "directory": {"index.html": "<h1>hello</h1>\n", '\u00e4 "quoted" \\ name.txt': "x"},
}


@pytest.fixture
def folder(scene: Scene, request: pytest.FixtureRequest) -> Path:
    for name in ("main.py", "ociassemble.toml"):
        (scene.project / name).unlink()
    for name, text in FOLDERS[request.param].items():
        scene.file(name, text)
    return scene.project


def uncommented(text: str) -> str:
    """The file with every example in it switched on."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if " = " in line or line.startswith("[")) + "\n"


@pytest.mark.spec("CLI-13")
@pytest.mark.parametrize("folder", ["python", "directory"], indirect=True)
def test_a_plan_with_the_file_is_the_plan_without(scene: Scene, folder: Path) -> None:
    def plan() -> Any:
        # The kinds' own bases are in no registry here: what is written stands for the base of these tests.
        return json.loads(scene.run("plan", "project", "-q", "-b", "oci:base:v1").worked().out)

    before = plan()
    done = scene.run("init", "project", "-q").worked()

    assert done.out == "project/ociassemble.toml\n"
    assert plan() == before
    written = (folder / "ociassemble.toml").read_text()
    assert sorted(tomllib.loads(written)) == ["base", "kind"]
    assert scene.run("init", "project", "-o", "-", "--force", "-q").worked().out == written


@pytest.mark.spec("CLI-13")
@pytest.mark.parametrize("folder", sorted(FOLDERS), indirect=True)
def test_what_was_recognised_is_written_and_every_example_is_a_setting(scene: Scene, folder: Path) -> None:
    scene.run("init", "project", "-q").worked()
    text = (folder / "ociassemble.toml").read_text()
    kind = tomllib.loads(text)["kind"]
    examples = tomllib.loads(uncommented(text))

    jsonschema.validate(examples, SCHEMA)
    assert {"kind", "base", "platforms", "tags", "ports", "env", "user", "healthcheck"} <= set(examples)
    start = {"python": ["main.py"], "node": ["server.js"], "directory": ["/app/server"]}
    assert FOLDERS[kind]
    assert examples["cmd"] == start[kind]


@pytest.mark.spec("CLI-13")
@pytest.mark.parametrize("folder", ["python"], indirect=True)
def test_nothing_is_written_over(scene: Scene, folder: Path) -> None:
    file = folder / "ociassemble.toml"
    file.write_text('base = "oci:base:v1"\n')
    scene.run("init", "project", "-q").failed(2, "are in `ociassemble.toml` already", hint="--force")
    assert file.read_text() == 'base = "oci:base:v1"\n'
    file.write_text("nonsense")
    scene.run("init", "project", "-q", "--force").worked()
    assert 'base = "distroless/python3"' in file.read_text()

    file.unlink()
    (folder / "pyproject.toml").write_text('[tool.ociassemble]\nuser = "1"\n')
    scene.run("init", "project", "-q", "--force").failed(2, "are in `pyproject.toml` already", hint="edit them there")
    assert not file.exists()


@pytest.mark.spec("CLI-13")
@pytest.mark.parametrize("folder", ["python"], indirect=True)
def test_it_asks_no_server_and_says_what_it_cannot_know(scene: Scene, folder: Path) -> None:
    (folder / "requirements.txt").write_text("flask\n")
    text = (
        scene.run("--offline", "init", "project", "-o", "-", "-q", UV_DEFAULT_INDEX="http://127.0.0.1:1/").worked().out
    )

    assert "decided from the installed packages" in text
    assert tomllib.loads(text) == {"kind": "python", "base": "distroless/python3"}
