"""What `make demo` shows: a web application from its folder to an answer over HTTP, with nothing but our own verbs.

A registry on loopback, a build onto a distroless base, a push, a pull by digest, a look at the layers, and a run with
a container runtime of this host. Every process started here is stopped here; nothing is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).parent
PROGRAM = [sys.executable, "-m", "ociassemble"]
NO_TOOL = 10  # exit status: no usable container runtime
ANSWER_WITHIN = 60.0  # seconds

_BOLD, _DIM, _PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


class DemoError(Exception):
    """A step that did not do what it should."""


def say(text: str = "") -> None:
    print(text, flush=True)


def free_port() -> int:
    """A port of this machine that nobody uses right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
    return number


def shown(*args: str) -> str:
    return f"{_BOLD}$ ociassemble {' '.join(args)}{_PLAIN}"


def ociassemble(*args: str, show: bool = True) -> tuple[str, float]:
    """Run one verb, its progress on our own terminal; what it printed, and seconds."""
    if show:
        say(shown(*args))
    began = time.monotonic()
    done = subprocess.run([*PROGRAM, *args], stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise DemoError(f"`ociassemble {args[0]}` ended with status {done.returncode}")
    return done.stdout.strip(), seconds


@contextlib.contextmanager
def running(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A verb in the background; asked to stop at the end of the block, and waited for."""
    say(shown(*args))
    process = subprocess.Popen([*PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.stdout is not None:
            process.stdout.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def first_line(process: subprocess.Popen[bytes]) -> str:
    """The first line of its result; "" when it ended without one."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> urllib.request.addinfourl | None:
    """The first answer from `url`; None when the process ended instead."""
    deadline = time.monotonic() + ANSWER_WITHIN
    # Loopback is asked directly, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return None
        try:
            answer: urllib.request.addinfourl = opener.open(url, timeout=5)
        except OSError:
            time.sleep(0.05)
        else:
            return answer
    raise DemoError(f"no answer from {url} within {ANSWER_WITHIN:.0f} s")


def size(number: int) -> str:
    return f"{number / 1e6:,.2f} MB" if number >= 10_000 else f"{number:,} B"


def layer_table(name: str) -> None:
    """The layers of an image: from the base or ours, size, and what each holds by its history."""
    manifest = json.loads(ociassemble("manifest", name)[0])
    config = json.loads(ociassemble("config", name, show=False)[0])
    steps = [item for item in config.get("history", ()) if not item.get("empty_layer")]
    layers = manifest["layers"]
    say(f"  {'layer':<5} {'size':>10}  {'digest':<19}  what")
    for number, layer in enumerate(layers):
        own = "dev.ociassemble.layer.key" in layer.get("annotations", {})
        step = steps[number] if number < len(steps) else {}
        what = step.get("comment") or step.get("created_by") or ("" if own else "base")
        say(f"  {number:<5} {size(layer['size']):>10}  {layer['digest'][:19]}  {what[:70]}")
    total = sum(layer["size"] for layer in layers)
    say(f"  {len(layers)} layers, {size(total)} to download; user {config['config'].get('User') or 'root'}")
    command = [*(config["config"].get("Entrypoint") or ()), *(config["config"].get("Cmd") or ())]
    say(f"  starts {' '.join(command)}")


def demo(folder: Path) -> None:
    """All steps; `folder` is for the registry, the cache and what is pulled."""
    began = time.monotonic()
    os.environ["OCIASSEMBLE_CACHE_DIR"] = str(folder / "cache")  # empty: this is the cold case
    application = os.path.relpath(EXAMPLES / "python-flask")
    timings: list[tuple[str, float]] = []

    with running("registry", "serve", "--address", "127.0.0.1:0", "--storage", str(folder / "registry")) as server:
        registry = first_line(server)
        if wait_for(f"http://{registry}/v2/", server) is None:
            raise DemoError("the registry did not start")
        say(f"{registry}\n")
        build = ("build", application, "--base", "distroless/python3", "-t", f"{registry}/demo/flask:v1", "--push")
        pushed, seconds = ociassemble(*build)
        timings.append(("build and push, empty cache", seconds))
        say(f"{pushed}\n{_DIM}  {seconds:.1f} s{_PLAIN}\n")
        again, seconds = ociassemble(*build)
        timings.append(("build and push again", seconds))
        say(f"{again}\n{_DIM}  {seconds:.1f} s{_PLAIN}\n")
        if again != pushed:
            raise DemoError("the second build has another digest than the first")
        name = pushed.splitlines()[-1]
        layout = f"oci:{folder / 'pulled'}:v1"
        pulled, seconds = ociassemble("pull", name, "-o", layout)
        timings.append(("pull by digest", seconds))
        say(f"{pulled}\n")
        layer_table(name)
        say()

        port = free_port()
        with running("run", layout, "-p", str(port)) as application_process:
            started = time.monotonic()
            answer = wait_for(f"http://127.0.0.1:{port}/", application_process)
            if answer is None:
                if application_process.returncode != NO_TOOL:
                    raise DemoError(f"`ociassemble run` ended with status {application_process.returncode}")
                say("No container runtime of this host may start it, so there is no answer to show; the image is fine.")
            else:
                timings.append(("run: from start to answer", time.monotonic() - started))
                with answer:
                    body = answer.read().decode("utf-8", "replace").strip()
                say(f"{_BOLD}$ curl http://127.0.0.1:{port}/{_PLAIN}")
                say(f"HTTP {answer.status}  {answer.headers.get('Server', '')}\n{body}")
    say()
    timings.append(("in all", time.monotonic() - began))
    for what, seconds in timings:
        say(f"  {what:<28} {seconds:6.1f} s")


def main() -> int:
    """Run the demo; 0 also where no runtime may start a container."""
    # Asked to stop by a signal, it stops what it started, as after a ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="ociassemble-demo-") as folder:
        try:
            demo(Path(folder))
        except DemoError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
