"""The rules of a layer: parents, links, conflicts, modes (specs/behaviour/layer-format.md)."""

from __future__ import annotations

import io
import tarfile

import pytest

from ociassemble.layer.entry import Entry, constant
from ociassemble.layer.writer import ConflictError, ContentChangedError, LayerWriter, PathError
from ociassemble.plan.facts import DirectoryFact


def entry(path: str, data: bytes = b"x", **fields: object) -> Entry:
    return Entry(path, size=len(data), content=constant(data), origin="test", **fields)  # type: ignore[arg-type]


def written(*entries: Entry, links: dict[str, str] | None = None, directories: tuple[DirectoryFact, ...] = ()):  # type: ignore[no-untyped-def]
    buffer = io.BytesIO()
    writer = LayerWriter(buffer.write, links=(links or {}).items(), directories=directories)
    for item in entries:
        writer.add(item)
    writer.finish()
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        return archive.getmembers()


def test_each_parent_once_and_before_its_children() -> None:
    members = written(entry("app/a/x"), entry("app/a/y"), entry("app/b"))
    assert [member.name for member in members] == ["app", "app/a", "app/a/x", "app/a/y", "app/b"]
    assert all(member.mode == 0o755 and member.isdir() for member in members[:2])
    assert {member.mtime for member in members} == {315619200}


def test_parents_keep_the_mode_and_owner_the_base_gives_them() -> None:
    base = (DirectoryFact("tmp", 0o1777, 0, 0), DirectoryFact("home/nonroot", 0o700, 65532, 65532))
    members = {m.name: m for m in written(entry("tmp/x"), entry("home/nonroot/y"), directories=base)}
    assert members["tmp"].mode == 0o1777
    assert (members["home/nonroot"].mode, members["home/nonroot"].uid) == (0o700, 65532)
    assert members["home"].mode == 0o755


def test_a_folder_of_the_base_keeps_its_mode_even_if_a_source_names_it() -> None:
    members = written(Entry("tmp", "directory", 0o755), directories=(DirectoryFact("tmp", 0o1777, 0, 0),))
    assert members[0].mode == 0o1777


def test_paths_over_links_of_the_base_go_to_the_real_place() -> None:
    members = written(entry("lib/x.so"), Entry("lib", "directory", 0o755), links={"lib": "usr/lib"})
    assert [member.name for member in members] == ["usr", "usr/lib", "usr/lib/x.so"]


def test_a_file_may_replace_a_link_of_the_base() -> None:
    assert [m.name for m in written(entry("lib"), links={"lib": "usr/lib"})] == ["lib"]


@pytest.mark.parametrize(
    "entries",
    [
        (entry("a"), entry("a")),
        (entry("a"), entry("a/b")),
        (entry("a/b"), entry("a")),
        (entry("a"), Entry("a", "directory")),
        (Entry("a", "directory", 0o700), Entry("a", "directory", 0o755)),
        (entry("lib/x"), entry("usr/lib/x")),
    ],
)
def test_one_path_twice_is_a_conflict(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(ConflictError):
        written(*entries, links={"lib": "usr/lib"})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/.", "", "a\0b", ".wh.a", "a/.wh..wh..opq"]
)
def test_refuses_paths_no_layer_can_carry(path: str) -> None:
    with pytest.raises(PathError):
        written(entry(path))


def test_refuses_names_longer_than_a_file_system_holds() -> None:
    with pytest.raises(PathError):
        written(entry("a" * 256))
    with pytest.raises(PathError):
        written(entry("/".join(["a" * 200] * 25)))


def test_no_set_id_bits() -> None:
    (member,) = written(entry("x", mode=0o6755))
    assert member.mode == 0o755


@pytest.mark.parametrize("size", [0, 2, 100])
def test_content_of_another_size_than_announced(size: int) -> None:
    with pytest.raises(ContentChangedError):
        written(Entry("x", size=size, content=constant(b"y")))


def test_hard_links_need_their_target_first() -> None:
    members = written(entry("a"), Entry("b", "hardlink", target="a"))
    assert members[1].islnk() and members[1].linkname == "a"
    with pytest.raises(PathError, match="does not come before"):
        written(Entry("b", "hardlink", target="a"), entry("a"))


def test_the_same_entries_give_the_same_bytes() -> None:
    def once() -> bytes:
        buffer = io.BytesIO()
        writer = LayerWriter(buffer.write)
        writer.add(entry("app/ü" * 40))
        writer.add(Entry("app/l", "symlink", target="ü"))
        writer.finish()
        return buffer.getvalue()

    assert once() == once()
    assert once().endswith(bytes(1024))
