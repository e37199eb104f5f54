"""What an application says of itself, as annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.project.metadata import describe, public, repository
from ociassemble.project.reading import read
from ociassemble.project.settings import PythonSettings, Settings

PREFIX = "org.opencontainers.image."
PYPROJECT = """
[project]
name = "demo-app"
version = "1.2"
description = "Does\\n  things"
license = "MIT OR Apache-2.0"
authors = [{ name = "A. Person", email = "a@registry.example" }]
[project.urls]
Homepage = "https://user:secret@www.registry.example/x?y=1"
"Source Code" = "git@git.registry.example:team/demo.git"
Docs = "https://docs.registry.example/"
Changelog = "https://registry.example/changes"
"""


def said(folder: Path, kind: str, settings: Settings = Settings(), **files: str) -> dict[str, str]:  # noqa: B008
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = describe(read(folder), kind, settings)
    assert all(key.startswith(PREFIX) for key in found)
    return {key.removeprefix(PREFIX): value for key, value in found.items()}


@pytest.mark.spec("MERGE-12")
def test_pyproject(tmp_path: Path) -> None:
    assert said(tmp_path, "python", pyproject_toml=PYPROJECT) == {
        "description": "Does things",
        "documentation": "https://docs.registry.example/",
        "licenses": "MIT OR Apache-2.0",
        "source": "https://git.registry.example/team/demo",
        "title": "demo-app",
        "url": "https://www.registry.example/x?y=1",
        "version": "1.2",
    }


@pytest.mark.spec("MERGE-12")
def test_package_json(tmp_path: Path) -> None:
    document = {
        "name": "@team/demo",
        "version": "1.0.0",
        "description": "Serves",
        "license": "ISC",
        "homepage": "https://registry.example/#readme",
        "repository": {"type": "git", "url": "git+https://token@git.registry.example/team/demo.git"},
        "author": "A. Person <a@registry.example>",
    }
    assert said(tmp_path, "node", package_json=json.dumps(document)) == {
        "title": "@team/demo",
        "version": "1.0.0",
        "description": "Serves",
        "licenses": "ISC",
        "url": "https://registry.example/#readme",
        "source": "https://git.registry.example/team/demo",
    }


@pytest.mark.spec("MERGE-12")
def test_the_kind_decides_which_file_is_asked(tmp_path: Path) -> None:
    files = {"pyproject_toml": PYPROJECT, "package_json": '{"name": "site"}'}

    assert said(tmp_path, "node", **files) == {"title": "site"}
    assert said(tmp_path, "directory") == {}
    assert said(tmp_path, "binary") == {}


@pytest.mark.spec("MERGE-12")
def test_the_settings_name_is_the_title_and_a_member_speaks_for_itself(tmp_path: Path) -> None:
    member = '[project]\nname = "The_API"\nversion = "7"\n'
    files = {"pyproject_toml": PYPROJECT, "packages__api__pyproject_toml": member}

    assert said(tmp_path, "python", Settings(name="shop"), **files)["title"] == "shop"
    assert said(tmp_path, "python", Settings(python=PythonSettings(package="the-api"))) == {
        "title": "The_API",
        "version": "7",
    }


@pytest.mark.spec("MERGE-12")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "project = 1",
        "[project]\nname = 1\nversion = []\nlicense = 3\nurls = 4",
        '[project]\nname = " "\nlicense = {file = "LICENSE"}',
        '[project]\nlicense = "see LICENSE for details"\n[project.urls]\nHomepage = "ftp://x/"\nSource = "/home/me/x"',
        '[project]\ndynamic = ["name"]\n[project.urls]\nHomepage = 5\nSource = "file:///home/me/x"',
        f'[project]\nname = "{"x" * 5000}"',
    ],
)
def test_what_is_odd_is_left_out(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, "python", pyproject_toml=text) == {}


@pytest.mark.spec("MERGE-12")
@pytest.mark.parametrize(
    "text", ["[]", "nonsense", '{"name": 5}', '{"description": "\\ud800"}', '{"license": "UNLICENSED"}', '{"a":' * 5000]
)
def test_a_broken_package_json_is_left_out(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, "node", package_json=text) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("git@github.com:o/r.git", "https://github.com/o/r"),
        ("ssh://git@github.com:22/o/r.git", "https://github.com/o/r"),
        ("git+ssh://git@github.com/o/r.git#main", "https://github.com/o/r"),
        ("git://github.com/o/r.git", "https://github.com/o/r"),
        ("https://user:pass@github.com/o/r.git/", "https://github.com/o/r"),
        ("o/r", "https://github.com/o/r"),
        ("gitlab:o/r", "https://gitlab.com/o/r"),
        ("github:o/r#dev", "https://github.com/o/r"),
        ("/srv/git/r.git", ""),
        ("../r", ""),
        ("file:///srv/r", ""),
        ("C:\\r", ""),
        ("host:path", ""),
        ("", ""),
        (None, ""),
    ],
)
@pytest.mark.spec("MERGE-12", "MERGE-13")
def test_repositories(text: object, expected: str) -> None:
    assert repository(text, shorthand=True) == expected
    assert not str(text).startswith(("o/", "gitlab:", "github:")) or repository(text) == ""


@given(st.text(max_size=60))
def test_no_text_breaks_them_and_no_password_passes(text: str) -> None:
    for found in (public(text), repository(text), public(f"https://u:sesame@{text}"), repository(f"u:sesame@{text}")):
        assert "sesame" not in found.partition("//")[2].partition("/")[0]
