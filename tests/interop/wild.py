"""What tests of bases in the wild share: the command line, a registry that tells what it was asked, Google's base
made of real Debian packages, and what holds for everything that is built on a base.
"""

from __future__ import annotations

import fcntl
import io
import lzma
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.base.debian.assemble import BasePlan, assemble_base, plan_base, resolve_packages
from ociassemble.cli import main
from ociassemble.content.compress import codec
from ociassemble.content.directory import DirectoryStore
from ociassemble.formats import ar
from ociassemble.image.filesystem import members
from ociassemble.image.image import Image, Layer, Node, open_image
from ociassemble.image.validate import validate_config, validate_node
from ociassemble.net import download
from ociassemble.oci import mediatype
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.plan.plan import DebSource, LayerPlan
from ociassemble.progress import Progress
from ociassemble.sources import debian
from ociassemble.testing.images import archive, image, index, lay_out, layer, push
from ociassemble.transports.layout import LayoutSource
from tests.base.debian_bases import fetch, google_recipe, google_shape, wire
from tests.kinds.binary.programs import program as elf
from tests.peers import RegistryServer, start_docker_registry

GOOGLE = "gcr.io/distroless/python3-debian13:nonroot"
PLATFORMS = ("linux/amd64", "linux/arm64")
_REQUEST = re.compile(r"http\.request\.method=(\S+) .*http\.request\.uri=\"?([^ \"]+)")


# --- the command line ----------------------------------------------------------------------------------------


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def name(self) -> str:
        """The one line of a build: NAME@sha256:..."""
        assert self.status == 0, self.err
        (line,) = self.out.splitlines()
        return line

    @property
    def digest(self) -> str:
        return self.name.rpartition("@")[2]


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs `ociassemble` in this process, with a cache of the test's own unless it names one."""

    def run(*argv: str | Path, cache: Path | None = None) -> Ended:
        capsys.readouterr()
        status = main(["--cache-dir", str(cache or tmp_path / "cache"), "--progress", "plain", *map(str, argv)])
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return run


@pytest.fixture
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole run: wheels and Debian packages are fetched once."""
    return tmp_path_factory.getbasetemp().parent / "wild-cache"


# --- a registry ----------------------------------------------------------------------------------------------


class Registry(NamedTuple):
    """docker-registry, and what it was asked."""

    server: RegistryServer

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def mirror(self) -> tuple[str, str]:
        """The option that makes it stand in for gcr.io."""
        return "--registry-mirror", f"gcr.io={self.host}"

    def requests(self) -> list[tuple[str, str]]:
        """(method, path) of every request so far."""
        return _REQUEST.findall(self.server.log.read_text(errors="replace"))

    def since(self, before: int, method: str) -> list[str]:
        """Paths of the requests of one method after the first `before`."""
        return [path for found, path in self.requests()[before:] if found == method]

    def read(self, name: str) -> Node:
        """What is there under a name, read by this program's own client."""
        from ociassemble.content.memory import MemoryStore
        from ociassemble.registry.client import RegistryClient
        from ociassemble.transports.remote import RemoteSource

        return RemoteSource(RegistryClient(wire()), Reference.parse(name), MemoryStore(), pull="always").read()

    def image(self, name: str) -> Image:
        return open_image(self.read(name))

    def blob_file(self, digest: str) -> Path:
        """Where it keeps a blob."""
        algorithm, _, hexadecimal = digest.partition(":")
        return self.server.root / "docker/registry/v2/blobs" / algorithm / hexadecimal[:2] / hexadecimal / "data"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One docker-registry for the module; each test has repositories of its own."""
    server = start_docker_registry(tmp_path_factory.mktemp("registry"))
    yield Registry(server)
    server.stop()


# --- Google's base -------------------------------------------------------------------------------------------


@pytest.fixture
def google(shared_cache: Path, registry: Registry) -> dict[str, Image]:
    """Google's python3 for two platforms, by platform; it is in the registry under its name. Made once a run."""
    place = shared_cache / "google-1"
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "layout" / "index.json").exists():
            images = _google(DirectoryStore(shared_cache / "store"))  # packages in it are not fetched again by builds
            lay_out(index(images, annotations={"org.opencontainers.image.title": "python3"}), place / "layout", "t")
    node = LayoutSource(place / "layout", "t").read()
    name = GOOGLE.replace("gcr.io", registry.host)
    if not any(path.endswith("/manifests/nonroot") for method, path in registry.requests() if method == "PUT"):
        push(node, name)
    return {str(item.platform): item for item in map(open_image, node.children)}


def _google(store: DirectoryStore) -> list[Image]:
    from ociassemble.attest.openpgp import verify_release

    recipe, mirror = google_recipe(), debian.discover(None)
    platforms = [Platform.parse(text) for text in PLATFORMS]
    packages = resolve_packages(
        recipe, "python3", platforms, mirror, fetch=fetch, verify=verify_release, now=time.time()
    )

    def bring(urls: Sequence[str], ref: object) -> None:
        download.fetch(wire(), urls, ref.digest, ref.size, store)  # type: ignore[attr-defined]

    made = []
    for platform, found in zip(platforms, packages, strict=True):
        debian.fetch_packages(list(found), mirror, bring)
        made.append(google_shape(_as_bazel_does(plan_base(recipe, "python3", platform, found), found, store)))
    return made


def _as_bazel_does(plan: BasePlan, packages: Sequence[DebianPackage], store: DirectoryStore) -> Image:
    """dpkg's own archives as layers, as rules_distroless has them; what is generated, by us."""
    whole = {number: item.sources[0] for number, item in enumerate(plan.layers) if _is_package(item)}
    others = tuple(item for number, item in enumerate(plan.layers) if number not in whole)
    rest = assemble_base(
        replace(plan, layers=others),
        codec=codec("gzip", 1, role="base"),
        store=store,
        fetch=lambda refs: None,
        jobs=2,
        progress=Progress(),
    )
    generated = iter(rest.layers)
    layers: list[Layer] = []
    for number in range(len(plan.layers)):
        source = whole.get(number)
        layers.append(_package_layer(source, store) if isinstance(source, DebSource) else next(generated))
    document = {key: rest.config.document[key] for key in ("os", "architecture")}
    return image(layers, platform=str(plan.platform), execution=rest.config.execution, more=document)


def _is_package(plan: LayerPlan) -> bool:
    return len(plan.sources) == 1 and isinstance(plan.sources[0], DebSource)


def _package_layer(source: DebSource, store: DirectoryStore) -> Layer:
    with store.open_seekable(source.artifact.digest) as stream:
        members = {item.name: item.stream.read() for item in ar.read(stream)}
    data = lzma.decompress(members["data.tar.xz"])
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        files.getmembers()
        data = data[: files.offset]  # more comes after the last member, as the end of the archive does
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(members["control.tar.xz"]))) as control:
        parts = {item.name: control.extractfile(item).read() for item in control if item.isfile()}  # type: ignore[union-attr]
    status = f"var/lib/dpkg/status.d/{source.package}"
    return layer(
        data + archive({status: parts["./control"], f"{status}.md5sums": parts.get("./md5sums", b"")}, prefix="./")
    )


# --- what is built on a base -------------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a few files."""
    folder = tmp_path / "app"
    (folder / "deep").mkdir(parents=True)
    (folder / "run").write_bytes(elf())
    (folder / "run").chmod(0o755)
    (folder / "deep" / "data").write_text("1")
    return folder


def on_top(base: Image, made: Image) -> tuple[Layer, ...]:
    """The layers that were added, after all has been held against the base: what came from it is what it was."""
    count = len(base.layers)
    for before, after in zip(base.layers, made.layers, strict=False):
        wanted = before.descriptor.with_(media_type=mediatype.to_oci(before.descriptor.media_type))
        assert after.descriptor == wanted
        assert after.diff_id == before.diff_id
    assert made.manifest.media_type == mediatype.OCI_MANIFEST
    assert made.manifest.config.media_type == mediatype.OCI_CONFIG
    assert validate_node(made.node) == ()
    assert validate_config(made.config, len(made.layers)) == ()
    filled = [item for item in made.config.history if not item.get("empty_layer")]
    assert len(filled) == len(made.layers)
    kept = base.config.history
    assert made.config.history[: len(kept)] == kept
    for key, value in base.config.document.items():
        if key not in ("created", "config", "rootfs", "history"):
            assert made.config.document[key] == value
    assert made.manifest.annotations["org.opencontainers.image.base.digest"] == base.digest
    return made.layers[count:]


def paths(*layers: Layer) -> set[str]:
    return {member.path for item in layers for member in members(item) if member.kind != "directory"}
