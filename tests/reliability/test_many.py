"""Many processes on one store while everything that may go is taken away, again and again (R8).

No process ever meets an error or a wrong byte, each blob is fetched once, and what lay there unused for weeks is found
by whoever lives, in its place or in the trash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ociassemble.content.directory import DirectoryStore
from ociassemble.content.store import ingest_all
from ociassemble.oci.digest import Digest
from tests.failure.scene import scene_below, verified, wait_for
from tests.figures import kept
from tests.net.scripted import ScriptedServer, ranged
from tests.reliability.many import made
from tests.reliability.scenarios import project
from tests.reliability.zygote import REPOSITORY

SIZE = 200_000


def together(root: Path, *, processes: int, rounds: int, kills: int = 0, seed: int = 1) -> Counter[str]:
    """Run it, hold what came out against what must; how often each blob was fetched."""
    store, blobs, old = DirectoryStore(root), [f"blob-{n}" for n in range(6)], [f"old-{n}" for n in range(6)]
    then = time.time() - 40 * 86400
    for name in old:
        digest, _ = ingest_all(store, [made(name, SIZE)])
        os.utime(store.path(digest), (then, then))
    store.close()
    with ScriptedServer() as server:
        for name in (*blobs, *old):
            server.on("GET", f"/{name}", ranged(made(name, SIZE)))
        plan: dict[str, Any] = {
            "root": str(root), "url": server.url, "blobs": blobs, "old": old, "size": SIZE,
            "processes": processes, "rounds": rounds, "kills": kills, "seed": seed,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.reliability.many", json.dumps(plan)],
            cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=1800,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        fetched = Counter(path.removeprefix("/") for path in server.asked("GET"))
    assert done.stderr == ""
    assert Counter(found["statuses"]) == Counter({0: processes - kills, **({-9: kills} if kills else {})})
    assert found["collections"] > 1
    verified(root)
    for name in (*blobs, *old):  # the next one finds a store that is whole
        data = made(name, SIZE)
        if store.size(Digest.of(data)) is not None:
            assert store.open(Digest.of(data)).read() == data
    return fetched


@pytest.mark.spec("STORE-8", "STORE-9", "STORE-11")
def test_many_processes_while_all_is_collected(tmp_path: Path) -> None:
    fetched = together(tmp_path / "store", processes=32, rounds=2)
    assert fetched == {f"blob-{number}": 1 for number in range(6)}


@pytest.mark.spec("STORE-8", "STORE-11")
def test_many_processes_some_of_which_are_killed(tmp_path: Path) -> None:
    fetched = together(tmp_path / "store", processes=12, rounds=2, kills=4)
    assert set(fetched) == {f"blob-{number}" for number in range(6)}
    assert sum(fetched.values()) <= 6 + 4  # whoever is killed in the middle of one


@pytest.mark.long
def test_a_hundred_rounds(tmp_path: Path) -> None:
    tried = survived = 0
    failed = []
    for number, (processes, kills) in enumerate([(2, 0), (8, 0), (32, 0), (8, 3), (32, 8)] * 4):
        tried += processes * 5
        try:
            fetched = together(tmp_path / str(number), processes=processes, rounds=5, kills=kills, seed=number)
            assert sum(fetched.values()) <= 6 + kills
            survived += processes * 5
        except AssertionError as error:
            failed.append(f"{processes} processes, {kills} killed, seed {number}: {error}")
    kept("many", what="Rounds of up to 32 processes on one store with prune running", tried=tried, survived=survived)
    assert failed == []


@pytest.mark.long
@pytest.mark.spec("FAIL-6", "STORE-8")
def test_32_builds_with_prune_running(tmp_path: Path) -> None:
    """The program itself: one application, 32 at once, an empty store."""
    with scene_below(tmp_path) as scene:
        index, (alpha,) = project(scene, alpha=1_500_000)
        scene.run("lock", "project", "-b", scene.registry_base(), "--platform", "linux/amd64").worked()
        scene.run("cache", "prune", "--all").worked()
        index.requests.clear()
        base = f"{scene.serve().host}/base:v1"
        children = [
            scene.start("build", "project", "-b", base, "--locked", "-o", f"oci:{scene.outputs}/{number}:v1")
            for number in range(32)
        ]
        wait_for(lambda: list((scene.store / "leases").glob("*")), "the first build to use the store")
        while any(child.process.poll() is None for child in children):
            scene.run("cache", "prune", "--older-than", "0s").worked()
        done = [child.end(600).worked() for child in children]
        assert len({item.out.strip().rpartition("@")[2] for item in done}) == 1
        assert index.fetched() == [f"/files/{alpha[0]}"]
        verified(scene.store)
