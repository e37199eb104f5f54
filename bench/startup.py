"""How long the program takes before it does anything: `--version` against a bare Python, `--help` against click."""

from __future__ import annotations

import sys
from pathlib import Path

import measure


def main() -> None:
    runs = measure.arguments(21).runs
    measure.title("start-up")
    installed = Path(sys.executable).parent / "ociassemble"
    program = [str(installed)] if installed.exists() else measure.PROGRAM
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "ociassemble --version": [*program, "--version"],
        'python -c "import click"': [sys.executable, "-c", "import click"],
        "ociassemble --help": [*program, "--help"],
        "ociassemble build --help": [*program, "build", "--help"],
    }
    found = measure.alternate({name: (lambda c=c: measure.run(c)) for name, c in commands.items()}, runs)
    for name, cost in found.items():
        measure.row(name, f"{cost.seconds * 1000:.0f} ms", f"{cost.cpu * 1000:.0f} ms of CPU")
    print()
    version = found["ociassemble --version"].seconds / found["python -c pass"].seconds
    usage = found["ociassemble --help"].seconds / found['python -c "import click"'].seconds
    measure.finish(
        measure.target("--version / bare Python", version, 3, "x"),
        measure.target("--help / import click", usage, 2, "x"),
    )


if __name__ == "__main__":
    main()
