"""An assembled base that a lock pins: named by the lock alone, built only where its bytes are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from ociassemble.attest import openpgp
from ociassemble.base.debian import recipe as recipes
from ociassemble.base.debian.assemble import resolve_packages
from ociassemble.base.debian.locked import Elsewhere
from ociassemble.base.debian.source import BaseOfflineError, DebianBases
from ociassemble.base.names import expand
from ociassemble.base.resolve import AssembledDiffersError
from ociassemble.content.blob import Blob
from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import Store, ingest_all
from ociassemble.errors import IntegrityError
from ociassemble.image.image import Image
from ociassemble.oci.annotations import LAYER_CODEC
from ociassemble.oci.descriptor import Descriptor
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.locked_base import BaseLayer, DebianBase, DebianPackage
from ociassemble.progress import Progress
from ociassemble.sources.debian import StaleError, discover
from ociassemble.sources.npmrc import NpmSettings
from tests.base.debian_bases import fetch, mirror, wire
from tests.debian_archive import NOW

AMD64 = Platform.parse("linux/amd64")
NAME = expand("distroless/python3", overrides={})


class Debian(NamedTuple):
    url: str
    packages: tuple[DebianPackage, ...]
    pin: DebianBase
    keyring: openpgp.Keyring


def nowhere(descriptor: Descriptor, platform: Platform) -> Blob | None:
    return None


def bases(
    url: str, store: Store, *, offline: bool = False, use_records: bool = True, elsewhere: Elsewhere = nowhere
) -> DebianBases:
    return DebianBases(
        elsewhere=elsewhere,
        mirror=url,
        upstream=None,
        npm=NpmSettings,
        offline=offline,
        wire=wire,
        store=store,
        use_records=use_records,
        jobs=2,
        transfers=2,
        progress=Progress(),
    )


def assembled(made: DebianBases, pin: DebianBase) -> Image:
    (found,) = made(NAME, [AMD64], {"linux/amd64": pin})
    return found.image


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A mirror, and what a lock says of the base made of it."""
    with mirror(tmp_path_factory.mktemp("mirror"), "python3") as (url, packages, keyring):
        unmade = DebianBase("python3:nonroot", packages, Digest.of(b""), 0, "", (), "none")
        image = assembled(bases(url, MemoryStore()), unmade)
        layers = tuple(BaseLayer(item.descriptor.digest, item.diff_id, item.descriptor.size) for item in image.layers)
        codec = image.layers[0].descriptor.annotations[LAYER_CODEC]
        pin = unmade._replace(digest=image.digest, size=len(image.manifest.raw), layers=layers, codec=codec)
        yield Debian(url, packages, pin, keyring)


@pytest.mark.spec("LOCK-22")
def test_a_locked_base_is_named_without_a_package_or_a_mirror(debian: Debian) -> None:
    store = MemoryStore()
    image = assembled(bases("http://127.0.0.1:9/none", store), debian.pin)

    assert image.digest == debian.pin.digest
    assert [item.diff_id for item in image.layers] == [item.diff_id for item in debian.pin.layers]
    assert Digest.of(image.manifest.raw) == debian.pin.digest
    assert image.config_blob.read()
    assert [store.size(package.digest) for package in debian.packages] == [None] * len(debian.packages)
    assert [store.size(layer.digest) for layer in debian.pin.layers] == [None] * len(debian.pin.layers)


@pytest.mark.spec("LOCK-22")
def test_a_layer_that_another_image_has_is_taken_from_there(debian: Debian) -> None:
    """It is mounted from there, or read; and where that fails, built."""
    whole = MemoryStore()
    for layer in assembled(bases(debian.url, whole), debian.pin).layers:
        layer.blob.read()
    asked: list[tuple[Digest, str]] = []

    def elsewhere(descriptor: Descriptor, platform: Platform) -> Blob | None:
        asked.append((descriptor.digest, str(platform)))
        if descriptor.digest == debian.pin.layers[0].digest:
            return None
        lost = descriptor.digest == debian.pin.layers[1].digest
        source = MemoryStore() if lost else whole
        name = "registry.example/team/other"
        return Blob(descriptor=descriptor.bare(), source=lambda: source.open(descriptor.digest), repository=name)

    image = assembled(bases("http://127.0.0.1:9/none", MemoryStore(), elsewhere=elsewhere), debian.pin)
    assert asked == [(layer.digest, "linux/amd64") for layer in debian.pin.layers]
    assert [layer.blob.repository for layer in image.layers[:2]] == ["", "registry.example/team/other"]
    assert Digest.of(image.layers[2].blob.read()) == debian.pin.layers[2].digest

    store = MemoryStore()
    image = assembled(bases(debian.url, store, elsewhere=elsewhere), debian.pin)
    assert Digest.of(image.layers[1].blob.read()) == debian.pin.layers[1].digest
    asked.clear()
    assembled(bases(debian.url, store, elsewhere=elsewhere), debian.pin)
    assert debian.pin.layers[1].digest not in [digest for digest, _ in asked]


@pytest.mark.spec("LOCK-22")
def test_only_the_layer_that_is_read_is_built_and_once(debian: Debian) -> None:
    store = MemoryStore()
    image = assembled(bases(debian.url, store), debian.pin)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: Digest.of(image.layers[-1].blob.read()), range(4)))

    assert found == [debian.pin.layers[-1].digest] * 4
    there = [store.size(layer.digest) is not None for layer in debian.pin.layers]
    assert there == [False] * (len(there) - 1) + [True]
    assert 0 < sum(store.size(package.digest) is not None for package in debian.packages) < len(debian.packages)


def test_a_layer_in_the_store_needs_no_package(debian: Debian) -> None:
    there, store = MemoryStore(), MemoryStore()
    for layer in assembled(bases(debian.url, there), debian.pin).layers:
        ingest_all(store, [layer.blob.read()])
    image = assembled(bases("http://127.0.0.1:9/none", store, offline=True), debian.pin)

    assert [Digest.of(layer.blob.read()) for layer in image.layers] == [item.digest for item in debian.pin.layers]


def test_without_the_cache_the_base_is_assembled(debian: Debian) -> None:
    store = MemoryStore()
    image = assembled(bases(debian.url, store, use_records=False), debian.pin)

    assert image.digest == debian.pin.digest
    assert all(store.size(layer.digest) is not None for layer in debian.pin.layers)


@pytest.mark.spec("LOCK-22")
@pytest.mark.parametrize(
    "changes",
    [{"codec": "gzip of yesterday"}, {"digest": Digest.of(b"other")}, {"layers": ()}],
    ids=lambda item: str(*item),
)
def test_a_base_that_would_be_another_now_is_assembled(debian: Debian, changes: dict[str, object]) -> None:
    store = MemoryStore()
    image = assembled(bases(debian.url, store), debian.pin._replace(**changes))  # type: ignore[arg-type]

    assert image.digest == debian.pin.digest
    assert all(store.size(layer.digest) is not None for layer in debian.pin.layers)


def test_layers_that_the_packages_do_not_make_are_told(debian: Debian) -> None:
    """A lock changed by hand in a way that fits together."""
    honest = assembled(bases(debian.url, MemoryStore()), debian.pin)
    forged = (debian.pin.layers[0]._replace(digest=Digest.of(b"forged")), *debian.pin.layers[1:])
    made = bases(debian.url, MemoryStore())
    plan_digest = honest.manifest.raw.replace(
        str(debian.pin.layers[0].digest).encode(), str(Digest.of(b"forged")).encode()
    )
    image = assembled(made, debian.pin._replace(layers=forged, digest=Digest.of(plan_digest)))

    with pytest.raises(AssembledDiffersError, match="not what was locked"):
        image.layers[0].blob.read()


def test_offline_it_is_told_when_bytes_are_asked_for(debian: Debian) -> None:
    image = assembled(bases(debian.url, MemoryStore(), offline=True), debian.pin)

    with pytest.raises(BaseOfflineError) as caught:
        image.layers[0].blob.read()
    assert caught.value.details


@pytest.mark.spec("LOCK-22")
@pytest.mark.parametrize("use_records", [True, False])
def test_years_later_the_pinned_packages_are_no_less_right(
    debian: Debian, use_records: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid-Until is judged where suites are resolved, and nowhere else."""
    monkeypatch.setattr("time.time", lambda: NOW + 10 * 365 * 86400.0)
    made = bases(debian.url, MemoryStore(), use_records=use_records)
    image = assembled(made, debian.pin)
    assert Digest.of(image.layers[0].blob.read()) == debian.pin.layers[0].digest
    assert image.digest == debian.pin.digest

    with pytest.raises(IntegrityError):  # of the mirror's own key, or of its age: nothing new is taken from it
        made(NAME, [AMD64], {})
    with pytest.raises(StaleError):
        resolve_packages(
            recipes.load(),
            "python3",
            [AMD64],
            discover(debian.url),
            fetch=fetch,
            verify=lambda data: openpgp.verify(data, debian.keyring).text,
            now=NOW + 10 * 365 * 86400.0,
        )
