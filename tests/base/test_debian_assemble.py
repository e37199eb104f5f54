"""Bases from small packages on a loopback mirror: suites to pins to layers to images."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ociassemble.attest import openpgp
from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.assemble import CREATED, PinMissingError, plan_base, resolve_packages
from ociassemble.base.inspect import read_facts
from ociassemble.content.compress import open_reader
from ociassemble.content.memory import MemoryStore
from ociassemble.formats import ldcache
from ociassemble.image.image import Image
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked_base import DebianPackage
from ociassemble.plan.plan import DebSource, document
from ociassemble.progress import Progress
from ociassemble.sources.debian import Mirror, discover
from tests.base.debian_bases import build, fetch, google_recipe, google_shape, make_archive
from tests.debian_archive import NOW, Archive, Certificate, served

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


class Bed(NamedTuple):
    root: Path
    mirror: Mirror
    amd64: tuple[DebianPackage, ...]
    arm64: tuple[DebianPackage, ...]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A mirror with every package of Google's recipe (ours is a part of it), and what resolving gave."""
    root = tmp_path_factory.mktemp("mirror")
    certificate = Certificate()
    keyring = openpgp.read_keyring([certificate.ring], frozenset({certificate.primary.name}))
    wanted = {"python3": google_recipe(), "nodejs26": recipes.load()}
    names = {name for image, recipe in wanted.items() for name in recipe.images[image].packages}
    make_archive(Archive(root, certificate.signer), names)
    with served(root) as url:
        mirror = discover(url)
        found = [
            resolve_packages(
                recipe,
                image,
                [AMD64, ARM64],
                mirror,
                fetch=fetch,
                verify=lambda data: openpgp.verify(data, keyring).text,
                now=NOW,
            )
            for image, recipe in wanted.items()
        ]
        amd64, arm64 = (tuple(dict.fromkeys(python + node)) for python, node in zip(*found, strict=True))
        yield Bed(root, mirror, amd64, arm64)


@pytest.fixture(scope="module")
def python3(bed: Bed) -> Image:
    return build(plan_base(recipes.load(), "python3", AMD64, bed.amd64), bed.amd64, bed.mirror, MemoryStore())


def members(image: Image) -> list[list[tarfile.TarInfo]]:
    """The members of each layer."""
    return [opened(number, image).getmembers() for number in range(len(image.layers))]


def opened(number: int, image: Image) -> tarfile.TarFile:
    with image.layers[number].blob.open() as stream:
        return tarfile.open(fileobj=io.BytesIO(open_reader(stream, "gzip").read()))


def read(image: Image, path: str) -> bytes:
    """The file `path` as the last layer that has it says."""
    for number in reversed(range(len(image.layers))):
        with opened(number, image) as archive:
            if path in archive.getnames():
                found = archive.extractfile(path)
                assert found is not None
                return found.read()
    raise LookupError(path)


@pytest.mark.spec("DEBIAN-IMAGE-2", "DEBIAN-IMAGE-4")
def test_config_and_history(python3: Image) -> None:
    config = python3.config

    assert config.created == CREATED == "1980-01-02T00:00:00Z"
    assert config.user == "65532"
    assert config.workdir == "/home/nonroot"
    assert config.entrypoint == ("/usr/bin/python3.13",)
    assert config.cmd == ()
    assert config.env == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "LANG": "C.UTF-8",
    }
    assert len(config.history) == len(python3.layers) == 6
    assert {item["created"] for item in config.history} == {CREATED}
    assert dict(python3.manifest.annotations) == {"com.google.distroless.python.version": "3.13.5"}


@pytest.mark.spec("DEBIAN-IMAGE-3")
def test_modes_owners_and_links(python3: Image) -> None:
    found = {member.name: member for layer in members(python3) for member in layer}
    modes = {name: (found[name].mode, found[name].uid, found[name].gid) for name in ("tmp", "root", "home/nonroot")}

    assert modes == {"tmp": (0o1777, 0, 0), "root": (0o700, 0, 0), "home/nonroot": (0o700, 65532, 65532)}
    for name in ("bin", "sbin", "lib", "lib64"):
        assert found[name].issym() and found[name].linkname == f"usr/{name}"
    assert found["usr/bin/python3"].linkname == found["usr/bin/python"].linkname == "/usr/bin/python3.13"


@pytest.mark.spec("DEBIAN-IMAGE-3")
def test_no_layer_says_a_path_twice_or_writes_below_a_link(python3: Image) -> None:
    for layer in members(python3):
        names = [member.name for member in layer]
        assert len(names) == len(set(names))
        assert not [name for name in names if name.startswith(("bin/", "sbin/", "lib/", "lib64/"))]
        assert {member.mtime for member in layer} == {315619200}
        assert not [member.name for member in layer if member.mode & 0o6000 or (member.isfile() and member.mode & 0o2)]


def test_generated_files(python3: Image) -> None:
    assert b"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n" in read(python3, "etc/passwd")
    assert b"tty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n" in read(python3, "etc/group")
    assert b'PRETTY_NAME="Distroless"\n' in read(python3, "usr/lib/os-release")
    assert b'VERSION_CODENAME="trixie"\n' in read(python3, "usr/lib/os-release")
    assert read(python3, "etc/ssl/certs/ca-certificates.crt") == b"-A-\n"
    libraries = ldcache.decode(read(python3, "etc/ld.so.cache"))
    assert ("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6", 0x303) in libraries
    assert len(libraries) == 16


def test_what_is_left_out_and_what_scanners_find(python3: Image) -> None:
    names = {member.name for layer in members(python3) for member in layer}

    assert "usr/share/doc/libc6/copyright" in names
    assert "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so" in names
    assert "usr/sbin/ldconfig" in names
    assert not names & {
        "usr/share/doc/libc6/changelog.gz",
        "usr/share/lintian/overrides/libc6",
        "usr/share/lintian",
        "usr/lib/x86_64-linux-gnu/gconv/BIG5.so",
        "usr/bin/ldd",
        "usr/lib/python3.13/test",
        "usr/share/ca-certificates/mozilla/A.crt",
    }
    status = {name.rpartition("/")[2] for name in names if name.startswith("var/lib/dpkg/status.d/")}
    assert {name for name in status if not name.endswith(".md5sums")} == set(recipes.load().image("python3").packages)
    assert b"changelog" not in read(python3, "var/lib/dpkg/status.d/libc6.md5sums")
    assert read(python3, "var/lib/dpkg/status.d/libc6").startswith(b"Package: libc6\nVersion: 2.41-12\n")


@pytest.mark.spec("DEBIAN-IMAGE-4", "DEBIAN-INDEX-5")
def test_the_same_packages_are_the_same_image_and_no_host_is_in_it(bed: Bed, python3: Image) -> None:
    store = MemoryStore()
    plan = plan_base(recipes.load(), "python3", AMD64, reversed(bed.amd64))
    again = build(plan, bed.amd64, bed.mirror, store, jobs=1)

    assert again.digest == python3.digest
    assert build(plan, (), bed.mirror, store).digest == python3.digest  # from records: nothing is fetched
    written = [read(python3, name) for name in ("usr/lib/os-release", "var/lib/dpkg/status.d/libc6")]
    for text in (*written, python3.config.raw, python3.manifest.raw, json.dumps(document(plan.layers)).encode()):
        assert b"127.0.0.1" not in text


def test_variants_and_images(bed: Bed) -> None:
    recipe = recipes.load()
    plan = plan_base(recipe, "static", ARM64, bed.arm64, variant="root")

    assert plan.execution["User"] == "0"
    assert plan.execution["WorkingDir"] == "/"
    assert "Entrypoint" not in plan.execution
    for name, image in recipe.images.items():
        plan = plan_base(recipe, name, ARM64, bed.arm64, recipe.releases(name, ARM64))
        assert len(plan.layers) == len(image.layers)


def test_layers_of_images_that_build_on_each_other_are_shared(bed: Bed) -> None:
    recipe = recipes.load()
    base = plan_base(recipe, "base", AMD64, bed.amd64)
    python3 = plan_base(recipe, "python3", AMD64, bed.amd64, variant="root")

    assert python3.layers[:3] == base.layers


def test_facts_of_an_assembled_base(python3: Image) -> None:
    facts = read_facts(python3, MemoryStore(), progress=Progress(), jobs=1, label="python3")

    assert (facts.distribution, facts.distribution_version) == ("debian", "13")
    assert (facts.libc, facts.libc_version) == ("glibc", "2.41")
    assert facts.python is not None
    assert (facts.python.interpreter, facts.python.version) == ("/usr/bin/python3.13", "3.13.5")
    assert facts.python.site == "/usr/local/lib/python3.13/dist-packages"
    assert facts.links["lib"] == "usr/lib"


def test_a_missing_pin(bed: Bed) -> None:
    pins = [pin for pin in bed.amd64 if pin.name != "libc6"]
    with pytest.raises(PinMissingError, match="libc6") as caught:
        plan_base(recipes.load(), "base", AMD64, pins)
    assert caught.value.hint


def test_a_layer_for_each_source(bed: Bed) -> None:
    plan = plan_base(recipes.load(), "python3", AMD64, bed.amd64, layering="per-package")

    assert all(len(layer.sources) == 1 for layer in plan.layers)
    assert sum(isinstance(layer.sources[0], DebSource) for layer in plan.layers) == 28
    image = build(plan, bed.amd64, bed.mirror, MemoryStore())
    assert len(image.layers) == len(plan.layers)


def test_googles_shape_can_be_built(bed: Bed) -> None:
    image = google_shape(
        build(plan_base(google_recipe(), "python3", ARM64, bed.arm64), bed.arm64, bed.mirror, MemoryStore())
    )

    assert len(image.layers) == 48
    assert not {"created", "history"} & set(image.config.document)
    assert image.config.document["variant"] == "v8"
    facts = read_facts(image, MemoryStore(), progress=Progress(), jobs=1, label="google")
    assert facts.python is not None and facts.python.minor == "3.13"


def test_plans_are_pure_data(bed: Bed) -> None:
    plan = functools.partial(plan_base, recipes.load(), "python3", AMD64, bed.amd64)

    assert plan() == plan()
    assert json.loads(json.dumps(document(plan().layers)))
