"""npm packages as entries: what `npm ci` lays down (specs/behaviour/npm.md); interop holds it against npm."""

from __future__ import annotations

import io
import os
import random
import resource
from pathlib import Path

import pytest

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.directory import DirectoryStore
from ociassemble.content.memory import MemoryStore
from ociassemble.content.spool import Spool
from ociassemble.layer import npm
from ociassemble.layer.build import build_layer
from ociassemble.layer.entry import Entry
from ociassemble.layer.sources import Materials
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import LayerPlan, NpmSource
from ociassemble.progress import Progress
from tests.formats import tar_builder as raw
from tests.layer.npm_tarball import manifest, member, packed


def source(data: bytes, *executables: str, path: str = "/app/node_modules/x") -> NpmSource:
    return NpmSource(ArtifactRef(Digest.of(data), len(data), "x-1.0.0.tgz"), path, executables)


def laid_down(data: bytes, *executables: str) -> dict[str, tuple[int, bytes]]:
    """Mode and content by the path inside the package."""
    with Spool() as spool:
        entries = list(npm.entries(io.BytesIO(data), source(data, *executables), spool))
        assert [entry.path for entry in entries] == sorted(entry.path for entry in entries)
        return {_inside(entry): (entry.mode, _content(entry)) for entry in entries}


def _inside(entry: Entry) -> str:
    assert entry.kind == "file"
    assert (entry.uid, entry.gid) == (0, 0)
    assert entry.origin == "npm package x-1.0.0.tgz"
    assert entry.path.startswith("app/node_modules/x/")
    return entry.path.removeprefix("app/node_modules/x/")


def _content(entry: Entry) -> bytes:
    data = b"".join(entry.content())
    assert b"".join(entry.content()) == data  # again and again, from the beginning
    assert len(data) == entry.size
    return data


def names(data: bytes) -> list[str]:
    return [path for path in laid_down(data) if path != "package.json"]


@pytest.mark.spec("NPM-1")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("package/a", "a"),
        ("x-1.0.0/lib/a", "lib/a"),
        ("package//a", "a"),
        ("package/./b/a", "b/a"),
        ("./package/a", "package/a"),
        ("lonely", None),
        ("package", None),
    ],
)
def test_the_first_part_of_a_path_goes(name: str, path: str | None) -> None:
    assert names(packed(manifest(), member(name, b"a"))) == ([] if path is None else [path])


@pytest.mark.spec("NPM-2")
def test_only_files_are_laid_down() -> None:
    data = packed(
        manifest(),
        raw.block(b"package/empty/", type=b"5", mode=b"0000700\0"),
        raw.block(b"package/link", type=b"2", link=b"/etc/passwd"),
        raw.block(b"package/hard", type=b"1", link=b"package/package.json"),
        raw.block(b"package/fifo", type=b"6"),
        raw.block(b"package/null", type=b"3"),
        raw.block(b"package/d", type=b"2", link=b"/etc"),
        member("package/d/a", b"a"),
    )

    assert names(data) == ["d/a"]


@pytest.mark.spec("NPM-3")
@pytest.mark.parametrize(
    ("packed_mode", "mode"),
    [
        (0o000, 0o644), (0o400, 0o644), (0o600, 0o644), (0o666, 0o644), (0o664, 0o644), (0o100, 0o744), (0o744, 0o744),
        (0o754, 0o754), (0o001, 0o645), (0o755, 0o755), (0o777, 0o755), (0o4755, 0o755), (0o6777, 0o755),
        (0o1644, 0o644), (0o2644, 0o644),
    ],
)  # fmt: skip
def test_modes_are_those_that_npm_makes(packed_mode: int, mode: int) -> None:
    assert laid_down(packed(member("package/a", b"a", packed_mode)))["a"] == (mode, b"a")


@pytest.mark.spec("NPM-3")
def test_commands_are_executable() -> None:
    data = packed(manifest(), member("package/bin/x", b"#!/usr/bin/env node\n", 0o600), member("package/y", b"", 0o744))

    found = laid_down(data, "./bin/x", "y", "missing", "package.json/nothing")

    assert found["bin/x"] == (0o755, b"#!/usr/bin/env node\n")
    assert found["y"] == (0o755, b"")
    assert found["package.json"][0] == 0o644


@pytest.mark.spec("NPM-4")
@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        (b"#!/usr/bin/env node\r\nx\r\n", b"#!/usr/bin/env node\nx\r\n"),
        (b"#!/usr/bin/env node\nx\r\n", b"#!/usr/bin/env node\nx\r\n"),
        (b"#!node\r\r\nx", b"#!node\r\nx"),
        (b"#!\r\nx", b"#!\r\nx"),
        (b" #!node\r\n", b" #!node\r\n"),
        (b"#!node \xff\r\n\xe9", "#!node \ufffd\n\ufffd".encode()),
        (b"#!" + b"n" * 2043 + b"\r\n", b"#!" + b"n" * 2043 + b"\r\n"[1:]),
        (b"#!" + b"n" * 2045 + b"\r\n", b"#!" + b"n" * 2045 + b"\r\n"),
        (b"", b""),
    ],
)
def test_the_first_line_of_a_command_ends_as_unix_has_it(text: bytes, fixed: bytes) -> None:
    data = packed(member("package/x", text), member("package/other", text))

    assert laid_down(data, "x") == {"x": (0o755, fixed), "other": (0o644, text)}


@pytest.mark.spec("NPM-5")
@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([".gitignore"], b".gitignore"),
        ([".gitignore", ".npmignore"], b".npmignore"),
        ([".npmignore", ".gitignore"], b".npmignore"),
        (["../other/.npmignore", ".gitignore"], b".gitignore"),
    ],
)
def test_gitignore_becomes_npmignore(members: list[str], text: bytes) -> None:
    written = {"../other/.npmignore": "other/.npmignore"}
    data = packed(*(member(written.get(name, f"package/{name}"), name.encode()) for name in members))

    assert {path: content for path, (_, content) in laid_down(data).items()} == {".npmignore": text}


@pytest.mark.spec("NPM-5")
def test_gitignore_files_below_are_renamed_too() -> None:
    data = packed(member("package/.npmignore", b"top"), member("package/lib/.gitignore", b"lib"))

    assert names(data) == [".npmignore", "lib/.npmignore"]


@pytest.mark.spec("NPM-6")
def test_the_last_content_and_the_first_mode_count() -> None:
    data = packed(member("package/a", b"first", 0o755), member("package/a", b"second"), member("other/a", b"third"))

    assert laid_down(data) == {"a": (0o755, b"third")}


@pytest.mark.spec("NPM-7")
def test_names_are_what_linux_makes_of_them() -> None:
    data = packed(member("package/README", b"1"), member("package/readme", b"2"), member(b"package/caf\xe9", b"3"))

    assert laid_down(data) == {"README": (0o644, b"1"), "readme": (0o644, b"2"), "caf\ufffd": (0o644, b"3")}


@pytest.mark.spec("NPM-9")
@pytest.mark.parametrize("after", [bytes(1), bytes(4814), bytes(200_000)], ids=len)
def test_zeros_may_follow_the_archive(after: bytes) -> None:
    assert names(packed(member("package/a", b"a")) + after) == ["a"]


@pytest.mark.spec("NPM-9")
def test_archives_without_compression_or_end_are_read() -> None:
    assert names(member("package/a", b"a") + raw.END) == ["a"]
    assert names(packed(member("package/a", b"a"), end=b"")) == ["a"]


# ------------------------------------------------------------------------------------------------ in layers


def built(tmp_path: Path, *tarballs: bytes) -> Digest:
    """The diff_id of the layer of these packages, x0, x1, ..."""
    store = DirectoryStore(tmp_path)
    sources = [source(data, "cli.js", path=f"/app/node_modules/x{number}") for number, data in enumerate(tarballs)]
    made = dict(zip((item.artifact.digest for item in sources), tarballs, strict=True))
    layer = build_layer(
        LayerPlan(title="dependencies", role="dependency", sources=tuple(sources)),
        Materials(artifact=lambda ref: io.BytesIO(made[ref.digest]), file=lambda item: iter, scratch=store.scratch),
        compress.codec("none"),
        store,
        cores=Cores(1),
        progress=Progress(),
    )
    assert list(store.scratch.iterdir()) == []
    return layer.layer.diff_id


@pytest.mark.spec("NPM-8")
def test_the_order_in_a_tarball_decides_nothing(tmp_path: Path) -> None:
    members = [member(f"package/{number % 7}/{number}", os.urandom(3000)) for number in range(60)]
    members.append(member("package/cli.js", b"#!/usr/bin/env node\r\n"))
    first = built(tmp_path, packed(*members))
    random.Random(7).shuffle(members)

    assert built(tmp_path, packed(*members)) == first


@pytest.mark.spec("NPM-11")
def test_many_packages_need_few_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    folder = tmp_path / "tarballs"
    folder.mkdir()
    paths = {}
    for number in range(60):
        data = packed(member("package/index.js", b"%d" % number))
        paths[Digest.of(data)] = folder / str(number)
        (folder / str(number)).write_bytes(data)
    refs = [ArtifactRef(digest, path.stat().st_size, "x.tgz") for digest, path in paths.items()]
    sources = tuple(NpmSource(ref, f"/app/node_modules/x{number}") for number, ref in enumerate(refs))
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 20, hard))
    try:
        layer = build_layer(
            LayerPlan(title="dependencies", role="dependency", sources=sources),
            Materials(artifact=lambda ref: paths[ref.digest].open("rb"), file=lambda item: iter),
            compress.codec("none"),
            MemoryStore(),
            cores=Cores(1),
            progress=Progress(),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert layer.layer.descriptor.size > 60 * 1024


@pytest.mark.spec("NPM-11")
def test_large_packages_wait_on_the_disk(tmp_path: Path) -> None:
    large = packed(member("package/a", os.urandom(5000)), member("package/b", bytes(50)))
    with Spool(tmp_path, in_memory=100) as spool:
        entries = list(npm.entries(io.BytesIO(large), source(large), spool))
        assert [path.stat().st_size for path in tmp_path.iterdir()] == [5000]
        assert [len(b"".join(entry.content())) for entry in reversed(entries)] == [50, 5000]
    assert list(tmp_path.iterdir()) == []
