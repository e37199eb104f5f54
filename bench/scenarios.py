"""The scenarios: for each what is made ready, who takes turns, what is counted, and what must come out.

Actions are called with the number of a round; what they do before and after the one program whose cost they return is
not timed. Counting is never timed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import measure
from checks import COUNT_DATACLASSES, noticed, tool_wheels
from door import Door
from figures import OURS, Found, Target
from index import Index
from lab import Lab, say
from measure import Run
from rivals import COPYING, METHODS, READING
from stack import NAMES, wheel

Action = Callable[[int], Run]
INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
MEMORY = 150.0  # MiB, the limit for every program of ours
ROOM = 5 << 30  # bytes that the wheels of 2 GiB, their layers, and what is pushed need


def nothing(_: Lab) -> dict[str, float]:
    return {}


class Scenario(NamedTuple):
    """`actions`: contender -> what it does in a round, ours first; `counts`: what is counted afterwards."""

    title: str
    actions: Callable[[Lab], dict[str, Action]]
    targets: Callable[[Found], list[Target]]
    counts: Callable[[Lab], dict[str, float]] = nothing
    most: int = 99  # rounds; where one says it all


def titles(names: Sequence[str]) -> dict[str, str]:
    return {name: METHODS[name].title if name in METHODS else TITLES.get(name, name) for name in names}


TITLES = {
    "limit": "the libraries alone: inflate, hashes, compress",
    "python": 'python -c "import requests, click"',
    "uv-install": "uv pip install ociassemble, then ociassemble",
    "pip-install": "pip install ociassemble, then ociassemble",
}


def interpreter(lab: Lab, statement: str) -> Run:
    return measure.run([sys.executable, "-c", statement], environment=lab.environment, folder=lab.work)


# ------------------------------------------------------------------------------------------------ nothing is there

GZIP, ZSTD = "app", "app-zstd"
SETTINGS = {GZIP: "", ZSTD: 'compression = "zstd"\n'}


def cold(name: str, rivals: Sequence[str], lab: Lab) -> dict[str, Action]:
    """Every layer is made and pushed, into a registry that has the base and nothing else; sizes are noted."""
    lab.app()
    app = lab.app(name, settings=SETTINGS[name])

    def ours(_: int) -> Run:
        lab.fresh()
        cost = lab.build(app, f"bench/{OURS}", "--no-cache")
        lab.noted[f"MB of {OURS}"] = lab.added(f"bench/{OURS}") / 1e6
        return cost

    def rival(method: str, _: int) -> Run:
        lab.fresh()
        cost = lab.method(method, "first", lab.place(method, app))
        lab.noted[f"MB of {METHODS[method].title}"] = lab.added(f"bench/{method}") / 1e6
        return cost

    wheels = [str(path) for path in lab.wheels()]
    codec = "zstd" if name == ZSTD else "gzip"
    command = [sys.executable, str(Path(__file__).with_name("limit.py")), codec, "2", *wheels]
    return {
        OURS: ours,
        "limit": lambda _: measure.run(command, environment=lab.environment),
        **{method: partial(rival, method) for method in lab.rivals(rivals)},
    }


def noted(lab: Lab) -> dict[str, float]:
    """What the actions have noted."""
    return dict(lab.noted)


def cold_targets(size: float, ratios: dict[str, float], found: Found) -> list[Target]:
    return [
        *(
            Target(f"as fast as {METHODS[name].title}", found.ratio(name, OURS), least, "x", least=True, full=True)
            for name, least in ratios.items()
            if found.runs.get(name)
        ),
        Target("times the libraries alone", found.ratio(OURS, "limit"), 1.5, "", full=True),
        Target("layers above the base", found.counts[f"MB of {OURS}"], size, "MB"),
    ]


# ------------------------------------------------------------------------------------------------ all is there

KEPT = ("crane", "crane-kept", "umoci", "buildah", "buildkit")


def change(folder: Path, number: int) -> None:
    with (folder / "app" / "app.py").open("a") as file:
        file.write(f"# change {number}\n")


def again(edit: Callable[[Path, int], None] | None, rivals: Sequence[str], lab: Lab) -> dict[str, Action]:
    """The same build once more, after `edit`; everything was built and pushed before, into the same repository."""
    app = lab.app()
    lab.fresh()
    folders = {name: lab.place(name, app) for name in (OURS, *lab.rivals(rivals))}
    lab.build(folders[OURS] / "app", f"bench/{OURS}")

    def ours(number: int) -> Run:
        if edit is not None:
            edit(folders[OURS], number)
        return lab.build(folders[OURS] / "app", f"bench/{OURS}")

    def rival(name: str, number: int) -> Run:
        if number == 0:
            lab.method(name, "first", folders[name])
        if edit is not None:
            edit(folders[name], number)
        return lab.method(name, "again", folders[name])

    return {
        OURS: ours,
        "python": lambda _: interpreter(lab, "import requests, click"),
        **{name: partial(rival, name) for name in lab.rivals(rivals)},
    }


def unchanged_counts(lab: Lab) -> dict[str, float]:
    """What the registry is asked, and whether an edit behind our back and a moved tag are noticed."""
    folder = lab.work / "places" / OURS
    with lab.door() as door:
        lab.build(folder / "app", f"bench/{OURS}")
        counts: dict[str, float] = {"requests": len(door.requests), "bytes up": door.up, "bytes down": door.down}
        counts["of them HEAD of the tag"] = sum(
            request.method == "HEAD" and request.target.endswith("/manifests/v1") for request in door.requests
        )
    return {**counts, **noticed(lab, folder / "app", f"bench/{OURS}")}


def unchanged_targets(found: Found) -> list[Target]:
    return [
        Target("wall, times importing requests and click", found.ratio(OURS, "python"), 1.5, "", full=True),
        Target("CPU, times importing requests and click", found.ratio(OURS, "python", "cpu"), 2, "", full=True),
        Target("HEAD of the tag", found.counts["of them HEAD of the tag"], 1, "requests", least=True),
        Target("an edit of equal size and mtime is noticed", found.counts["edit noticed"], 1, "", least=True),
        Target("a tag that somebody moved is put back", found.counts["moved tag noticed"], 1, "", least=True),
    ]


def changed_counts(lab: Lab) -> dict[str, float]:
    """What is sent after one changed line: bytes of all bodies, and what must be sent."""
    counts: dict[str, float] = {}
    with lab.door() as door:
        for name in (OURS, *lab.rivals(KEPT)):
            folder = lab.work / "places" / name
            before = lab.image(f"bench/{name}")
            change(folder, 1000)
            door.forget()
            if name == OURS:
                lab.build(folder / "app", f"bench/{name}")
            else:
                lab.method(name, "again", folder)
            counts[f"kB sent by {name}"] = door.bodies / 1e3
            if name == OURS:
                counts["requests"] = len(door.requests)
                after = lab.image(f"bench/{name}")
                new = sum(size for digest, size in after.layers if (digest, size) not in before.layers)
                counts["kB of application layer, config, manifest"] = (new + after.config + after.size) / 1e3
    return counts


def changed_targets(found: Found) -> list[Target]:
    needed = found.counts["kB of application layer, config, manifest"]
    return [
        Target("wall, times importing requests and click", found.ratio(OURS, "python"), 2.2, "", full=True),
        # The manifest goes by digest, then by tag: registries that list referrers want it so.
        Target("sent", found.counts[f"kB sent by {OURS}"], needed * 1.5, "kB"),
    ]


# ------------------------------------------------------------------------------------------------ one moved

BUMPED = {False: ("lxml", "click"), True: ("click",)}  # by --quick: one with a layer of its own, a small one


def bump_actions(lab: Lab) -> dict[str, Action]:
    """Each round: what is older is built (not timed), then with the first of these packages bumped."""
    name = BUMPED[lab.quick][0]
    new = lab.app()
    old = lab.app(f"older-{name}", older=name)

    def ours(_: int) -> Run:
        lab.fresh()
        lab.build(old, f"bench/{OURS}")
        return lab.build(new, f"bench/{OURS}")

    def rival(method: str, _: int) -> Run:
        lab.fresh()
        lab.method(method, "first", lab.place(method, old))
        return lab.method(method, "again", lab.place(method, new))

    return {OURS: ours, **{method: partial(rival, method) for method in lab.rivals(("crane",))}}


def bump_counts(lab: Lab) -> dict[str, float]:
    """Bytes up for each bumped package, and the bytes of what is new in the image."""
    counts: dict[str, float] = {}
    new = lab.app()
    for name in BUMPED[lab.quick]:
        old = lab.app(f"older-{name}", older=name)
        lab.fresh()
        lab.build(old, f"bench/{OURS}")
        before = lab.image(f"bench/{OURS}")
        rivals = lab.rivals(("crane",))
        for rival in rivals:
            lab.method(rival, "first", lab.place(rival, old))
        with lab.door() as door:
            lab.build(new, f"bench/{OURS}")
            counts[f"kB sent, {name}"] = door.bodies / 1e3
            after = lab.image(f"bench/{OURS}")
            layers = [size for digest, size in after.layers if (digest, size) not in before.layers]
            counts[f"kB new in the image, {name}"] = (sum(layers) + after.config + after.size) / 1e3
            counts[f"layers new, {name}"] = len(layers)
            for rival in rivals:
                door.forget()
                lab.method(rival, "again", lab.place(rival, new))
                counts[f"kB sent by {rival}, {name}"] = door.bodies / 1e3
    return counts


def bump_targets(found: Found) -> list[Target]:
    return [
        target
        for what, value in found.counts.items()
        if (name := what.removeprefix("kB sent, ")) != what
        for target in (
            Target(f"sent for {name}", value, found.counts[f"kB new in the image, {name}"] + 10, "kB"),
            # The application layer holds requirements.txt, which names the version.
            Target(f"new layers for {name}", found.counts[f"layers new, {name}"], 2, ""),
        )
    ]


# ------------------------------------------------------------------------------------------------ another machine


def empty(lab: Lab) -> dict[str, str]:
    """Environment of somebody who has nothing: an empty home, empty caches."""
    home = Path(tempfile.mkdtemp(prefix="runner-", dir=lab.work))
    names = {
        "HOME": "", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data",
        "OCIASSEMBLE_CACHE_DIR": "store", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip", "DOCKER_CONFIG": "docker",
    }  # fmt: skip
    return {"PIP_CONFIG_FILE": os.devnull, **{name: str(home / place) for name, place in names.items()}}


def fresh_actions(lab: Lab) -> dict[str, Action]:
    """A runner that has nothing, a registry that has all but one changed file; then with the tool installed first."""
    lab.fresh()
    folder = lab.place(OURS, lab.app())
    lab.build(folder / "app", f"bench/{OURS}")
    command = lab.build_command(folder / "app", f"bench/{OURS}")
    actions: dict[str, Action] = {}

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

    actions[OURS] = ours
    url = f"http://127.0.0.1:{tool_wheels(lab)}/simple/"
    install = (
        "uv venv -q --no-config --python $PYTHON $HOME/venv; "
        "uv pip install -q --no-config --python $HOME/venv/bin/python "
        f"--default-index {url} ociassemble"
    )
    actions["uv-install"] = partial(run, install, "")
    actions["pip-install"] = partial(
        run, f"$HOME/venv/bin/python -m pip install -q --disable-pip-version-check --index-url {url} ociassemble",
        "$PYTHON -m venv $HOME/venv",
    )  # fmt: skip
    return actions


def fresh_counts(lab: Lab) -> dict[str, float]:
    """Bytes from the registry; connections to an index and to anywhere else."""
    folder = lab.work / "places" / OURS
    change(folder, 1000)
    told = empty(lab)
    with Index(lab.wheel_folder()) as index, Door(index.port) as trap, lab.door() as door:
        elsewhere = f"http://127.0.0.1:{trap.port}"
        told |= dict.fromkeys(INDEXES, f"{elsewhere}/simple/")
        told |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), elsewhere)
        lab.build(folder / "app", f"bench/{OURS}", **told)
        counts = {
            "kB down": door.down / 1e3,
            "kB up": door.up / 1e3,
            "requests": float(len(door.requests)),
            "kB down from an index": trap.down / 1e3,
            "connections to an index or to anywhere else": float(trap.connections),
        }
    shutil.rmtree(told["HOME"])
    return counts


def fresh_targets(found: Found) -> list[Target]:
    targets = [
        Target("the build", found.seconds(OURS), 1.5, "s", full=True),
        Target("down, of everything", found.counts["kB down"] + found.counts["kB down from an index"], 1000, "kB"),
        Target("connections to an index", found.counts["connections to an index or to anywhere else"], 0, ""),
    ]
    if found.runs.get("uv-install"):
        targets.append(Target("with uv pip install in front", found.seconds("uv-install"), 3, "s", full=True))
    return targets


# ------------------------------------------------------------------------------------------------ many, big, small


def none(_: Lab) -> dict[str, Action]:
    return {}


def ten_counts(lab: Lab) -> dict[str, float]:
    """What the registry stores for ten applications of the same requirements, in ten repositories."""
    lab.fresh()
    before = lab.stored()
    dependencies = sum(layer["size"] for platform in _lock(lab)["platforms"].values() for layer in platform["layers"])
    for number in range(10):
        folder = lab.place(f"ten{number}", lab.app())
        change(folder, number)
        lab.build(folder / "app", f"bench/app{number}")
    return {"MB stored": (lab.stored() - before) / 1e6, "MB of dependencies": dependencies / 1e6}


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
        return lab.ours("lock", str(app), *asked, **told)

    def build(_: int) -> Run:
        lab.fresh()
        return lab.build(app, "bench/stack", "--no-cache", **told)

    lab.fresh()
    lock(0)
    return {"ociassemble lock": lock, "ociassemble build": build}


def stack_counts(lab: Lab) -> dict[str, float]:
    """Frees the disk again; what came of it is in the registry."""
    pushed = lab.added("bench/stack") / 1e6
    for name in ("stack", "stack-cache"):
        shutil.rmtree(lab.work / name, ignore_errors=True)
    lab.fresh()
    return {"MB pushed": pushed}


def startup_actions(lab: Lab) -> dict[str, Action]:
    return {
        "python -c pass": lambda _: interpreter(lab, "pass"),
        "ociassemble --version": lambda _: lab.ours("--version"),
        'python -c "import click"': lambda _: interpreter(lab, "import click"),
        "ociassemble --help": lambda _: lab.ours("--help"),
        "ociassemble build --help": lambda _: lab.ours("build", "--help"),
    }


def startup_counts(lab: Lab) -> dict[str, float]:
    """Dataclasses that exist at the end of a build that changed nothing, everybody's and ours."""
    lab.fresh()
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


# ------------------------------------------------------------------------------------------------ small questions


def asked(cases: dict[str, dict[str, str]], lab: Lab) -> dict[str, Action]:
    """Every command of `cases`, each in an empty folder, by "TOOL: WHAT"."""
    lab.fresh()
    lab.build(lab.app(), f"bench/{OURS}")
    told = {"IMAGE": f"{lab.host}/bench/{OURS}:v1", "COPY": f"{lab.host}/bench/copy:v1"}
    copies = lab.storage / "docker/registry/v2/repositories/bench/copy"

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


def no_targets(_: Found) -> list[Target]:
    return []


COLD = ("crane", "crane-pigz", "crane-igzip", "umoci", "buildah", "buildkit")
COLD_ZSTD = ("crane", "crane-zstd", "buildkit-zstd")

SCENARIOS = {
    "startup": Scenario("Start-up", startup_actions, startup_targets, startup_counts),
    "unchanged": Scenario(
        "Nothing changed, pushed", partial(again, None, ("crane", "buildkit")), unchanged_targets, unchanged_counts
    ),
    "changed": Scenario(
        "One application file changed, pushed", partial(again, change, KEPT), changed_targets, changed_counts
    ),
    "fresh": Scenario(
        "Fresh runner, warm registry, a lock; one file changed",
        fresh_actions,
        fresh_targets,
        fresh_counts,
    ),
    "bumped": Scenario("One dependency bumped, pushed", bump_actions, bump_targets, bump_counts),
    "ten": Scenario("Ten applications with the same requirements", none, ten_targets, ten_counts),
    "cold-gzip": Scenario(
        "Cold, gzip: wheels at hand, no layer, pushed",
        partial(cold, GZIP, COLD),
        partial(cold_targets, 121.5, {"crane": 2.0, "crane-igzip": 1.3}),
        noted,
    ),
    "cold-zstd": Scenario(
        "Cold, zstd: wheels at hand, no layer, pushed",
        partial(cold, ZSTD, COLD_ZSTD),
        partial(cold_targets, 108.5, {"crane": 3.0, "crane-zstd": 1.0}),
        noted,
    ),
    "memory": Scenario("Wheels of 2 GiB: memory", stack_actions, no_targets, stack_counts, most=1),
    "reading": Scenario("One question to a registry", partial(asked, READING), no_targets),
    "copying": Scenario("One image copied", partial(asked, COPYING), no_targets),
}


def with_memory(scenario: Scenario, found: Found) -> list[Target]:
    """A scenario's targets, and that of memory for what builds or locks."""
    return [
        *scenario.targets(found),
        *(
            Target(f"memory of {name}" if name != OURS else "memory", found.memory(name), MEMORY, "MiB")
            for name, runs in found.runs.items()
            if name in (OURS, "ociassemble lock", "ociassemble build") and runs
        ),
    ]
