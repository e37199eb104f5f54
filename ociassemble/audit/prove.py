"""What the layers hold + the config -> findings. Pure. An error stops before anything is written.

A distroless image has no shell to tell what is wrong: a start command that cannot start shows as a cryptic error of
the runtime, on someone else's machine. It is found out here instead (specs/behaviour/prove.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ociassemble.errors import PolicyError
from ociassemble.plan.locked import Severity

if TYPE_CHECKING:
    from ociassemble.audit.table import Table
    from ociassemble.oci.platform import Platform

VERSION = 2  # bumped when the same image may have other findings


class Finding(NamedTuple):
    """One finding. `code` is stable and dotted; `hint` is the one thing to try.

    `lasting` ones are about dependencies alone: they hold whatever the application's own files are, and are locked.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    lasting: bool = False


class ProofError(PolicyError):
    """The image could not start as planned."""

    code = "policy.prove"


def prove(
    table: Table, execution: Mapping[str, Any], platform: Platform, known: Sequence[Finding] | None = None
) -> tuple[Finding, ...]:
    """Findings about starting the image with this config; `execution` is the config's `config` object.

    `known` are the lasting ones, where they were found before.

    Errors are about the start command and all it needs; what is wrong elsewhere is a warning.
    """
    from ociassemble.audit import libraries, node, python, signals, start

    findings: list[Finding] = []
    process = None
    command = (*(execution.get("Entrypoint") or ()), *(execution.get("Cmd") or ()))
    if not command:
        findings.append(
            Finding("prove.no-command", "warning", "the image has no start command", "set one with `--cmd`")
        )
    else:
        found, process = start.prove(table, command, execution, platform)
        findings += found
    if process is not None:
        for language in (python, node):
            found, runs = language.prove(table, process)
            findings += found
            if runs is not None:
                findings += signals.prove(table, runs, execution)
    if all(item.severity != "error" for item in findings):
        # An image that cannot start is not written: what else is wrong with it can wait.
        findings += known or ()
        findings += libraries.prove(table, process, execution, platform, lasting=known is None)
    return plain((*findings, *about_user(execution)))


def about_user(execution: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The note on root."""
    if execution.get("User", "") not in ("", "0", "root", "0:0", "root:root"):
        return ()
    return (Finding("prove.root", "info", "the image starts as root", "`--user 65532` runs it as an ordinary user"),)


def plain(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings that can be printed and kept."""
    return tuple(item._replace(message=_plain(item.message), hint=_plain(item.hint)) for item in findings)


def _plain(text: str) -> str:
    """Names of files and libraries are bytes: those that are not UTF-8 are told by their numbers."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def raise_errors(findings: Sequence[Finding], platform: str) -> None:
    """Raise the errors among `findings`, if there are any."""
    errors = [item for item in findings if item.severity == "error"]
    if errors:
        raise ProofError(
            f"the image for {platform} could not start: {errors[0].message}",
            details=[item.message for item in errors[1:]],
            hint=errors[0].hint or None,
        )
