"""Whether an image could start, as far as files can tell."""

from __future__ import annotations

from typing import Any

import pytest

from ociassemble.audit.prove import Finding, ProofError, prove, raise_errors
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts

FACTS = BaseFacts(
    platform=Platform.parse("linux/amd64"),
    programs=("/usr/bin/python3", "/usr/bin/python3.13"),
    links={"bin": "usr/bin"},
)


def codes(execution: dict[str, Any], *brought: str) -> list[str]:
    return [item.code for item in prove(FACTS, brought, {"User": "65532", **execution})]


@pytest.mark.parametrize(
    "execution",
    [
        {"Entrypoint": ["/usr/bin/python3.13"]},
        {"Entrypoint": ["/bin/python3"]},
        {"Cmd": ["python3", "x"]},
        {"Cmd": ["server"], "Env": ["PATH=/usr/bin:/app/bin"]},
        {"Cmd": ["./bin/server"], "WorkingDir": "/app"},
        {"Cmd": ["/app/../app/bin/server"]},
    ],
)
def test_programs_that_are_there(execution: dict[str, Any]) -> None:
    assert codes(execution, "app/bin/server") == []


@pytest.mark.parametrize(
    "execution",
    [
        {"Entrypoint": ["/usr/bin/python3.12"]},
        {"Cmd": ["server"]},
        {"Cmd": ["python3"], "Env": ["PATH=/opt/bin"]},
        {"Cmd": ["bin/server"], "WorkingDir": "/srv"},
        {"Entrypoint": ["/bin/sh", "-c"]},
    ],
)
def test_programs_that_are_not(execution: dict[str, Any]) -> None:
    assert codes(execution, "app/bin/server") == ["prove.program-missing"]


def test_no_shell_has_a_hint_of_its_own() -> None:
    (finding,) = prove(FACTS, (), {"Entrypoint": ["sh", "-c", "x"], "User": "1"})
    assert "no shell" in finding.hint


def test_no_command_and_root_are_told_but_no_errors() -> None:
    findings = prove(FACTS, (), {})
    assert [(item.code, item.severity) for item in findings] == [
        ("prove.no-command", "warning"),
        ("prove.root", "info"),
    ]
    raise_errors(findings, "linux/amd64")


def test_errors_stop() -> None:
    with pytest.raises(ProofError, match="could not start: gone"):
        raise_errors([Finding("prove.x", "error", "gone"), Finding("prove.y", "error", "too")], "linux/amd64")
