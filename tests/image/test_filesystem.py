"""The merged view of layers: what a runtime would show, found without unpacking anything."""

from __future__ import annotations

import tarfile

import pytest

from ociassemble.content.verify import DigestMismatchError
from ociassemble.errors import FormatError, IntegrityError
from ociassemble.image.filesystem import MAX_CAPTURE, MAX_CAPTURED, FileSystem, Path, members, read_filesystem
from ociassemble.image.image import Layer
from ociassemble.oci.digest import Digest
from ociassemble.progress import Advanced, Event, Progress, Started
from ociassemble.testing.images import (
    Device,
    Dialect,
    Entries,
    File,
    Folder,
    Hardlink,
    Link,
    archive,
    image,
    layer,
    opaque,
    program,
    whiteout,
)


def merged(*layers: Entries | Layer, wanted: str = "") -> FileSystem:
    """The view over layers; files whose last part is `wanted` are captured."""
    made = [item if isinstance(item, Layer) else layer(item) for item in layers]
    return read_filesystem(
        image(made), lambda path: path.rpartition("/")[2] == wanted, progress=Progress(), jobs=2, label="a test"
    )


def kinds(found: FileSystem) -> dict[str, str]:
    return {path: item.kind for path, item in found.paths.items()}


def test_one_layer_is_what_is_in_it() -> None:
    found = merged(
        {
            "usr": Folder(0o711, 1, 2),
            "usr/file": File("abc", 0o640, 3, 4),
            "usr/link": Link("file"),
            "usr/hard": Hardlink("usr/file", 0o640),
            "dev/null": Device(),
            "run/fifo": Device(tarfile.FIFOTYPE),
        }
    )

    assert found.paths["usr"] == Path("directory", 0o711, 1, 2, 0, "", 0)
    assert found.paths["usr/file"] == found.paths["usr/hard"] == Path("file", 0o640, 3, 4, 3, "", 0)
    assert found.paths["usr/link"] == Path("symlink", 0o777, 0, 0, 0, "file", 0)
    assert kinds(found)["dev/null"] == "character-device"
    assert kinds(found)["run/fifo"] == "fifo"


def test_parents_nobody_named_are_there() -> None:
    assert merged({"a/b/c": ""}).paths["a/b"] == Path("directory", 0o755, 0, 0, 0, "", 0)


def test_names_of_dpkg_and_bazel_are_the_same_paths() -> None:
    assert kinds(merged(layer({"": Folder(), "etc": Folder(), "etc/x": ""}, prefix="./"))) == {
        "etc": "directory",
        "etc/x": "file",
    }


def test_a_folder_again_takes_new_attributes_and_keeps_what_is_in_it() -> None:
    found = merged({"a": Folder(0o700), "a/old": ""}, [("a", Folder(0o755)), ("a/new", ""), ("a", Folder(0o1777, 5))])

    assert found.paths["a"] == Path("directory", 0o1777, 5, 0, 0, "", 1)
    assert kinds(found) == {"a": "directory", "a/old": "file", "a/new": "file"}


def test_the_last_of_two_files_of_one_name_counts() -> None:
    found = merged([("a", File("first", 0o600)), ("a", File("second", 0o644))], wanted="a")

    assert found.paths["a"].mode == 0o644
    assert found.read("a") == b"second"


# --- removal ---


def test_whiteouts_remove_a_file_or_a_folder_with_all_in_it() -> None:
    found = merged({"a/b/c": "", "a/d": "", "e": ""}, {whiteout("a/b"): "", whiteout("e"): "", whiteout("none"): ""})

    assert kinds(found) == {"a": "directory", "a/d": "file"}


@pytest.mark.parametrize("first", ["whiteout", "entry"])
def test_a_whiteout_never_removes_what_its_own_layer_adds(first: str) -> None:
    entries: list[tuple[str, str | Folder]] = [(whiteout("a"), ""), ("a", Folder(0o700)), ("a/new", "")]
    found = merged({"a/old": ""}, entries if first == "whiteout" else entries[1:] + entries[:1])

    assert kinds(found) == {"a": "directory", "a/new": "file"}
    assert found.paths["a"].mode == 0o700


@pytest.mark.parametrize("first", ["whiteout", "entry"])
def test_an_opaque_folder_shows_only_what_is_of_its_layer(first: str) -> None:
    entries: list[tuple[str, str | Folder]] = [(opaque("a"), ""), ("a", Folder()), ("a/b/new", "")]
    found = merged({"a/old": "", "a/b/old": "", "c": ""}, entries if first == "whiteout" else entries[::-1])

    assert kinds(found) == {"a": "directory", "a/b": "directory", "a/b/new": "file", "c": "file"}


def test_an_opaque_root() -> None:
    assert kinds(merged({"a": "", "b/c": ""}, {opaque(""): "", "d": ""})) == {"d": "file"}


def test_layers_above_a_whiteout_bring_a_path_back() -> None:
    found = merged({"a": "one"}, {whiteout("a"): ""}, {"a": "three"}, wanted="a")

    assert found.paths["a"].layer == 2
    assert found.read("a") == b"three"


def test_removed_files_have_no_content() -> None:
    assert merged({"a": "one"}, {whiteout("a"): ""}, wanted="a").read("a") is None
    assert merged({"d/a": "one"}, {opaque("d"): ""}, wanted="a").read("d/a") is None


# --- one kind over another ---


def test_a_file_over_a_folder_takes_away_all_in_it() -> None:
    assert kinds(merged({"a/b/c": ""}, {"a": ""})) == {"a": "file"}


def test_a_folder_over_a_file() -> None:
    assert kinds(merged({"a": ""}, {"a": Folder(), "a/b": ""})) == {"a": "directory", "a/b": "file"}


def test_a_folder_over_a_link_replaces_the_link() -> None:
    found = merged({"usr/lib/x": "", "lib": Link("usr/lib")}, {"lib": Folder(), "lib/y": ""})

    assert kinds(found)["lib"] == "directory"
    assert {"lib/y", "usr/lib/x"} <= set(found.paths)
    assert found.links() == {}


def test_a_link_over_a_file_hides_its_content() -> None:
    found = merged({"a": "one", "b": "two"}, {"a": Link("b")}, wanted="a")

    assert found.read("a") is None
    assert "a" not in found.files


# --- links to folders, in other layers ---


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "../usr/./lib", "usr/share/../lib"])
def test_files_go_through_a_link_of_a_lower_layer(target: str) -> None:
    found = merged({"usr/lib": Folder(), "lib": Link(target)}, {"lib/x86/libc.so": "", "lib/os-release": "ID=x"})

    assert kinds(found)["lib"] == "symlink"
    assert {"usr/lib/x86/libc.so", "usr/lib/os-release"} <= set(found.paths)
    assert not any(path.startswith("lib/") for path in found.paths)


def test_files_go_through_a_link_of_their_own_layer() -> None:
    found = merged({"lib": Link("usr/lib"), "lib/x": "1"}, wanted="x")

    assert found.read("usr/lib/x") == found.read("/lib/x") == b"1"


def test_whiteouts_go_through_links() -> None:
    found = merged(
        {"usr/lib/a": "", "usr/lib/b": "", "usr/bin/c": "", "lib": Link("usr/lib"), "bin": Link("usr/bin")},
        {whiteout("lib/a"): "", opaque("bin"): ""},
    )

    assert kinds(found) == {
        "usr": "directory",
        "usr/lib": "directory",
        "usr/bin": "directory",
        "usr/lib/b": "file",
        "lib": "symlink",
        "bin": "symlink",
    }


def test_a_whiteout_of_a_link_leaves_where_it_led() -> None:
    found = merged({"usr/lib/a": "", "lib": Link("usr/lib")}, {whiteout("lib"): ""}, {"lib/b": ""})

    assert kinds(found)["lib"] == "directory"
    assert {"usr/lib/a", "lib/b"} <= set(found.paths)


def test_hard_links_through_links_across_layers() -> None:
    found = merged(
        {"usr/lib/real": File("text", 0o750, 7), "lib": Link("usr/lib")},
        {"lib/again": Hardlink("lib/real")},
        wanted="real",
    )

    assert found.paths["usr/lib/again"] == Path("file", 0o750, 7, 0, 4, "", 1)
    assert found.read("lib/again") == b"text"


def test_which_links_lead_to_folders() -> None:
    found = merged(
        {
            "usr/lib/x": "",
            "lib": Link("usr/lib"),
            "lib64": Link("lib"),  # by way of another
            "up": Link("../.."),  # ends at the root
            "file": Link("usr/lib/x"),
            "nowhere": Link("gone"),
            "round": Link("round"),
        }
    )

    assert found.links() == {"lib": "usr/lib", "lib64": "lib", "up": "../.."}
    assert found.resolve("/lib64/x") == "usr/lib/x"
    assert found.resolve("/") == ""


# --- archives as they are written ---


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("dialect", ["ustar", "gnu", "pax"])
def test_dialects_and_compressions(dialect: Dialect, compression: str) -> None:
    deep = "d" * 100 + "/" + "n" * 99
    found = merged(layer({deep: "1", "link": Link("t" * 90)}, dialect=dialect, compression=compression))

    assert found.paths[deep].size == 1
    assert found.paths["link"].target == "t" * 90


@pytest.mark.parametrize("dialect", ["gnu", "pax"])
def test_names_too_long_for_the_old_format(dialect: Dialect) -> None:
    name = "/".join("é" * 60 for _ in range(4))
    found = merged(layer({name: File("1", uid=3_000_000), "l": Link("/" + name), "h": Hardlink(name)}, dialect=dialect))

    assert found.paths[name].uid == found.paths["h"].uid == 3_000_000
    assert found.resolve("l") == name


def test_extended_attributes_are_no_obstacle() -> None:
    records = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
    found = merged(layer({"bin/ping": File("1", 0o755, records=records)}, dialect="pax"))

    assert found.paths["bin/ping"].mode == 0o755


def test_only_files_of_a_bounded_size_are_captured() -> None:
    big = File(bytes(MAX_CAPTURE + 1))
    found = merged({"x": big}, {"a/x": File(bytes(10))}, wanted="x")

    assert found.read("x") is None
    assert found.read("a/x") == bytes(10)


def test_a_bigger_file_above_does_not_leave_the_smaller_ones_content() -> None:
    assert merged({"x": "1"}, {"x": File(bytes(MAX_CAPTURE + 1))}, wanted="x").read("x") is None


# --- what is not as it should be ---


def test_a_layer_that_lies_about_its_diff_id_is_refused() -> None:
    made = layer({"a": "1"}, diff_id=Digest.of(b"something else"))

    with pytest.raises(DigestMismatchError, match=f"layer {made.descriptor.digest}.*the image config says") as caught:
        merged({"b": ""}, made)
    assert caught.value.exit_code == 7


def test_bytes_that_are_not_of_the_digest_are_refused() -> None:
    made, other = layer({"a": "1"}), layer({"a": "2"})
    blob = made.blob.of(other.blob.read(), made.descriptor)

    with pytest.raises(IntegrityError):
        list(members(Layer(blob=blob, diff_id=made.diff_id)))


def test_a_tar_cut_short_is_refused() -> None:
    with pytest.raises(FormatError):
        merged(layer(archive({"a": "1" * 2000})[:1500]))


def test_a_layer_of_an_unknown_type_is_refused() -> None:
    made = layer({"a": "1"})
    foreign = made.descriptor.with_(media_type="application/vnd.example.layer")

    with pytest.raises(FormatError, match=r"unknown type application/vnd\.example\.layer"):
        list(members(Layer(blob=made.blob.of(b"", foreign), diff_id=made.diff_id)))


def test_progress_is_of_the_layers_as_stored() -> None:
    told: list[Event] = []
    made = image([layer({"a": "1"}), layer({"b": program()})])
    read_filesystem(made, lambda path: False, progress=Progress(told.append), jobs=1, label="base")

    total = sum(item.descriptor.size for item in made.layers)
    assert [(item.kind, item.label, item.total) for item in told if isinstance(item, Started)] == [
        ("inspect", "base", total)
    ]
    assert sum(item.amount for item in told if isinstance(item, Advanced)) == total


# --- bounds ---


def test_paths_as_deep_as_they_may_be() -> None:
    """Thousands of folders in each other: put, replaced and removed without a stack as deep."""
    deep = "/".join("a" * 2000)
    found = merged({deep: ""})
    assert len(found.paths) == 2000
    assert kinds(merged({deep: ""}, {"a": ""})) == {"a": "file"}
    assert kinds(merged({deep: ""}, {whiteout("a"): ""})) == {}
    assert kinds(merged({deep: "", "b": Link(deep)}, {opaque("a/a"): ""})) == {
        "a": "directory",
        "a/a": "directory",
        "b": "symlink",
    }


def test_endless_databases_are_not_kept() -> None:
    """A layer of a hundred kilobytes whose files would fill the memory."""
    entries = [(f"{number}/x", File(bytes(MAX_CAPTURE))) for number in range(MAX_CAPTURED // MAX_CAPTURE + 1)]
    made = layer(entries, compression="zstd:1")
    assert made.descriptor.size < 100_000

    with pytest.raises(FormatError, match="128 MiB of package databases"):
        merged(made, wanted="x")


def test_endless_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociassemble.image.filesystem.MAX_MEMBERS", 10)
    merged({str(number): "" for number in range(10)})

    with pytest.raises(FormatError, match="more than 10 files"):
        merged({str(number): "" for number in range(11)})


def test_endless_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ociassemble.image.filesystem.MAX_NAMES", 100_000)
    deep = "/".join("a" * 100)
    merged({f"{number}/{deep}": "" for number in range(9)})

    with pytest.raises(FormatError, match="paths of the image"):
        merged({f"{number}/{deep}": "" for number in range(20)})
