"""Small commands: the start of the program, one question to a registry, one copy."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import measure
from checks import COUNT_DATACLASSES
from figures import OURS, Found, Target
from lab import Lab
from measure import Action, Run


def startup_actions(lab: Lab) -> dict[str, Action]:
    return {
        "python -c pass": lambda _: lab.python("pass"),
        "ociassemble --version": lambda _: lab.ours("--version"),
        'python -c "import click"': lambda _: lab.python("import click"),
        "ociassemble --help": lambda _: lab.ours("--help"),
        "ociassemble build --help": lambda _: lab.ours("build", "--help"),
    }


def startup_counts(lab: Lab) -> dict[str, float]:
    """Dataclasses that exist at the end of a build that changed nothing, everybody's and ours."""
    lab.registry.fresh()
    folder = lab.place(OURS, lab.app())
    lab.build(folder / "app", f"bench/{OURS}")
    command = [sys.executable, "-c", COUNT_DATACLASSES, *lab.build_command(folder / "app", f"bench/{OURS}")]
    every, ours, modules = measure.run(command, environment=lab.environment, folder=lab.work).output.split()[-3:]
    return {"dataclasses": float(every), "of them ours": float(ours), "modules": float(modules)}


def startup_targets(found: Found) -> list[Target]:
    version = found.ratio("ociassemble --version", "python -c pass")
    usage = found.ratio("ociassemble --help", 'python -c "import click"')
    return [
        Target("--version, times bare Python", version, 3, "", full=True),
        Target("--help, times importing click", usage, 2, "", full=True),
        Target("dataclasses on the warm path", found.counts["dataclasses"], 40, ""),
    ]


def asked(cases: dict[str, dict[str, str]], lab: Lab) -> dict[str, Action]:
    """Every command of `cases`, each in an empty folder, by "TOOL: WHAT"."""
    lab.registry.fresh()
    lab.build(lab.app(), f"bench/{OURS}")
    told = {"IMAGE": f"{lab.host}/bench/{OURS}:v1", "COPY": f"{lab.host}/bench/copy:v1"}
    copies = lab.registry.storage / "docker/registry/v2/repositories/bench/copy"

    def action(command: str, _: int) -> Run:
        shutil.rmtree(copies, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=lab.work) as folder:
            return lab.shell(command, Path(folder), **told)

    return {
        f"{tool}: {what}": partial(action, command)
        for what, commands in cases.items()
        for tool, command in commands.items()
        if lab.there(tool)
    }
