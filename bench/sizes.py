"""Ten applications of the same requirements, and wheels as big as those of machine learning."""

from __future__ import annotations

import os
import shutil
import tempfile

import measure
from checks import INDEXES
from figures import Found, Target
from index import Index
from lab import Lab, change, say
from measure import Action, Run
from stack import NAMES, wheel

ROOM = 5 << 30  # bytes that the wheels of 2 GiB, their layers, and what is pushed need


def ten_counts(lab: Lab) -> dict[str, float]:
    """What the registry stores for ten applications of the same requirements, in ten repositories."""
    lab.registry.fresh()
    before = lab.registry.stored()
    dependencies = sum(layer["size"] for platform in _lock(lab)["platforms"].values() for layer in platform["layers"])
    for number in range(10):
        folder = lab.place(f"ten{number}", lab.app())
        change(folder, number)
        lab.build(folder / "app", f"bench/app{number}")
    return {"MB stored": (lab.registry.stored() - before) / 1e6, "MB of dependencies": dependencies / 1e6}


def _lock(lab: Lab) -> dict[str, dict[str, dict[str, list[dict[str, int]]]]]:
    found: dict[str, dict[str, dict[str, list[dict[str, int]]]]] = lab.lock()
    return found


def ten_targets(found: Found) -> list[Target]:
    times = found.counts["MB stored"] / found.counts["MB of dependencies"]
    return [Target("stored, times one application's dependencies", times, 1.05, "", full=True)]


def stack_actions(lab: Lab) -> dict[str, Action]:
    """Four wheels of 2 GiB in all: locked, which fetches them and makes their layers; built again without layers."""
    size = (64 << 20) if lab.quick else (2 << 30)
    if shutil.disk_usage(lab.work).free < (ROOM if not lab.quick else ROOM >> 4):
        raise measure.Failed(f"the wheel stack needs {ROOM >> 30} GiB in {tempfile.gettempdir()}")
    folder, app = lab.work / "stack", lab.work / "apps" / "stack"
    if not folder.exists():
        say(f"wheels of {size >> 20} MiB")
        folder.mkdir()
        for name in NAMES:
            wheel(folder, name, size // len(NAMES))
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir(parents=True)
    (app / "main.py").write_text("import bench_stack_one\n\nprint(bench_stack_one.SIZE)\n")
    (app / "requirements.txt").write_text("".join(f"{name}==1.0\n" for name in NAMES))
    index = lab.stays(Index(folder))
    told = dict.fromkeys(INDEXES, index.url)
    told |= {"OCIASSEMBLE_CACHE_DIR": str(lab.work / "stack-cache"), "PIP_CONFIG_FILE": os.devnull}
    asked = ["--base", lab.environment["BASE"], "--platform", lab.environment["PLATFORM"], "-q"]

    def lock(_: int) -> Run:
        shutil.rmtree(told["OCIASSEMBLE_CACHE_DIR"], ignore_errors=True)
        (app / "ociassemble.lock").unlink(missing_ok=True)
        return lab.ours("lock", str(app), *asked, **told)

    def build(_: int) -> Run:
        lab.registry.fresh()
        return lab.build(app, "bench/stack", "--no-cache", **told)

    lab.registry.fresh()
    return {"ociassemble lock": lock, "ociassemble build": build}


def stack_counts(lab: Lab) -> dict[str, float]:
    """Frees the disk again; what came of it is in the registry."""
    pushed = lab.registry.added("bench/stack") / 1e6
    for name in ("stack", "stack-cache"):
        shutil.rmtree(lab.work / name, ignore_errors=True)
    lab.registry.fresh()
    return {"MB pushed": pushed}
