"""Completion: what shells ask and what they are told; bash's own function is run by bash."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from tests.failure.scene import REPOSITORY, Scene


def answered(scene: Scene, shell: str, line: str) -> list[str]:
    """What the program tells a shell about `line`."""
    words = line.split(" ")
    environment = {**scene.environment, "_OCIASSEMBLE_COMPLETE": f"{shell}_complete"}
    environment |= {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "ociassemble"],
        env=environment,
        cwd=scene.root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def in_bash(scene: Scene, line: str) -> list[str]:
    """What bash offers after `line`, by the script it was given; words are broken as bash breaks them."""
    program = scene.root / "bin" / "ociassemble"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ociassemble "$@"\n')
    program.chmod(0o755)
    words = []
    for word in line.split(" "):
        head, colon, tail = word.partition(":")
        words += [head, ":", *([tail] if tail else [])] if colon else [word]
    script = f"""
        eval "$(ociassemble completion bash)"
        complete -p ociassemble > /dev/null || exit 9
        COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}
        _ociassemble_completion ociassemble
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**scene.environment, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=scene.root, capture_output=True, text=True, check=True
    )
    assert done.stderr == "", done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.spec("CLI-7")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ociassemble compl", ["completion"]),
        ("ociassemble bui", ["build"]),
        ("ociassemble build --healthcheck-st", ["--healthcheck-start-period", "--healthcheck-start-interval"]),
        ("ociassemble build --kind py", ["python"]),
        ("ociassemble build --base distroless/py", ["distroless/python3"]),
        ("ociassemble registry se", ["serve"]),
        ("ociassemble completion f", ["fish"]),
        ("ociassemble inspect localhost/sh", ["localhost/shop:latest", "localhost/shop:v2"]),
        ("ociassemble inspect localhost/shop:", ["latest", "v2"]),
        ("ociassemble inspect localhost/shop:v", ["v2"]),
        ("ociassemble nothing ", []),
    ],
)
def test_bash(scene: Scene, line: str, expected: list[str]) -> None:
    if "shop" in line or "localhost" in line:
        scene.run("build", "project", "-q", "-t", "localhost/shop:latest", "-t", "localhost/shop:v2").worked()

    assert in_bash(scene, line) == expected


@pytest.mark.spec("CLI-7")
def test_files_are_left_to_the_shell(scene: Scene) -> None:
    assert answered(scene, "bash", "ociassemble build --metadata-file x") == ["file,x"]
    assert "dir,pro" in answered(scene, "bash", "ociassemble run pro")


@pytest.mark.spec("CLI-7")
@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef ociassemble"), ("fish", "complete --no-files")])
def test_zsh_and_fish(scene: Scene, shell: str, mark: str) -> None:
    assert mark in scene.run("completion", shell).worked().out
    said = answered(scene, shell, "ociassemble compl")

    assert "completion" in "\n".join(said)


@pytest.mark.spec("CLI-7")
def test_a_shell_that_asks_makes_no_cache(scene: Scene) -> None:
    answered(scene, "bash", "ociassemble inspect x")

    assert not scene.cache.exists()
    assert (REPOSITORY / "ociassemble").is_dir()
