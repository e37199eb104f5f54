"""The store and its neighbours: two builds at once, killed builds, blobs that went bad, and no network at all."""

from __future__ import annotations

import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ociassemble.oci.digest import Digest
from tests.failure.index import Index, pinned
from tests.failure.scene import Child, Done, Scene, Snapshot, noise, tree, verified, wait_for
from tests.failure.test_signals import Gate, gate, partial
from tests.net.scripted import Answer
from tests.registry.chaos import ChaosRegistry
from tests.sources.wheels import wheel

__all__ = ["gate"]

ALPHA, BETA = wheel("alpha", "1.0"), wheel("beta", "1.0")


@pytest.fixture
def index(scene: Scene) -> Index:
    """An application with two dependencies, locked onto a base in the registry; the store is empty again."""
    made = scene.wheels(ALPHA, BETA)
    scene.files(main__py="", requirements__txt=pinned(ALPHA, BETA))
    scene.run("lock", "project", "-b", scene.registry_base(size=50_000)).worked()
    shutil.rmtree(scene.cache)
    return made


def build(scene: Scene, *options: str, output: str = "") -> list[str]:
    host = scene.serve().host
    return ["build", "project", "-b", f"{host}/base:v1", "-o", output or scene.layout, "--locked", *options]


# --- at once -------------------------------------------------------------------------------------------------


@pytest.mark.spec("FAIL-6")
@pytest.mark.parametrize("where", ["one cache", "one layout", "one local name", "one tag of a registry"])
def test_two_builds_at_once(scene: Scene, index: Index, where: str) -> None:
    """Both work, both say the same digest, and what they wrote is whole."""
    options: list[list[str]] = [["-o", f"oci:{scene.outputs}/{number}:v1"] for number in "ab"]
    if where == "one layout":
        options = [["-o", f"oci:{scene.outputs}/image:{number}"] for number in "ab"]
    elif where == "one local name":
        options = [["-t", "localhost/app:v1"]] * 2
    elif where == "one tag of a registry":
        options = [["--push", "-t", f"{scene.serve().host}/app:v1"]] * 2
    base = f"{scene.serve().host}/base:v1"

    children = [scene.start("build", "project", "-b", base, "--locked", *words) for words in options]
    done = [child.end().worked() for child in children]

    assert len({item.out.strip().rpartition("@")[2] for item in done}) == 1
    verified(scene.store)
    for words in options:
        name = words[-1] if words[0] == "-o" or "--push" in words else f"local:{words[-1]}"
        scene.run("validate", name).worked()
    assert tree(scene.temporary).keys() == {"."}
    assert not list(scene.outputs.rglob(".*"))


@pytest.mark.spec("FAIL-6")
def test_many_tags_into_one_new_layout(scene: Scene) -> None:
    base = scene.base()
    scene.files(main__py="")
    words = [["build", "project", "-b", base, "-o", f"oci:{scene.outputs}/new:v{number}", "-e", f"N={number}"]
             for number in range(4)]  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda argv: scene.spawn(*argv), words))

    assert len({item.worked().out.rpartition("@")[2] for item in done}) == 4
    entries = json.loads((scene.outputs / "new/index.json").read_bytes())["manifests"]
    assert sorted(entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries) == [
        "v0", "v1", "v2", "v3",
    ]  # fmt: skip


@pytest.mark.spec("FAIL-6")
def test_one_of_two_writers_of_a_layout_fails(scene: Scene, gate: Gate) -> None:
    """The one that works relies on nothing that the other takes back."""
    registry = scene.stack.enter_context(ChaosRegistry())
    assert isinstance(registry, ChaosRegistry)
    shared = noise(20_000)
    good = registry.add_image("good", shared)
    registry.add_image("bad", shared)
    held = registry.add_blob(noise(30_000, "held"))
    bad = json.loads(registry.manifests["bad"][1])
    bad["layers"].append(held.document())
    registry.add_manifest("bad", json.dumps(bad).encode())
    registry.on("GET", f"/v2/app/blobs/{held.digest}", gate)
    target = f"oci:{scene.outputs}/image"

    failing = scene.start("copy", f"{registry.host}/app:bad", f"{target}:bad")
    wait_for(gate.reached.is_set, "the held blob")
    scene.spawn("copy", f"{registry.host}/app:good", f"{target}:good").worked()
    registry.on("GET", f"/v2/app/blobs/{held.digest}", Answer(404))
    gate.opened.set()

    assert failing.end().status == 4
    scene.run("copy", f"{target}:good", "oci:elsewhere:v1").worked()  # reads and verifies everything
    blobs = {path.name for path in (scene.outputs / "image/blobs/sha256").iterdir()}
    assert held.digest.hex not in blobs
    assert good.digest.hex in blobs


# --- killed --------------------------------------------------------------------------------------------------


def killed(child: Child) -> None:
    assert child.signalled(signal.SIGKILL).status == -signal.SIGKILL


@pytest.mark.spec("FAIL-5")
def test_killed_while_layers_are_written(scene: Scene) -> None:
    base = scene.base()
    scene.files(main__py="")
    scene.file("big", noise(24 << 20))
    words = ["build", "project", "-b", base, "-o", scene.layout, "--compression", "gzip:9", "-j", "1"]

    child = scene.start(*words)
    wait_for(lambda: partial(scene) > 100_000, "a layer to be begun")
    killed(child)
    assert list((scene.store / "partial").iterdir())
    assert tree(scene.outputs).keys() == {"."}

    scene.spawn(*words).worked()
    verified(scene.store)  # which fails for what is left in `partial`
    scene.run("validate", scene.layout).worked()


@pytest.mark.spec("FAIL-5")
def test_killed_while_a_layout_is_written(scene: Scene, gate: Gate) -> None:
    registry = scene.stack.enter_context(ChaosRegistry())
    assert isinstance(registry, ChaosRegistry)
    manifest = registry.add_image("v1", noise(50_000))
    layer = f"/v2/app/blobs/{manifest.layers[0].digest}"
    registry.on("GET", layer, gate)
    words = ["copy", f"{registry.host}/app:v1", scene.layout]

    child = scene.start(*words)
    wait_for(gate.reached.is_set, "the layer to be asked for")
    wait_for(lambda: len(list(scene.outputs.rglob("sha256:*"))) == 1, "the config to be there")
    killed(child)
    gate.opened.set()
    assert not (scene.outputs / "image/index.json").exists()
    registry.on("GET", layer, registry.work)

    scene.spawn(*words).worked()
    scene.run("copy", scene.layout, "oci:elsewhere:v1").worked()  # reads and verifies everything
    assert sorted(path.name for path in (scene.outputs / "image").iterdir()) == ["blobs", "index.json", "oci-layout"]


@pytest.mark.spec("FAIL-5")
def test_what_another_process_is_writing_is_not_swept(scene: Scene, index: Index, gate: Gate) -> None:
    """A build begins, stops in the middle of a download; another run comes and goes; the first goes on."""
    index.on("GET", f"/files/{ALPHA[0]}", gate)

    first = scene.start(*build(scene, output=f"oci:{scene.outputs}/first:v1"))
    wait_for(gate.reached.is_set, "the wheel to be asked for")
    wait_for(lambda: list((scene.store / "partial").iterdir()), "the download to be begun")
    index.on("GET", f"/files/{ALPHA[0]}", Answer(200, ALPHA[1]))
    left = scene.store / "partial" / "blob-of-a-killed-process"
    left.write_bytes(b"left")
    scene.spawn("copy", f"{scene.serve().host}/base:v1", "oci:copied:v1").worked()
    assert not left.exists()
    assert list((scene.store / "partial").iterdir())
    gate.opened.set()  # an answer of 503: it asks once more

    first.end().worked()
    verified(scene.store)


# --- gone bad ------------------------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    path.chmod(0o600)
    data = path.read_bytes()
    path.write_bytes({"bits": bytes([data[0] ^ 1, *data[1:-1], data[-1] ^ 1]), "cut": data[:-1], "empty": b""}[how])


@pytest.mark.spec("FAIL-5")
@pytest.mark.parametrize("how", ["bits", "cut", "empty"])
@pytest.mark.parametrize("what", ["layers", "wheels", "base", "documents", "everything"])
def test_blobs_that_went_bad(scene: Scene, index: Index, what: str, how: str) -> None:
    """Whatever the disk did: the same command gives the same image, and the store is whole again."""
    first = scene.run(*build(scene)).worked()
    base = json.loads(scene.run("manifest", f"{scene.serve().host}/base:v1").worked().out)
    ours = json.loads(scene.run("manifest", scene.layout).worked().out)
    of_base = {item["digest"] for item in base["layers"]}
    chosen = {
        "layers": {item["digest"] for item in ours["layers"]} - of_base,
        "wheels": {Digest.of(data) for _, data in (ALPHA, BETA)},
        "base": of_base,
        "documents": {
            base["config"]["digest"],
            Digest.of(scene.run("manifest", f"{scene.serve().host}/base:v1").out.encode()),
        },
        "everything": verified(scene.store),
    }[what]
    options = ["--no-cache"] if what == "wheels" else []
    for digest in chosen:
        spoil(scene.store / "blobs" / digest.replace(":", "/"), how)

    again = scene.run(*build(scene, *options, output=f"oci:{scene.outputs}/again:v1"))

    assert again.worked().out.rpartition("@")[2] == first.out.rpartition("@")[2]
    scene.run("validate", f"oci:{scene.outputs}/again:v1").worked()
    if what != "everything":
        verified(scene.store)


@pytest.mark.spec("FAIL-5")
@pytest.mark.parametrize("how", ["bits", "cut"])
def test_a_base_that_went_bad_and_must_be_read(scene: Scene, index: Index, how: str) -> None:
    """Its facts are not known any more; broken gzip is not called a broken image where the store is to blame."""
    name = f"{scene.serve().host}/base:v1"
    scene.run("lock", "project", "-b", name, "--no-base").worked()  # a lock that pins the base has its facts
    first = scene.run(*build(scene)).worked()
    base = json.loads(scene.run("manifest", name).worked().out)
    shutil.rmtree(scene.store / "records/facts")
    for layer in base["layers"]:
        spoil(scene.store / "blobs" / layer["digest"].replace(":", "/"), how)

    assert scene.run(*build(scene)).worked().out == first.out
    verified(scene.store)


@pytest.mark.spec("FAIL-5")
def test_bad_blobs_do_not_stop_lock_and_copy(scene: Scene, index: Index) -> None:
    host = scene.serve().host
    scene.run(*build(scene)).worked()
    lock = (scene.project / "ociassemble.lock").read_bytes()
    for words in (["lock", "project", "-b", f"{host}/base:v1"], ["copy", f"{host}/base:v1", "oci:copied:v1"]):
        for digest in verified(scene.store):
            spoil(scene.store / "blobs" / digest.replace(":", "/"), "bits")
        scene.run(*words).worked()
        scene.run(*build(scene, "--no-cache", output="oci:another:v1")).worked()  # all that is left is made again
        for path in (scene.store / "blobs/sha256").iterdir():
            if Digest.of(path.read_bytes()).hex != path.name:
                path.unlink()  # of no use to either

    assert (scene.project / "ociassemble.lock").read_bytes() == lock
    scene.run("validate", "oci:copied:v1").worked()


@pytest.mark.spec("FAIL-5")
def test_bad_layers_are_never_pushed(scene: Scene, index: Index) -> None:
    registry = scene.stack.enter_context(ChaosRegistry())
    first = scene.run(*build(scene)).worked()
    for digest in verified(scene.store):
        spoil(scene.store / "blobs" / digest.replace(":", "/"), "bits")

    words = ["build", "project", "-b", f"{scene.serve().host}/base:v1", "--locked"]
    done = scene.run(*words, "--push", "-t", f"{registry.host}/app:v1").worked()

    assert done.out.rpartition("@")[2] == first.out.rpartition("@")[2]
    scene.run("validate", f"{registry.host}/app:v1").worked()


@pytest.mark.spec("FAIL-5")
def test_an_image_of_the_local_store_that_went_bad(scene: Scene, index: Index) -> None:
    """Nothing can make it again but building it: that is said, and building it does."""
    words = ["build", "project", "-b", f"{scene.serve().host}/base:v1", "--locked", "-t", "localhost/app:v1"]
    first = scene.run(*words).worked()
    layer = json.loads(scene.run("manifest", "local:localhost/app:v1").out)["layers"][-1]["digest"]
    spoil(scene.store / "blobs" / layer.replace(":", "/"), "bits")
    before = Snapshot.of_outputs(scene)

    done = scene.run("push", "localhost/app:v1", f"{scene.serve().host}/app:v1")

    done.failed(7, f"the stored blob {layer} had gone bad", hint="build or fetch what it belongs to again")
    assert Snapshot.of_outputs(scene) == before
    assert scene.run(*words).worked().out == first.out
    scene.run("push", "localhost/app:v1", f"{scene.serve().host}/app:v1").worked()


@pytest.mark.spec("FAIL-5")
def test_records_that_went_bad(scene: Scene, index: Index) -> None:
    first = scene.run(*build(scene)).worked()
    for number, path in enumerate(sorted((scene.store / "records").rglob("*"))):
        if path.is_file():
            path.write_bytes([b"", b"{", b"null", b"\xff\xfe", path.read_bytes()[:-1]][number % 5])

    assert scene.run(*build(scene)).worked().out == first.out


# --- without a network ---------------------------------------------------------------------------------------


UNROUTABLE = "192.0.2.1:5000"  # RFC 5737


@pytest.mark.spec("FAIL-7")
def test_offline_with_a_cold_cache(scene: Scene, index: Index) -> None:
    before = Snapshot.of(scene)

    done = scene.run("--offline", *build(scene))

    done.failed(9, "base image", "alpha-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl", hint="lock --missing")
    before.holds(scene)


@pytest.mark.spec("FAIL-7")
def test_offline_with_a_cold_cache_and_no_lock(scene: Scene, index: Index) -> None:
    (scene.project / "ociassemble.lock").unlink()
    before = Snapshot.of(scene)

    done = scene.run("--offline", "build", "project", "-b", f"{scene.serve().host}/base:v1", "-o", scene.layout)

    done.failed(9, "is not in the store, and may not be asked for", hint="run once without `--offline`")
    before.holds(scene)


@pytest.mark.spec("FAIL-7")
@pytest.mark.parametrize("locked", [True, False], ids=["locked", "not locked"])
@pytest.mark.parametrize("cached", [True, False], ids=["layers there", "layers to be built"])
def test_offline_with_a_warm_cache(scene: Scene, index: Index, locked: bool, cached: bool) -> None:
    """The whole build, base included, and no socket: the servers are gone, and a process that opens one is killed."""
    if not locked:
        (scene.project / "ociassemble.lock").unlink()
    words = ["build", "project", "-b", f"{scene.serve().host}/base:v1"]
    first = scene.run(*words, "-o", scene.layout).worked()
    index.shutdown()
    scene.serve().shutdown()
    scene.registry = None

    done = without_sockets(
        scene, "--offline", *words, *[] if cached else ["--no-cache"], "-o", f"oci:{scene.outputs}/second:v1"
    )

    assert done.worked().out.rpartition("@")[2] == first.out.rpartition("@")[2]
    scene.run("validate", f"oci:{scene.outputs}/second:v1").worked()


GUARD = """
import os, socket, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        sys.stderr.write(f"a socket was used: {event} {arguments}\\n")
        sys.stderr.flush()
        os._exit(99)
sys.addaudithook(hook)
from ociassemble.__main__ import main
main()
"""


def without_sockets(scene: Scene, *argv: str) -> Done:
    """A command in a process that ends with 99 when it connects to anything or resolves a name."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", GUARD, *argv],
        cwd=scene.root, env=scene.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.spec("FAIL-7")
def test_the_guard_against_sockets_works(scene: Scene) -> None:
    scene.files(main__py="")

    assert without_sockets(scene, "build", "project", "-b", f"{scene.serve().host}/base:v1").status == 99


@pytest.mark.spec("FAIL-7", "OFFLINE-3")
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["pull", "HOST/base:v1"], "run once without `--offline`"),
        (["ls", "HOST/base"], "run once without `--offline`"),
        (["push", "localhost/x", "HOST/x:v1"], "`ociassemble copy local:localhost/x oci-archive:FILE`"),
        (["copy", "oci:base:v1", "oci:outputs/y", "HOST/x"], "`ociassemble copy oci:base:v1 oci-archive:FILE`"),
        (["build", "project", "-t", "HOST/x:v1", "--push"], "write to `-o oci:DIR`"),
        (["base", "build", "distroless/static", "-t", "HOST/x:v1", "--push"], "write to `-o oci:DIR`"),
        (["bundle", "load", "none", "--to", "HOST/x"], "without `--to`"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, list) else "",
)
def test_other_verbs_offline(scene: Scene, words: list[str], hint: str) -> None:
    scene.files(main__py="")
    scene.run("build", "project", "-b", scene.base(), "-t", "localhost/x").worked()
    before = Snapshot.of(scene)

    done = without_sockets(scene, "--offline", *(word.replace("HOST", UNROUTABLE) for word in words))

    done.failed(9, hint=hint)
    before.holds(scene)
