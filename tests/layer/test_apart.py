"""Layers written by processes of their own: the same bytes, the same errors, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A program of its own: only a process with one thread is forked, and pytest's may have more.
PROGRAM = """
import io, json, os, sys, time
from pathlib import Path

from ociassemble.content import compress
from ociassemble.content.directory import DirectoryStore
from ociassemble.errors import Error
from ociassemble.layer import apart, build
from ociassemble.layer.sources import Materials
from ociassemble.plan.plan import LayerPlan
from ociassemble.progress import Advanced, Finished, Progress, Started
from tests.layer.wheel_builder import source, wheel

folder, jobs, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
apart.LEAST = 0
data = {}
plans = []
for number in range(5):
    one = wheel({f"foo_bar/m{number}_{part}.py": b"x = %d\\n" % part * 900 for part in range(40)})
    if what == "wrong" and number == 3:
        one = wheel({"foo_bar/a.py": b"a"}, rows=["foo_bar/b.py,sha256=x,1"])
    found = source(one)
    data[found.artifact.digest] = one
    plans.append(LayerPlan(title=f"layer {number}", role="dependency", sources=(found,)))
parent = os.getpid()


def artifact(ref):
    if os.getpid() != parent:
        (folder / f"worker-{os.getpid()}").touch()
        if what == "killed":
            os.kill(os.getpid(), 9)
        if what in ("slow", "orphaned"):
            time.sleep(60 if what == "slow" else 1)
    return io.BytesIO(data[ref.digest])


events, told = [], []
store = DirectoryStore(folder / "store")
try:
    layers = build.build_layers(
        plans,
        codec=lambda plan: compress.codec("gzip"),
        store=store,
        fetch=lambda refs: None,
        materials=Materials(artifact=artifact, file=lambda item: iter, scratch=store.scratch),
        use_records=False,
        jobs=jobs,
        progress=Progress(events.append),
        finished=lambda built: told.append(str(built.layer.diff_id)),
    )
except Error as error:
    print(json.dumps({"error": error.code, "message": error.message}))
    sys.exit()
titles = {event.task: event.label for event in events if isinstance(event, Started)}
print(json.dumps({
    "layers": [[str(built.layer.diff_id), str(built.layer.descriptor.digest), built.origin] for built in layers],
    "told": sorted(told) == sorted(str(built.layer.diff_id) for built in layers),
    "advanced": {label: sum(e.amount for e in events if isinstance(e, Advanced) and titles[e.task] == label)
                 for label in sorted(set(titles.values()))},
    "outcomes": sorted({event.outcome for event in events if isinstance(event, Finished)}),
}))
"""


def command(folder: Path, jobs: int, what: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    return [sys.executable, "-W", "error", "-c", PROGRAM, str(folder), str(jobs), what]


def built(folder: Path, jobs: int, what: str = "") -> dict[str, object]:
    done = subprocess.run(command(folder, jobs, what), capture_output=True, text=True, check=True, timeout=60)
    assert not done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def workers(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("worker-*")]


@pytest.mark.spec("LAYER-36")
def test_processes_change_nothing(tmp_path: Path) -> None:
    alone, together = built(tmp_path / "alone", 1), built(tmp_path / "together", 2)
    assert together == alone
    assert together["told"] and together["outcomes"] == ["done"]
    assert not workers(tmp_path / "alone") and 1 <= len(workers(tmp_path / "together")) <= 2
    assert not list((tmp_path / "together" / "store" / "partial").iterdir())


@pytest.mark.spec("LAYER-36")
def test_what_a_killed_process_did_not_do_is_done(tmp_path: Path) -> None:
    alone, killed = built(tmp_path / "alone", 1), built(tmp_path / "killed", 2, "killed")
    assert killed["layers"] == alone["layers"] and killed["told"]
    assert killed["outcomes"] == ["again", "done"]
    assert len(workers(tmp_path / "killed")) == 2


@pytest.mark.spec("LAYER-36")
def test_nobody_need_wait_for_the_processes(tmp_path: Path) -> None:
    """A wrapper may have left SIGCHLD ignored: then the system itself reaps them."""
    ignored = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        together = subprocess.Popen(command(tmp_path / "ignored", 2, ""), stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGCHLD, ignored)
    assert json.loads(together.communicate(timeout=60)[0]) == built(tmp_path / "alone", 1)
    assert workers(tmp_path / "ignored")


@pytest.mark.spec("LAYER-36")
def test_an_error_is_the_same(tmp_path: Path) -> None:
    alone, together = built(tmp_path / "alone", 1, "wrong"), built(tmp_path / "together", 2, "wrong")
    assert together == alone
    assert together["error"] == "integrity.wheel.record"
    assert workers(tmp_path / "together")


@pytest.mark.spec("LAYER-36")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_what_they_came_from(tmp_path: Path, how: signal.Signals) -> None:
    process = subprocess.Popen(
        command(tmp_path, 2, "slow" if how == signal.SIGINT else "orphaned"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while len(workers(tmp_path)) < 1 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(how)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while any(map(_lives, workers(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers(tmp_path) and not any(map(_lives, workers(tmp_path)))
    assert not list((tmp_path / "store").glob("records/layers/*"))  # none of them went on to the end
    assert not list((tmp_path / "store" / "partial").iterdir())


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # Whoever has no parent left may wait for the reaper.
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
