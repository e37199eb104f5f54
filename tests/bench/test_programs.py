"""Measuring programs, the package index on loopback, the scripts of the rivals, the table of scenarios."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import again
import lab
import measure
import pytest
import rivals
import scenarios
import stack
import suite
from index import Index


def test_a_run_tells_time_cpu_and_the_memory_of_the_program_alone() -> None:
    held = bytearray(80 << 20)  # what we hold is not the program's
    cost = measure.run([sys.executable, "-c", "x = bytearray(40 << 20); print(len(x)); sum(range(10 ** 6))"])
    assert len(held) == 80 << 20
    assert cost.output == f"{40 << 20}\n"
    assert 40 << 20 < cost.memory < 75 << 20
    assert cost.cpu > 0
    assert cost.seconds > 0


def test_a_run_counts_what_its_programs_cost() -> None:
    script = f"'{sys.executable}' -c 'import time; t = time.process_time()\nwhile time.process_time() < t + .2: pass'"
    assert measure.run(["bash", "-c", f"{script}; true"]).cpu > 0.2


@pytest.mark.parametrize(
    ("script", "said"), [("echo wrong >&2; exit 3", "status 3\nwrong"), ("kill -9 $$", "status -9")]
)
def test_a_program_that_fails_is_an_error(script: str, said: str) -> None:
    with pytest.raises(measure.Failed, match=said):
        measure.run(["sh", "-c", script])
    with pytest.raises(measure.Failed, match="not started"):
        measure.run(["no-such-program"])


def test_much_output_does_not_stop_a_program() -> None:
    assert (
        len(measure.run(["sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"]).output) == 3_000_000
    )


def test_an_index_serves_wheels_their_hashes_and_their_metadata(tmp_path: Path) -> None:
    wheel = stack.wheel(tmp_path, stack.NAMES[0], 1 << 16)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with Index(tmp_path) as index:
        page = opener.open(index.url + "bench-stack-one/").read().decode()
        [(place, digest, metadata)] = re.findall(
            r'href="([^"#]+)#sha256=(\w+)" data-core-metadata="sha256=(\w+)"', page
        )
        host = f"http://127.0.0.1:{index.port}"
        assert hashlib.sha256(opener.open(host + place).read()).hexdigest() == digest
        assert digest == hashlib.sha256(wheel.read_bytes()).hexdigest()
        told = opener.open(f"{host}{place}.metadata").read()
        assert hashlib.sha256(told).hexdigest() == metadata
        assert b"Name: bench-stack-one\n" in told
        for wrong in ("simple/other/", "files/other.whl", "files/../index.py", ""):
            with pytest.raises(urllib.error.HTTPError):
                opener.open(f"{host}/{wrong}")


@pytest.mark.parametrize("name", rivals.METHODS)
@pytest.mark.parametrize("part", ["first", "again", "ready"])
def test_the_scripts_of_rivals_are_bash(name: str, part: str) -> None:
    script = getattr(rivals.METHODS[name], part)
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_scenarios_name_rivals_that_there_are() -> None:
    assert {*scenarios.COLD, *scenarios.COLD_ZSTD, *again.KEPT} <= set(rivals.METHODS)
    assert set(suite.PLOTTED) <= set(scenarios.SCENARIOS)


def test_what_is_kept_names_no_folder_and_no_port() -> None:
    said = "bash: /tmp/x-1/bin/tool: 127.0.0.1:41234/base/python3 refused, see /var/log/some.log"
    assert lab.hidden(said) == "bash: tool: 127.0.0.1/base/python3 refused, see some.log"
