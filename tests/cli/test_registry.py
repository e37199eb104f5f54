"""`registry serve` as users start it: a process that says where it listens, answers, and ends when asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ociassemble.cli.registry import parse_address
from ociassemble.errors import UsageError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve(tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-m", "ociassemble", "registry", "serve", "-v", "--address", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*argv, "--storage", str(tmp_path / "storage")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        host = process.stdout.readline().strip()
        with urllib.request.urlopen(f"http://{host}/v2/", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert (process.returncode, out) == (0, "")
    assert "/v2/" in err


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        argv = [sys.executable, "-m", "ociassemble", "registry", "serve", "--storage", str(tmp_path)]
        done = subprocess.run(
            [*argv, "--address", address], capture_output=True, text=True, timeout=30, check=False
        )  # fmt: skip

    assert done.returncode == 11
    assert address in done.stderr
    assert "hint:" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:0", ("::1", 0)),
        (":80", ("", 80)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5000", "host:", "host:http", "host:65536", "host:-1", "host:٣", "h:" + "9" * 5000]
)
def test_not_an_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)
