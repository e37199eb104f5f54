"""`--add`: where things go, what they look like there, and what is refused."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from ociassemble.errors import Error, ProjectError
from ociassemble.image.image import open_image
from ociassemble.kinds.added import AddConflictError, added
from ociassemble.kinds.protocol import place
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts, DirectoryFact
from ociassemble.plan.plan import FileItem, FilesSource, LayerPlan, TextSource
from ociassemble.project.addition import AddError, parse
from ociassemble.project.given import AddMissingError
from ociassemble.project.inside import LeavingError
from ociassemble.project.reading import read
from ociassemble.project.secrets import SecretError
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree
from ociassemble.project.walk import SpecialFileError
from ociassemble.testing import images
from ociassemble.transports.layout import LayoutSource
from tests.interop.commands import Commands

FACTS = BaseFacts(
    platform=Platform.parse("linux/amd64"),
    links={"lib": "usr/lib", "bin": "usr/bin"},
    directories=(DirectoryFact("tmp", 0o1777, 0, 0),),
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "conf/deep").mkdir(parents=True)
    (folder / "conf/a.toml").write_text("a")
    (folder / "conf/deep/b.sh").write_text("b")
    (folder / "conf/deep/b.sh").chmod(0o755)
    (folder / "main.py").write_text("")
    return folder


def items(app: Path, *texts: str, anywhere: bool = True) -> list[FileItem]:
    tree = read(app, add=texts, add_anywhere=anywhere)
    layers = added(tree, Settings(add=texts), (), FACTS)
    assert len(layers) == 1 and layers[0].role == "application"
    (source,) = layers[0].sources
    assert isinstance(source, FilesSource)
    for item in source.items:
        if item.kind == "file":
            assert item.digest == Digest.of(b"".join(tree.source(item.source)()))
    return list(source.items)


def looks(app: Path, *texts: str) -> list[tuple[str, int, int, int]]:
    return [(item.path, item.mode, item.uid, item.gid) for item in items(app, *texts)]


def test_nothing_to_add_is_no_layer(app: Path) -> None:
    assert added(read(app), Settings(), (), FACTS) == ()


@pytest.mark.spec("PACK-70", "PACK-71", "PACK-76")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main.py:/srv/x.py", [("/srv/x.py", 0o644, 0, 0)]),
        ("main.py:/srv/", [("/srv/main.py", 0o644, 0, 0)]),
        ("main.py:/", [("/main.py", 0o644, 0, 0)]),
        ("main.py://srv//x.py", [("/srv/x.py", 0o644, 0, 0)]),
        ("./conf/a.toml:/etc/a.toml,chmod=640", [("/etc/a.toml", 0o640, 0, 0)]),
        ("main.py:/x,chown=65532", [("/x", 0o644, 65532, 65532)]),
        ("main.py:/x,chown=1:2,chmod=0755", [("/x", 0o755, 1, 2)]),
        (
            "conf:/etc/app,chmod=600",
            [("/etc/app/a.toml", 0o600, 0, 0), ("/etc/app/deep", 0o755, 0, 0), ("/etc/app/deep/b.sh", 0o600, 0, 0)],
        ),
        ("conf/*.toml:/etc/", [("/etc/a.toml", 0o644, 0, 0)]),
        ("conf/**/*.sh:/bin/", [("/bin/b.sh", 0o755, 0, 0)]),
    ],
)
def test_where_things_go(app: Path, text: str, expected: list[tuple[str, int, int, int]]) -> None:
    assert looks(app, text) == expected


def test_the_whole_folder(app: Path) -> None:
    assert [item.path for item in items(app, ".:/copy")] == [
        "/copy/conf", "/copy/conf/a.toml", "/copy/conf/deep", "/copy/conf/deep/b.sh", "/copy/main.py",
    ]  # fmt: skip


def test_commas_and_colons_in_names_are_letters(app: Path) -> None:
    (app / "a,b:c.txt").write_text("x")
    assert looks(app, "a,b:c.txt:/x,y.txt,chmod=600") == [("/x,y.txt", 0o600, 0, 0)]


@pytest.mark.spec("PACK-70")
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("main.py", "SRC:DST"),
        ("main.py:", "SRC:DST"),
        (":/x", "SRC:DST"),
        ("main.py:x", "SRC:DST"),
        ("main.py:/a/../b", "SRC:DST"),
        ("main.py:/x\n", "character"),
        ("main.py:/x,chown=root", "UID"),
        ("main.py:/x,chown=nonroot:nonroot", "UID"),
        ("main.py:/x,chmod=4755", "mode"),
        ("main.py:/x,chmod=u+x", "mode"),
        ("main.py:/x,chown=4294967296", "above"),
        ("main.py:/x,mode=1", "understood"),
    ],
)
def test_what_cannot_be_read(text: str, word: str) -> None:
    with pytest.raises(AddError, match=word) as caught:
        parse(text)
    assert caught.value.exit_code == 2 and (caught.value.hint or word == "above")


@pytest.mark.spec("PACK-72")
def test_names_of_owners_are_explained() -> None:
    with pytest.raises(AddError) as caught:
        parse("a:/b,chown=www-data")
    assert "numbers only" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["gone:/x", "../gone:/x", "conf/gone/:/x", "/nowhere/at/all:/x", "conf/*.none:/x/"])
def test_what_is_not_there(app: Path, text: str) -> None:
    with pytest.raises(AddMissingError) as caught:
        read(app, add=[text], add_anywhere=True)
    assert isinstance(caught.value, Error) and caught.value.hint


@pytest.mark.spec("PACK-73")
def test_what_is_elsewhere_only_the_command_line_may_name(app: Path, tmp_path: Path) -> None:
    (tmp_path / "etc/sub").mkdir(parents=True)
    (tmp_path / "etc/Dockerfile").write_text("not one of the application's own")
    (tmp_path / "etc/sub/x").write_text("x")
    (tmp_path / "etc/link").symlink_to("sub/x")
    (tmp_path / "etc/__pycache__").mkdir()
    (tmp_path / "etc/__pycache__/a.pyc").write_text("")
    for source in ("../etc", str(tmp_path / "etc")):
        found = items(app, f"{source}:/etc/app")
        assert [(item.path, item.kind) for item in found] == [
            ("/etc/app/Dockerfile", "file"), ("/etc/app/link", "symlink"), ("/etc/app/sub", "directory"),
            ("/etc/app/sub/x", "file"),
        ]  # fmt: skip
        with pytest.raises(LeavingError, match="outside of the project"):
            items(app, f"{source}:/etc/app", anywhere=False)
    assert looks(app, f"{tmp_path}/etc/sub/x:/y") == [("/y", 0o644, 0, 0)]
    # An absolute path into the project is a path of the project.
    assert items(app, f"{app}/main.py:/x", anywhere=False)[0].source == "main.py"


@pytest.mark.spec("PACK-73")
def test_a_link_that_is_named_is_followed(app: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("real")
    (tmp_path / "named").symlink_to("real")
    (app / "way").symlink_to("conf/a.toml")
    (app / "ways").symlink_to("conf")
    assert [(item.path, item.kind, item.size) for item in items(app, "../named:/n", "way:/w")] == [
        ("/n", "file", 4), ("/w", "file", 1),
    ]  # fmt: skip
    assert [item.path for item in items(app, "ways:/w")] == ["/w/a.toml", "/w/deep", "/w/deep/b.sh"]


@pytest.mark.spec("PACK-73")
@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "../../outside"])
def test_links_that_lead_out_of_what_is_added(app: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/link").symlink_to(target)
    with pytest.raises(LeavingError, match="link"):
        items(app, "../etc:/etc/app")
    (app / "conf/up").symlink_to("../main.py")  # fine in the folder, but not without it
    with pytest.raises(LeavingError, match=r"`up` -> `\.\./main\.py`"):
        items(app, "conf:/etc/app")
    assert items(app, ".:/etc/app")


@pytest.mark.spec("PACK-74")
def test_naming_is_stronger_than_an_ignore_file(app: Path) -> None:
    (app / ".dockerignore").write_text("conf\n*.log\n")
    (app / "a.log").write_text("log")
    (app / "Dockerfile").write_text("FROM x")
    (app / "ociassemble.toml").write_text("")
    assert looks(app, "conf:/c", "a.log:/a.log", "Dockerfile:/D") == [
        ("/c/a.toml", 0o644, 0, 0), ("/c/deep", 0o755, 0, 0), ("/c/deep/b.sh", 0o755, 0, 0),
        ("/a.log", 0o644, 0, 0), ("/D", 0o644, 0, 0),
    ]  # fmt: skip
    tree = read(app, add=["a.log:/a.log"])
    assert "added though ignore rules leave it out: a.log (--add names it)" in tree.notices()
    assert tree.packed("a.log") is None
    for own in ("ociassemble.toml", ".dockerignore", "out"):
        (app / own).touch()
        with pytest.raises(AddMissingError, match="never packed"):
            read(app, add=[f"{own}:/x"], leave_out=[app / "out"])
    (app / "out").unlink()
    # Without its being named, what an ignore file leaves out of a folder stays out of it.
    assert [item.path for item in items(app, ".:/copy")] == ["/copy/main.py"]


@pytest.mark.spec("PACK-74", "SECRET-1")
def test_the_guard_looks_at_what_is_added(app: Path, tmp_path: Path) -> None:
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/credentials").write_text("x")
    (app / ".env").write_text("A=1")
    (app / ".dockerignore").write_text(".env\n")
    for text in (".env:/x", "../home:/home", "../home/.aws/credentials:/x"):
        with pytest.raises(SecretError) as caught:
            read(app, add=[text], add_anywhere=True)
    fingerprint = caught.value.details[0].rpartition(" ")[2]
    assert read(app, add=[text], add_anywhere=True, allow_secrets=[fingerprint]).given


def test_special_files_are_no_files(app: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecialFileError):
        read(app, add=["../pipe:/x"], add_anywhere=True)


@pytest.mark.spec("PACK-20")
def test_what_is_added_must_not_change(app: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    tree = read(app, add=["../file:/x"], add_anywhere=True)
    (tmp_path / "file").write_text("after!")
    with pytest.raises(ProjectError, match="changed"):
        list(tree.source(str(tmp_path / "file"))())


def application(tree: ProjectTree) -> LayerPlan:
    sources = (FilesSource(place(tree, "/app")), TextSource("/site/x.pth", "/app"))
    return LayerPlan(title="application", role="application", sources=sources)


@pytest.mark.spec("PACK-75")
@pytest.mark.parametrize(
    "text", ["main.py:/app/conf/a.toml", "main.py:/app/conf", "main.py:/app/main.py/x", "main.py:/site/x.pth"]
)
def test_what_the_application_has_there_is_not_replaced(app: Path, text: str) -> None:
    tree = read(app, add=[text])
    with pytest.raises(AddConflictError) as caught:
        added(tree, Settings(add=(text,)), (application(tree),), FACTS)
    assert caught.value.exit_code == 3 and text in caught.value.message and caught.value.hint


@pytest.mark.spec("PACK-75")
def test_two_that_want_one_place(app: Path) -> None:
    texts = ("main.py:/x", "conf/a.toml:/x")
    with pytest.raises(AddConflictError, match=r"`--add main\.py:/x` puts `main\.py` there"):
        added(read(app, add=texts), Settings(add=texts), (), FACTS)
    assert len(looks(app, "main.py:/x", "./main.py:/x", "conf:/c", "conf/a.toml:/c/a.toml")) == 6


@pytest.mark.spec("PACK-75")
def test_in_an_image_it_goes_where_the_bases_links_lead(app: Path, tmp_path: Path) -> None:
    """`/lib -> usr/lib` stays, /tmp keeps its mode, and the same file named twice is there once."""
    base = images.layer({"lib": images.Link("usr/lib"), "usr/lib/x": "", "tmp": images.Folder(0o1777)})
    place = images.lay_out(images.image([base]), tmp_path / "base", "t")
    Commands(tmp_path)(
        "build", app, "--kind", "directory", "-b", place, "--platform", "linux/amd64", "-o", f"oci:{tmp_path}/image:t",
        "--add", "main.py:/lib/added.py,chown=7:8", "--add", "main.py:/tmp/", "--add", "./main.py:/tmp/main.py",
    )  # fmt: skip
    made = open_image(LayoutSource(tmp_path / "image", "t").read())
    with made.layers[-1].blob.open() as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        found = [(item.name, item.mode, item.uid, item.gid) for item in archive]
    assert found == [
        ("tmp", 0o1777, 0, 0), ("tmp/main.py", 0o644, 0, 0), ("usr", 0o755, 0, 0), ("usr/lib", 0o755, 0, 0),
        ("usr/lib/added.py", 0o644, 7, 8),
    ]  # fmt: skip


@pytest.mark.spec("PACK-75")
def test_the_same_file_with_another_mode_is_fine(app: Path) -> None:
    text = "main.py:/app/main.py,chmod=755"
    tree = read(app, add=[text])
    assert added(tree, Settings(add=(text,)), (application(tree),), FACTS)


@pytest.mark.spec("PACK-75")
@pytest.mark.parametrize("target", ["/lib", "/tmp"])
def test_a_folder_of_the_base_does_not_become_a_file(app: Path, target: str) -> None:
    tree = read(app, add=[f"main.py:{target}"])
    with pytest.raises(AddConflictError) as caught:
        added(tree, Settings(add=(f"main.py:{target}",)), (), FACTS)
    assert f"`{target}/`" in (caught.value.hint or "")
    assert looks(app, f"main.py:{target}/") == [(f"{target}/main.py", 0o644, 0, 0)]


@pytest.mark.spec("PACK-71")
def test_several_files_need_a_folder(app: Path) -> None:
    with pytest.raises(AddError, match="may be several"):
        items(app, "conf/*.toml:/x")
