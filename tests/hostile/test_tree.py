"""Folders that try to smuggle: symlinks out, special files, names, and files that change while they are read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ociassemble.errors import ProjectError
from ociassemble.project import ignore, inside, reading, walk
from ociassemble.project.inside import ChangedError, LeavingError, UnreadableError
from ociassemble.project.tree import ProjectTree, TreeFile
from ociassemble.project.walk import FileNameError, SpecialFileError


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a file, beside a file that must never be read."""
    (tmp_path / "outside").write_text("canary")
    (tmp_path / "beyond").mkdir()
    (tmp_path / "beyond/file").write_text("canary")
    folder = tmp_path / "app"
    (folder / "d/e").mkdir(parents=True)
    (folder / "file").write_text("inside")
    (folder / "d/e/file").write_text("deep")
    return folder


# --- symlinks ------------------------------------------------------------------------------------------------


@pytest.mark.spec("PACK-12")
@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("link", "/etc/passwd"),
        ("link", "/"),
        ("link", "../outside"),
        ("link", ".."),
        ("link", "d/../../outside"),
        ("link", "d/../../app/file"),  # out and back in: in the image there is something else above
        ("d/link", "../../beyond"),
        ("d/link", "../.."),
        ("d/e/link", "../../../missing"),
        ("link", "./d//e/../.././../outside"),
    ],
)
def test_a_symlink_out_is_named_with_its_target(app: Path, link: str, target: str) -> None:
    (app / link).symlink_to(target)
    with pytest.raises(LeavingError) as caught:
        reading.read(app)
    assert f"`{link}` -> `{target}`" in caught.value.message
    assert caught.value.exit_code == 3 and caught.value.hint
    (app / ".dockerignore").write_text(f"{link}\n")
    assert reading.read(app).packed(link) is None


@pytest.mark.spec("PACK-12")
def test_a_symlink_out_by_way_of_another(app: Path) -> None:
    """`up/..` is lexically inside, but `up` is the folder itself, so `..` of it is outside."""
    (app / "up").symlink_to(".")
    (app / "sly").symlink_to("up/../outside")
    with pytest.raises(LeavingError, match="`sly`"):
        reading.read(app)


@pytest.mark.spec("PACK-12")
def test_a_symlink_through_a_deeper_folder_stays_inside(app: Path) -> None:
    """`deep/../..` is lexically outside, but `deep` is d/e, so that it ends at the folder itself."""
    (app / "deep").symlink_to("d/e")
    (app / "back").symlink_to("deep/../../file")
    tree = reading.read(app)
    assert tree.packed("back") == TreeFile("back", "symlink", 0o777, target="deep/../../file")
    assert tree.text("back") == "inside"


@pytest.mark.spec("PACK-12")
@pytest.mark.parametrize("target", ["loop", "./loop", "d/../loop", "."])
def test_loops_inside_are_kept(app: Path, target: str) -> None:
    (app / "loop").symlink_to(target)
    (app / "d/back").symlink_to("..")
    tree = reading.read(app)
    assert tree.packed("loop") == TreeFile("loop", "symlink", 0o777, target=target)
    assert [file.path for file in tree.files] == ["d", "d/back", "d/e", "d/e/file", "file", "loop"]


def test_a_chain_that_doubles_is_a_loop(app: Path) -> None:
    for number in range(60):
        (app / f"l{number}").symlink_to(f"l{number + 1}/l{number + 1}")
    assert len(reading.read(app).files) == 64


@pytest.mark.spec("PACK-12")
def test_a_linked_folder_is_not_followed(app: Path) -> None:
    (app / "again").symlink_to("d")
    assert "again/e" not in {file.path for file in reading.read(app).files}


# --- special files and names ---------------------------------------------------------------------------------


@pytest.mark.spec("PACK-13")
def test_fifos_and_sockets_are_named_and_do_not_hang(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(app / "d/pipe")
    with pytest.raises(SpecialFileError, match="`d/pipe` is a fifo"):
        reading.read(app)
    assert not reading.read(app, leave_out=[app / "d/pipe"]).has("d/pipe")
    with pytest.raises(ProjectError, match="pipe"):
        reading.read(app, leave_out=[app / "d/pipe"]).text("d/pipe")
    (app / "d/pipe").unlink()
    monkeypatch.chdir(app)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(SpecialFileError, match="`s` is a socket"):
            reading.read(app)


@pytest.mark.spec("PACK-13")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_devices_are_named(app: Path) -> None:
    try:
        os.mknod(app / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this host lets nobody make a device")
    with pytest.raises(SpecialFileError, match="`null` is a device"):
        reading.read(app)


@pytest.mark.spec("PACK-13")
def test_names_that_are_not_utf8(app: Path) -> None:
    name = os.fsencode(app) + b"/d/caf\xe9"
    try:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    with pytest.raises(FileNameError, match=r"`d/caf\\xe9` is not UTF-8"):
        reading.read(app)
    Path(os.fsdecode(name)).unlink()
    (app / "link").symlink_to(os.fsdecode(b"caf\xe9"))
    with pytest.raises(FileNameError, match="`link`"):
        reading.read(app)


@pytest.mark.spec("PACK-13")
@pytest.mark.parametrize("name", [".wh.x", "d/.wh..wh..opq", ".wh.folder/x"])
def test_whiteouts_are_refused(app: Path, name: str) -> None:
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text("x")
    with pytest.raises(FileNameError, match="whiteout"):
        reading.read(app)


def test_a_path_deeper_than_any_buffer(app: Path) -> None:
    here = os.open(app, os.O_RDONLY)
    try:
        for _ in range(600):
            os.mkdir("nested-folder", dir_fd=here)
            below = os.open("nested-folder", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:
            file.write("deep")
    finally:
        os.close(here)
    tree = reading.read(app)
    leaf = tree.packed("nested-folder/" * 600 + "leaf")
    assert leaf is not None and b"".join(tree.content(leaf)()) == b"deep"


# --- what cannot be read -------------------------------------------------------------------------------------

# All imports come first: the environment of the tests need not be readable for others.
AS_NOBODY = """
import os, sys, unicodedata
from pathlib import Path
from ociassemble.errors import Error
from ociassemble.project import reading
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(len(reading.read(Path(sys.argv[1])).files))
except Error as error:
    print(error.code, error.exit_code, error.message, "|", error.hint)
"""


def as_nobody(folder: Path) -> str:
    for parent in (folder, *folder.parents):
        if not parent.stat().st_mode & 0o001 and parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.spec("PACK-9", "PACK-13")
def test_unreadable_files_and_folders_are_named(app: Path) -> None:
    app.chmod(0o755)
    assert as_nobody(app) == "4"
    (app / "d/e/file").chmod(0)
    said = as_nobody(app)
    assert said.startswith("project.unreadable 3 cannot read the file `d/e/file`: Permission denied")
    assert "`d/e/file` in the ignore file" in said
    (app / "d/e/file").chmod(0o644)
    (app / "d/e").chmod(0)
    assert as_nobody(app).startswith("project.unreadable 3 cannot read the folder `d/e`: Permission denied")
    (app / ".dockerignore").write_text("d/e\n")
    assert as_nobody(app) == "2"
    (app / "d/e").chmod(0o755)
    app.chmod(0o311)
    assert as_nobody(app).startswith("project.unreadable 3 ")
    app.chmod(0o755)


# --- what changes --------------------------------------------------------------------------------------------


def read_all(tree: ProjectTree) -> dict[str, bytes]:
    return {file.path: b"".join(tree.content(file)()) for file in tree.files if file.kind == "file"}


@pytest.mark.spec("PACK-20")
@pytest.mark.parametrize("change", ["inSide", "insid", "inside!", "", "x" * 3_000_000])
def test_a_file_that_changed_since_is_never_packed(app: Path, change: str) -> None:
    tree = reading.read(app)
    file = tree.packed("file")
    assert file is not None
    status = (app / "file").stat()
    (app / "file").write_text(change)
    os.utime(app / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
    got = bytearray()
    with pytest.raises(ChangedError, match="`file`"):
        for block in tree.content(file)():
            got += block
    assert len(got) <= file.size
    with pytest.raises(ChangedError, match="`file`"):
        tree.text("file")


@pytest.mark.spec("PACK-20")
def test_a_file_that_grows_while_it_is_packed(app: Path) -> None:
    (app / "file").write_bytes(b"a" * (2 * inside.BLOCK))
    tree = reading.read(app)
    file = tree.packed("file")
    assert file is not None
    blocks = tree.content(file)()
    got = len(next(blocks))
    with open(app / "file", "ab") as writing:
        writing.write(b"more")
    with pytest.raises(ChangedError, match="`file`"):
        for block in blocks:
            got += len(block)
    assert got <= file.size


@pytest.mark.spec("PACK-20")
def test_a_file_that_changes_between_listing_and_hashing(app: Path) -> None:
    with inside.Root(app) as root:
        found = [
            item
            for item in walk.walk(root, ignore.Rules(), leave_out=frozenset(), folders=frozenset()).found
            if item.is_file
        ]
        (app / "file").write_text("other")
        with pytest.raises(ChangedError, match="`file`"):
            walk.hash_files(root, found, jobs=2, advance=lambda amount: None)


@pytest.mark.spec("PACK-20", "PACK-21")
@pytest.mark.parametrize("what", ["gone", "link", "folder", "fifo", "parent-link", "parent-gone"])
def test_a_file_that_became_something_else(app: Path, what: str) -> None:
    tree = reading.read(app)
    file = tree.packed("d/e/file")
    assert file is not None
    if what.startswith("parent"):
        (app / "d").rename(app / "was")
        if what == "parent-link":
            (app / "d").symlink_to("was")
    else:
        (app / "d/e/file").unlink()
        if what == "link":
            (app / "same").write_text("deep")
            (app / "d/e/file").symlink_to("../../same")
        elif what == "folder":
            (app / "d/e/file").mkdir()
        elif what == "fifo":
            os.mkfifo(app / "d/e/file")
    with pytest.raises(ProjectError, match="`d/e/file`"):
        list(tree.content(file)())


@pytest.mark.spec("PACK-21")
def test_a_swapper_never_gets_outside_content_in(app: Path) -> None:
    """A thread flips a folder between itself and a symlink to one outside; nothing from there is ever seen."""
    (app / "flip").mkdir()
    (app / "flip/file").write_text("mine")
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            (app / "flip").rename(app / "flop")
            (app / "flip").symlink_to("../beyond")
            (app / "flip").unlink()
            (app / "flop").rename(app / "flip")

    thread = threading.Thread(target=flip)
    thread.start()
    seen: set[bytes] = set()
    refused = 0
    try:
        for number in range(10_000):
            if number >= 300 and refused:
                break
            try:
                tree = reading.read(app, jobs=1)
                seen.update(read_all(tree).values())
            except ProjectError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert b"canary" not in seen
    assert refused  # the race was there


def test_unreadable_error_is_a_project_error() -> None:
    assert issubclass(UnreadableError, ProjectError) and UnreadableError.code == "project.unreadable"


@pytest.mark.spec("PACK-23")
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in KiB and sparse files as on Linux")
def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    with open(app / "big", "wb") as file:
        file.truncate(256 << 20)
    code = (
        "import resource, sys; from pathlib import Path; from ociassemble.project import reading\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t = reading.read(Path(sys.argv[1])); n = sum(map(len, t.content(t.files[0])()))\n"
        "assert n == 256 << 20; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(app)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32 << 10
