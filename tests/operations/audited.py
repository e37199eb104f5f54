"""Runs `ociassemble` with a hook on what Python does to sockets, names and programs: what `--offline` forbids.

As a program: `python -m tests.operations.audited REPORT ARGS...`; REPORT gets one line an event. TESTS_LATER are
seconds by which its clock is ahead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.failure.scene import DEADLINE, Done, Scene

FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.gethostbyaddr", "socket.getnameinfo", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system",
)  # fmt: skip


def run(scene: Scene, *argv: str, **environment: str) -> tuple[Done, list[str]]:
    """A command in a process of its own, and what it did that `--offline` forbids."""
    report = scene.root / "events"
    report.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "tests.operations.audited", str(report), *argv],
        cwd=scene.root,
        env={**scene.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr), report.read_text().splitlines()


def main(report: str, argv: list[str]) -> int:
    """The program itself, watched."""
    descriptor = os.open(report, os.O_WRONLY | os.O_APPEND)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            os.write(descriptor, f"{event} {arguments!r:.200}\n".encode())

    later = float(os.environ.get("TESTS_LATER", "0"))
    now = time.time
    time.time = lambda: now() + later
    sys.addaudithook(hook)
    from ociassemble.cli import main as program

    return program(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
