"""podman, docker and nerdctl: one command line, spoken with three accents. The container has its own network."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files, _run
from ociassemble.errors import ToolError
from ociassemble.image.archive import docker_pieces, stream
from ociassemble.oci.reference import Reference
from ociassemble.runtime.probe import RuntimeChoice, RuntimeRefusedError
from ociassemble.runtime.request import RunRequest
from ociassemble.runtime.running import Running

_NEVER = "0001-01-01"  # the engines' way to say that a container has not started


def start(choice: RuntimeChoice, request: RunRequest, folder: Path, output: BinaryIO | None) -> Running:
    """Load the image under a name of this run, create a container, start it attached; both go when it ends."""
    (program,) = choice.programs
    plan = request.plan_port(own_network=True)
    name = f"ociassemble-{secrets.token_hex(6)}"
    image = f"localhost/ociassemble-run:{name.rpartition('-')[2]}"

    def clean() -> None:
        for words in (("rm", "--force", name), ("rmi", image)):
            with contextlib.suppress(ToolError):  # an engine that hangs or is gone keeps what it has
                _run.run([program, *words], check=False, timeout=60)

    def kill(signal: str) -> bool:
        return _run.run([program, "kill", "--signal", signal, name], check=False, timeout=60).returncode == 0

    def finish(status: int) -> None:
        try:
            if status and _never_ran(program, name):
                raise RuntimeRefusedError(f"{choice.name} could not start the image", details=[f"status {status}"])
        finally:
            clean()

    options = ["--name", name, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:mode=1777"]
    if request.read_only:
        options.append("--read-only")
    if plan.publish is not None:
        host, outside, inside = plan.publish
        options += ["--publish", f"{f'[{host}]' if ':' in host else host}:{outside}:{inside}"]
    for key, value in {**request.env, **plan.env}.items():
        options += ["--env", f"{key}={value}"]
    try:
        _load(choice, request, folder, image)
        _ask(choice, "create", *options, image, *request.args)
        process = _run.start([program, "start", "--attach", name], output=output, detached=True)
    except BaseException:
        clean()
        raise
    return Running(runtime=choice.name, process=process, address=plan.address, kill=kill, finish=finish)


def _load(choice: RuntimeChoice, request: RunRequest, folder: Path, image: str) -> None:
    """Bring the image into the engine as `image`. (podman reads layouts, too, but makes a name of their path.)"""
    archive = folder / f"{image.rpartition(':')[2]}.tar"
    try:
        with _files.TemporaryFile(folder) as out:
            for block in stream(docker_pieces(request.image, [Reference.parse(image)])):
                out.write(block)
            out.commit(archive)
        _ask(choice, "load", "--quiet", "--input", str(archive))
    finally:
        _files.remove(archive)


def _ask(choice: RuntimeChoice, *words: str) -> None:
    try:
        _run.run([*choice.programs, *words], timeout=600)
    except ToolError as error:
        raise RuntimeRefusedError(f"{choice.name} could not take the image", details=error.details) from error


def _never_ran(program: str, name: str) -> bool:
    done = _run.run([program, "inspect", "--format", "{{.State.StartedAt}}", name], check=False, timeout=60)
    return done.stdout.decode("utf-8", "replace").strip().startswith(_NEVER)
