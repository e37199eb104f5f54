"""Facts of the base + what the layers add + the config -> findings. Pure. An error stops before anything is written.

A distroless image has no shell to tell what is wrong: a start command that is not there shows as a cryptic error of
the runtime, on someone else's machine. It is checked here instead.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ociassemble.errors import PolicyError
from ociassemble.formats.paths import real_path
from ociassemble.plan.facts import DEFAULT_PATH, BaseFacts
from ociassemble.plan.locked import Severity


class Finding(NamedTuple):
    """One finding. `code` is stable and dotted; `hint` is the one thing to try."""

    code: str
    severity: Severity
    message: str
    hint: str = ""


class ProofError(PolicyError):
    """The image could not start as planned."""

    code = "policy.prove"


def prove(facts: BaseFacts, executables: Iterable[str], execution: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Findings about starting an image with this config.

    `executables` are the executable files the new layers bring (relative to the root); `facts.programs` are the
    base's. `execution` is the config's `config` object.
    """
    findings: list[Finding] = []
    command = (*(execution.get("Entrypoint") or ()), *(execution.get("Cmd") or ()))
    if not command:
        findings.append(
            Finding("prove.no-command", "warning", "the image has no start command", "set one with `--cmd`")
        )
    else:
        findings += _program(command, facts, set(executables), execution)
    if execution.get("User", "") in ("", "0", "root", "0:0", "root:root"):
        findings.append(
            Finding("prove.root", "info", "the image starts as root", "`--user 65532` runs it as an ordinary user")
        )
    return tuple(findings)


def raise_errors(findings: Sequence[Finding], platform: str) -> None:
    """Raise the errors among `findings`, if there are any."""
    errors = [item for item in findings if item.severity == "error"]
    if errors:
        raise ProofError(
            f"the image for {platform} could not start: {errors[0].message}",
            details=[item.message for item in errors[1:]],
            hint=errors[0].hint or None,
        )


def _program(
    command: Sequence[str], facts: BaseFacts, brought: set[str], execution: Mapping[str, Any]
) -> list[Finding]:
    program = command[0]
    there = brought | {path.lstrip("/") for path in facts.programs}
    if "/" in program:
        start = posixpath.join(execution.get("WorkingDir") or "/", program)
        if _real(start, facts) in there:
            return []
        message = f"the start command is `{program}`, which is not in the image or not executable"
    else:
        env = dict(item.partition("=")[::2] for item in execution.get("Env") or ())
        folders = env.get("PATH", DEFAULT_PATH).split(":")
        if any(_real(posixpath.join("/", folder, program), facts) in there for folder in folders):
            return []
        message = f"the start command is `{program}`, which is on none of the image's PATH ({':'.join(folders)})"
    hint = "see `--entrypoint` and `--cmd`"
    if posixpath.basename(program) in ("sh", "bash", "dash", "ash"):
        hint = "the image has no shell: state the program itself, as a JSON array"
    return [Finding("prove.program-missing", "error", message, hint)]


def _real(path: str, facts: BaseFacts) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return real_path("/".join(parts), facts.links, last=False)
