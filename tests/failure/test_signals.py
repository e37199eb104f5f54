"""ctrl-C, SIGTERM and a closed terminal, in each step of a build: a status of its own, at once, nothing left behind.

A step is stopped where it waits for a server that does not answer, so that no timing decides where the signal falls.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble.oci.digest import Digest
from tests.failure.index import pinned
from tests.failure.scene import Child, Scene, Snapshot, noise, wait_for
from tests.net.scripted import Answer, Request
from tests.registry.chaos import ChaosRegistry
from tests.sources.wheels import wheel

SIGNALS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
BOTH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
SOON = 10.0  # seconds; a thread that waits for an answer does so for sixty


class Gate:
    """Holds a server's answer back until the test is over, and knows when somebody waits for it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, request: Request) -> Answer:
        self.reached.set()
        self.opened.wait(60)
        return Answer(503)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def registry(scene: Scene) -> ChaosRegistry:
    made = scene.stack.enter_context(ChaosRegistry())
    assert isinstance(made, ChaosRegistry)
    return made


def stopped(scene: Scene, child: Child, before: Snapshot, number: signal.Signals) -> None:
    """Send the signal; the child ends soon, says why, and the scene is as it was."""
    done = child.signalled(number, SOON)
    status, word = SIGNALS[number]
    done.failed(status, f"error: {word}", hint=None)
    before.holds(scene)


@BOTH
@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_the_base_is_resolved(scene: Scene, registry: ChaosRegistry, gate: Gate, number: signal.Signals) -> None:
    scene.files(main__py="")
    registry.on("GET", "/v2/base/manifests/v1", gate)
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", f"{registry.host}/base:v1", "-o", scene.layout)
    wait_for(gate.reached.is_set, "the manifest to be asked for")

    stopped(scene, child, before, number)


@BOTH
@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_wheels_are_downloaded(scene: Scene, gate: Gate, number: signal.Signals) -> None:
    """One wheel comes, one hangs after its first bytes: threads are at work, and one cannot be woken."""
    one, two = wheel("alpha", "1.0"), wheel("beta", "1.0")
    index = scene.wheels(one, two)
    base = scene.base()
    scene.files(main__py="", requirements__txt=pinned(one, two))
    scene.run("lock", "project", "-b", base).worked()
    for blob in (scene.store / "blobs/sha256").iterdir():
        if blob.name in (Digest.of(one[1]).hex, Digest.of(two[1]).hex):
            blob.unlink()
    index.on("GET", f"/files/{two[0]}", gate)
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", base, "--no-cache", "-o", scene.layout)
    wait_for(gate.reached.is_set, "the wheel to be asked for")

    stopped(scene, child, before, number)


@BOTH
@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_layers_are_written(scene: Scene, number: signal.Signals) -> None:
    """The file to be packed is a big one, and much of its layer is in the store's folder of partial blobs already."""
    base = scene.base()
    scene.files(main__py="")
    scene.file("big", noise(32 << 20))
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", base, "--compression", "gzip:9", "-j", "2", "-o", scene.layout)
    wait_for(lambda: partial(scene) > 100_000, "a layer to be begun")

    stopped(scene, child, before, number)


def partial(scene: Scene) -> int:
    """Bytes of unfinished blobs."""
    folder = scene.store / "partial"
    try:
        return max((path.stat().st_size for path in folder.iterdir()), default=0)
    except FileNotFoundError:
        return 0


@BOTH
@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_a_layer_is_uploaded(scene: Scene, registry: ChaosRegistry, gate: Gate, number: signal.Signals) -> None:
    base = scene.base()
    scene.files(main__py="")
    registry.on("PUT", "/v2/app/blobs/uploads/.*", gate)
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", base, "-t", f"{registry.host}/app:v1", "--push")
    wait_for(gate.reached.is_set, "the upload")

    stopped(scene, child, before, number)
    assert not registry.manifests


@BOTH
@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_a_layout_is_written(scene: Scene, registry: ChaosRegistry, gate: Gate, number: signal.Signals) -> None:
    """Half of an image is in the layout's folder; the other half does not come."""
    first = registry.add_image("one", b"layer of an image that is there")
    registry.add_image("two", noise(100_000))
    scene.run("copy", f"{registry.host}/app:one", scene.layout).worked()
    held = registry.add_blob(noise(100_000))
    registry.on("GET", f"/v2/app/blobs/{held.digest}", gate)
    before = Snapshot.of(scene)
    assert any(first.digest.hex in path for path in before.outputs)

    child = scene.start("copy", f"{registry.host}/app:two", scene.layout)
    wait_for(gate.reached.is_set, "the layer to be asked for")
    new = scene.start("copy", f"{registry.host}/app:two", f"oci:{scene.outputs}/new/folder:v1")
    wait_for((scene.outputs / "new/folder").is_dir, "the second layout")

    new.signalled(number, SOON)
    stopped(scene, child, before, number)


@pytest.mark.spec("FAIL-1", "FAIL-3")
def test_while_a_resolver_runs(scene: Scene, gate: Gate) -> None:
    """uv waits for the index: it is ended, and its folder of copies goes."""
    index = scene.wheels(wheel("alpha", "1.0"))
    index.on("GET", "/simple/alpha/", gate)
    base = scene.base()
    scene.files(main__py="", requirements__txt="alpha\n")
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", base, "-o", scene.layout)
    wait_for(gate.reached.is_set, "uv to ask")
    assert list(scene.temporary.iterdir())

    stopped(scene, child, before, signal.SIGINT)
    wait_for(lambda: not running(str(scene.temporary)), "uv, which was killed, to be gone")


def running(text: str) -> list[str]:
    """Processes that work in a folder whose name holds `text`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in str((process / "cwd").readlink()):
                found.append(process.name)
    return found


@pytest.mark.spec("FAIL-3")
@pytest.mark.parametrize(
    ("settings", "status"), [("default", 129), ("ignored", None)], ids=["a terminal is closed", "nohup"]
)
def test_a_closed_terminal(
    scene: Scene, registry: ChaosRegistry, gate: Gate, settings: str, status: int | None
) -> None:
    scene.files(main__py="")
    registry.on("GET", "/v2/base/manifests/v1", gate)
    ignore: Callable[[], object] | None = None
    if settings == "ignored":
        ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    before = Snapshot.of(scene)

    child = scene.start("build", "project", "-b", f"{registry.host}/base:v1", "-o", scene.layout, before=ignore)
    wait_for(gate.reached.is_set, "the manifest to be asked for")
    if status is not None:
        assert child.signalled(signal.SIGHUP, SOON).status == status
    else:
        child.process.send_signal(signal.SIGHUP)
        assert child.signalled(signal.SIGTERM, SOON).status == 143
    before.holds(scene)
