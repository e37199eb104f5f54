"""The kind `directory`: any folder becomes one layer at the working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.kinds.directory import Directory
from ociassemble.kinds.protocol import ApplicationKind, WorkdirError, place
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ConfigPlan, FileItem, FilesSource
from ociassemble.project import reading
from ociassemble.project.settings import Settings
from ociassemble.project.tree import ProjectTree

FACTS = BaseFacts(platform=Platform(os="linux", architecture="amd64"))


@pytest.fixture
def tree(tmp_path: Path) -> ProjectTree:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/run").write_bytes(b"#!/bin/x\n")
    (tmp_path / "bin/run").chmod(0o755)
    (tmp_path / "latest").symlink_to("bin/run")
    (tmp_path / ".dockerignore").write_text("*.md")
    (tmp_path / "a.md").write_text("x")
    return reading.read(tmp_path)


def items(tree: ProjectTree, **stated: str) -> tuple[FileItem, ...]:
    (layer,) = Directory().plan(tree, Settings(**stated), FACTS, ()).layers  # type: ignore[arg-type]
    assert (layer.title, layer.role) == ("application", "application")
    (source,) = layer.sources
    assert isinstance(source, FilesSource)
    return source.items


@pytest.mark.spec("PACK-60")
def test_the_folder_lands_in_app(tree: ProjectTree) -> None:
    assert items(tree) == (
        FileItem("/app/bin", "directory", 0o755, source="bin"),
        FileItem("/app/bin/run", "file", 0o755, Digest.of(b"#!/bin/x\n"), 9, source="bin/run"),
        FileItem("/app/latest", "symlink", 0o777, target="bin/run", source="latest"),
    )


@pytest.mark.spec("PACK-60")
@pytest.mark.parametrize(
    ("stated", "first"), [("/srv/www/", "/srv/www/bin"), ("/", "/bin"), ("//a/./b", "/a/b/bin"), ("", "/app/bin")]
)
def test_the_working_directory_is_where_it_lands(tree: ProjectTree, stated: str, first: str) -> None:
    assert items(tree, workdir=stated)[0].path == first
    config = Directory().plan(tree, Settings(workdir=stated), FACTS, ()).config
    assert config.workdir == (first.removesuffix("/bin") or "/")


@pytest.mark.parametrize("stated", ["app", "./app", "/app/../etc", "/.."])
def test_a_working_directory_that_is_no_place(tree: ProjectTree, stated: str) -> None:
    with pytest.raises(WorkdirError) as caught:
        items(tree, workdir=stated)
    assert caught.value.exit_code == 2 and caught.value.hint


@pytest.mark.spec("PACK-61")
def test_the_start_command_is_stated_or_the_bases(tree: ProjectTree) -> None:
    kind: ApplicationKind = Directory()
    plan = kind.plan(tree, Settings(), FACTS, ())
    assert plan.config == ConfigPlan(workdir="/app")
    assert plan.reasons[1].decision == "the image has no start command"
    base = BaseFacts(platform=FACTS.platform, entrypoint=("/usr/bin/python3",), cmd=("-q",))
    plan = kind.plan(tree, Settings(), base, ())
    assert plan.config.entrypoint is None and plan.config.cmd is None
    assert plan.reasons[1].decision == "the start command is the base's: /usr/bin/python3 -q"
    plan = kind.plan(tree, Settings(entrypoint=("/app/bin/run",), cmd=("x",)), base, ())
    assert plan.config == ConfigPlan(entrypoint=("/app/bin/run",), cmd=("x",), workdir="/app")
    assert len(plan.reasons) == 1 and all(reason.evidence for reason in plan.reasons)


@pytest.mark.spec("PACK-60", "PACK-62")
def test_it_recognises_everything_and_resolves_nothing(tree: ProjectTree, tmp_path: Path) -> None:
    kind: ApplicationKind = Directory()
    assert (kind.name, kind.default_base(tree, Settings(), ()).name) == ("directory", "distroless/static")
    found = kind.recognise(tree)
    assert found is not None and (found.kind, found.evidence) == ("directory", "1 file")
    (tmp_path / "none").mkdir()
    found = kind.recognise(reading.read(tmp_path / "none"))
    assert found is not None and found.evidence == "0 files"
    assert kind.request(tree, Settings(), FACTS) is None


def test_an_empty_folder_still_makes_its_place(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    tree = reading.read(tmp_path / "none")
    assert items(tree) == (FileItem("/app", "directory", 0o755),)
    assert place(tree, "/") == ()


def test_place_keeps_what_is_wanted(tree: ProjectTree) -> None:
    assert [item.path for item in place(tree, "/x", lambda file: file.kind == "file")] == ["/x/bin/run"]
