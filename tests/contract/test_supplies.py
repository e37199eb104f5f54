"""What every supply of packages promises (`lock.supply`), run over each there is, through `lock.packages`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ociassemble.content.memory import MemoryStore
from ociassemble.content.store import Store
from ociassemble.errors import IntegrityError, NotFoundError, OfflineError
from ociassemble.kinds.protocol import LockedPackage
from ociassemble.lock.application import Application, recognise
from ociassemble.lock.npm import NpmSupply
from ociassemble.lock.packages import Packages
from ociassemble.lock.python import PythonSupply
from ociassemble.lock.resolve import resolve
from ociassemble.lock.supply import Supply
from ociassemble.net.wire import Wire
from ociassemble.oci.digest import Digest
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.lock import Lock, LockedPlatform
from ociassemble.plan.locked import LockedFacts
from ociassemble.progress import Progress
from ociassemble.project.reading import read
from ociassemble.project.settings import Settings
from ociassemble.sources.index_settings import Index, IndexSettings
from ociassemble.sources.npm import Registries
from ociassemble.sources.npmrc import NpmSettings
from tests.failure import index as python_index
from tests.kinds.node import samples as node_samples
from tests.kinds.python import samples as python_samples
from tests.net.scripted import Answer, ScriptedServer
from tests.sources.npm_registry import NpmRegistry, make, package_lock
from tests.sources.wheels import wheel

PLATFORMS = tuple(map(Platform.parse, ("linux/amd64", "linux/arm64")))


class World(NamedTuple):
    """An application with three packages of one ecosystem, and the server that has their files."""

    application: Application
    facts: tuple[BaseFacts, ...]
    server: ScriptedServer
    files: dict[str, bytes]  # path on the server -> bytes
    supply: Callable[[Store, Wire], Supply]

    def packages(self, store: Store, *, offline: bool = False) -> Packages:
        supply = self.supply(store, Wire(attempts=1, offline=offline))
        return Packages(self.application, supply, store=store, progress=Progress())

    def asked(self) -> list[str]:
        """The files that were asked for since the last time."""
        paths = sorted(request.path for request in self.server.requests if request.path in self.files)
        self.server.requests.clear()
        return paths

    def lock(self, chosen: Sequence[tuple[LockedPackage, ...]]) -> Lock:
        """A lock that answers this, written and read again."""
        platforms = {
            str(facts.platform): LockedPlatform(facts=LockedFacts.of(facts), packages=packages)
            for facts, packages in zip(self.facts, chosen, strict=True)
        }
        made = Lock(created="2026-01-31T12:00:00Z", asked=self.application.asked, platforms=platforms)
        assert Lock.parse(made.dump()) == made
        return Lock.parse(made.dump())


def application(folder: Path, files: dict[str, str]) -> Application:
    for name, text in files.items():
        (folder / name).write_text(text)
    return recognise(read(folder), Settings(), PLATFORMS, Progress())


def python_world(folder: Path, server: ScriptedServer) -> World:
    assert isinstance(server, python_index.Index)
    made = [wheel("one", "1.0"), wheel("two", "2.0"), wheel("three", "3.0")]
    served = python_index.Index(made)  # never started: its rules are what is wanted
    server.rules[:] = served.rules
    served.server_close()
    text = 'lock-version = "1.0"\ncreated-by = "test"\n'
    for name, data in made:
        package, version = name.split("-")[:2]
        text += f'[[packages]]\nname = "{package}"\nversion = "{version}"\n'
        text += f'wheels = [{{ name = "{name}", url = "{server.url}/files/{name}", size = {len(data)}, '
        text += f'hashes = {{ sha256 = "{Digest.of(data).hex}" }} }}]\n'
    app = application(folder, {"main.py": "", "pylock.toml": text})
    index = IndexSettings(by="settings", default=Index(server.simple))

    def answer(request: Any, facts: BaseFacts, index: IndexSettings) -> Any:
        return resolve(
            request, lambda path: app.tree.bytes_of(path, 1 << 20), minor="", index=index, environment={}, home=folder,
            python=folder, prefix=folder,
        )  # fmt: skip

    return World(
        app,
        tuple(python_samples.distroless(str(platform)) for platform in PLATFORMS),
        server,
        {f"/files/{name}": data for name, data in made},
        lambda store, wire: PythonSupply(
            app, index=lambda: index, resolve=answer, wire=lambda: wire, store=store, progress=Progress(), jobs=2
        ),
    )


def npm_world(folder: Path, server: ScriptedServer) -> World:
    assert isinstance(server, NpmRegistry)
    made = [make("one"), make("@acme/two", "2.0.0"), make("three", "3.0.0")]
    for item in made:
        server.add(item)
    dependencies = {item.name: item.version for item in made}
    manifest = {"name": "shop", "version": "1.0.0", "dependencies": dependencies, "scripts": {"start": "node main.js"}}
    text = package_lock(*made, places={"node_modules/three/node_modules/uno": made[0]})
    app = application(folder, {"package.json": json.dumps(manifest), "package-lock.json": text, "main.js": ""})
    registries = Registries(NpmSettings(registry=server.registry), lambda: pytest.fail("npm was asked"))
    return World(
        app,
        tuple(node_samples.distroless(str(platform)) for platform in PLATFORMS),
        server,
        {server.prefix + item.path: item.data for item in made},
        lambda store, wire: NpmSupply(
            app, registries=lambda: registries, wire=lambda: wire, store=store, progress=Progress(), jobs=2
        ),
    )


WORLDS = {"python": (python_index.Index, python_world), "npm": (NpmRegistry, npm_world)}


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    server, made = WORLDS[request.param]
    with server() as running:
        yield made(tmp_path, running)


def refs(chosen: Sequence[tuple[LockedPackage, ...]]) -> tuple[Any, ...]:
    return tuple({package.artifact: None for packages in chosen for package in packages})


def test_packages_are_resolved_once_and_fetched_by_their_hashes(world: World) -> None:
    store = MemoryStore()
    packages = world.packages(store)

    chosen = packages.of(world.facts, None)
    packages.fetch(refs(chosen))

    assert len(chosen) == len(PLATFORMS)
    assert {package.artifact.digest for package in chosen[0]} == {Digest.of(data) for data in world.files.values()}
    assert all(package.artifact.size == store.size(package.artifact.digest) for package in chosen[0])
    assert [package.name for package in chosen[0]] == sorted(package.name for package in chosen[0])
    assert world.asked() == sorted(world.files)  # each once
    assert set(world.files.values()) == set(store.blobs.values())


@pytest.mark.spec("NPM-14")
def test_what_is_in_the_store_is_not_asked_for_again(world: World) -> None:
    store = MemoryStore()
    first = world.packages(store)
    chosen = first.of(world.facts, None)
    first.fetch(refs(chosen))
    world.asked()

    for offline in (False, True):
        again = world.packages(store, offline=offline)
        assert again.of(world.facts, None) == chosen
        again.fetch(refs(chosen))
    assert world.asked() == []


@pytest.mark.spec("LOCK-17", "NPM-14")
def test_with_a_lock_only_missing_files_are_asked_for(world: World) -> None:
    store = MemoryStore()
    packages = world.packages(store)
    chosen = packages.of(world.facts, None)
    packages.fetch(refs(chosen))
    lock = world.lock(chosen)
    path, lost = sorted(world.files.items())[1]
    del store.blobs[Digest.of(lost)]
    store.records.clear()
    world.asked()

    locked = world.packages(store)
    assert locked.of(world.facts, lock) == chosen
    assert world.asked() == []
    locked.fetch(refs(chosen))
    assert world.asked() == [path]
    assert store.size(Digest.of(lost)) == len(lost)


def test_a_lock_is_enough_for_one_of_its_platforms(world: World) -> None:
    chosen = world.packages(MemoryStore()).of(world.facts, None)
    lock = world.lock(chosen)
    store = MemoryStore()

    packages = world.packages(store)
    assert packages.of(world.facts[1:], lock) == chosen[1:]
    packages.fetch(refs(chosen[1:]))

    assert set(store.blobs.values()) == set(world.files.values())


def test_wrong_bytes_are_never_kept(world: World) -> None:
    chosen = world.packages(MemoryStore()).of(world.facts, None)
    path, data = sorted(world.files.items())[0]
    world.server.on("GET", path, Answer(200, b"other bytes"))
    store = MemoryStore()
    packages = world.packages(store)
    packages.of(world.facts, world.lock(chosen))

    with pytest.raises(IntegrityError):
        packages.fetch(refs(chosen))
    assert store.size(Digest.of(data)) is None
    assert Digest.of(b"other bytes") not in store.blobs


@pytest.mark.spec("LOCK-19", "NPM-19")
def test_offline_everything_that_is_missing_is_named_at_once(world: World) -> None:
    chosen = world.packages(MemoryStore()).of(world.facts, None)
    packages = world.packages(MemoryStore(), offline=True)
    packages.of(world.facts, world.lock(chosen))

    with pytest.raises(OfflineError) as caught:
        packages.fetch(refs(chosen))
    assert len(caught.value.details) == 3
    assert caught.value.hint


def test_what_no_server_has_is_an_error_that_names_it(world: World) -> None:
    chosen = world.packages(MemoryStore()).of(world.facts, None)
    packages = world.packages(MemoryStore())
    packages.of(world.facts, world.lock(chosen))
    world.server.rules.clear()

    with pytest.raises(NotFoundError) as caught:
        packages.fetch(refs(chosen))
    shown = str(caught.value) + " ".join(caught.value.details)
    assert any(name in shown for name in ("one", "two", "three"))


def test_an_application_without_packages_needs_no_supply(tmp_path: Path) -> None:
    app = application(tmp_path, {"index.html": "<p>"})
    packages = Packages(app, None, store=MemoryStore(), progress=Progress())
    assert packages.of((node_samples.distroless(),), None) == ((),)
    packages.fetch(())
