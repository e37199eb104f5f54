"""Finished layers in registries: what a build asks for and sends, counted at the line (registry-cache.md)."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ociassemble.content.directory import DirectoryStore
from ociassemble.net.wire import Wire
from ociassemble.oci.annotations import LAYER_KEY
from ociassemble.oci.digest import Digest
from ociassemble.oci.manifest import Manifest
from ociassemble.oci.reference import Reference
from ociassemble.operations import cache_repository
from ociassemble.progress import Progress
from ociassemble.registry.client import RegistryClient
from ociassemble.registry.locations import Locations
from ociassemble.session import Session
from ociassemble.session.environment import Environment, Options
from ociassemble.testing import images
from tests.debian_archive import elf
from tests.failure.index import Index, pinned
from tests.failure.scene import Done, Scene, noise, scene_below
from tests.failure.test_packages import made
from tests.peers import RegistryServer
from tests.transports.metered import Meter

HEADERS = 900  # bytes of one request's head, at most
BASE = 3_000_000  # bytes of the base's second layer


def python_base() -> images.Image:
    """A base of which a lock can say all that a proof needs: with accounts, and a standard library."""
    system = images.layer(
        {
            "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
            "etc/passwd": "root:x:0:0::/:\nnonroot:x:65532:65532::/home/nonroot:\n",
            "usr/bin/python3.13": images.program(elf(kind=2)),
            "usr/lib/python3.13/os.py": "",
            "usr/lib/x86_64-linux-gnu/libc.so.6": images.program(),
            "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12\n",
        }
    )
    weight = images.layer({"usr/share/weight": noise(BASE, "base")})
    execution = {"Entrypoint": ["/usr/bin/python3.13"], "User": "65532", "Env": ["PATH=/usr/bin"]}
    return images.image([system, weight], platform="linux/amd64", execution=execution)


class Bench:
    """A project with two dependencies, a base, a registry behind a meter; `fresh` forgets all that is local."""

    def __init__(self, scene: Scene, host: str, stored: Path) -> None:
        self.scene = scene
        self.stored = stored  # the registry's disk
        self.meter = Meter(host)
        scene.stack.callback(self.meter.close)
        self.host = self.meter.name
        self.base = f"{self.host}/base:v1"
        images.push(python_base(), self.base)
        self.wheels = {"alpha": self.wheel("alpha"), "beta": self.wheel("beta")}
        self.index = self._serve()
        self.project("one")

    def wheel(self, name: str, seed: str = "") -> tuple[str, bytes]:
        return made(name, {f"{name}/__init__.py": b"", f"{name}/data.bin": noise(200_000, name + seed)})

    def _serve(self) -> Index:
        return self.scene.wheels(*self.wheels.values())

    def project(self, text: str) -> None:
        self.scene.file("main.py", f"import alpha\nprint({text!r})\n")
        self.scene.file("requirements.txt", pinned(*self.wheels.values()))
        settings = f'base = "{self.base}"\nplatforms = ["linux/amd64"]\nlayers = "per-package"\n'
        self.scene.file("ociassemble.toml", settings)

    def lock(self) -> None:
        self.scene.run("lock", str(self.scene.project)).worked()

    def fresh(self) -> None:
        shutil.rmtree(self.scene.cache)

    def build(self, name: str, *argv: str) -> Done:
        self.meter.clear()
        self.index.requests.clear()
        words = ("build", str(self.scene.project), "-t", f"{self.host}/{name}", "--push", *argv)
        return self.scene.run(*words).worked()

    def known(self, digest: Digest) -> tuple[str, ...]:
        """Repositories that the store knows to have a blob."""
        return Locations(lambda: DirectoryStore(self.scene.store)).of(digest, self.host)

    def manifest(self, name: str) -> Manifest:
        return Manifest.parse(RegistryClient(Wire()).resolve(Reference.parse(f"{self.host}/{name}"))[1])


@pytest.fixture(params=["ours", pytest.param("docker-registry", marks=pytest.mark.interop)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with scene_below(tmp_path / "scene") as scene:
        if request.param == "ours":
            host, stored = scene.serve().host, scene.root / "registry"
        else:
            registry: RegistryServer = request.getfixturevalue("docker_registry")
            host, stored = registry.host, registry.root
        yield Bench(scene, host, stored)


def digest(done: Done) -> str:
    return done.out.strip().rpartition("@")[2]


# --- a fresh runner ------------------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-1", "CACHE-2", "CACHE-4", "CACHE-8")
def test_a_fresh_runner_with_a_lock_fetches_documents_only(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    assert bench.meter.up > 400_000
    bench.fresh()

    again = bench.build("app:v1")

    assert digest(again) == digest(first)
    assert bench.index.requests == []
    assert bench.meter.down < 20_000, bench.meter.requests
    assert bench.meter.up < len(bench.meter.requests) * HEADERS
    assert bench.meter.methods().keys() <= {"GET", "HEAD"}, bench.meter.requests
    assert "2 finished layers at" in again.err


@pytest.mark.spec("CACHE-2")
def test_another_tag_of_the_repository_asks_for_each_layer_and_sends_none(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    bench.fresh()
    again = bench.build("app:v2")
    assert digest(again) == digest(first)
    assert bench.index.requests == []
    assert (bench.meter.down < 20_000, bench.meter.up < 20_000) == (True, True), bench.meter.requests
    assert sum(line.startswith("PUT") for line in bench.meter.requests) == 1


@pytest.mark.spec("CACHE-2", "CACHE-4")
def test_a_changed_application_sends_its_own_layer_config_and_manifest(bench: Bench) -> None:
    bench.lock()
    bench.build("app:v1")
    before = bench.manifest("app:v1")
    bench.fresh()
    bench.project("two")

    bench.build("app:v1")
    methods = bench.meter.methods()

    after = bench.manifest("app:v1")
    assert [layer.digest for layer in after.layers[:-1]] == [layer.digest for layer in before.layers[:-1]]
    sent = after.layers[-1].size + after.config.size + len(after.raw)
    assert sent < bench.meter.up < sent + len(bench.meter.requests) * HEADERS
    assert bench.index.requests == []
    assert bench.meter.down < 20_000, bench.meter.requests
    # One look at the tag; base, previous manifest; what is new is asked for, and sent by two requests each.
    assert methods == {"GET": 3, "HEAD": 3, "POST": 2, "PUT": 3}, bench.meter.requests


@pytest.mark.spec("CACHE-2")
def test_a_bumped_dependency_sends_its_layer_config_and_manifest(bench: Bench) -> None:
    bench.lock()
    bench.build("app:v1")
    before = bench.manifest("app:v1")
    bench.wheels["beta"] = bench.wheel("beta", "bumped")
    bench.index = bench._serve()
    bench.project("one")
    bench.lock()
    bench.fresh()

    bench.build("app:v1")

    after = bench.manifest("app:v1")
    new = [layer for layer in after.layers if layer.digest not in {item.digest for item in before.layers}]
    assert len(new) == 2  # its own; and the application's, which has the list of requirements
    sent = sum(layer.size for layer in new) + after.config.size + len(after.raw)
    assert sent < bench.meter.up < sent + len(bench.meter.requests) * HEADERS
    assert set(bench.index.fetched()) == {f"/files/{bench.wheels['beta'][0]}"}


@pytest.mark.spec("CACHE-3", "CACHE-7")
def test_without_a_lock_the_image_that_is_replaced_is_the_cache(bench: Bench) -> None:
    first = bench.build("app:v1", "--no-lock")
    bench.fresh()
    again = bench.build("app:v1", "--no-lock")
    assert digest(again) == digest(first)
    assert "2 finished layers at" in again.err
    assert "layer     alpha" not in again.err
    # What a registry said is no record: the next build asks again, and is told again.
    bench.project("two")
    assert "2 finished layers at" in bench.build("app:v1", "--no-lock").err


@pytest.mark.spec("CACHE-1")
def test_no_cache_asks_nobody(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    bench.fresh()
    again = bench.build("app:v1", "--no-cache")
    assert digest(again) == digest(first)
    assert len(bench.index.fetched()) == 2
    assert "finished layer" not in again.err


@pytest.mark.spec("CACHE-1")
def test_a_lock_is_made_of_what_was_built(bench: Bench) -> None:
    bench.scene.file("ociassemble.toml", bench.scene.project.joinpath("ociassemble.toml").read_text()
                     + f'cache-from = ["{bench.host}/app:v1"]\n')  # fmt: skip
    bench.build("app:v1", "--no-lock")
    bench.fresh()
    bench.meter.clear()
    bench.lock()
    assert not [line for line in bench.meter.requests if "/v2/app/" in line]


@pytest.mark.spec("CACHE-4")
def test_a_layer_from_a_registry_is_whole_in_a_layout(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    bench.fresh()
    argv = ("--cache-from", f"{bench.host}/app:v1", "-o", f"oci:{bench.scene.outputs}/image:v1")
    done = bench.scene.run("build", str(bench.scene.project), *argv).worked()
    assert digest(done) == digest(first)
    assert bench.index.requests == []
    assert bench.scene.run("validate", f"oci:{bench.scene.outputs}/image:v1").worked()


@pytest.mark.spec("CACHE-3")
def test_a_layer_of_an_image_given_as_cache_is_mounted(bench: Bench) -> None:
    bench.build("app:v1", "--no-lock")
    bench.fresh()
    done = bench.build("other:v1", "--no-lock", "--cache-from", f"{bench.host}/app:v1")
    assert "2 finished layers at" in done.err
    mounted = [line for line in bench.meter.requests if "mount=" in line and "from=app" in line]
    # The two, and what turned out to be equal: application and config.
    assert (len(mounted), bench.meter.methods()["PUT"]) == (4, 1)


@pytest.mark.spec("CACHE-1")
@pytest.mark.parametrize("name", ["base:typo", "typo:v1"])
def test_a_cache_that_does_not_exist_is_told(bench: Bench, name: str) -> None:
    done = bench.build("other:v1", "--cache-from", f"{bench.host}/{name}")
    assert f"warning: `{bench.host}/{name}` does not exist: it is of no use as a cache\n" in done.err
    assert "is no image for" not in done.err


@pytest.mark.spec("CACHE-1")
def test_a_cache_for_another_platform_is_told(bench: Bench) -> None:
    arm = images.image([images.layer({"x": "arm"})], platform="linux/arm64")
    images.push(images.index([arm]), f"{bench.host}/arm:v1")
    done = bench.build("other:v1", "--cache-from", f"{bench.host}/arm:v1")
    assert f"`{bench.host}/arm:v1` is no image for linux/amd64: no layer is taken from there" in done.err
    assert "does not exist" not in done.err


@pytest.mark.spec("CACHE-7")
@pytest.mark.parametrize("lock", ["--no-lock", "--locked"])
def test_a_cache_out_of_reach_is_told_once(bench: Bench, lock: str) -> None:
    bench.lock()
    bench.fresh()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    caches = ("--cache-from", f"{host}/app:v1", "--cache-from", f"{host}/app:v2", "--cache-repo", f"{host}/layers")
    done = bench.scene.run(
        "build", str(bench.scene.project), lock, *caches, "-o", f"oci:{bench.scene.outputs}/image"
    ).worked()
    assert done.err.count("is of no use as a cache") == 1, done.err


@pytest.mark.spec("CACHE-7", "CACHE-8")
def test_a_layer_that_the_registry_lost_is_built_after_all(bench: Bench) -> None:
    """The manifest of the tag promises it; that it is gone shows only when the next manifest is put."""
    bench.lock()
    bench.build("app:v1")
    lost = bench.manifest("app:v1").layers[2].digest
    with Wire().request("DELETE", f"http://{bench.host}/v2/app/blobs/{lost}") as response:
        assert response.status == 202
    bench.fresh()
    bench.project("two")

    done = bench.build("app:v1")

    assert f"the blob {lost} is not in the store: once more" in done.err
    assert len(bench.index.fetched()) == 1
    assert [layer.digest for layer in bench.manifest("app:v1").layers][2] == lost
    with Wire().request("GET", f"http://{bench.host}/v2/app/blobs/{lost}") as response:
        assert Digest.of(response.read(1 << 20)) == lost


# --- pushing ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-8", "CACHE-9", "CACHE-11")
def test_an_unchanged_push_is_one_look_at_the_tag(bench: Bench) -> None:
    bench.lock()
    bench.build("app:v1")
    bench.build("app:v1")
    # The base is pinned: nobody asks for it.
    assert [line for line in bench.meter.requests if line.startswith("HEAD")] == bench.meter.requests
    assert len(bench.meter.requests) in (1, 2)
    # Without the record of the finished build, all is planned anew, and that is all that is asked.
    shutil.rmtree(bench.scene.store / "records/finished")
    bench.build("app:v1")
    assert bench.meter.requests == ["HEAD /v2/app/manifests/v1"]


@pytest.mark.spec("CACHE-8")
def test_a_tag_that_somebody_else_moved_is_put_again(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    images.push(images.image([images.layer({"x": "other"})]), f"{bench.host}/app:v1")
    again = bench.build("app:v1")
    assert digest(again) == digest(first)
    assert bench.manifest("app:v1").digest == digest(first)


@pytest.mark.spec("CACHE-9", "CACHE-12")
def test_a_new_repository_of_the_same_host_is_sent_one_manifest(bench: Bench) -> None:
    bench.lock()
    bench.build("app:v1")
    bench.build("other:v1")
    # The tag (and once more, by what sees that nothing changed); six blobs, mounted; the manifest.
    assert bench.meter.methods() == {"HEAD": 2, "POST": 6, "PUT": 1}, bench.meter.requests
    assert bench.meter.up < 9 * HEADERS + len(bench.manifest("other:v1").raw)


@pytest.mark.spec("CACHE-12")
def test_a_place_that_lost_the_blob_is_forgotten(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    lost = bench.manifest("app:v1").layers[2].digest
    assert bench.known(lost) == ("app",)
    with Wire().request("DELETE", f"http://{bench.host}/v2/app/blobs/{lost}") as response:
        assert response.status == 202
    again = bench.build("other:v1")
    assert digest(again) == digest(first)
    assert "4 blobs mounted, 1 already there" in again.err or "1 uploaded" in again.err
    assert bench.known(lost) == ("other",)


@pytest.mark.spec("CACHE-12")
def test_what_a_build_found_to_be_there_is_mounted_into_other_repositories(bench: Bench) -> None:
    bench.lock()
    first = bench.build("app:v1")
    bench.fresh()
    bench.build("app:v1", "--locked")  # all of it is there
    # The previous manifest names six blobs of `app`; that of the base, which was read, two of `base`.
    layers = bench.manifest("app:v1").layers
    assert [bench.known(layer.digest) for layer in layers] == [("app", "base")] * 2 + [("app",)] * 3

    again = bench.build("other:v1", "--locked")

    assert digest(again) == digest(first)
    assert bench.index.requests == []
    assert (bench.meter.methods()["POST"], bench.meter.methods()["PUT"]) == (6, 1), bench.meter.requests


@pytest.mark.spec("CACHE-12")
def test_places_are_written_once_a_build_and_only_where_they_are_new(bench: Bench) -> None:
    bench.lock()
    bench.build("app:v1")
    records = bench.scene.store / "records/locations"
    assert len(list(records.iterdir())) == 1
    before = [path.stat().st_ino for path in records.iterdir()]
    shutil.rmtree(bench.scene.store / "records/finished")
    bench.build("app:v1")  # the whole walk
    assert [path.stat().st_ino for path in records.iterdir()] == before
    bench.project("two")
    bench.build("app:v1")
    assert len(list(records.iterdir())) == 1
    assert bench.known(bench.manifest("app:v1").layers[-1].digest) == ("app",)


@pytest.mark.spec("CACHE-12")
@pytest.mark.parametrize("option", ["--cache-from", "--cache-repo"])
def test_what_caches_show_is_mounted_from_them_later(bench: Bench, option: str) -> None:
    name = f"{bench.host}/app:v1" if option == "--cache-from" else f"{bench.host}/layers"
    bench.build("app:v1", "--no-lock", "--cache-repo", f"{bench.host}/layers")
    dependencies = bench.manifest("app:v1").layers[2:4]
    bench.fresh()
    argv = ("build", str(bench.scene.project), "--no-lock", option, name, "-o", f"oci:{bench.scene.outputs}/image")
    assert "2 finished layers at" in bench.scene.run(*argv).worked().err
    place = "app" if option == "--cache-from" else "layers"
    assert [bench.known(layer.digest) for layer in dependencies] == [(place,)] * 2


@pytest.mark.spec("CACHE-12")
def test_what_was_pulled_is_known_and_what_was_only_looked_at_leaves_no_trace(bench: Bench) -> None:
    layer = bench.manifest("base:v1").layers[0]
    bench.scene.run("validate", bench.base).worked()
    assert bench.known(layer.digest) == ()
    bench.scene.run("copy", bench.base, f"oci:{bench.scene.outputs}/base").worked()
    assert bench.known(layer.digest) == ("base",)


@pytest.mark.spec("CACHE-12")
def test_ten_applications_store_their_dependencies_once(bench: Bench) -> None:
    bench.lock()
    sizes = []
    for number in range(10):
        bench.project(f"application {number}")
        bench.build(f"team/app{number}:v1")
        sizes.append(sum(path.stat().st_size for path in bench.stored.rglob("*") if path.is_file()))
        if number == 4:
            bench.fresh()  # another runner, which knows of no places
    dependencies = sizes[0] - BASE
    assert dependencies > 400_000
    assert sizes[-1] - sizes[0] < 0.05 * sizes[0], sizes


# --- a repository of layers ---------------------------------------------------------------------------------------


@pytest.mark.spec("CACHE-20", "CACHE-22", "CACHE-23")
def test_applications_share_a_repository_of_layers(bench: Bench) -> None:
    layers = ("--cache-repo", f"{bench.host}/layers")
    first = bench.build("app:v1", "--no-lock", *layers)
    assert "2 finished layers recorded" in first.err
    bench.fresh()

    done = bench.build("other:v1", "--no-lock", *layers)

    assert digest(done) == digest(first)
    assert "2 finished layers at" in done.err
    # The layers were neither built nor read: the proof had what is recorded of them.
    blobs = {layer.digest for layer in bench.manifest("app:v1").layers if LAYER_KEY in layer.annotations}
    assert not [line for line in bench.meter.requests if line.startswith("GET") and any(blob in line for blob in blobs)]
    assert not list((bench.scene.store / "records").glob("verdicts/*"))
    assert len(list((bench.scene.store / "records").glob("contents/*"))) == 3  # the base's, and the application's
    assert "recorded" not in done.err


@pytest.mark.spec("CACHE-23")
def test_what_only_a_lock_says_is_not_recorded_for_others(bench: Bench) -> None:
    evil = images.layer({"usr/lib/python3/dist-packages/alpha/__init__.py": "evil"})
    said, name = evil.blob.descriptor, f"{bench.host}/base-with-more:v1"
    images.push(images.image([*python_base().layers, evil], platform="linux/amd64"), name)
    bench.scene.run("lock", str(bench.scene.project), "-b", name, "--no-base").worked()
    lock = bench.scene.project / "ociassemble.lock"
    document = json.loads(lock.read_text())
    alpha, beta = document["platforms"]["linux/amd64"]["layers"]
    alpha |= {"digest": str(said.digest), "size": said.size, "diff_id": str(evil.diff_id)}
    lock.write_text(json.dumps(document))
    bench.fresh()

    done = bench.build("app:v1", "-b", name, "--cache-repo", f"{bench.host}/layers")

    digests = [layer.digest for layer in bench.manifest("app:v1").layers]
    assert digests.count(said.digest) == 2, "its own lock decides, for this application"
    assert "1 finished layer recorded" in done.err
    tags = RegistryClient(Wire()).tags(Reference.parse(f"{bench.host}/layers"))
    assert [tag.partition(".")[0] for tag in tags] == [Digest(beta["key"]).hex]


@pytest.mark.spec("CACHE-23")
def test_nothing_is_recorded_without_push(bench: Bench) -> None:
    bench.meter.clear()
    bench.scene.run("build", str(bench.scene.project), "--no-lock", "--cache-repo", f"{bench.host}/layers").worked()
    assert not [line for line in bench.meter.requests if line.startswith(("POST", "PUT"))]


@pytest.mark.spec("CACHE-23", "WARM-2", "WARM-7")
def test_a_repository_of_layers_that_was_emptied_is_filled_though_nothing_changed(bench: Bench) -> None:
    bench.lock()
    layers = ("--cache-repo", f"{bench.host}/layers")
    first = bench.build("app:v1", *layers)
    assert "2 finished layers recorded" in first.err
    repository, client = Reference.parse(f"{bench.host}/layers"), RegistryClient(Wire())
    tags = client.tags(repository)
    assert len(tags) == 2

    done = bench.build("app:v1", *layers)
    assert "nothing changed" in done.err and "recorded" not in done.err
    assert bench.meter.requests == [f"HEAD /v2/layers/manifests/{min(tags)}", "HEAD /v2/app/manifests/v1"]

    for tag in tags:
        client.delete(repository.with_digest(client.head(repository.with_tag(tag)).digest))
    assert client.tags(repository) == []
    done = bench.build("app:v1", *layers)
    assert "2 finished layers recorded" in done.err
    assert digest(done) == digest(first)
    assert client.tags(repository) == tags

    assert "nothing changed" in bench.build("app:v1", *layers).err
    bench.build("app:v1")  # without it: another build, that asks for one name alone
    assert "nothing changed" in bench.build("app:v1").err
    assert bench.meter.requests == ["HEAD /v2/app/manifests/v1"], bench.meter.answers


@pytest.mark.spec("WARM-7")
def test_layers_that_could_not_be_recorded_are_tried_again(bench: Bench) -> None:
    bench.lock()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
    for _ in range(2):
        done = bench.build("app:v1", "--cache-repo", f"{dead}/layers")
        assert f"layers could not be recorded in `{dead}/layers`" in done.err
        assert "nothing changed" not in done.err


@pytest.mark.spec("CACHE-20")
@pytest.mark.parametrize("name", ["layers:v1", "layers@sha256:" + "0" * 64])
def test_a_repository_is_no_image(bench: Bench, name: str) -> None:
    done = bench.scene.run("build", str(bench.scene.project), "--no-lock", "--cache-repo", f"{bench.host}/{name}")
    done.failed(2, "it is a repository", hint=f"write `{bench.host}/layers`")


@pytest.mark.spec("CACHE-25")
def test_records_are_pruned(bench: Bench) -> None:
    bench.build("app:v1", "--no-lock", "--cache-repo", f"{bench.host}/layers")
    images.push(images.image([images.layer({"x": "mine"})]), f"{bench.host}/layers:an-image")
    environment = replace(Environment.of_process(), home=bench.scene.home)
    session = Session(environment, Options(cache_dir=bench.scene.cache), Progress())
    name, now = f"{bench.host}/layers", time.time()
    client, reference = RegistryClient(Wire()), Reference.parse(name)

    assert cache_repository.prune(session, name, older_than=3600, now=now) == ()
    found = cache_repository.prune(session, name, older_than=3600, now=now + 7200, dry_run=True)
    assert len(found) == 2
    assert all(item.size > 190_000 for item in found)
    assert len(client.tags(reference)) == 3
    assert cache_repository.prune(session, name, now=now) == found
    assert client.tags(reference) == ["an-image"]
    # What was pruned is made, and recorded, again.
    bench.fresh()
    assert "2 finished layers recorded" in bench.build("app:v2", "--no-lock", "--cache-repo", name).err


@pytest.mark.spec("CACHE-25")
def test_records_of_thirty_days_stay_unless_told_otherwise(bench: Bench) -> None:
    name = f"{bench.host}/layers"
    bench.build("app:v1", "--no-lock", "--cache-repo", name)
    for argv, said in (
        ((), "0 records deleted"),
        (("--all", "--dry-run"), "2 records would be deleted"),
        (("--older-than", "0s"), "2 records deleted"),
    ):
        assert bench.scene.run("cache", "prune", "--repo", name, *argv).worked().out.endswith(f"{said}\n")
    bench.build("app:v2", "--no-lock", "--cache-repo", name)
    bench.scene.run("cache", "prune", "--repo", name, "--all").worked()
    assert RegistryClient(Wire()).tags(Reference.parse(name)) == []
