"""Bases as they are in the wild, for tests: Google's from real Debian packages, and small ones like python-slim's,
Wolfi's and Alpine's; and what tests of them share: a registry that tells what it was asked, and the command line.
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
from ociassemble.image.image import Image, Layer, Node, open_image
from ociassemble.net import download
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.locked import DebianPackage
from ociassemble.plan.plan import DebSource, LayerPlan
from ociassemble.progress import Progress
from ociassemble.sources import debian
from ociassemble.testing.images import Content, File, Folder, Link, archive, image, index, lay_out, layer, program, push
from ociassemble.transports.layout import LayoutSource
from tests.base.debian_bases import fetch, google_recipe, google_shape, wire
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
            images = _google(DirectoryStore(place / "store"))
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


# --- small ones ----------------------------------------------------------------------------------------------

USRMERGE: dict[str, Content] = {
    **{name: Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")},
    **{f"usr/{name}": Folder() for name in ("bin", "sbin", "lib", "lib64")},
}
FOLDERS: dict[str, Content] = {
    "tmp": Folder(0o1777),
    "var/tmp": Folder(0o1777),
    "root": Folder(0o700),
    "home/nonroot": Folder(0o700, 65532, 65532),
}
GLIBC = b"\0GNU C Library (made for a test) stable release version 2.36.\0"
PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _python(folder: str, minor: str) -> dict[str, Content]:
    return {
        f"{folder}/python{minor}": program(),
        f"{folder}/python3": Link(f"python{minor}"),
        f"{folder}/python": Link("python3"),
    }


def _apk(*packages: tuple[str, str]) -> str:
    return "\n".join(f"C:Q1abc=\nP:{name}\nV:{version}\nF:usr\n" for name, version in packages)


def slim(**options: object) -> Image:
    """Like an official `python:3.12-slim`: Debian 12, Python in /usr/local, root, no entrypoint."""
    bottom: dict[str, Content] = {
        **USRMERGE,
        **FOLDERS,
        "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "etc/os-release": Link("../usr/lib/os-release"),
        "usr/lib/x86_64-linux-gnu/libc.so.6": program(GLIBC),
        "usr/bin/perl": program(),
        "bin/sh": program(),
        "var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u14\n",
        "var/cache/debconf/x": "",
    }
    python = {
        **_python("usr/local/bin", "3.12"),
        "usr/local/lib/python3.12/site-packages": Folder(),
        "usr/local/lib/python3.12/site-packages/pip/__init__.py": "",
        "var/cache/.wh.debconf": "",
        "tmp": Folder(0o1777),
    }
    layers = [layer(bottom), layer(python), layer({"usr/local/bin/idle": Link("idle3")})]
    history = [
        {"created": "2024-12-03T18:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:1 in /"},
        {"created": "2024-12-03T18:00:00Z", "created_by": 'CMD ["bash"]', "empty_layer": True},
        {"created": "2024-12-03T18:00:00Z", "created_by": "ENV PYTHON_VERSION=3.12.8", "empty_layer": True},
        {"created": "2024-12-03T18:00:00Z", "created_by": "RUN set -eux; ..."},
        {"created": "2024-12-03T18:00:00Z", "created_by": "RUN for src in idle3 ..."},
        {"created": "2024-12-03T18:00:00Z", "created_by": 'CMD ["python3"]', "empty_layer": True},
    ]
    env = [PATH, "LANG=C.UTF-8", "GPG_KEY=7169", "PYTHON_VERSION=3.12.8", "PYTHON_SHA256=c909"]
    return image(
        layers,
        execution={"Env": env, "Cmd": ["python3"]},
        created="2024-12-03T18:00:00Z",
        history=history,
        **options,  # type: ignore[arg-type]
    )


def wolfi(database: str = "usr/lib/apk/db/installed", **options: object) -> Image:
    """Like Chainguard's python: Wolfi's glibc and apk, one layer, the interpreter as entrypoint, nonroot."""
    files: dict[str, Content] = {
        **(USRMERGE if database.startswith("usr") else {"lib": Folder(), "usr/lib": Folder()}),
        **FOLDERS,
        "etc/os-release": 'ID=wolfi\nNAME="Wolfi"\nVERSION_ID="20230201"\n',
        "usr/lib/libc.so.6": program(),
        **_python("usr/bin", "3.13"),
        "usr/lib/python3.13/site-packages": Folder(),
        database: _apk(("glibc", "2.41-r3"), ("python-3.13-base", "3.13.1-r2"), ("python-3.13", "3.13.1-r2")),
    }
    execution = {
        "User": "65532",
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": ["/usr/bin/python"],
    }
    history = [{"author": "apko", "created": "2025-01-02T00:00:00Z", "created_by": "apko", "comment": "one layer"}]
    return image(
        [layer(files, dialect="pax")],
        execution=execution,
        created="2025-01-02T00:00:00Z",
        history=history,
        **options,  # type: ignore[arg-type]
    )


def alpine(minor: str = "3.13", machine: str = "x86_64", **options: object) -> Image:
    """Like an official `python:3.13-alpine`: musl, Python in /usr/local."""
    loader = f"ld-musl-{machine}.so.1"
    files: dict[str, Content] = {
        **FOLDERS,
        "lib": Folder(),
        "bin": Folder(),
        "bin/busybox": File(b"\x7fELF", 0o755),
        "bin/sh": Link("/bin/busybox"),
        "etc/os-release": "ID=alpine\nVERSION_ID=3.21.0\n",
        f"lib/{loader}": program(),
        f"lib/libc.musl-{machine}.so.1": Link(loader),
        "lib/apk/db/installed": _apk(("musl", "1.2.5-r8")),
    }
    layers = [layer(files), layer(_python("usr/local/bin", minor))]
    env = [PATH, f"PYTHON_VERSION={minor}.1"]
    return image(layers, execution={"Env": env, "Cmd": ["python3"]}, **options)  # type: ignore[arg-type]
