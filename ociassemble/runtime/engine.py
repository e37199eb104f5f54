"""podman, docker and nerdctl: one command line, spoken with three accents. The container has its own network."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import BinaryIO

from ociassemble import _files, _run
from ociassemble.errors import ToolError
from ociassemble.runtime.archive import write_archive
from ociassemble.runtime.probe import RuntimeChoice, RuntimeRefusedError
from ociassemble.runtime.request import RunRequest
from ociassemble.runtime.running import Running

_NEVER = "0001-01-01"  # the engines' way to say that a container has not started


def start(choice: RuntimeChoice, request: RunRequest, folder: Path, output: BinaryIO | None) -> Running:
    """Load the image, create a container, start it attached; container and image go when it ends.

    An image that was there before is left there.
    """
    (program,) = choice.programs
    plan = request.plan_port(own_network=True)
    name = f"ociassemble-{secrets.token_hex(6)}"
    image, loaded = _load(program, choice.name, request, folder, name)

    def clean() -> None:
        _run.run([program, "rm", "--force", name], check=False, timeout=60)
        if loaded:
            _run.run([program, "rmi", image], check=False, timeout=60)

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
        _ask(choice, [program, "create", *options, image, *request.args])
        process = _run.start([program, "start", "--attach", name], output=output, detached=True)
    except BaseException:
        clean()
        raise
    return Running(runtime=choice.name, process=process, address=plan.address, kill=kill, finish=finish)


def _load(program: str, name: str, request: RunRequest, folder: Path, own: str) -> tuple[str, bool]:
    """The image's name inside the engine, and whether it was us who brought it there."""
    if name == "podman":
        # podman reads layouts itself, and names images by the digest of their config.
        identity = request.manifest.config.digest.hex
        there = _run.run([program, "image", "exists", identity], check=False, timeout=60).returncode == 0
        if not there:
            _ask(name, [program, "pull", "--quiet", f"oci:{request.layout}:{request.tag}"])
        return identity, not there
    image = f"localhost/ociassemble-run:{own.rpartition('-')[2]}"
    archive = folder / f"{own}.tar"
    try:
        write_archive(archive, request, image)
        _ask(name, [program, "load", "--quiet", "--input", str(archive)])
    finally:
        _files.remove(archive)
    return image, True


def _ask(choice: RuntimeChoice | str, argv: list[str]) -> None:
    name = choice if isinstance(choice, str) else choice.name
    try:
        _run.run(argv, timeout=600)
    except ToolError as error:
        raise RuntimeRefusedError(f"{name} could not take the image: {error.message}", details=error.details) from error


def _never_ran(program: str, name: str) -> bool:
    done = _run.run([program, "inspect", "--format", "{{.State.StartedAt}}", name], check=False, timeout=60)
    return done.stdout.decode("utf-8", "replace").strip().startswith(_NEVER)
