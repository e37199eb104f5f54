"""Files of an upstream release become entries of a layer, each held against its own hash while it streams by."""

from __future__ import annotations

import gzip
import io
from typing import BinaryIO

import pytest

from ociassemble.content import compress
from ociassemble.content.compress import CompressionError
from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import BlobMissingError, ingest_all
from ociassemble.content.verify import DigestMismatchError, SizeMismatchError
from ociassemble.errors import Error, FormatError
from ociassemble.image.filesystem import members
from ociassemble.layer.archive import ArchiveFileMissingError, entries
from ociassemble.layer.build import BuiltLayer, build_layers
from ociassemble.layer.key import layer_key
from ociassemble.layer.sources import Materials
from ociassemble.oci.digest import Digest
from ociassemble.plan.artifacts import ArtifactRef
from ociassemble.plan.plan import ArchiveFile, ArchiveSource, LayerPlan, artifacts_of, places_of
from ociassemble.progress import Progress
from ociassemble.testing.images import Content, File, Link, archive

NODE, LICENSE = b"\x7fELF" + bytes(range(256)) * 4096, b"terms\n"
FILES = (
    ArchiveFile("LICENSE", "/nodejs/LICENSE", Digest.of(LICENSE), len(LICENSE)),
    ArchiveFile("bin/node", "/nodejs/bin/node", Digest.of(NODE), len(NODE), 0o755),
)
UPSTREAM: dict[str, Content] = {
    "node-v1/bin/node": File(NODE, 0o755, 1000, 1000),
    "node-v1/bin/npm": Link("../lib/npm.js"),
    "node-v1/include/node.h": "int",
    "node-v1/LICENSE": File(LICENSE, 0o664),
}
NPM: dict[str, Content] = {"package/LICENSE": LICENSE, "package/bin/node": NODE, "package/package.json": "{}"}


class Shelf:
    """Archives by their digests, in a store; which were opened."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.opened: list[str] = []

    def put(self, content: dict[str, Content] | bytes, name: str) -> ArtifactRef:
        data = content if isinstance(content, bytes) else gzip.compress(archive(content), mtime=0)
        return ArtifactRef(*ingest_all(self.store, iter([data])), name)

    def open(self, ref: ArtifactRef) -> BinaryIO:
        self.opened.append(ref.filename)
        return self.store.open_seekable(ref.digest)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def content(source: ArchiveSource, shelf: Shelf) -> dict[str, bytes]:
    return {entry.path: b"".join(entry.content()) for entry in entries(source, shelf.open)}


def gone(name: str) -> ArtifactRef:
    return ArtifactRef(Digest.of(name.encode()), 1, name)


@pytest.mark.spec("DEBIAN-ARCHIVE-1")
@pytest.mark.parametrize("made", [UPSTREAM, NPM], ids=["upstream", "npm"])
def test_exactly_the_files_with_modes_of_the_recipe(made: dict[str, Content], shelf: Shelf) -> None:
    source = ArchiveSource(FILES, (shelf.put(made, "a.tgz"),))

    assert content(source, shelf) == {"nodejs/LICENSE": LICENSE, "nodejs/bin/node": NODE}
    assert [(item.path, item.mode, item.size, item.uid) for item in entries(source, shelf.open)] == [
        ("nodejs/LICENSE", 0o644, 6, 0),
        ("nodejs/bin/node", 0o755, len(NODE), 0),
    ]


def test_what_the_entries_are_is_known_before_anything_is_opened(shelf: Shelf) -> None:
    found = tuple(entries(ArchiveSource(FILES, (gone("a"),)), shelf.open))

    assert len(found) == 2
    assert shelf.opened == []


@pytest.mark.spec("DEBIAN-ARCHIVE-2")
def test_the_first_archive_that_is_there_is_read(shelf: Shelf) -> None:
    npm = shelf.put(NPM, "npm.tgz")

    assert content(ArchiveSource(FILES, (gone("upstream.tar.gz"), npm)), shelf)["nodejs/bin/node"] == NODE
    assert set(shelf.opened) == {"upstream.tar.gz", "npm.tgz"}
    with pytest.raises(BlobMissingError):
        content(ArchiveSource(FILES, (gone("a"), gone("b"))), shelf)


def built(source: ArchiveSource, shelf: Shelf) -> BuiltLayer:
    plan = LayerPlan(title="Node", role="base", sources=(source,))
    (layer,) = build_layers(
        [plan],
        codec=lambda _: compress.codec("gzip", role="base"),
        store=shelf.store,
        fetch=lambda _: None,
        materials=Materials(artifact=shelf.open, file=lambda _: iter),  # type: ignore[arg-type,return-value]
        use_records=False,
        jobs=2,
        progress=Progress(),
    )
    return layer


@pytest.mark.spec("DEBIAN-ARCHIVE-2")
def test_whichever_archive_it_was_the_layer_is_the_same(shelf: Shelf) -> None:
    sources = [ArchiveSource(FILES, (shelf.put(made, "x.tgz"),)) for made in (UPSTREAM, NPM)]
    one, other = (built(source, shelf) for source in sources)

    assert one.layer.descriptor == other.layer.descriptor
    assert one.layer.diff_id == other.layer.diff_id
    found = [(item.path, item.kind, item.mode, item.mtime) for item in members(one.layer)]
    assert found == [
        ("nodejs", "directory", 0o755, 315619200),
        ("nodejs/LICENSE", "file", 0o644, 315619200),
        ("nodejs/bin", "directory", 0o755, 315619200),
        ("nodejs/bin/node", "file", 0o755, 315619200),
    ]


@pytest.mark.spec("DEBIAN-ARCHIVE-2")
def test_the_key_is_of_the_files_and_not_of_the_archives() -> None:
    def key(*files: ArchiveFile, archives: tuple[ArtifactRef, ...] = (gone("a"),)) -> Digest:
        return layer_key(LayerPlan(title="", role="base", sources=(ArchiveSource(files, archives),)))

    same = key(*FILES)
    assert key(*FILES, archives=(gone("b"), gone("c"))) == same
    assert key(*(item._replace(inside=f"other/{item.inside}") for item in FILES)) == same
    for change in ({"digest": Digest.of(b"x")}, {"mode": 0o700}, {"path": "/usr/bin/node"}):
        assert key(FILES[0], FILES[1]._replace(**change)) != same


def test_what_a_plan_says_about_it() -> None:
    plan = LayerPlan(title="", role="base", sources=(ArchiveSource(FILES, (gone("a"), gone("b"))),))

    assert artifacts_of(plan) == (gone("a"), gone("b"))
    assert places_of(plan) == ("/nodejs/LICENSE", "/nodejs/bin/node")


HOSTILE: dict[str, tuple[dict[str, Content] | bytes, type[Error]]] = {
    "other bytes": ({**NPM, "package/bin/node": NODE[::-1]}, DigestMismatchError),
    "more bytes": ({**NPM, "package/bin/node": NODE + b"x"}, SizeMismatchError),
    "fewer bytes": ({**NPM, "package/bin/node": NODE[:-1]}, SizeMismatchError),
    "not there": ({"package/LICENSE": LICENSE}, ArchiveFileMissingError),
    "a link": ({**NPM, "package/bin/node": Link("/bin/sh")}, ArchiveFileMissingError),
    "deeper": ({"package/LICENSE": LICENSE, "package/x/bin/node": NODE}, ArchiveFileMissingError),
    "at the top": ({"LICENSE": LICENSE, "bin/node": NODE}, ArchiveFileMissingError),
    "a climber": ({"package/../bin/node": NODE}, FormatError),
    "empty": (b"", CompressionError),
    "no gzip": (b"PK\x03\x04" * 100, CompressionError),
    "no tar": (gzip.compress(b"x" * 2048), FormatError),
    "cut short": (gzip.compress(archive(NPM))[:-900], Error),
}


@pytest.mark.spec("DEBIAN-ARCHIVE-1")
@pytest.mark.parametrize("case", HOSTILE)
def test_an_archive_that_is_not_what_it_should_be(case: str, shelf: Shelf) -> None:
    made, error = HOSTILE[case]
    source = ArchiveSource(FILES, (shelf.put(made, "bad.tgz"),))

    with pytest.raises(error) as caught:
        content(source, shelf)
    assert caught.value.exit_code == 7
    if isinstance(caught.value, FormatError):
        assert "bad.tgz" in f"{caught.value} {caught.value.details}"


def test_the_last_block_is_held_back_until_all_is_right(shelf: Shelf) -> None:
    source = ArchiveSource(FILES[1:], (shelf.put({"p/bin/node": NODE[:-1] + b"x"}, "bad.tgz"),))
    (entry,) = entries(source, shelf.open)
    got = io.BytesIO()

    with pytest.raises(DigestMismatchError):
        got.writelines(entry.content())
    assert 0 < len(got.getvalue()) < len(NODE)
