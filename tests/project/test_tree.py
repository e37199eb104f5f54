"""Reading a project folder: what is packed, in which order, with which modes, and what is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ociassemble.errors import Error, ProjectError
from ociassemble.oci.digest import Digest
from ociassemble.progress import Event, Finished, Progress, Started
from ociassemble.project import inside, reading
from ociassemble.project.ignore import IgnoreFileError
from ociassemble.project.reading import FolderError
from ociassemble.project.tree import ProjectTree, TreeFile


def make(root: Path, *files: str, **content: str) -> Path:
    """Files (or folders, with a slash at the end) below `root`."""
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.get(name, name))
    return root


def packed(tree: ProjectTree) -> list[str]:
    return [file.path for file in tree.files]


def test_a_small_folder(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a/x.txt", "empty/")
    (tmp_path / "b.py").chmod(0o711)
    (tmp_path / "link").symlink_to("a/x.txt")
    tree = reading.read(tmp_path)
    assert tree.files == (
        TreeFile("a", "directory", 0o755),
        TreeFile("a/x.txt", "file", 0o644, 7, Digest.of(b"a/x.txt")),
        TreeFile("b.py", "file", 0o755, 4, Digest.of(b"b.py")),
        TreeFile("empty", "directory", 0o755),
        TreeFile("link", "symlink", 0o777, target="a/x.txt"),
    )
    assert tree.left_out == () and tree.warnings == () and tree.ignorefile is None
    assert tree.root == tmp_path


@pytest.mark.spec("PACK-11")
def test_order_is_bytewise_and_folders_stand_before_their_content(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a-b", "a.b", "a/b.c/d", "a/b-c", "B", "é", "z", "\U0001f40d", "a\ue000")
    assert packed(reading.read(tmp_path)) == [
        "B", "a", "a/b", "a/b-c", "a/b.c", "a/b.c/d", "a-b", "a.b", "a\ue000", "z", "é", "\U0001f40d",
    ]  # fmt: skip


@pytest.mark.spec("PACK-10")
@pytest.mark.parametrize(
    ("on_disk", "in_image"),
    [(0o600, 0o644), (0o644, 0o644), (0o666, 0o644), (0o700, 0o755), (0o4755, 0o755), (0o654, 0o755), (0o2640, 0o644)],
)
def test_modes(tmp_path: Path, on_disk: int, in_image: int) -> None:
    make(tmp_path, "f", "d/g")
    (tmp_path / "f").chmod(on_disk)
    (tmp_path / "d").chmod(0o1777)
    tree = reading.read(tmp_path)
    assert tree.packed("f") == TreeFile("f", "file", in_image, 1, Digest.of(b"f"))
    assert tree.packed("d") == TreeFile("d", "directory", 0o755)


@pytest.mark.spec("PACK-10")
def test_private_files_are_told(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c", "d", "open")
    for name in "abcd":
        (tmp_path / name).chmod(0o640)
    assert reading.read(tmp_path).notices() == (
        "readable for everyone in the image, though not here: a, b, c and 1 more",
    )


@pytest.mark.spec("PACK-11")
def test_hard_links_are_files(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")
    assert [file.kind for file in reading.read(tmp_path).files] == ["file", "file"]


@pytest.mark.spec("PACK-1", "PACK-3", "PACK-8")
def test_ignore_files(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "docs/a.md", "docs/keep/b.md", "src/a.py", "ociassemble.lock")
    (tmp_path / ".dockerignore").write_text("docs\n!docs/keep/b.md\n")
    tree = reading.read(tmp_path)
    assert packed(tree) == ["a.md", "docs", "docs/keep", "docs/keep/b.md", "src", "src/a.py"]
    assert tree.ignorefile == ".dockerignore"
    assert dict(tree.left_out) == {
        ".dockerignore": "steers the build",
        "ociassemble.lock": "steers the build",
    }
    (tmp_path / ".ociassembleignore").write_text("*.md\n")
    tree = reading.read(tmp_path)
    assert packed(tree) == ["docs", "docs/a.md", "docs/keep", "docs/keep/b.md", "src", "src/a.py"]
    assert tree.ignorefile == ".ociassembleignore"
    other = make(tmp_path / "src", "other.ignore")
    (other / "other.ignore").write_text("docs\n*.md")
    tree = reading.read(tmp_path, ignorefile=other / "other.ignore")
    assert packed(tree) == ["src", "src/a.py"]
    assert "src/other.ignore" in dict(tree.left_out)


@pytest.mark.spec("PACK-1")
def test_an_ignore_file_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    project = make(tmp_path / "app", "a")
    make(tmp_path, "outside")
    (project / ".dockerignore").symlink_to("../outside")
    with pytest.raises(ProjectError, match=r"\.dockerignore"):
        reading.read(project)
    (project / ".dockerignore").unlink()
    (project / ".dockerignore").mkdir()
    with pytest.raises(ProjectError, match=r"\.dockerignore"):
        reading.read(project)
    (project / ".dockerignore").rmdir()
    with pytest.raises(IgnoreFileError, match="missing"):
        reading.read(project, ignorefile=tmp_path / "missing")
    with pytest.raises(IgnoreFileError, match="app"):
        reading.read(project, ignorefile=project)


@pytest.mark.spec("PACK-6", "PACK-9")
def test_built_in_exclusions_are_said(tmp_path: Path) -> None:
    make(tmp_path, "a.py", ".git/config", "x/.git", "env/pyvenv.cfg", "env/bin/python", ".venv/lib/a.py", "Dockerfile")
    make(tmp_path, "pkg/__pycache__/a.pyc", "pkg/b.pyc", "node_modules/a/index.js", ".mypy_cache/x", "out/index.json")
    make(tmp_path, "x/.npmrc")
    (tmp_path / ".venv/lib/outside").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / ".git/fifo")
    tree = reading.read(tmp_path, leave_out=[tmp_path / "out", tmp_path.parent], dependency_folders=["node_modules"])
    assert packed(tree) == ["a.py", "pkg", "x"]
    assert dict(tree.left_out) == {
        ".git": "version control",
        ".mypy_cache": "cache of a tool",
        ".venv": "virtual environment",
        "Dockerfile": "build recipe",
        "env": "virtual environment",
        "node_modules": "dependencies of another kind of application",
        "out": "written or read by this build",
        "pkg/__pycache__": "bytecode",
        "pkg/b.pyc": "bytecode",
        "x/.git": "version control",
        "x/.npmrc": "npm's own settings",
    }
    assert "left out: .git, x/.git (version control)" in tree.notices()
    assert packed(reading.read(tmp_path, leave_out=[tmp_path / "out"]))[-3:] == ["node_modules/a/index.js", "pkg", "x"]


@pytest.mark.spec("PACK-7", "PACK-8")
def test_what_a_plain_name_brings_back(tmp_path: Path) -> None:
    make(tmp_path, "Dockerfile", "venv/pyvenv.cfg", "src/__pycache__/a.pyc", "ociassemble.lock", "out")
    lines = "!Dockerfile\n!venv\n!src/**\n!ociassemble.lock\n!.dockerignore\n!out\n"
    (tmp_path / ".dockerignore").write_text(lines)
    tree = reading.read(tmp_path, leave_out=[tmp_path / "out"])
    assert packed(tree) == ["Dockerfile", "src", "venv", "venv/pyvenv.cfg"]


def test_what_is_not_packed_is_not_named_a_twin_nor_a_whiteout(tmp_path: Path) -> None:
    make(tmp_path, "a", "A", ".wh.x")
    (tmp_path / ".dockerignore").write_text("A\n.wh.*\n")
    assert reading.read(tmp_path).warnings == ()


@pytest.mark.spec("PACK-14")
def test_case_twins_and_dangling_links_are_warnings(tmp_path: Path) -> None:
    make(tmp_path, "Readme", "README", "d/x", "D/x", "caf\u00e9", "cafe\u0301", "docs/a")
    (tmp_path / "link").symlink_to("docs/a")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / ".dockerignore").write_text("docs")
    assert reading.read(tmp_path).warnings == (
        "`D` and `d` differ only in case or Unicode form",
        "`README` and `Readme` differ only in case or Unicode form",
        "`cafe\u0301` and `caf\u00e9` differ only in case or Unicode form",
        "the symlink `gone` points to `nowhere`, which is not packed",
        "the symlink `link` points to `docs/a`, which is not packed",
    )


@pytest.mark.spec("PACK-14")
@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("stra\u00dfe", "STRASSE"), 1),
        (("\u212bngstrom", "\u00c5ngstrom", "A\u030angstrom"), 2),  # the sign, the letter, the letter in two parts
        (("\ufb01le", "file"), 1),  # a ligature folds to its letters
        (("\u0130x", "ix", "\u0131x"), 0),  # Turkish letters are letters of their own
        (("a", "\u0430"), 0),  # Latin and Cyrillic look the same and are not
        (("x/a", "y/A"), 0),
        (("D/x", "d/x"), 1),
    ],
)
def test_twins(tmp_path: Path, names: tuple[str, ...], count: int) -> None:
    tree = reading.read(make(tmp_path, *names))
    assert len(tree.warnings) == count
    assert {file.path for file in tree.files} >= set(names)  # as they are


@pytest.mark.spec("PACK-14")
def test_control_characters_in_names_are_told(tmp_path: Path) -> None:
    make(tmp_path, "a\nb", "\x1b[2J", "c\u0085", "fine \u00e9")
    assert reading.read(tmp_path).warnings == tuple(
        f"the name '{name}' has control characters" for name in ("\\x1b[2J", "a\\nb", "c\\x85")
    )


@pytest.mark.spec("PACK-15")
def test_the_folder_itself(tmp_path: Path) -> None:
    make(tmp_path, "file", "real/a")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "way").symlink_to("real")
    for bad in (
        tmp_path / "missing",
        tmp_path / "file/x",
        tmp_path / "loop",
        Path("/"),
        Path("a\0b"),
    ):
        with pytest.raises(FolderError) as caught:
            reading.read(bad)
        assert caught.value.exit_code == 3 and caught.value.hint
    with pytest.raises(FolderError, match="home folder"):
        reading.read(tmp_path / "way", home=tmp_path / "real")
    assert reading.read(tmp_path / "way").root == tmp_path / "real"
    assert reading.read(tmp_path / "real", home=tmp_path).files


def test_has_names_text(tmp_path: Path) -> None:
    make(tmp_path, "pyproject.toml", "src/a.py", "src/deep/b.py", "ignored/c", ".venv/d")
    (tmp_path / ".dockerignore").write_text("pyproject.toml\nignored\n")
    (tmp_path / "link.toml").symlink_to("src/../pyproject.toml")
    (tmp_path / "around").symlink_to("around")
    (tmp_path / "folder").symlink_to("src")
    tree = reading.read(tmp_path)
    assert [tree.has(path) for path in ("pyproject.toml", "src/a.py", "ignored/c", "link.toml", "folder/a.py")] == [
        True
    ] * 5
    assert not any(tree.has(path) for path in ("", "src", "around", "missing", "../x", "src/a.py/x", "a\0", "folder"))
    assert tree.names() == (".dockerignore", "link.toml", "pyproject.toml")
    assert tree.names("src") == ("a.py",)
    assert tree.names("ignored") == ("c",)
    assert tree.names(".venv") == () == tree.names("missing") == tree.names("src/a.py")
    assert tree.text("pyproject.toml") == "pyproject.toml" == tree.text("link.toml")
    assert tree.bytes_of("src/a.py", 8) == b"src/a.py"
    assert tree.packed("pyproject.toml") is None and tree.packed("src") is not None


def test_text_that_is_not_there_too_big_or_not_text(tmp_path: Path) -> None:
    make(tmp_path, "a")
    (tmp_path / "latin").write_bytes(b"one\ncaf\xe9")
    tree = reading.read(tmp_path)
    for path, words in (("missing", "no file"), ("", "not a file"), ("../x", "leads out"), ("a/b", "no file")):
        with pytest.raises(ProjectError, match=words):
            tree.text(path)
    with pytest.raises(ProjectError, match="`latin` line 2 is not UTF-8"):
        tree.text("latin")
    with pytest.raises(ProjectError, match="`a` is too big: 1 bytes, at most 0"):
        tree.bytes_of("a", 0)


def test_content_is_the_same_each_time(tmp_path: Path) -> None:
    data = os.urandom(3 * inside.BLOCK + 5)
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "none").write_bytes(b"")
    tree = reading.read(tmp_path)
    big = tree.packed("big")
    assert big is not None and big.digest == Digest.of(data)
    open_it = tree.content(big)
    assert b"".join(open_it()) == data == b"".join(open_it())
    assert max(map(len, open_it())) <= inside.BLOCK
    none = tree.packed("none")
    assert none is not None and list(tree.content(none)()) == []


@pytest.mark.spec("PACK-22")
def test_jobs_do_not_change_the_tree(tmp_path: Path) -> None:
    for number in range(300):
        make(tmp_path, f"{number % 7}/{number}")
    assert reading.read(tmp_path, jobs=1) == reading.read(tmp_path, jobs=8)


@pytest.mark.spec("PACK-22")
def test_the_locale_and_umask_do_not_change_the_tree(tmp_path: Path) -> None:
    project = make(tmp_path / "app", "é/ü", "\U0001f40d", "a")
    (project / "link").symlink_to("é")
    code = (
        "import sys; from pathlib import Path; from ociassemble.project import reading\n"
        "t = reading.read(Path(sys.argv[1]))\n"
        "print(ascii([t.files, t.names(), t.names('\\u00e9'), t.has('\\u00e9/\\u00fc'), t.text('link/\\u00fc')]))"
    )
    said = set()
    for env in (
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7"},
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, str(project)], env=env, umask=0o077, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1
    assert "'\\xfc'" in said.pop()


def test_reading_is_told_in_bytes(tmp_path: Path) -> None:
    make(tmp_path, "a", "bb", "ccc")
    events: list[Event] = []
    reading.read(tmp_path, progress=Progress(events.append))
    assert isinstance(events[0], Started) and (events[0].kind, events[0].total) == ("hash", 6)
    assert sum(getattr(event, "amount", 0) for event in events) == 6
    assert isinstance(events[-1], Finished)


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(Error):
        reading.read(tmp_path / "x" / ("y" * 300))
