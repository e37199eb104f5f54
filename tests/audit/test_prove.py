"""Whether an image could start, as far as files can tell: the verdicts on small tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ociassemble.audit.prove import Finding, ProofError, prove, raise_errors
from ociassemble.audit.table import Table
from ociassemble.image.contents import Contents, read_contents
from ociassemble.oci.platform import Platform
from ociassemble.testing.images import Content, Link, layer, program
from tests.debian_archive import elf

AMD64 = Platform.parse("linux/amd64")
STATIC = elf(kind=2)
BASE: dict[str, Content] = {
    "bin": Link("usr/bin"),
    "usr/bin/python3.13": program(STATIC),
    "usr/bin/python3": Link("python3.13"),
}


def contents(files: Mapping[str, Content]) -> Contents:
    return read_contents(layer(files))


def findings(execution: dict[str, Any], files: Mapping[str, Content]) -> tuple[Finding, ...]:
    table = Table([contents(BASE), contents(files)], 1)
    return prove(table, {"User": "65532", **execution}, AMD64)


def codes(execution: dict[str, Any]) -> list[str]:
    return [item.code for item in findings(execution, {"app/bin/server": program(STATIC)})]


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
    assert codes(execution) == []


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
    assert codes(execution) == ["prove.program-missing"]


def test_no_shell_has_a_hint_of_its_own() -> None:
    (finding,) = findings({"Entrypoint": ["sh", "-c", "x"]}, {})
    assert "no shell" in finding.hint


def test_no_command_and_root_are_told_but_no_errors() -> None:
    found = findings({"User": ""}, {})
    assert [(item.code, item.severity) for item in found] == [("prove.no-command", "warning"), ("prove.root", "info")]
    raise_errors(found, "linux/amd64")


def test_errors_stop() -> None:
    with pytest.raises(ProofError, match="could not start: gone"):
        raise_errors([Finding("prove.x", "error", "gone"), Finding("prove.y", "error", "too")], "linux/amd64")
