"""The Express example, with its committed lock on the assembled Node base, answers under runc as it is meant to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.containers import usable
from tests.interop.products import blob_at, document_at, entries
from tests.interop.test_debian_base_runs import Service, seen_by_others
from tests.interop.test_node_bases import Bases
from tests.interop.test_node_bases import bases as bases
from tests.peers import Peer, require
from tests.ports import free_port

pytestmark = [pytest.mark.packages, pytest.mark.interop]

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "express"
FLAGS = ("--locked", "--base-source", "debian", "--platform", "linux/amd64")


@pytest.fixture
def service(bases: Bases, tmp_path: Path) -> Iterator[Service]:

    usable()
    place = f"oci:{tmp_path / 'image'}:t"
    done = bases.commands("build", EXAMPLE, *FLAGS, "-o", place)
    assert "stale" not in done.err
    started = Service(place, free_port(), tmp_path / "run")
    yield started
    if started.process.poll() is None:
        started.stop()


def kernel_view(service: Service) -> tuple[dict[str, str], str]:
    """What the kernel says of the first process in the container, and how its root is mounted."""
    (state,) = service.folder.glob("*/*/state")
    runc = require("runc", "--root", str(state))
    (name,) = [path.name for path in state.iterdir()]
    process = Path(f"/proc/{runc.json('state', name)['pid']}")
    lines = (line.partition(":") for line in (process / "status").read_text().splitlines())
    mounts = (line.split() for line in (process / "mountinfo").read_text().splitlines())
    return {key: value.strip() for key, _, value in lines}, next(mount[5] for mount in mounts if mount[4] == "/")


@pytest.mark.spec("NODE-18", "NODE-25", "NODE-29", "NODE-30")
def test_express_answers(service: Service, umoci: Peer, skopeo: Peer) -> None:
    health = json.loads(service.get("/health"))

    assert service.get("/").startswith(b"Hello from Express")
    assert (health["status"], health["user"]) == ("ok", 65532)
    assert health["node"].startswith("v24.")
    status, root = kernel_view(service)
    assert status["Uid"].split() == ["65532"] * 4 and status["CapEff"] == "0" * 16 and status["NoNewPrivs"] == "1"
    assert root.split(",")[0] == "ro"
    # It ends by itself when it is told to, with nothing left behind.
    assert service.stop() == 0, service.log.read_text()
    assert list(service.folder.iterdir()) == []
    seen_by_others(service.place.removeprefix("oci:"), umoci, skopeo)


def test_a_changed_program_changes_one_layer(bases: Bases, tmp_path: Path) -> None:
    changed = shutil.copytree(EXAMPLE, tmp_path / "changed")
    with (changed / "app.js").open("a") as file:
        file.write("// one more line\n")
    layers = []
    for folder in (EXAMPLE, changed):
        layout = tmp_path / f"{folder.name}.oci"
        bases.commands("build", folder, *FLAGS, "-o", f"oci:{layout}:t")
        (digest,) = entries(layout).values()
        layers.append([layer["digest"] for layer in document_at(layout, digest)["layers"]])
    before, after = layers
    assert before[:-1] == after[:-1] and before[-1] != after[-1]
    assert blob_at(tmp_path / "changed.oci", after[-1]).stat().st_size < 50_000
