"""Start an image with a runtime of the host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ociassemble.progress import Progress
from ociassemble.runtime import engine, runc
from ociassemble.runtime.probe import NoRuntimeError, RuntimeChoice, RuntimeRefusedError
from ociassemble.runtime.request import RunRequest
from ociassemble.runtime.running import Running, forwarding


def start(choice: RuntimeChoice, request: RunRequest, *, folder: Path, output: BinaryIO | None = None) -> Running:
    """Start the image with `choice`; returns at once.

    `folder` is for layouts, bundles and archives, and is left empty. `output` takes what the application prints;
    None: our own streams. Errors: `RuntimeRefusedError` here or from `Running.wait`, `PortError`.
    """
    if choice.name == "runc":
        return runc.start(choice, request, folder, output)
    return engine.start(choice, request, folder, output)


def run(choices: Iterable[RuntimeChoice], request: RunRequest, *, folder: Path, progress: Progress) -> int:
    """Run the image in the foreground and return its exit status; signals are forwarded to it.

    Runtimes that cannot be used are named with the reason. One that turns out to be unable to start the image is
    named, too, and the next is tried; `choices` is asked for it only then.
    """
    refused: list[str] = []
    for choice in choices:
        if not choice.usable:
            refused.append(str(choice))
            continue
        passed_over = f" (not {'; '.join(refused)})" if refused else ""
        progress.info(f"running with {choice.name} {choice.version}{passed_over}")
        plan = request.plan_port(own_network=choice.own_network)
        if plan.note:
            progress.warn(plan.note)
        # With a command of the user's own, an application that listens is no more than a guess.
        if plan.address is not None and (request.port is not None or not request.args):
            progress.info(f"to be reached at http://{plan.address[0]}:{plan.address[1]}")
        try:
            with start(choice, request, folder=folder) as running, forwarding(running):
                return running.wait()
        except RuntimeRefusedError as error:
            progress.warn("; ".join((error.message, *error.details[-1:])))
            refused.append(f"{choice.name}: {error.details[-1] if error.details else error.message}")
    raise NoRuntimeError(
        "no container runtime of this host can start the image",
        details=refused,
        hint="install podman, or runc and umoci (then as root)",
    )
