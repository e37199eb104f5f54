"""The whole suite on two packages: everything that it counts is as it must be, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from measure import REPOSITORY
from scenarios import SCENARIOS

from tests.peers import require

pytestmark = [pytest.mark.long, pytest.mark.packages, pytest.mark.interop]


def test_every_scenario_works_on_two_packages(tmp_path: Path) -> None:
    for needed in ("docker-registry", "crane"):
        require(needed)
    places = (tmp_path / "temporary", tmp_path / "figures")
    for place in places:
        place.mkdir()
    command = [sys.executable, "bench/suite.py", "--quick", "--rivals", "crane,crane-kept", "--output", str(places[1])]
    done = subprocess.run(
        command, cwd=REPOSITORY, text=True, capture_output=True, check=False, timeout=1800,
        env={**os.environ, "TMPDIR": str(places[0])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert list(places[0].iterdir()) == []
    found = {path.stem: json.loads(path.read_text()) for path in places[1].iterdir()}
    assert set(found) == set(SCENARIOS)
    for document in found.values():
        assert all(target["met"] or target["full"] for target in document["targets"])
        for contender in document["contenders"].values():
            assert all(run["seconds"] > 0 and run["cpu"] >= 0 and run["memory"] > 0 for run in contender["runs"])
    assert {"ociassemble", "limit", "crane"} <= set(found["cold-gzip"]["contenders"])
    text = "".join(path.read_text() for path in places[1].iterdir())
    assert str(tmp_path) not in text


def test_a_signal_stops_what_was_started(tmp_path: Path) -> None:
    require("docker-registry")
    process = subprocess.Popen(
        [sys.executable, "bench/suite.py", "startup", "--quick", "--rivals", "", "--output", str(tmp_path / "figures")],
        cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            if "rehearsal" in line:  # the registry runs
                break
        [work] = tmp_path.glob("ociassemble-bench-*")
        process.terminate()
        assert process.wait(60) == 128 + 15
    assert not work.exists()
    assert not [command for command in _commands() if str(work).encode() in command]


def _commands() -> list[bytes]:
    """The command lines of all processes; one that ends meanwhile has none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return found
