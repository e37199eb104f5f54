"""What is in a layer and in which order, from its plan to its bytes (specs/behaviour/layer-format.md)."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence

import pytest

from ociassemble._pool import Cores
from ociassemble.content import compress
from ociassemble.content.memory import MemoryStore
from ociassemble.errors import Error, FormatError
from ociassemble.layer.build import build_layer
from ociassemble.layer.entry import Content, Entry, constant
from ociassemble.layer.sources import Materials
from ociassemble.layer.writer import ConflictError, LayerWriter, PathError
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.facts import DirectoryFact
from ociassemble.plan.plan import (
    DebSource,
    DirectorySource,
    FileItem,
    FilesSource,
    LayerPlan,
    LinkSource,
    Source,
    TextSource,
)
from ociassemble.progress import Progress


def built(
    *sources: Source,
    artifacts: dict[str, bytes] | None = None,
    links: tuple[tuple[str, str], ...] = (),
    directories: tuple[DirectoryFact, ...] = (),
    codec: str = "none",
) -> bytes:
    """The blob of a layer made of `sources`; a project's file holds its own source path."""
    store = MemoryStore()

    def file(item: FileItem) -> Content:
        return constant(item.source.encode())

    materials = Materials(artifact=lambda ref: io.BytesIO((artifacts or {})[ref.filename]), file=file)
    plan = LayerPlan(title="test", role="application", sources=sources, links=links, directories=directories)
    layer = build_layer(plan, materials, compress.parse(codec), store, cores=Cores(2), progress=Progress()).layer
    blob = store.blobs[layer.descriptor.digest]
    if codec == "none":
        assert layer.diff_id == layer.descriptor.digest
    return blob


def names(blob: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        return [member.name + "/" * member.isdir() for member in archive]


def project(*paths: str, text: str = "x") -> FilesSource:
    return FilesSource(
        tuple(FileItem(path, "file", digest=Digest.of(text.encode()), size=len(text), source=text) for path in paths)
    )


def deb(name: str, members: Sequence[tarfile.TarInfo]) -> bytes:
    def archive(items: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as made:
            for info, data in items:
                info.size = len(data)
                made.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n".encode()
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": archive([(tarfile.TarInfo("./control"), control)]),
        "data.tar": archive([(info, b"x" if info.isreg() else b"") for info in members]),
    }
    return b"!<arch>\n" + b"".join(
        f"{part:<16}0           0     0     100644  {len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        for part, data in parts.items()
    )


def member(path: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def package(name: str, data: bytes) -> DebSource:
    digest = Digest.of(data)
    return DebSource(ArtifactRef(digest=digest, size=len(data), filename=f"{name}.deb"), name)


@pytest.mark.spec("LAYER-12", "LAYER-14")
def test_paths_are_sorted_by_their_parts_and_parents_come_first() -> None:
    paths = ["/app/b", "/app/a/z", "/app/a-b", "/app/a/b/c", "/app/a.txt", "/app/é", "/app/Z", "/app/a/B"]
    expected = [
        "app/",
        "app/Z",
        "app/a/",
        "app/a/B",
        "app/a/b/",
        "app/a/b/c",
        "app/a/z",
        "app/a-b",
        "app/a.txt",
        "app/b",
        "app/é",
    ]
    assert names(built(project(*paths))) == expected
    assert built(project(*paths)) == built(project(*reversed(paths)))


@pytest.mark.spec("LAYER-12")
def test_packages_keep_their_own_order() -> None:
    one = deb("one", [member("./usr/z"), member("./usr/a")])
    two = deb("two", [member("./usr/b")])
    sources = (package("one", one), package("two", two))
    found = names(built(*sources, artifacts={"one.deb": one, "two.deb": two}))
    assert [name for name in found if name.startswith("usr")] == ["usr/", "usr/z", "usr/a", "usr/b"]


@pytest.mark.spec("LAYER-13")
def test_equal_files_of_two_sources_are_one_and_others_an_error() -> None:
    assert names(built(project("/app/x"), project("/app/x"))) == ["app/", "app/x"]
    assert names(built(project("/app/x"), TextSource("/app/x", "x"))) == ["app/", "app/x"]
    for other in (project("/app/x", text="y"), TextSource("/app/x", "x", 0o755), LinkSource("/app/x", "y")):
        with pytest.raises(ConflictError):
            built(project("/app/x"), other)


@pytest.mark.spec("LAYER-15")
def test_directories_have_the_bases_mode_and_owner() -> None:
    blob = built(
        project("/tmp/x", "/srv/x"),
        DirectorySource("/tmp", 0o700),
        DirectorySource("/run/app", 0o750, 65532, 65532),
        directories=(DirectoryFact("tmp", 0o1777, 0, 0), DirectoryFact("srv", 0o700, 5, 6)),
    )
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        found = {info.name: (info.mode, info.uid, info.gid) for info in archive if info.isdir()}
    assert found == {
        "tmp": (0o1777, 0, 0),
        "srv": (0o700, 5, 6),
        "run": (0o755, 0, 0),
        "run/app": (0o750, 65532, 65532),
    }


@pytest.mark.spec("LAYER-16")
def test_paths_across_links_of_the_base() -> None:
    links = (("lib", "usr/lib"), ("var/run", "/run"))
    blob = built(project("/lib/x", "/var/run/y"), LinkSource("/lib/l", "../lib/x"), links=links)
    assert names(blob) == ["run/", "run/y", "usr/", "usr/lib/", "usr/lib/l", "usr/lib/x"]
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        assert archive.getmember("usr/lib/l").linkname == "../lib/x"
    with pytest.raises(ConflictError):
        built(project("/lib/x"), project("/usr/lib/x", text="y"), links=links)
    data = deb("one", [member("./lib/a"), member("./lib/b", type=tarfile.LNKTYPE, linkname="./lib/a")])
    blob = built(package("one", data), artifacts={"one.deb": data}, links=links)
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        assert archive.getmember("usr/lib/b").linkname == "usr/lib/a"


@pytest.mark.spec("LAYER-17")
@pytest.mark.parametrize("path", ["/app/.wh.x", "/.wh..wh..opq", "/app/.wh.d/x"])
def test_whiteouts_are_refused(path: str) -> None:
    with pytest.raises(PathError):
        built(project(path))


@pytest.mark.spec("LAYER-18")
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o4755, 0o2755, 0o6755, 0o7777, 0o1644, 0])
def test_set_id_bits_are_in_no_layer(mode: int) -> None:
    data = deb("one", [member("./d", type=tarfile.DIRTYPE, mode=mode), member("./d/f", mode=mode, uid=7, gid=8)])
    blob = built(package("one", data), artifacts={"one.deb": data})
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        folder, file = archive.getmember("d"), archive.getmember("d/f")
    assert (file.mode, file.uid, file.gid) == (mode & 0o777, 7, 8)
    assert folder.mode == mode & 0o1777
    buffer = io.BytesIO()
    LayerWriter(buffer.write).add(Entry("x", mode=mode, origin="test"))
    assert int(buffer.getvalue()[100:107], 8) == mode & 0o777


@pytest.mark.spec("LAYER-20")
@pytest.mark.parametrize("target", ["./later", "./nowhere", "./d", "./s"])
def test_hard_links_name_a_file_before_them(target: str) -> None:
    members = [
        member("./d", type=tarfile.DIRTYPE),
        member("./s", type=tarfile.SYMTYPE, linkname="x"),
        member("./h", type=tarfile.LNKTYPE, linkname=target),
        member("./later"),
    ]
    data = deb("one", members)
    with pytest.raises(Error, match="hard link"):
        built(package("one", data), artifacts={"one.deb": data})


@pytest.mark.spec("LAYER-21")
@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_fifos_are_refused(kind: bytes) -> None:
    data = deb("one", [member("./dev/x", type=kind)])
    with pytest.raises(FormatError, match="dev/x"):
        built(package("one", data), artifacts={"one.deb": data})


@pytest.mark.spec("LAYER-29")
def test_golden_layer() -> None:
    """diff_ids change with assembly-version only, digests also with the codec identity."""
    sources = (
        project("/app/main.py", "/app/" + "n" * 120, "/app/é", text="hello"),
        TextSource("/app/start", "#!/usr/bin/python3\n", 0o755),
        LinkSource("/app/link", "../usr/bin/python3"),
        DirectorySource("/app/data", 0o700, 65532, 65532),
    )
    found = {codec: hashlib.sha256(built(*sources, codec=codec)).hexdigest()[:32] for codec in ("none", "gzip", "zstd")}
    assert found == GOLDEN


GOLDEN = {
    "none": "969a0c5cdc8bdd8fee4e9437d3311aff",
    "gzip": "ae87a5cb925eaec393386bce26b1432f",
    "zstd": "cce28ed464bc04503701df8646e79c18",
}
