"""`[build] include` and `exclude`: patterns after those of the ignore file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.project import keys, reading
from ociassemble.project.ignore import IgnoreFileError, parse
from ociassemble.project.settings import SettingError


def packed(root: Path, *include: str, exclude: tuple[str, ...] = ()) -> list[str]:
    """The files that are packed."""
    found = reading.read(root, include=include, exclude=exclude)
    return [file.path for file in found.files if file.kind == "file"]


def lay(root: Path, *paths: str, ignore: str = "") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    if ignore:
        (root / ".dockerignore").write_text(ignore)


@pytest.mark.spec("PACK-90")
def test_include_counts_after_the_ignore_file_and_exclude_after_both(tmp_path: Path) -> None:
    lay(tmp_path, "a.js", "dist/a.js", "dist/a.js.map", "dist/deep/b.js", ignore="dist\n!a.js\n")

    assert packed(tmp_path) == ["a.js"]
    assert packed(tmp_path, "dist/**") == ["a.js", "dist/a.js", "dist/a.js.map", "dist/deep/b.js"]
    assert packed(tmp_path, "dist") == packed(tmp_path, "./dist/") == packed(tmp_path, "/dist/**")
    assert packed(tmp_path, "dist/*.js") == ["a.js", "dist/a.js"]
    assert packed(tmp_path, "dist/**", exclude=("**/*.map", "dist/deep")) == ["a.js", "dist/a.js"]
    assert packed(tmp_path, exclude=("a.js",)) == []


@pytest.mark.spec("PACK-91")
def test_what_is_never_wanted_stays_out_unless_it_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "dist/.git/config", "dist/a.js", "dist/__pycache__/a.pyc", "dist/.DS_Store", "ociassemble.lock")

    assert packed(tmp_path, "dist/**", "ociassemble.lock") == ["dist/a.js"]
    assert packed(tmp_path, "dist/**", "dist/__pycache__") == ["dist/a.js"]  # the .pyc in it is not named
    assert packed(tmp_path, "dist/__pycache__", "**/a.pyc") == ["dist/__pycache__/a.pyc", "dist/a.js"]


@pytest.mark.spec("PACK-92")
def test_of_node_modules_only_what_is_named(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "package-lock.json",
        "node_modules/express/index.js",
        "node_modules/express/node_modules/.prisma/no.js",
        "node_modules/.prisma/client/index.js",
        ".next/standalone/server.js",
        ".next/standalone/node_modules/next/index.js",
        ".next/standalone/node_modules/next/node_modules/inner/index.js",
    )
    standalone = [
        ".next/standalone/node_modules/next/index.js",
        ".next/standalone/node_modules/next/node_modules/inner/index.js",
        ".next/standalone/server.js",
    ]

    assert packed(tmp_path) == [standalone[2], "package-lock.json"]
    assert packed(tmp_path, "**") == packed(tmp_path)
    assert packed(tmp_path, ".next/standalone/**") == [*standalone, "package-lock.json"]
    assert packed(tmp_path, "node_modules/.prisma/**") == [
        standalone[2],
        "node_modules/.prisma/client/index.js",
        "package-lock.json",
    ]
    assert packed(tmp_path, ".next/standalone", exclude=(".next/**/inner",)) == [
        standalone[0],
        standalone[2],
        "package-lock.json",
    ]


@pytest.mark.spec("PACK-93")
def test_a_pattern_that_matches_nothing_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "dist/a.js")

    found = reading.read(tmp_path, include=("dist/**", "dits/**"))

    assert [text for text in found.warnings if "include" in text] == [
        "`dits/**` of [build] include matches nothing in the folder"
    ]


@pytest.mark.spec("PACK-90")
@pytest.mark.parametrize("text", ["", "!dist", "[", "../dist", ".", "/", "dist\\", "..", "[z-a]"])
def test_what_is_no_pattern_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(IgnoreFileError):
        keys.fields({"build": {"include": [text]}})


@pytest.mark.spec("BUILD-1")
def test_commands_are_words_or_split_as_a_shell_splits() -> None:
    stated = keys.fields({"build": {"run": ["npm run 'two words'", ["sh", "-c", "a && b"]]}})["build"]

    assert stated["run"] == (("npm", "run", "two words"), ("sh", "-c", "a && b"))
    for wrong in ("npm run build", [""], [[]], [[""]], [1], [["a", 1]], {"a": "b"}):
        with pytest.raises(SettingError):
            keys.fields({"build": {"run": wrong}})


def test_without_include_nothing_changes() -> None:
    rules = parse(b"dist\n!dist/a\n")

    assert rules.with_build((), ()).patterns == rules.patterns
    assert rules.with_build((), ()).installed == 0
