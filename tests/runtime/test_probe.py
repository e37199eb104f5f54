"""Probing: each runtime is asked, and a refusal says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ociassemble.runtime.probe import NoRuntimeError, choose, probe


def program(folder: Path, name: str, script: str) -> None:
    """A small real program in the runtime's place: what probing sees is its output and status."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def found_in(folder: Path, name: str) -> str | None:
    return str(folder / name) if (folder / name).exists() else None


def test_none_installed(tmp_path: Path) -> None:
    choices = probe(lambda name: found_in(tmp_path, name), root=True)

    assert [choice.name for choice in choices] == ["podman", "docker", "nerdctl", "runc"]
    assert [choice.refused for choice in choices[:3]] == ["not installed"] * 3
    assert choices[3].refused == "runc and umoci not installed"
    with pytest.raises(NoRuntimeError) as caught:
        choose(choices)
    assert caught.value.exit_code == 10
    assert len(caught.value.details) == 4
    assert caught.value.hint


def test_podman_comes_before_docker(tmp_path: Path) -> None:
    program(tmp_path, "podman", "echo '4.3.1 with crun'")
    program(tmp_path, "docker", "echo 28.0.0")
    choices = probe(lambda name: found_in(tmp_path, name), root=False)

    assert choose(choices).name == "podman"
    assert choose(choices).version == "4.3.1 with crun"
    assert choose(choices, "docker").version == "28.0.0"


def test_a_client_without_its_daemon_is_refused_in_its_own_words(tmp_path: Path) -> None:
    program(tmp_path, "docker", "echo >&2 'trying'; echo >&2 'cannot connect to the daemon'; exit 1")
    docker = probe(lambda name: found_in(tmp_path, name), root=True)[1]

    assert not docker.usable
    assert docker.refused == "cannot connect to the daemon"


def test_a_client_that_says_nothing_is_refused(tmp_path: Path) -> None:
    program(tmp_path, "podman", "exit 0")
    podman = probe(lambda name: found_in(tmp_path, name), root=True)[0]

    assert podman.refused == "status 0"


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "podman").write_bytes(b"\x7fELF not really")
    (tmp_path / "podman").chmod(0o755)
    podman = probe(lambda name: found_in(tmp_path, name), root=True)[0]

    assert "could not be run" in podman.refused


@pytest.mark.parametrize("there", ["runc", "umoci"])
def test_runc_needs_umoci(tmp_path: Path, there: str) -> None:
    program(tmp_path, there, "echo runc version 1.1.5")
    runc = probe(lambda name: found_in(tmp_path, name), root=True)[3]

    assert runc.refused == f"{'umoci' if there == 'runc' else 'runc'} not installed"


def test_runc_needs_root(tmp_path: Path) -> None:
    program(tmp_path, "runc", "echo runc version 1.1.5")
    program(tmp_path, "umoci", "echo umoci 0.4.7")

    assert "root" in probe(lambda name: found_in(tmp_path, name), root=False)[3].refused
    assert choose(probe(lambda name: found_in(tmp_path, name), root=True)).version == "1.1.5"
