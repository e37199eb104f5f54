"""Images made by umoci, started for real with runc: read-only, as the image's user, without capabilities."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ociassemble.content.verify import DigestMismatchError
from ociassemble.progress import Event, Note, Progress
from ociassemble.runtime.probe import NoRuntimeError, RuntimeChoice, RuntimeRefusedError, choose, probe
from ociassemble.runtime.request import Port
from ociassemble.runtime.run import run, start
from tests.peers import Peer, find
from tests.ports import free_port
from tests.runtime.layouts import request_of

pytestmark = pytest.mark.interop

BUSYBOX = Path("/bin/busybox")
SERVE = 'trap "exit 7" TERM; /bin/busybox httpd -f -p "$PORT" -h /www & wait'
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def runtime(runc: Peer, umoci: Peer) -> RuntimeChoice:
    """runc and umoci, tried once: a host may have both and still not let containers start."""
    found = choose(probe(find, root=os.geteuid() == 0), "runc")
    namespaces = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if namespaces.returncode != 0:
        pytest.skip(f"no namespaces here: {namespaces.stderr.decode().strip()}")
    return found


@pytest.fixture
def image(tmp_path: Path, umoci: Peer) -> Callable[..., Path]:
    """Makes a layout with the image `t`: busybox, a page, uid 65532, and what the test wants."""
    if not BUSYBOX.is_file():
        pytest.skip("busybox-static is not installed (`make test` installs it where apt and root are there)")

    def make(*cmd: str, env: tuple[str, ...] = ("PORT=8080",)) -> Path:
        layout = tmp_path / "layout"
        page = tmp_path / "www"
        page.mkdir()
        (page / "index.html").write_text("it runs\n")
        name = f"{layout}:t"
        umoci("init", "--layout", layout)
        umoci("new", "--image", name)
        umoci("insert", "--image", name, BUSYBOX, "/bin/busybox")
        umoci("insert", "--image", name, page, "/www")
        settings = [f"--config.env={item}" for item in ("PATH=/bin", *env)]
        umoci("config", "--image", name, "--config.user=65532:65532", "--config.entrypoint=/bin/busybox", *settings,
              *(f"--config.cmd={word}" for word in cmd))  # fmt: skip
        return layout

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For bundles; every test finds it empty again at its end."""
    place = tmp_path / "bundles"
    place.mkdir()
    yield place
    assert list(place.iterdir()) == []


def ask(port: int) -> bytes:
    """What the application answers, once it does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.02)


def output_of(runtime: RuntimeChoice, layout: Path, folder: Path, tmp_path: Path, **options: object) -> tuple[int, str]:
    log = tmp_path / "output"
    with log.open("ab") as stream:  # whoever writes, writes at the end
        running = start(runtime, request_of(layout, "t", **options), folder=folder, output=stream)  # type: ignore[arg-type]
        status = running.wait(60)
    return status, log.read_text()


def test_it_serves_on_the_port_that_was_asked_for(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path
) -> None:
    port = free_port()
    with start(runtime, request_of(image("sh", "-c", SERVE), "t", port=Port("", port)), folder=folder) as running:
        assert running.address == ("127.0.0.1", port)
        assert ask(port) == b"it runs\n"
        assert running.stop() == 7


def test_what_the_process_may_do(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    script = (
        "b=/bin/busybox; $b id -u; $b id -g; $b grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status;"
        " $b touch /forbidden; $b touch /tmp/allowed && echo tmp; $b stat -c %a /tmp; echo $$; $b env; exit 9"
    )
    status, said = output_of(runtime, image("sh", "-c", script), folder, tmp_path, env={"ADDED": "yes"})
    lines = said.splitlines()

    assert status == 9
    assert lines.count("65532") == 2
    assert "CapEff:\t0000000000000000" in lines
    assert "CapBnd:\t0000000000000000" in lines
    assert "NoNewPrivs:\t1" in lines
    assert any("/forbidden: Read-only file system" in line for line in lines)
    assert {"tmp", "1777", "1", "ADDED=yes", "PORT=8080"} <= set(lines)


@pytest.mark.spec("RUN-5")
def test_arguments_replace_the_command(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    status, said = output_of(runtime, image("false"), folder, tmp_path, args=("echo", "two words", "$HOME"))

    assert (status, said) == (0, "two words $HOME\n")


def test_a_command_that_is_not_there_is_an_error_and_no_status(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path, umoci: Peer
) -> None:
    layout = image("x")
    umoci("config", "--image", f"{layout}:t", "--config.entrypoint=/nothing")
    running = start(runtime, request_of(layout, "t"), folder=folder)
    with pytest.raises(RuntimeRefusedError) as caught:
        running.wait(60)

    assert any("/nothing" in line for line in caught.value.details)


def test_a_broken_layer_starts_nothing(runtime: RuntimeChoice, image: Callable[..., Path], folder: Path) -> None:
    layout = image("true")
    largest = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    with pytest.raises(DigestMismatchError):
        start(runtime, request_of(layout, "t"), folder=folder)


def test_run_says_what_it_chose_and_why_not_the_others(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path
) -> None:
    events: list[Event] = []
    choices = (RuntimeChoice("podman", refused="not installed"), runtime)
    status = run(choices, request_of(image("sh", "-c", "exit 3"), "t"), folder=folder, progress=Progress(events.append))

    assert status == 3
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0] == f"running with runc {runtime.version} (not podman: not installed)"


def test_no_runtime_at_all(image: Callable[..., Path], folder: Path) -> None:
    choices = (RuntimeChoice("podman", refused="not installed"), RuntimeChoice("runc", refused="needs root"))
    with pytest.raises(NoRuntimeError) as caught:
        run(choices, request_of(image("true"), "t"), folder=folder, progress=Progress())

    assert caught.value.details == ("podman: not installed", "runc: needs root")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_application(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Also ctrl-C: the application ends as it sees fit, and its status is ours."""
    layout, port = image("sh", "-c", SERVE.replace("TERM", "TERM INT")), free_port()
    script = (
        "import sys; from pathlib import Path\n"
        "from ociassemble.runtime.run import run; from ociassemble.runtime.probe import RuntimeChoice\n"
        "from ociassemble.runtime.request import Port; from ociassemble.progress import Progress\n"
        "from tests.runtime.layouts import request_of\n"
        f"c = RuntimeChoice(*{(runtime.name, runtime.programs)!r})\n"
        f"r = request_of(Path({str(layout)!r}), 't', port=Port('', {port}))\n"
        f"sys.exit(run((c,), r, folder=Path({str(folder)!r}), progress=Progress()))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    try:
        assert ask(port) == b"it runs\n"
        process.send_signal(number)
        assert process.wait(30) == 7
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def test_a_first_process_that_ignores_sigterm_is_ended_all_the_same(
    runtime: RuntimeChoice, image: Callable[..., Path], folder: Path, runc: Peer
) -> None:
    with start(runtime, request_of(image("sleep", "60"), "t"), folder=folder) as running:
        (place,) = folder.iterdir()
        state = Peer(runc.path, ("--root", str(place / "state")))
        deadline = time.monotonic() + 30
        while '"running"' not in state("state", place.name, check=False).stdout and time.monotonic() < deadline:
            time.sleep(0.02)
        spec = json.loads((place / "bundle" / "config.json").read_bytes())
        assert spec["root"]["readonly"] is True
        assert "network" not in {item["type"] for item in spec["linux"]["namespaces"]}
        assert place.stat().st_mode & 0o077 == 0
        assert running.stop(grace=0.2) == 137


def test_stopped_before_it_began(runtime: RuntimeChoice, image: Callable[..., Path], folder: Path) -> None:
    with start(runtime, request_of(image("sleep", "60"), "t"), folder=folder) as running:
        assert running.stop(grace=2) != 0
