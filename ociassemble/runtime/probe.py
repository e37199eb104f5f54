"""Which container runtimes this host has, and whether they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ociassemble import _run
from ociassemble.errors import ToolError

Find = Callable[[str], str | None]

_QUESTIONS = {
    "podman": ("info", "--format", "{{.Version.Version}} with {{.Host.OCIRuntime.Name}}"),
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "nerdctl": ("info", "--format", "{{.ServerVersion}}"),
}
NAMES = (*_QUESTIONS, "runc")
_TIMEOUT = 15.0  # seconds; a daemon that hangs is a daemon that is not there


class NoRuntimeError(ToolError):
    """No container runtime of this host can be used."""

    code = "tool.no-runtime"


class RuntimeRefusedError(ToolError):
    """A runtime was asked to start the image and could not; nothing of the image has run."""

    code = "tool.runtime-refused"


class RuntimeChoice(NamedTuple):
    """One runtime: `refused` is why it cannot be used, "" when it can; `version` what it said about itself.

    `programs` are the absolute paths of what will be run: (podman,), (docker,), (nerdctl,) or (runc, umoci).
    """

    name: str
    programs: tuple[str, ...] = ()
    version: str = ""
    refused: str = ""

    @property
    def usable(self) -> bool:
        return not self.refused

    @property
    def own_network(self) -> bool:
        """Whether the container gets a network of its own, so that ports are mapped; else it is on the host's."""
        return self.name != "runc"

    def __str__(self) -> str:
        return f"{self.name}: {self.refused or self.version or 'works'}"


def probe(find: Find, *, root: bool) -> tuple[RuntimeChoice, ...]:
    """All runtimes in the order of preference, each asked whether it works; `root`: whether we are root."""
    return tuple(probe_one(name, find, root=root) for name in NAMES)


def probe_one(name: str, find: Find, *, root: bool) -> RuntimeChoice:
    """One of `NAMES`.

    Docker and its kin are asked for their server; runc needs root here, because an image's own user cannot be had
    in a user namespace with one user.
    """
    return _runc(find, root) if name == "runc" else _engine(name, _QUESTIONS[name], find)


def choose(choices: Sequence[RuntimeChoice], name: str = "") -> RuntimeChoice:
    """The first usable runtime, or the one called `name`; none: `NoRuntimeError` with the reason for each."""
    asked = [choice for choice in choices if not name or choice.name == name]
    for choice in asked:
        if choice.usable:
            return choice
    raise NoRuntimeError(
        f"`{name}` cannot start the image" if name else "no container runtime of this host can start the image",
        details=[str(choice) for choice in asked],
        hint="install podman, or runc and umoci (then as root)",
    )


def _engine(name: str, question: tuple[str, ...], find: Find) -> RuntimeChoice:
    program = find(name)
    if program is None:
        return RuntimeChoice(name, refused="not installed")
    try:
        done = _run.run([program, *question], timeout=_TIMEOUT, check=False)
    except ToolError as error:
        return RuntimeChoice(name, (program,), refused=error.message)
    version = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0 or not version:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return RuntimeChoice(name, (program,), refused=said[-1][:300] if said else f"status {done.returncode}")
    return RuntimeChoice(name, (program,), version=version.splitlines()[0][:100])


def _runc(find: Find, root: bool) -> RuntimeChoice:
    runc, umoci = find("runc"), find("umoci")
    missing = " and ".join(name for name, path in (("runc", runc), ("umoci", umoci)) if path is None)
    if runc is None or umoci is None:
        return RuntimeChoice("runc", refused=f"{missing} not installed")
    if not root:
        return RuntimeChoice("runc", (runc, umoci), refused="needs root to run as the image's own user")
    try:
        done = _run.run([runc, "--version"], timeout=_TIMEOUT)
    except ToolError as error:
        return RuntimeChoice("runc", (runc, umoci), refused=error.message)
    words = done.stdout.decode("utf-8", "replace").split()
    return RuntimeChoice("runc", (runc, umoci), version=words[2] if len(words) > 2 else "")
