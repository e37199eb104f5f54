"""Another machine: a runner that has nothing, next to a registry that has nearly all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from checks import INDEXES, tool_wheels
from door import Door
from figures import OURS, Found, Target
from index import Index
from lab import Lab, change
from measure import Action, Run


def empty(lab: Lab) -> dict[str, str]:
    """Environment of somebody who has nothing: an empty home, empty caches."""
    home = Path(tempfile.mkdtemp(prefix="runner-", dir=lab.work))
    names = {
        "HOME": "", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data",
        "OCIASSEMBLE_CACHE_DIR": "store", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip", "DOCKER_CONFIG": "docker",
    }  # fmt: skip
    return {"PIP_CONFIG_FILE": os.devnull, **{name: str(home / place) for name, place in names.items()}}


def actions(lab: Lab) -> dict[str, Action]:
    """A runner that has nothing, a registry that has all but one changed file; then with the tool installed first."""
    lab.registry.fresh()
    folder = lab.place(OURS, lab.app())
    lab.build(folder / "app", f"bench/{OURS}")
    command = lab.build_command(folder / "app", f"bench/{OURS}")
    found: dict[str, Action] = {}

    def run(script: str, ready: str, number: int) -> Run:
        change(folder, number)
        told = {**empty(lab), "PYTHONPATH": "", "PYTHON": sys.executable}
        try:
            if ready:
                lab.shell(ready, lab.work, **told)
            return lab.shell(f"{script}\n$HOME/venv/bin/ociassemble {' '.join(command)}", lab.work, **told)
        finally:
            shutil.rmtree(told["HOME"])

    def ours(number: int) -> Run:
        change(folder, number)
        told = empty(lab)
        try:
            return lab.ours(*command, **told)
        finally:
            shutil.rmtree(told["HOME"])

    found[OURS] = ours
    url = f"http://127.0.0.1:{tool_wheels(lab)}/simple/"
    install = (
        "uv venv -q --no-config --python $PYTHON $HOME/venv; "
        "uv pip install -q --no-config --python $HOME/venv/bin/python "
        f"--default-index {url} ociassemble"
    )
    found["uv-install"] = partial(run, install, "")
    found["pip-install"] = partial(
        run, f"$HOME/venv/bin/python -m pip install -q --disable-pip-version-check --index-url {url} ociassemble",
        "$PYTHON -m venv $HOME/venv",
    )  # fmt: skip
    return found


def counts(lab: Lab) -> dict[str, float]:
    """Bytes from the registry; connections to an index and to anywhere else."""
    folder = lab.work / "places" / OURS
    change(folder, 1000)
    told = empty(lab)
    with Index(lab.wheel_folder()) as index, Door(index.port) as trap, lab.registry.door() as door:
        elsewhere = f"http://127.0.0.1:{trap.port}"
        told |= dict.fromkeys(INDEXES, f"{elsewhere}/simple/")
        told |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), elsewhere)
        lab.build(folder / "app", f"bench/{OURS}", **told)
        found = {
            "kB down": door.down / 1e3,
            "kB up": door.up / 1e3,
            "requests": float(len(door.requests)),
            "kB down from an index": trap.down / 1e3,
            "connections to an index or to anywhere else": float(trap.connections),
        }
    shutil.rmtree(told["HOME"])
    return found


def targets(found: Found) -> list[Target]:
    wanted = [
        Target("the build", found.seconds(OURS), 1.5, "s", full=True),
        Target("down, of everything", found.counts["kB down"] + found.counts["kB down from an index"], 1000, "kB"),
        Target("connections to an index", found.counts["connections to an index or to anywhere else"], 0, ""),
    ]
    if found.runs.get("uv-install"):
        wanted.append(Target("with uv pip install in front", found.seconds("uv-install"), 3, "s", full=True))
    return wanted
