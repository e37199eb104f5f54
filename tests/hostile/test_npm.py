"""npm tarballs made to harm: whatever they are, the answer is one of our errors, and nothing is written anywhere."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import resource
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociassemble.content.spool import Spool
from ociassemble.errors import Error, FormatError
from ociassemble.layer import npm
from ociassemble.layer.writer import LayerWriter
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import NpmSource
from tests.formats import tar_builder as raw
from tests.layer.npm_tarball import manifest, member, packed


def written(data: bytes, *executables: str, folder: Path | None = None) -> bytes:
    result: list[bytes] = []
    writer = LayerWriter(result.append)
    source = NpmSource(ArtifactRef(Digest.of(b""), 0, "hostile-1.0.0.tgz"), "/app/node_modules/hostile", executables)
    with Spool(folder) as spool:
        for entry in npm.entries(io.BytesIO(data), source, spool):
            writer.add(entry)
    writer.finish()
    return b"".join(result)


def refused(data: bytes, *executables: str) -> Error:
    with pytest.raises(FormatError) as caught:
        written(data, *executables)
    assert caught.value.exit_code == 7
    assert "hostile-1.0.0.tgz" in " ".join(caught.value.details)
    return caught.value


def test_the_honest_one_is_taken() -> None:
    assert b"app/node_modules/hostile/package.json" in written(packed(manifest()))


@pytest.mark.spec("NPM-10")
@pytest.mark.parametrize(
    "name",
    [
        b"/package/a", b"/etc/cron.d/x", b"//package/a", b"package/../../a", b"../a", b"package/..", b"package/a/../b",
        b"package/..\\..\\a", b"package/a\\..\\b", b"package/\\\\host\\share\\a", b"package/\\a",
        b"package/c:/windows/a", b"package/C:a", b"package/.wh.server.js", b"package/.wh..wh..opq",
        b"package/lib/.wh.a", b".wh.a/.wh.b", b"package/" + b"n" * 91,
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(name: bytes) -> None:
    long = raw.long(b"package/" + b"n" * 256) if name.endswith(b"nnn") else b""
    refused(packed(manifest(), long + raw.file(name, b"x", magic=raw.GNU)))


@pytest.mark.spec("NPM-10")
@pytest.mark.parametrize(
    "hidden",
    [
        raw.pax((b"path", b"package/../../a")) + member("package/a"),
        raw.pax((b"path", b"/etc/a")) + member("package/a"),
        raw.pax((b"path", b"package/a\0b")) + member("package/a"),
        raw.pax((b"path", b"p/" * 2048 + b"a")) + member("package/a"),
        raw.long(b"package/../../a") + member("package/a", magic=raw.GNU),
        raw.file(b"a", b"x", prefix=b".."),
        raw.block(b"package/h", type=b"1", link=b"../../etc/passwd"),
        raw.block(b"../s", type=b"2", link=b"a"),
        raw.block(b"/dev/null", type=b"3"),
    ],
)
def test_names_hidden_in_extensions_and_in_what_is_left_out(hidden: bytes) -> None:
    refused(packed(manifest(), hidden))


@pytest.mark.spec("NPM-10")
@pytest.mark.parametrize(
    "members",
    [
        [member("package/a", b"x"), member("package/a/b", b"x")],
        [member("package/a/b/c", b"x"), member("package/a", b"x")],
        [raw.block(b"package/s", type=b"S", size=512) + bytes(512)],
        [raw.pax((b"GNU.sparse.major", b"1")) + member("package/a")],
        [raw.block(b"package/m", type=b"M")],
        [raw.block(b"package/d/", type=b"5", size=512) + bytes(512)],
        [raw.file(b"package/a", b"x", checksum=b"000000\0 ")],
        [raw.block(b"package/a", size=raw.binary(-512, 12))],
        [raw.block(b"package/a", size=raw.binary(1 << 62, 12))],
        [raw.block(b"package/a", size=1 << 30)],
        [raw.pax((b"size", b"8589934592")) + member("package/a", b"x")],
        [raw.block(b"x", type=b"x", size=2 << 20) + bytes(2 << 20)],
        [raw.block(b"g", type=b"g", size=len(raw.record(b"path", b"a"))) + raw.pad(raw.record(b"path", b"a"))],
        [raw.END, member("package/smuggled", b"x")],
    ],
)
def test_archives_that_readers_disagree_about(members: list[bytes]) -> None:
    refused(packed(manifest(), *members))


@pytest.mark.spec("NPM-10")
@pytest.mark.parametrize(
    "members",
    [
        [],
        [raw.block(b"package/", type=b"5")],
        [member("beside", b"x")],
        [raw.block(b"package/l", type=b"2", link=b"a")],
    ],
)
def test_archives_without_a_file(members: list[bytes]) -> None:
    assert "no file" in str(refused(packed(*members)))


@pytest.mark.spec("NPM-10")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        b"not a tarball",
        b"\x28\xb5\x2f\xfd" + bytes(20),
        b"\xfd7zXZ\x00" + bytes(20),
        b"BZh91AY&SY" + bytes(20),
        packed(manifest())[:-1],
        packed(manifest())[:60],
        packed(manifest()) + b"x",
        packed(manifest()) + bytes(70_000) + b"x",
        bytes(10) + packed(manifest()),
    ],
)
def test_what_is_no_tarball(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_tarball_that_is_cut_anywhere(cut: int) -> None:
    whole = packed(manifest(), member("package/a", bytes(range(256)) * 8))
    refused(whole[: len(whole) * cut // 200])


# ------------------------------------------------------------------------------------------------ bombs


@pytest.mark.spec("NPM-10")
def test_a_bomb_ends_where_its_size_gives_it_away(tmp_path: Path) -> None:
    size = 1 << 30
    with gzip.GzipFile(tmp_path / "bomb", "wb", 9, mtime=0) as packing:
        packing.write(raw.block(b"package/a", size=size))
        for _ in range(80):
            packing.write(bytes(1 << 20))  # the rest need not be there: it ends before
    data = (tmp_path / "bomb").read_bytes()
    assert len(data) < 200_000

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120 << 10  # KiB


@pytest.mark.spec("NPM-10")
def test_a_bomb_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "MAX_MEMBERS", 1000)
    assert "1000 members" in str(refused(packed(*(member(f"package/{number}") for number in range(1001)))))
    assert written(packed(*(member(f"package/{number}") for number in range(1000))))


@pytest.mark.spec("NPM-11")
def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    """60 MiB of noise pass through less than half as much memory."""
    noise = random.Random(1).randbytes(1 << 20)
    with gzip.GzipFile(tmp_path / "tarball", "wb", 1, mtime=0) as packing:
        packing.write(raw.block(b"package/a", size=60 << 20))
        for _ in range(60):
            packing.write(noise)
        packing.write(raw.END)
    source = NpmSource(ArtifactRef(Digest.of(b""), 0, "large.tgz"), "/app/node_modules/large")
    tracemalloc.start()
    try:
        with (tmp_path / "tarball").open("rb") as stream, Spool(tmp_path) as spool:
            (entry,) = npm.entries(stream, source, spool)
            assert sum(map(len, entry.content())) == 60 << 20
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


def test_a_huge_script_is_not_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "MAX_SCRIPT", 1000)
    refused(packed(member("package/x", b"#!node\r\n" + bytes(1000))), "x")


# ------------------------------------------------------------------------------------------------ whatever bytes


SEED = packed(
    manifest(), member("package/.gitignore", b"a"), raw.pax((b"path", b"package/" + b"p" * 120)) + member("a", b"x"),
    raw.long(b"package/" + b"l" * 120) + member("b", b"#!x\r\ny", magic=raw.GNU),
)  # fmt: skip


@given(st.binary(max_size=700), st.booleans())
def test_the_reader_is_total(data: bytes, wrapped: bool) -> None:
    with contextlib.suppress(Error):
        written(gzip.compress(data) if wrapped else data, "x")


@given(st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_archives_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    body = bytearray(gzip.decompress(SEED))
    for place, value in changes:
        body[place % len(body)] = value
    with contextlib.suppress(Error):
        written(gzip.compress(bytes(body)), "a", "l" * 120)


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_tarballs_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(Error):
        written(bytes(data))
